# SPDX-License-Identifier: Apache-2.0
"""`--recipe finetune` as the extra `training` installs it: no torch, an empty cache, a server."""

import pickle
import sys

import keras
import numpy as np
import pytest

from keras_micronet.weights import cache
from tests.keras_micronet.golden import golden
from tests.keras_micronet.weights.servers import serving
from training.command_line import main
from training.commands import train
from training.fitting.epoch_record import EpochRecord
from training.fitting.trainer import TrainingResult


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A cache of this test and a computer without torch; no source outside of it."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras_home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv(cache.URL_VARIABLE, raising=False)
    monkeypatch.delenv(cache.DIGEST_VARIABLE, raising=False)
    monkeypatch.setattr(cache, "PUBLIC_SOURCES", ())
    monkeypatch.setitem(sys.modules, "torch", None)


def fine_tune(folder, output):
    return main(
        ["--recipe", "finetune", "--dataset", str(folder), "--image-size", "24x32"]
        + ["--batch-size", "14", "--output", str(output)]
    )


def test_from_an_empty_cache_to_a_run_folder(empty_cache, make_image_folder, tmp_path, monkeypatch):
    """The training itself takes no step, so that the written weights are those it begins with."""
    record = EpochRecord(1, 0.7, 0.5, 0.7, 0.5, 0.0, 1.0)
    result = TrainingResult((record,), 0.7, 0.5, 0.7, 0.625, 1.0)
    monkeypatch.setattr(train, "train", lambda *_, **__: result)
    state = golden.in_paddle_layout(golden.state_dict("M0"))
    content = pickle.dumps({key: np.ascontiguousarray(value) for key, value in state.items()}, 2)
    images = make_image_folder({"a": 20, "b": 20}, distance=6)
    with serving(content, "right") as server:
        monkeypatch.setattr(cache, "PUBLIC_SOURCES", [(server.address, (cache.PADDLECLAS_FILE,))])
        assert fine_tune(images, tmp_path / "run") == 0
    assert len(server.requests) == 1
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert model.output_shape == (None, 2)
    expected = golden.state_dict("M0")["classifier.0.linear.0.weight"].T
    np.testing.assert_array_equal(model.get_layer("head_dense").kernel, expected)


def test_offline_one_line_says_what_to_do(empty_cache, make_image_folder, tmp_path, capsys):
    images = make_image_folder({"a": 20, "b": 20}, distance=6)
    assert fine_tune(images, tmp_path / "run") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Put micronet-m0.pth or MicroNet_M0_pretrained.pdparams into" in line
    assert not (tmp_path / "run").exists()
