# SPDX-License-Identifier: Apache-2.0
"""Whole runs, of a small model: also one that is stopped and continued by the same command."""

import contextlib
import json
import os

import keras
import numpy as np
import pytest

from tests.training.conftest import build_tiny_model, write_image_folder
from training.command_line import main
from training.commands import train
from training.datasets import load_dataset
from training.fitting import trainer
from training.runs.run_folder import RunFolder
from training.tasks import classes

pytestmark = pytest.mark.slow


class Stop(Exception):
    """Ends a training without any of its ends."""


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """Of a training of a small model: a MicroNet's first step would take half a minute."""
    monkeypatch.setattr(classes, "build_model", lambda *_: build_tiny_model())
    write_image_folder(tmp_path / "images", {"a": 20, "b": 20}, distance=6)
    arguments = ["--dataset", str(tmp_path / "images"), "--image-size", "8x12", "--epochs", "2"]
    return [*arguments, "--batch-size", "14", "--strategy", "one-device", "--output"]


@contextlib.contextmanager
def stopped_after_an_epoch():
    write = trainer._CheckpointWriter.on_epoch_end

    def write_and_stop(writer, epoch, logs=None):
        write(writer, epoch, logs)
        raise Stop

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        patch.setattr(trainer._CheckpointWriter, "on_epoch_end", write_and_stop)
        yield


def weights_of(folder):
    return keras.saving.load_model(folder / "model.keras").get_weights()


def test_the_same_command_continues_and_gives_the_same_model(arguments, tmp_path, capsys):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main([*arguments, str(whole)]) == 0
    with stopped_after_an_epoch():
        main([*arguments, str(stopped)])
    assert not (stopped / "run.json").exists()
    assert main([*arguments, str(stopped)]) == 0
    for weight, expected in zip(weights_of(stopped), weights_of(whole), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert sorted(path.name for path in stopped.iterdir()) == sorted(
        path.name for path in whole.iterdir()
    )
    assert len((stopped / "history.csv").read_text().splitlines()) == 3  # a head and both epochs
    assert main([*arguments, str(stopped)]) == 2  # it is finished
    assert "--overwrite is given" in capsys.readouterr().err
    before = sorted(path.name for path in stopped.iterdir())
    assert main([*arguments, str(stopped), "--overwrite"]) == 0
    assert "The earlier run in" in capsys.readouterr().out
    for weight, expected in zip(weights_of(stopped), weights_of(whole), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert sorted(path.name for path in stopped.iterdir()) == before


def test_pictures_that_were_replaced_in_place_are_noticed(arguments, tmp_path, capsys):
    folder = str(tmp_path / "run")
    with stopped_after_an_epoch():
        main([*arguments, folder])
    first, second = sorted((tmp_path / "images" / "a").iterdir())[:2]
    kept = first.read_bytes(), first.stat()
    first.write_bytes(second.read_bytes())
    os.utime(first, (kept[1].st_atime, kept[1].st_mtime))
    assert main([*arguments, folder]) == 2
    assert "resumed with the pictures that it was begun with" in capsys.readouterr().err
    first.write_bytes(kept[0])  # at another time, which matters to nobody
    assert main([*arguments, folder]) == 0


def test_another_seed_is_refused(arguments, tmp_path, capsys):
    folder = str(tmp_path / "run")
    with stopped_after_an_epoch():
        main([*arguments, folder])
    assert main([*arguments, folder, "--seed", "9"]) == 2
    assert "seed=0 instead of 9" in capsys.readouterr().err
    assert main([*arguments, folder, "--no-resume"]) == 2
    assert "--overwrite is given" in capsys.readouterr().err


def test_an_interrupted_run_has_the_history_of_its_epochs_and_says_how_to_go_on(
    arguments, tmp_path, monkeypatch, capsys
):
    histories = []
    begin = trainer._EpochRecorder.on_epoch_begin

    def stop_in_the_second_epoch(recorder, epoch, logs=None):
        begin(recorder, epoch, logs)
        if epoch == 1:
            histories.extend((tmp_path / "run" / "history.csv").read_text().splitlines())
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer._EpochRecorder, "on_epoch_begin", stop_in_the_second_epoch)
        assert main([*arguments, str(tmp_path / "run")]) == 130
    assert len(histories) == 2
    assert histories[1].startswith("1,")
    checkpoints = tmp_path / "run" / "checkpoints"
    assert capsys.readouterr().err == (
        f"python -m training: error: interrupted; {checkpoints} has all of the first 1 of 2 "
        "epochs: the same command continues after them\n"
    )
    # It tells the truth.
    assert main([*arguments, str(tmp_path / "run")]) == 0
    assert f"Continues after epoch 1, from {checkpoints}." in (capsys.readouterr().out)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ([], "the same command begins anew"),
        (["--overwrite"], "the same command without --overwrite begins anew"),
        (["--no-resume"], "the same command without --no-resume begins anew"),
    ],
)
def test_a_run_that_is_interrupted_early_has_no_checkpoint(
    arguments, tmp_path, monkeypatch, capsys, options, advice
):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer._EpochRecorder, "on_epoch_begin", stop)
        assert main([*arguments, str(tmp_path / "run"), *options]) == 130
    text = capsys.readouterr().err
    assert "interrupted before the first checkpoint, which the end of each epoch writes" in text
    assert text.endswith(f"{advice}\n")
    assert text.count("\n") == 1
    if options:
        return
    assert main([*arguments, str(tmp_path / "run")]) == 0


