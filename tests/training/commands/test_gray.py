# SPDX-License-Identifier: Apache-2.0
"""A gray model all the way: trained, measured, asked, quantized."""

import json

import keras
import numpy as np
import pytest

from keras_micronet.luma import luma
from tests.training.conftest import write_image_folder
from training.command_line import main
from training.datasets.image_files import read_image
from training.models import build_model, build_partner, load_teacher
from training.tasks import classes

pytestmark = pytest.mark.slow

SIZE = (8, 12)


def build_gray_model(variant, image_size, class_count, weights=None, channels=3):
    assert (variant, image_size, class_count, weights, channels) == ("M0", SIZE, 2, None, 1)
    return keras.Sequential(
        [
            keras.Input((*SIZE, 1)),
            keras.layers.Rescaling(1 / 127.5, offset=-1.0),
            keras.layers.Conv2D(4, 3, strides=2, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def gray_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gray")
    write_image_folder(folder / "images", {"a": 20, "b": 20}, distance=6)
    arguments = ["--dataset", str(folder / "images"), "--channels", "1", "--image-size", "8x12"]
    arguments += ["--epochs", "1", "--batch-size", "14", "--brightness", "0.1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classes, "build_model", build_gray_model)
        assert main([*arguments, "--strategy", "one-device", "--output", str(folder / "run")]) == 0
    return folder / "run"


def test_a_run_says_and_keeps_what_is_gray(gray_run):
    summary = json.loads((gray_run / "run.json").read_text())
    assert summary["model"]["input_shape"] == [*SIZE, 1]
    assert summary["recipe"]["channels"] == 1
    pictures = {tuple(luma(read_image(path))[0]) for path in gray_run.parent.glob("images/*/*")}
    values = {int(row[0]) for row in pictures}
    for name in ("calibration.npz", "test.npz", "validation.npz"):
        with np.load(gray_run / name) as arrays:
            assert arrays["images"].shape[1:] == (*SIZE, 1)
            assert set(np.unique(arrays["images"]).tolist()) <= values


def test_it_is_measured_asked_and_quantized(gray_run, tmp_path, capsys):
    assert main(["evaluate", str(gray_run)]) == 0
    assert "Top-1 accuracy" in capsys.readouterr().out
    pictures = sorted(gray_run.parent.glob("images/a/*"))[:2]
    assert main(["predict", str(gray_run), *map(str, pictures)]) == 0
    model = keras.saving.load_model(gray_run / "model.keras")
    for path, line in zip(pictures, capsys.readouterr().out.splitlines(), strict=True):
        value = luma(read_image(path))[0, 0]
        expected = model(np.full((1, *SIZE, 1), value, np.float32)).numpy()[0].max()
        assert f" {expected:.2%}, " in line
    words = ["quantize", str(gray_run), "--epochs", "1", "--output", str(tmp_path / "int8")]
    assert main(words) == 0
    assert keras.saving.load_model(tmp_path / "int8" / "model.keras").input_shape[1:] == (*SIZE, 1)


def test_the_float_run_decides_the_channels(gray_run, capsys):
    with pytest.raises(SystemExit):
        main(["quantize", str(gray_run), "--channels", "3"])
    assert "--channels" in capsys.readouterr().err


def test_networks_and_teachers_are_gray(tmp_path):
    assert build_model("M0", (32, 32), 3, None, 1).input_shape == (None, 32, 32, 1)
    assert build_partner("M0", (32, 32), 3, 1).input_shape == (None, 32, 32, 1)
    build_gray_model("M0", SIZE, 2, None, 1).save(tmp_path / "teacher.keras")
    assert load_teacher(tmp_path / "teacher.keras", SIZE, 2, 1).input_shape[-1] == 1
    with pytest.raises(ValueError, match="teacher must take images"):
        load_teacher(tmp_path / "teacher.keras", SIZE, 2)
