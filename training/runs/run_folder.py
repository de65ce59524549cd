# SPDX-License-Identifier: Apache-2.0
"""The run folder of a training: everything it leaves behind, and what deployment starts from.

The folder is an interface: programs that deploy a model read these files and need none of this
package's code. All images are exactly what the model's input takes: RGB, uint8, values in [0, 255],
channels last, at the model's input size; the model normalizes them inside.

| file | content |
|---|---|
| `model.keras`, `class_names.txt`, `calibration.npz`, `test.npz`, `validation.npz` | the model \
and what its export needs, as `keras_micronet.run_folders` says |
| `model.weights.h5` | the model's weights alone, for `model.load_weights` |
| `history.csv` | one line an epoch: loss, accuracy, validation loss and accuracy, learning rate; \
for the cells of a grid loss, validation loss, the task's score there, learning rate |
| `learning_curve.png` | the same as a plot; missing if there were no epochs |
| `confusion_matrix.png` | which classes of test images, or of their cells, are taken for which |
| `precision_recall.png` | of each class of objects, or of each joint, with the point that its \
threshold chooses |
| `found_and_missed.png` | test images with what was found, missed and invented |
| `tensorboard` | a folder of logs for TensorBoard; missing unless they were asked for |
| `run.json` | every setting, the measurements and the versions; written last, so that a folder \
with it is complete |
| `.keras_micronet.json` | this project's mark, without which nothing in the folder is replaced |

A quantize-aware training leaves the same files. Its model is a
`keras_micronet.quantization.QuantizeAwareModel`, its accuracies are those with quantization
simulated, and `run.json` has a section `quantization` with the scheme and the float run.

Labels are indices into the class names; of the tasks of a grid they are what
`keras_micronet.grid_answers.labels` describes. Runs to detect or to find keypoints have a section
`thresholds` in `run.json`, of each class or joint, chosen on the validation images. The arrays load
with `numpy.load(..., allow_pickle=False)`.
An unfinished run has a folder `checkpoints`, from which it continues, and the history so far.
Every file is written under another name first and then renamed, so none is ever half there. While a
run is made that replaces a complete one, its files are in the folder `.micronet-replacement` of the
run folder, and the earlier run stays.
"""

import contextlib
import csv
import dataclasses
import io
import json
import os
import pathlib
import re
import tempfile
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_micronet.files import locks
from keras_micronet.files.archives import DamagedFileError
from keras_micronet.files.atomic import (
    remove_temporary_files,
    temporary_for,
    write_file,
)
from keras_micronet.files.folders import COMPLETE, move_in, remove_empty_folders
from keras_micronet.files.marks import MARK_NAME, Mark, list_files, read_mark
from keras_micronet.run_folders import (
    CALIBRATION,
    CLASS_NAMES,
    MODEL,
    SUMMARY,
    TEST,
    VALIDATION,
    array_bytes,
    model_bytes,
    read_summary,
    weight_bytes,
)
from training.fitting.checkpoints import is_checkpoint

if TYPE_CHECKING:  # who draws has imported it
    from matplotlib.figure import Figure

WEIGHTS = "model.weights.h5"
HISTORY = "history.csv"
LEARNING_CURVE = "learning_curve.png"
PLOTS = (CONFUSION_MATRIX, PRECISION_RECALL, FOUND_AND_MISSED) = (
    "confusion_matrix.png",
    "precision_recall.png",
    "found_and_missed.png",
)
TENSORBOARD = "tensorboard"
CHECKPOINTS = "checkpoints"
REPLACEMENT = ".micronet-replacement"

_KIND = "training"
_FILES = (
    MODEL,
    WEIGHTS,
    CLASS_NAMES,
    CALIBRATION,
    TEST,
    VALIDATION,
    HISTORY,
    LEARNING_CURVE,
    *PLOTS,
    SUMMARY,
)
# Others may keep files in folders of these names, too.
_CHECKPOINT = re.compile(rf"{CHECKPOINTS}/epoch-\d{{6}}\.npz")
_LOG = re.compile(rf"{TENSORBOARD}/(.+/)?events\.out\.tfevents\.[^/]+")
_EMPTY_FOLDERS = (f"{CHECKPOINTS}/", f"{TENSORBOARD}/")
# What versions before there was a mark left behind when they were killed.
_EARLIER_TEMPORARY = re.compile(r"(?:checkpoints/)?\.[0-9a-f]{32}-(.+)")
_SECTIONS = frozenset({"model", "dataset", "recipe", "versions"})


def write_figure(destination: str | os.PathLike[str], figure: "Figure") -> None:
    """Writes a Matplotlib figure as PNG to a path."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    write_file(destination, file.getvalue())


def make_writable_folder(path: pathlib.Path) -> None:
    """Makes a folder, and raises `ValueError` if it cannot be made or written to."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path, error):
    return ValueError(
        "output must be a folder that can be written to: give another --output, or change the "
        f"rights. Received: output={path} ({error.strerror or error})"
    )


