"""A whole run that is stopped and continued by the same command."""

import contextlib

import keras
import numpy as np
import pytest

from tests.training.conftest import build_tiny_model, write_image_folder
from training import run, trainer
from training.command_line import main


class Stop(Exception):
    """Ends a training without any of its ends."""


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """Of a training of a small model: a MicroNet's first step would take half a minute."""
    monkeypatch.setattr(run, "build_model", lambda *_: build_tiny_model())
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


def test_another_seed_is_refused(arguments, tmp_path, capsys):
    folder = str(tmp_path / "run")
    with stopped_after_an_epoch():
        main([*arguments, folder])
    assert main([*arguments, folder, "--seed", "9"]) == 2
    assert "seed=0 instead of 9" in capsys.readouterr().err
    assert main([*arguments, folder, "--no-resume"]) == 2
    assert "--overwrite is given" in capsys.readouterr().err
