"""Checkpoints of an unfinished training, from which it continues as if it had not stopped.

A checkpoint is a NumPy archive: plain arrays, each with a checksum, and a JSON text. Nothing in it
can run code.
"""

import dataclasses
import json
import os
import pathlib
import re
import zipfile

import numpy as np

from training.run_folder import atomic_path

_NAME = re.compile(r"epoch-(\d{6})\.npz")
_KEPT = 2
_STATE = "state.json"  # no variable has this name: theirs are numbers


class OtherRunError(ValueError):
    """A checkpoint is of a training with other settings or of another model."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The state of a training after an epoch.

    Attributes:
        epoch: number of epochs done.
        arrays: values of all variables, in the order of the training's list of them.
        state: what else the training keeps, JSON-compatible.
    """

    epoch: int
    arrays: tuple
    state: dict


class CheckpointFolder:
    """Writes and finds checkpoints; makes its folder with the first one.

    Each is written under another name and then renamed. The two newest are kept, so that
    there is one left if the newest is damaged.

    Args:
        path: the folder.
        settings: JSON-compatible mapping of all that decides the training's course.
        warn: function that takes a sentence for the user.
    """

    def __init__(self, path, settings, warn):
        self.path = pathlib.Path(path)
        self._settings = json.loads(json.dumps(settings))
        self._warn = warn

    def write(self, checkpoint):
        """Writes a checkpoint and removes old ones.

        If it cannot be written, the training's user is warned and the earlier ones stay: a disk
        that is full now may have room when the next epoch ends.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with (
                atomic_path(self.path / f"epoch-{checkpoint.epoch:06}.npz") as path,
                open(path, "wb") as file,
            ):
                np.savez(file, **_entries(checkpoint, self._settings))
                file.flush()
                os.fsync(file.fileno())  # or a power cut could leave the name without the bytes
        except OSError as error:
            self._warn(f"No checkpoint after epoch {checkpoint.epoch}: {error}.")
            return
        for old in self._paths()[_KEPT:]:
            old.unlink(missing_ok=True)

    def latest(self, variables):
        """Reads the newest checkpoint that is whole.

        Args:
            variables: sequence of arrays or variables whose shapes and dtypes it must have.

        Returns:
            A `Checkpoint`, or `None` if there is none.

        Raises:
            OtherRunError: if it has other settings or variables.
        """
        for path in self._paths():
            try:
                return self._read(path, variables)
            except OtherRunError:
                raise
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                self._warn(f"{path.name} is damaged and left out ({error}).")
        return None

    def remove(self):
        """Removes all checkpoints, when the training is over."""
        for path in self.path.glob("*.npz"):  # also what a killed process left unfinished
            path.unlink(missing_ok=True)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def _paths(self):
        """The newest first."""
        return sorted(
            (path for path in self.path.glob("*.npz") if _NAME.fullmatch(path.name)), reverse=True
        )

    def _read(self, path, variables):
        with np.load(path, allow_pickle=False) as archive:
            state = json.loads(archive[_STATE].tobytes())
            if state["settings"] != self._settings:
                raise OtherRunError(_difference(path, state["settings"], self._settings))
            count = len(archive.files) - 1
            # Read even if too many: an archive's checksums are compared as its arrays are read.
            arrays = tuple(archive[str(index)] for index in range(count))
        formats = [(array.shape, array.dtype.name) for array in arrays]
        expected = [(tuple(each.shape), _dtype_name(each)) for each in variables]
        if formats != expected:
            raise OtherRunError(
                f"a checkpoint's variables must be those of the model. Received: {path} with "
                f"{len(formats)} variables that differ from the model's {len(expected)}"
            )
        return Checkpoint(state["epoch"], arrays, state["training"])


def _dtype_name(array):
    """Of an array or of a variable, whose dtype Keras gives as a string."""
    return getattr(array.dtype, "name", array.dtype)


def _entries(checkpoint, settings):
    state = {"epoch": checkpoint.epoch, "settings": settings, "training": checkpoint.state}
    arrays = {str(index): array for index, array in enumerate(checkpoint.arrays)}
    return arrays | {_STATE: np.frombuffer(json.dumps(state).encode(), np.uint8)}


def _difference(path, found, expected):
    names = sorted(
        name for name in {*found, *expected} if found.get(name) != expected.get(name)
    )
    values = ", ".join(
        f"{name}={found.get(name)} instead of {expected.get(name)}" for name in names
    )
    return (
        "a training must be resumed with the settings that it was begun with; give those, another "
        f"output, or --overwrite to begin anew. Received: {path} with {values}"
    )
