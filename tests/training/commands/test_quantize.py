# SPDX-License-Identifier: Apache-2.0
import csv
import dataclasses
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest

from keras_micronet import quantization
from tests.training.conftest import write_image_folder
from training.command_line import main
from training.commands import quantize, train
from training.settings import QuantizeAwareSettings

pytestmark = pytest.mark.slow


class Quantized(Exception):
    """Raised instead of quantizing: all that comes before has passed."""


@pytest.fixture
def quantize_calls(monkeypatch):
    """Stops each run where it would quantize; lists the arguments."""
    calls = []

    def quantize_aware(*arguments, kernels):
        calls.append((*arguments, kernels))
        raise Quantized

    monkeypatch.setattr(quantization, "quantize_aware", quantize_aware)
    return calls


@pytest.fixture
def refused(capsys, monkeypatch, tmp_path):
    """Runs the command line, which must refuse the request; returns the message."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "execute", lambda _: pytest.fail("executed"))

    def run_and_read(*arguments):
        assert main([str(argument) for argument in arguments]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.count("\n") == 1
        assert not pathlib.Path("runs").exists()
        return output.err

    return run_and_read


def test_quantizes_the_float_model_by_the_images_stored_with_it(
    finished_float_run, quantize_calls, tmp_path
):
    with pytest.raises(Quantized):
        main(
            ["--quantize-aware", str(finished_float_run), "--scheme", "int8_head4"]
            + ["--kernels", "builtin", "--output", str(tmp_path / "new")]
        )
    ((model, images, scheme, kernels),) = quantize_calls
    saved = keras.saving.load_model(finished_float_run / "model.keras")
    assert all(map(np.array_equal, model.get_weights(), saved.get_weights()))
    with np.load(finished_float_run / "calibration.npz") as arrays:
        assert np.array_equal(images, arrays["images"])
    assert scheme == "int8_head4"
    assert kernels == "builtin"
    assert not (tmp_path / "new").exists()


def test_refuses_unknown_kernels(refused, finished_float_run):
    message = refused("--quantize-aware", finished_float_run, "--kernels", "fast")
    assert "kernels must be one of builtin, fused. Received: kernels=fast" in message


def test_refuses_what_is_no_float_run(refused, tmp_path):
    message = refused("--quantize-aware", tmp_path / "missing")
    assert "must be a folder that `python -m training` has completed" in message


def test_refuses_an_unknown_scheme(refused, finished_float_run):
    message = refused("--quantize-aware", finished_float_run, "--scheme", "int3")
    assert "scheme must be one of int8, int8_head4, int8_head4_per_channel" in message
    assert "Received: scheme=int3" in message


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_never_writes_into_the_float_run(refused, float_run_copy, overwrite):
    before = {path.name: path.read_bytes() for path in float_run_copy.iterdir()}
    message = refused(
        "--quantize-aware", "copy-M0", "--output", float_run_copy / ".." / "copy-M0", *overwrite
    )
    assert "output must be another folder than the float run" in message
    assert {path.name: path.read_bytes() for path in float_run_copy.iterdir()} == before


def test_refuses_an_output_with_content(refused, finished_float_run, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    message = refused("--quantize-aware", finished_float_run, "--output", "full")
    assert "unless --overwrite is given. Received: output=full" in message


def test_says_how_to_name_a_dataset_that_has_moved(refused, float_run_copy, change_summary):
    change_summary(lambda summary: summary["dataset"].update(source="gone"))
    message = refused("--quantize-aware", float_run_copy)
    assert "existing folder of images. Received: dataset=gone (named by the float run" in message
    assert "give --dataset if it is elsewhere now" in message
    message = refused("--quantize-aware", float_run_copy, "--dataset", "gone-too")
    assert "Received: dataset=gone-too" in message
    assert "named by the float run" not in message


def test_takes_a_dataset_that_has_moved(
    finished_float_run, float_run_copy, change_summary, quantize_calls, tmp_path
):
    shutil.copytree(finished_float_run.parent / "images", tmp_path / "moved")
    change_summary(lambda summary: summary["dataset"].update(source="gone"))
    with pytest.raises(Quantized):
        main(
            ["--quantize-aware", str(float_run_copy), "--dataset", str(tmp_path / "moved")]
            + ["--output", str(tmp_path / "new")]
        )
    assert len(quantize_calls) == 1


def test_leaves_out_images_as_the_float_run_did(
    finished_float_run, float_run_copy, change_summary, refused, quantize_calls, tmp_path
):
    images = shutil.copytree(finished_float_run.parent / "images", tmp_path / "images")
    (images / "a" / "broken.png").write_bytes(b"no image")
    change_summary(lambda summary: summary["dataset"].update(source=str(images)))
    assert "a/broken.png" in refused("--quantize-aware", float_run_copy)
    with pytest.raises(Quantized):
        main(["--quantize-aware", str(float_run_copy), "--skip-unreadable"])
    change_summary(lambda summary: summary["dataset"].update(skip_unreadable=True))
    with pytest.raises(Quantized):
        main(["--quantize-aware", str(float_run_copy)])


@pytest.mark.parametrize(
    ("counts", "rule"),
    [
        ({"a": 20, "c": 20}, "the float run's classes ['a', 'b'], in this order"),
        ({"a": 20, "b": 20, "c": 20}, "the float run's classes ['a', 'b'], in this order"),
        ({"a": 20, "b": 30}, "as many images as for the float run"),
        # As many of each part, but other classes.
        ({"a": 30, "b": 10}, "the float run's test images"),
    ],
)
def test_refuses_another_dataset(refused, finished_float_run, tmp_path, counts, rule):
    write_image_folder(tmp_path / "other", counts, distance=4)
    message = refused("--quantize-aware", finished_float_run, "--dataset", tmp_path / "other")
    assert f"the dataset must have {rule}" in message


def test_refuses_a_dataset_whose_files_were_renamed(
    refused, finished_float_run, quantize_calls, tmp_path
):
    images = shutil.copytree(finished_float_run.parent / "images", tmp_path / "images")
    for number in range(10):
        low, high = images / "a" / f"{number}.png", images / "a" / f"{number + 10}.png"
        content = low.read_bytes()
        high.replace(low)
        high.write_bytes(content)
    message = refused("--quantize-aware", finished_float_run, "--dataset", images)
    assert "the dataset must have the float run's test images" in message


@pytest.mark.parametrize(("difference", "is_same"), [(2, True), (9, False)])
def test_another_jpeg_decoder_makes_no_other_dataset(
    float_run_copy, quantize_calls, capsys, difference, is_same
):
    path = float_run_copy / "test.npz"
    with np.load(path) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    images = images.astype(int)
    images[3] += np.where(images[3] < 128, difference, -difference)
    np.savez(path, images=images.astype(np.uint8), labels=labels)
    arguments = ["--quantize-aware", str(float_run_copy)]
    if is_same:
        with pytest.raises(Quantized):
            main(arguments)
    else:
        assert main(arguments) == 2
        assert "the float run's test images" in capsys.readouterr().err


def test_refuses_a_batch_larger_than_the_training_part(refused, finished_float_run):
    message = refused("--quantize-aware", finished_float_run, "--batch-size", "29")
    assert "at most the number of training images: give a smaller --batch-size" in message
    assert "Received: batch_size=29 with 28" in message


def test_what_the_library_cannot_quantize_is_refused_with_its_reason(
    refused, finished_float_run, monkeypatch
):
    def quantize_aware(*_, **__):
        raise ValueError("a layer that cannot be quantized")

    monkeypatch.setattr(quantization, "quantize_aware", quantize_aware)
    message = refused("--quantize-aware", finished_float_run)
    assert "a layer that cannot be quantized" in message


@pytest.fixture(scope="module")
def quantized_runs(finished_float_run, tmp_path_factory):
    """Run folders of no epoch and of one, of the one model that is prepared here."""
    folder = tmp_path_factory.mktemp("quantized")
    settings = QuantizeAwareSettings(
        float_run=finished_float_run,
        scheme="int8",
        dataset=None,
        # From the start or never: freezing in between traces the training step once more.
        recipe_changes={"epochs": 0, "freeze_batch_normalization": 0.0, "freeze_ranges": 1.0},
        seed=3,
        output=folder / "zero",
        overwrite=False,
        skip_unreadable=False,
    )
    prepared = quantize.prepare(settings)
    lines = {name: [] for name in FOLDERS}
    train.execute(prepared, lines["zero"].append)
    recipe = dataclasses.replace(prepared.settings.recipe, epochs=1)
    trained_folder = train.RunFolder(folder / "one")
    trained_folder.begin()
    train.execute(
        dataclasses.replace(
            prepared,
            settings=dataclasses.replace(prepared.settings, recipe=recipe),
            folder=trained_folder,
        ),
        lines["one"].append,
    )
    return folder, lines


FOLDERS = ("zero", "one")
FILES = {
    ".keras_micronet.json",
    "calibration.npz",
    "class_names.txt",
    "confusion_matrix.png",
    "history.csv",
    "learning_curve.png",
    "model.keras",
    "model.weights.h5",
    "run.json",
    "test.npz",
    "validation.npz",
}


def test_the_run_folder_has_the_files_of_a_float_run(quantized_runs, finished_float_run):
    folder, _ = quantized_runs
    assert {path.name for path in (folder / "one").iterdir()} == FILES
    assert {path.name for path in (folder / "zero").iterdir()} == FILES - {"learning_curve.png"}
    for name in ("calibration.npz", "test.npz", "validation.npz"):
        with np.load(finished_float_run / name) as old, np.load(folder / "one" / name) as new:
            assert np.array_equal(old["images"], new["images"])
            assert np.array_equal(old["labels"], new["labels"])
    assert (folder / "one" / "class_names.txt").read_text() == "a\nb\n"


def test_the_history_has_a_line_an_epoch(quantized_runs):
    folder, _ = quantized_runs
    for name, lines in (("zero", 0), ("one", 1)):
        with open(folder / name / "history.csv", newline="") as file:
            assert len(list(csv.DictReader(file))) == lines


@pytest.mark.parametrize("name", FOLDERS)
def test_the_summary_tells_where_the_model_comes_from(quantized_runs, finished_float_run, name):
    folder, lines = quantized_runs
    summary = json.loads((folder / name / "run.json").read_text())
    float_summary = json.loads((finished_float_run / "run.json").read_text())
    assert summary["quantization"] == {
        "scheme": "int8",
        "kernels": "fused",
        "float_run": "flat-M0",
        "float_test_accuracy": 0.625,
    }
    assert summary["model"] == float_summary["model"]
    assert summary["dataset"] == float_summary["dataset"]
    assert summary["seed"] == 3
    assert summary["recipe"]["name"] == "quantize-aware"
    assert summary["recipe"]["learning_rate"] == pytest.approx(0.002)
    assert summary["recipe"]["horizontal_flip"] is True
    assert any(
        "int8 for fused kernels of the run flat-M0" in line and "62.50%" in line
        for line in lines[name]
    )


@pytest.fixture(scope="module")
def loaded_models(quantized_runs):
    folder, _ = quantized_runs
    return {name: keras.saving.load_model(folder / name / "model.keras") for name in FOLDERS}


@pytest.mark.parametrize("name", FOLDERS)
def test_the_saved_model_is_quantize_aware_and_has_the_measured_accuracy(
    quantized_runs, loaded_models, name
):
    folder, _ = quantized_runs
    model = loaded_models[name]
    assert isinstance(model, quantization.QuantizeAwareModel)
    assert model.scheme.name == "int8"
    assert model.kernels == "fused"
    with np.load(folder / name / "test.npz") as arrays:
        probabilities = np.asarray(model(arrays["images"].astype("float32"), training=False))
        labels = arrays["labels"]
    results = json.loads((folder / name / "run.json").read_text())["results"]
    assert np.mean(probabilities.argmax(1) == labels) == results["test_accuracy"]
    smoothed = 0.9 * np.eye(2)[labels] + 0.1 / 2
    loss = -(smoothed * np.log(probabilities)).sum(1).mean()
    assert results["test_loss"] == pytest.approx(loss, rel=1e-4)


def test_no_epochs_change_nothing_and_one_epoch_changes_what_is_not_frozen(
    loaded_models, finished_float_run
):
    float_model = keras.saving.load_model(finished_float_run / "model.keras")
    zero, one = loaded_models["zero"], loaded_models["one"]
    assert all(map(np.array_equal, float_model.get_weights(), zero.float_model.get_weights()))
    for old, new in zip(float_model.weights, one.float_model.weights, strict=True):
        assert old.path == new.path
        if "moving" in old.path:
            assert np.array_equal(old, new), old.path
        elif old.path.endswith("beta"):  # only the loss moves them: no weight decay
            assert not np.array_equal(old, new), old.path
    assert zero.activation_ranges != one.activation_ranges


def test_a_quantized_run_is_not_quantized_again(quantized_runs, refused):
    folder, _ = quantized_runs
    message = refused("--quantize-aware", folder / "zero")
    assert "must be a float run" in message
    assert "which is quantized already" in message
