# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of an unfinished training, from which it continues as if it had not stopped.

A checkpoint is a NumPy archive: plain arrays, each with a checksum, and a JSON text. Nothing in it
can run code.
"""

import dataclasses
import json
import math
import os
import pathlib
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_micronet.files.archives import DamagedFileError, parse_json, read_arrays
from keras_micronet.files.atomic import atomic_file, remove_temporary_files
from keras_micronet.files.text import shorten
from training.settings import flat_settings

_NAME = re.compile(r"epoch-(\d{6})\.npz")
_KEPT = 2
_STATE = "state.json"  # no variable has this name: theirs are numbers
_MOST_STATE_BYTES = 64 * 2**20
PICTURES = "pictures"  # the setting that tells of which pictures a training is


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
    arrays: tuple[np.ndarray, ...]
    state: dict[str, Any]


class CheckpointFolder:
    """Writes and finds checkpoints; makes its folder with the first one.

    Each is written under another name and then renamed. The two newest are kept, so that
    there is one left if the newest is damaged.

    Args:
        path: the folder.
        settings: JSON-compatible mapping of all that decides the training's course.
        warn: function that takes a sentence for the user.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: Mapping[str, Any],
        warn: Callable[[str], object],
    ) -> None:
        self.path = pathlib.Path(path)
        self._settings = json.loads(json.dumps(settings))
        self._warn = warn

    @property
    def last_epoch(self) -> int:
        """Number of epochs after which the newest checkpoint was written; 0 if there is none."""
        matches = (_NAME.fullmatch(path.name) for path in self._paths())
        return max((int(match[1]) for match in matches if match), default=0)

    def write(self, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint and removes old ones.

        If it cannot be written, the training's user is warned and the earlier ones stay: a disk
        that is full now may have room when the next epoch ends.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with atomic_file(self.path / f"epoch-{checkpoint.epoch:06}.npz") as file:
                np.savez(file, **_entries(checkpoint, self._settings))
        except OSError as error:
            self._warn(f"No checkpoint after epoch {checkpoint.epoch}: {error}.")
            return
        for old in self._paths()[_KEPT:]:
            old.unlink(missing_ok=True)

    def latest(self, variables: Sequence[Any]) -> Checkpoint | None:
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
            except DamagedFileError as error:
                self._warn(f"A damaged checkpoint is left out ({error}).")
        return None

    def remove(self) -> None:
        """Removes all checkpoints, when the training is over."""
        for path in self._paths():
            path.unlink(missing_ok=True)
        remove_temporary_files(self.path)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def _paths(self):
        """The newest first."""
        return sorted(
            (path for path in self.path.glob("*.npz") if _NAME.fullmatch(path.name)), reverse=True
        )

    def _read(self, path, variables):
        expected = [(tuple(each.shape), _dtype_name(each)) for each in variables]
        most_bytes = sum(math.prod(shape) * _item_bytes(dtype) for shape, dtype in expected)
        # Of another training there may be more, and it has to be told from a damaged file.
        most_bytes = 10 * most_bytes + 2 * _MOST_STATE_BYTES
        arrays = read_arrays(path, most_bytes=most_bytes)
        state = _read_state(path, arrays.pop(_STATE, None))
        if state["settings"] != self._settings:
            raise OtherRunError(_difference(path, state["settings"], self._settings))
        count = len(arrays)
        if set(arrays) != set(map(str, range(count))):
            raise DamagedFileError(f"{path.name}: its arrays are not numbered")
        arrays = tuple(arrays[str(index)] for index in range(count))
        formats = [(array.shape, array.dtype.name) for array in arrays]
        if formats != expected:
            raise OtherRunError(
                f"a checkpoint's variables must be those of the model. Received: {path} with "
                f"{len(formats)} variables that differ from the model's {len(expected)}"
            )
        return Checkpoint(state["epoch"], arrays, state["training"])


def is_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Whether a file is an archive with a training's state; its values may still be damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return f"{_STATE}.npy" in archive.namelist()
    except Exception:  # zipfile raises many types for damaged files
        return False


def _read_state(path, array):
    """The JSON of a checkpoint, of the types that a training relies on."""
    try:
        state = parse_json(array.tobytes())
        epoch, settings, training = state["epoch"], state["settings"], state["training"]
        records = training["history"]
        are_numbers = all(
            isinstance(value, (int, float)) for record in records for value in record.values()
        )
        is_whole = type(epoch) is int and epoch > 0 and isinstance(settings, dict) and are_numbers
        if not is_whole:
            raise ValueError("a value of another type")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedFileError(
            f"{path.name}: {_STATE}: {type(error).__name__}: {shorten(error)}"
        ) from error
    return state


def _item_bytes(dtype):
    """Bytes of a value; of the types that NumPy does not have, none takes more than 8."""
    try:
        return np.dtype(dtype).itemsize
    except TypeError:
        return 8


def _dtype_name(array):
    """Of an array or of a variable, whose dtype Keras gives as a string."""
    return getattr(array.dtype, "name", array.dtype)


def _entries(checkpoint, settings):
    state = {"epoch": checkpoint.epoch, "settings": settings, "training": checkpoint.state}
    arrays = {str(index): array for index, array in enumerate(checkpoint.arrays)}
    return arrays | {_STATE: np.frombuffer(json.dumps(state).encode(), np.uint8)}


def _difference(path, found, expected):
    others = {name for name in {*found, *expected} if found.get(name) != expected.get(name)}
    if others == {PICTURES}:
        return (
            "a training must be resumed with the pictures that it was begun with, and they have "
            "changed since: put the former files back, or begin anew with --overwrite or another "
            f"--output. Received: {path}, made with other pictures"
        )
    found, expected = flat_settings(found), flat_settings(expected)
    names = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    values = ", ".join(
        f"{name}={shorten(found.get(name))} instead of {shorten(expected.get(name))}"
        for name in names
    )
    return (
        "a training must be resumed with the settings that it was begun with; give those, another "
        f"output, or --overwrite to begin anew. Received: {path} with {values}"
    )