def test_few_steps_are_told_before_the_training(arguments, tmp_path, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train", stop)
    assert main([*arguments, str(tmp_path / "few")]) == 130  # 28 images, 2 epochs
    text = capsys.readouterr().out
    assert "2 epochs of 2 steps of 14 images.\n4 steps in all are few to learn from" in text
    assert main([*arguments, str(tmp_path / "enough"), "--epochs", "100"]) == 130
    assert "are few to learn from" not in capsys.readouterr().out


def test_few_test_images_are_told_before_the_training(arguments, tmp_path, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train", stop)
    assert main([*arguments, str(tmp_path / "few")]) == 130
    # 1.96 * sqrt(0.5 * 0.5 / 8) is 0.346.
    assert (
        "\n8 test images tell an accuracy to ±35 points, here and in an export's report; 100 "
        in (capsys.readouterr().out)
    )
    monkeypatch.setattr(classes, "_FEW_TEST_IMAGES", 8)
    assert main([*arguments, str(tmp_path / "enough")]) == 130
    assert "test images tell" not in capsys.readouterr().out


def test_a_history_that_cannot_be_written_stops_no_training(
    arguments, tmp_path, monkeypatch, capsys
):
    write = RunFolder.write_history
    calls = []

    def fail_at_first(folder, *history):
        calls.append(history)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        write(folder, *history)

    monkeypatch.setattr(RunFolder, "write_history", fail_at_first)
    assert main([*arguments, str(tmp_path / "run")]) == 0
    assert "No history.csv after epoch 1: [Errno 28]" in capsys.readouterr().out
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 3


def test_the_summary_names_recipe_version_and_ways_of_training(arguments, tmp_path, capsys):
    command = [*arguments, str(tmp_path / "run"), "--patience", "5", "--zoom", "0.3"]
    assert main(command) == 0
    summary = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (summary["recipe"]["name"], summary["recipe"]["version"]) == ("small-images", 1)
    assert summary["recipe"]["zoom"] == 0.3
    assert (summary["patience"], summary["precision"]) == (5, "float32")
    assert summary["results"]["kept_epoch"] in (1, 2)
    assert summary["results"]["test_top_5_accuracy"] is None
    text = capsys.readouterr().out
    assert "Recipe small-images, version 1 with image_size=8x12, epochs=2, batch_size=14, " in text
    assert "zoom=0.3: 2 epochs of 2 steps of 14 images." in text
    assert f"Kept the weights of epoch {summary['results']['kept_epoch']}, the best of 2" in text


@pytest.mark.parametrize("option", [["--patience", "1"], ["--precision", "bfloat16"]])
def test_a_stopped_run_cannot_be_continued_in_another_way(arguments, tmp_path, capsys, option):
    folder = str(tmp_path / "run")
    with stopped_after_an_epoch():
        main([*arguments, folder])
    assert main([*arguments, folder, *option]) == 2
    name = option[0].removeprefix("--")
    assert f"{name}={'0' if name == 'patience' else 'float32'} instead of" in (
        capsys.readouterr().err
    )


def test_a_run_in_half_precision_writes_a_float32_model(arguments, tmp_path):
    folder = tmp_path / "run"
    with stopped_after_an_epoch():
        main([*arguments, str(folder), "--precision", "bfloat16"])
    assert main([*arguments, str(folder), "--precision", "bfloat16"]) == 0
    model = keras.saving.load_model(folder / "model.keras")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    summary = json.loads((folder / "run.json").read_text())
    assert summary["precision"] == "bfloat16"
    with np.load(folder / "test.npz") as arrays:
        images, labels = arrays["images"], arrays["labels"]
    predictions = model.predict(images.astype("float32"), verbose=0).argmax(1)
    assert np.mean(predictions == labels) == summary["results"]["test_accuracy"]
    assert keras.config.dtype_policy().name == "float32"


def test_logs_for_tensorboard_do_not_hinder_continuing(arguments, tmp_path):
    pytest.importorskip("tensorboard")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main([*arguments, str(whole), "--tensorboard"]) == 0
    assert list((whole / "tensorboard").rglob("events*"))
    with stopped_after_an_epoch():
        main([*arguments, str(stopped), "--tensorboard"])
    assert main([*arguments, str(stopped), "--tensorboard"]) == 0
    for weight, expected in zip(weights_of(stopped), weights_of(whole), strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("crop", [1.0, 0.5])
def test_the_recipe_decides_what_evaluation_sees(arguments, tmp_path, crop, monkeypatch):
    crops = []

    def load(name, image_size, skip_unreadable, evaluation_crop, *others):
        crops.append(evaluation_crop)
        return load_dataset(name, image_size, skip_unreadable, evaluation_crop, *others)

    monkeypatch.setattr(classes, "load_dataset", load)
    monkeypatch.setattr(train, "execute", lambda _: None)
    assert main([*arguments, str(tmp_path / "run"), "--evaluation-crop", str(crop)]) == 0
    assert crops == [crop]