class RunFolder:
    """Writes the files of one run; makes nothing before `begin`.

    Args:
        path: the folder; links are followed.
        overwrite: whether an earlier run in it may be replaced.
        resume: whether an unfinished run in it may be continued.
        writes: whether this process writes the run; of several workers one does, and may be ahead
            of this one.

    Raises:
        FolderInUseError: if another command is writing to the folder.
        ValueError: if the folder is not empty and none of this allows it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        overwrite: bool = False,
        resume: bool = False,
        writes: bool = True,
    ) -> None:
        self._given = path
        self.path = pathlib.Path(os.path.realpath(path))
        self._working = self.path
        self._overwrite = overwrite
        self._resume = resume
        self._lock: locks.Lock | None = None
        if writes:
            self._check()

    @property
    def checkpoints(self) -> pathlib.Path:
        """Path of the folder of checkpoints."""
        return self._working / CHECKPOINTS

    @property
    def tensorboard(self) -> pathlib.Path:
        """Path of the folder of logs for TensorBoard."""
        return self._working / TENSORBOARD

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user on where the files are."""
        if self._working == self.path:
            return ()
        return (
            f"The earlier run in {self.path} stays until this one is complete; this one's files "
            f"are in {self._working} until then. After an interruption the same command without "
            "--overwrite continues.",
        )

    def _check(self):
        """Raises `ValueError` unless a run may be written to the folder as it is now."""
        try:
            locks.check_free(self.path / locks.LOCK_NAME, self._given)
            if os.path.lexists(self.path) and not self.path.is_dir():
                raise ValueError(
                    "output must be a folder. "
                    f"Received: output={self._given}, which is something else"
                )
            found = self._found()
            folder = self.path
            while not folder.exists():
                folder = folder.parent
            tempfile.TemporaryFile(dir=folder).close()  # told before the dataset is read
        except OSError as error:
            raise _cannot_write(self._given, error) from error
        if not found:
            return
        is_ours = self._is_ours(found)
        if self._overwrite and is_ours or self._resume and self._is_unfinished(found):
            return
        if is_ours:
            self._remove_leftovers()
        advice = (
            "unless --overwrite is given"
            if is_ours or not self._overwrite
            else "and --overwrite replaces nothing but a run of this program"
        )
        raise ValueError(
            "output must be a new or empty folder or, to continue it, that of an unfinished run, "
            f"{advice}. Received: output={self._given}"
        )

    def _remove_leftovers(self):
        """Removes what a run has left that was killed between its last file and its end.

        Nothing else would: it is complete, so that the same command is refused.
        """
        with contextlib.suppress(OSError), locks.acquire(self.path / locks.LOCK_NAME, self._given):
            self._finish_killed()
            if (self.path / SUMMARY).is_file():
                _remove(self.path, _CHECKPOINT)

    def _found(self):
        """Names in the folder, without what a killed command has left half written."""
        names = list_files(self.path) if self.path.is_dir() else ()
        return {name for name in names if not temporary_for(name.rsplit("/", 1)[-1])}

    def _is_ours(self, found):
        """Whether this program has written the folder: by its mark, or by what only it writes."""
        mark = read_mark(self.path)
        if mark is not None:
            return mark.kind == _KIND
        if SUMMARY not in found:
            return self._is_unfinished(found)
        try:
            summary = read_summary(self.path)
        except DamagedFileError:
            return False
        versions = summary.get("versions")
        is_whole = set(summary) >= _SECTIONS and isinstance(versions, dict)
        return is_whole and "keras_micronet" in versions

    def _is_unfinished(self, found):
        if (self.path / REPLACEMENT).is_dir() or (self.path / COMPLETE).is_dir():
            return True
        if SUMMARY in found:
            return False
        mark = read_mark(self.path)
        if mark is not None:
            return mark.kind == _KIND
        # Versions before there was a mark: before the first checkpoint there may be logs.
        has_checkpoints = any(
            _CHECKPOINT.fullmatch(name) and is_checkpoint(self.path / name) for name in found
        )
        return has_checkpoints or all(
            _LOG.fullmatch(name) or name in _EMPTY_FOLDERS for name in found
        )

    def begin(self) -> None:
        """Makes the folder and keeps other commands out of it until `complete` or `release`.

        What killed commands have left is cleaned up or finished. A complete run that is to be
        replaced stays as it is until `complete`; an unfinished one is removed if it is.

        Raises:
            FolderInUseError: if another command is writing to the folder.
            ValueError: if the folder cannot be made or written to, or has changed meanwhile.
        """
        make_writable_folder(self.path)
        try:
            self._lock = locks.acquire(self.path / locks.LOCK_NAME, self._given)
            self._finish_killed()
            self._check()
            self._working = self._choose_place()
            self._working.mkdir(exist_ok=True)
            Mark(_KIND, _FILES, _FILES if self._working != self.path else ()).write(self._working)
        except OSError as error:
            self.release()
            raise _cannot_write(self._given, error) from error
        except BaseException:
            self.release()
            raise

    def _finish_killed(self):
        replacement = self.path / REPLACEMENT
        if (replacement / SUMMARY).is_file():
            self._put_in_place()
        move_in(self.path, SUMMARY)
        for folder in (self.path, self.checkpoints, replacement, replacement / CHECKPOINTS):
            remove_temporary_files(folder)
        if self._is_ours(self._found()):
            _remove_earlier_temporary_files(self.path)

    def _choose_place(self):
        """The folder to write to: inside that of a complete run, which stays until the end."""
        replacement = self.path / REPLACEMENT
        if self._overwrite:
            _remove_run(replacement)
            if (self.path / SUMMARY).is_file():
                return replacement
            _remove_run(self.path)
        return replacement if replacement.is_dir() else self.path

    def release(self) -> None:
        """Lets other commands use the folder: an unfinished run can be continued."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def complete(self) -> None:
        """Puts a run whose summary is written in the place of an earlier one, and releases it."""
        if self._working != self.path:
            self._put_in_place()
            move_in(self.path, SUMMARY)
            self._working = self.path
        self.release()

    def _put_in_place(self):
        replacement = self.path / REPLACEMENT
        _remove(replacement, _CHECKPOINT)
        remove_temporary_files(replacement)
        # All files of the earlier run are named, so that none stays among those of the new one.
        earlier = sorted(name for name in list_files(self.path) if _LOG.fullmatch(name))
        new = {name for name in list_files(replacement) if not name.endswith("/")}
        names = sorted(new - {MARK_NAME})
        Mark(_KIND, tuple(names), (*_FILES, *earlier)).write(replacement)
        os.rename(replacement, self.path / COMPLETE)

    def write_model(self, model: keras.Model) -> None:
        """Writes a Keras model and, in a file of their own, its weights."""
        content = model_bytes(model)
        write_file(self._working / MODEL, content)
        write_file(self._working / WEIGHTS, weight_bytes(content))

    def write_class_names(self, names: Iterable[str]) -> None:
        """Writes the class names, one a line."""
        write_file(self._working / CLASS_NAMES, "".join(f"{name}\n" for name in names))

    def write_calibration(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Writes training images, uint8 `(n, height, width, 3)`, and their labels."""
        write_file(self._working / CALIBRATION, array_bytes(images=images, labels=labels))

    def write_test(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Writes test images, uint8 `(n, height, width, 3)`, and their labels."""
        write_file(self._working / TEST, array_bytes(images=images, labels=labels))

    def write_validation(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Writes validation images, uint8 `(n, height, width, 3)`, and their labels."""
        write_file(self._working / VALIDATION, array_bytes(images=images, labels=labels))

    def write_history(self, record_type: type, records: Iterable[Any]) -> None:
        """Writes one CSV line for each record.

        Args:
            record_type: the records' dataclass; its fields are the columns.
            records: instances of it.
        """
        text = io.StringIO(newline="")  # as the csv module asks
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(field.name for field in dataclasses.fields(record_type))
        writer.writerows(dataclasses.astuple(record) for record in records)
        write_file(self._working / HISTORY, text.getvalue())

    def write_learning_curve(self, figure: "Figure") -> None:
        """Writes a Matplotlib figure as PNG."""
        write_figure(self._working / LEARNING_CURVE, figure)

    def write_plots(self, figures: "Mapping[str, Figure]") -> None:
        """Writes Matplotlib figures as PNG, each under one of the names of `PLOTS`."""
        for name, figure in figures.items():
            write_figure(self._working / name, figure)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Writes the run's settings and results, a JSON-compatible mapping: it has all files."""
        text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
        write_file(self._working / SUMMARY, text)


def _remove_run(folder):
    """Removes a run's files from a folder, and the folders that this leaves empty."""
    _remove(folder, _CHECKPOINT)
    _remove(folder, _LOG)
    _remove(folder, re.compile("|".join(map(re.escape, _FILES))))
    if folder.name == REPLACEMENT and folder.is_dir():
        remove_temporary_files(folder)
        (folder / MARK_NAME).unlink(missing_ok=True)
        remove_empty_folders(folder)


def _remove(folder, pattern):
    """Removes files whose names a pattern matches, and what a killed process left of such files."""
    for name in list_files(folder) if folder.is_dir() else ():
        path = pathlib.PurePosixPath(name)
        final = path.with_name(temporary_for(path.name) or path.name)
        if pattern.fullmatch(final.as_posix()):
            (folder / name).unlink(missing_ok=True)
            for parent in path.parents[:-1]:
                if not any((folder / parent).iterdir()):
                    (folder / parent).rmdir()


def _remove_earlier_temporary_files(folder):
    for name in list_files(folder):
        match = _EARLIER_TEMPORARY.fullmatch(name)
        if match and (match[1] in _FILES or _CHECKPOINT.fullmatch(f"{CHECKPOINTS}/{match[1]}")):
            (folder / name).unlink(missing_ok=True)
