# SPDX-License-Identifier: Apache-2.0
"""Kills a run's writing at each of its changes in turn, and looks at what is left, for tests.

Arguments: `new`, or `overwrite` for a run that replaces another; an empty folder. Prints the number
of kills.
"""

import dataclasses
import functools
import json
import os
import pathlib
import sys
import types

import numpy as np

if __name__ == "__main__":
    # A process with TensorFlow takes long to fork, and no model is written here.
    package = types.ModuleType("keras_micronet")
    package.__path__ = [str(pathlib.Path(__file__).parents[2] / "keras_micronet")]
    sys.modules["keras_micronet"] = package
    keras = types.ModuleType("keras")
    keras.Model = object  # what type hints need of it
    sys.modules["keras"] = keras

from keras_micronet import run_folders
from tests.keras_micronet.files.killed import check_every_kill, run_killed
from training.runs.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Record:
    """An epoch."""

    epoch: int


class Figure:
    """Stands for a plot."""

    def savefig(self, file, **options):
        file.write(b"picture")


def write_run(path, text, overwrite=False, has_curve=True):
    """A complete run whose every file has a text, as far as it is one."""
    folder = RunFolder(path, overwrite)
    folder.begin()
    folder.checkpoints.mkdir(exist_ok=True)
    np.savez(folder.checkpoints / "epoch-000001.npz", **{"state.json": np.zeros(1)})
    folder.write_class_names((text, "other"))
    folder.write_calibration(np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2, np.int32))
    folder.write_history(Record, [Record(1)])
    if has_curve:
        folder.write_learning_curve(Figure())
    folder.write_summary({"format": 1, "text": text})
    for checkpoint in folder.checkpoints.iterdir():
        checkpoint.unlink()
    folder.checkpoints.rmdir()
    folder.complete()


def texts(path):
    """What the class names and the summary of the run in a folder say; `None` without."""
    summary, names = path / "run.json", path / "class_names.txt"
    return (
        names.read_text().split("\n")[0] if names.exists() else None,
        json.loads(summary.read_text())["text"] if summary.exists() else None,
    )


WHOLE = {"old": ("old", "old"), "new": ("new", "new")}


def check_a_kill(kind, path, number, after):
    """Returns whether there was a kill, and whether the new run was there then."""
    if kind == "overwrite":
        write_run(path, "old")
        (path / "thesis.txt").write_text("precious")
    overwrite = kind == "overwrite"
    killed = run_killed(lambda: write_run(path, "new", overwrite, has_curve=False), number, after)
    if overwrite:
        # Between the two there may be none for readers, but both are on the disk then.
        is_being_moved = (path / ".micronet-complete").exists()
        assert texts(path) in WHOLE.values() or is_being_moved, (number, texts(path))
        run_folders.finish_replacement(path)
        assert texts(path) in WHOLE.values(), (number, texts(path))
    elif texts(path)[1]:
        assert texts(path) == WHOLE["new"], number
    is_new = texts(path) == WHOLE["new"]
    assert killed or is_new
    # The same command again; a training is continued by it.
    folder = RunFolder(path, overwrite=overwrite or is_new, resume=True)
    folder.begin()
    folder.release()
    write_run(path, "new", overwrite=True, has_curve=False)
    assert texts(path) == WHOLE["new"], number
    assert not [name for name in os.listdir(path) if name.startswith(".micronet")], number
    assert not overwrite or (path / "thesis.txt").read_text() == "precious"
    assert (path / "learning_curve.png").exists() is False
    return killed, is_new


def main(kind, folder):
    check_every_kill(functools.partial(check_a_kill, kind), folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
