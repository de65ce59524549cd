# SPDX-License-Identifier: Apache-2.0
"""Images that the benchmark sends, with the classes that they are of."""

import csv
import dataclasses
import os
import pathlib

import numpy as np

from keras_micronet.files.text import list_some, shorten
from tflm.firmware.benchmark_tasks import TASKS, Task

LABELS = "y_labels.csv"
_MOST_LABEL_BYTES = 1 << 22
_FIELDS = 3  # of a line: file, number of classes, class; others may follow


@dataclasses.dataclass(frozen=True)
class Sample:
    """An image.

    Attributes:
        name: for messages.
        data: bytes of its pixels, red, green, blue, the one at the top left first.
        label: its class.
    """

    name: str
    data: bytes
    label: int


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Images of one task.

    Attributes:
        task: `Task` that they are for.
        samples: tuple of `Sample`.
    """

    task: Task
    samples: tuple[Sample, ...]


def read_folder(folder: os.PathLike[str] | str, first: int = 0, count: int | None = None) -> Inputs:
    """Reads files as the benchmark has them.

    Args:
        folder: with `y_labels.csv`, whose lines are `file,number of classes,class`, and the files:
            raw bytes, nothing else.
        first: the first line that counts.
        count: how many lines count; `None` for all from there.

    Raises:
        ValueError: something is missing or is not as it must be; the message names all of it.
    """
    folder = pathlib.Path(folder)
    rows = _read_rows(folder / LABELS)
    if first >= len(rows) or count is not None and first + count > len(rows):
        raise ValueError(
            f"first and count must choose among the {len(rows)} lines of {folder / LABELS}. "
            f"Received: first={first}, count={count}"
        )
    chosen = rows[first:] if count is None else rows[first : first + count]
    task = _task_of_size(_size_of(folder, chosen[0]), f"{folder / str(chosen[0][0])}")
    samples, wrong = [], []
    for row in chosen:
        try:
            samples.append(_read_sample(folder, row, task))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError(
            f"Each line of {LABELS} must be of a file of {task.input_bytes:,} bytes, "
            f"{task.classes} classes, and a class from 0 to {task.classes - 1}. "
            f"Received: {list_some(wrong)}"
        )
    return Inputs(task, tuple(samples))


def of_arrays(images: np.ndarray, labels: np.ndarray, first: int = 0) -> Inputs:
    """The same from arrays, such as those of a run's test images.

    Args:
        images: raw uint8 `(count, height, width, channels)`.
        labels: integers `(count,)`.
        first: number of the first of them, for messages.

    Raises:
        ValueError: they are not of a task's size, or the classes are not its.
    """
    shape = images.shape[1:]
    tasks = [task for task in TASKS if shape == (task.size, task.size, 3)]
    if not tasks:
        sizes = " or ".join(f"{task.size}x{task.size}x3" for task in TASKS)
        raise ValueError(
            f"The benchmark's images must be {sizes}. "
            f"Received: {'x'.join(map(str, shape))}. Resize them as in training, before"
        )
    (task,) = tasks
    if labels.min() < 0 or labels.max() >= task.classes:
        raise ValueError(
            f"The classes of {task.title} must be from 0 to {task.classes - 1}. "
            f"Received: {labels.min()} to {labels.max()}"
        )
    samples = (
        Sample(f"image {index}", image.tobytes(), int(label))
        for index, (image, label) in enumerate(zip(images, labels, strict=True), first)
    )
    return Inputs(task, tuple(samples))


def _read_rows(path):
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_LABEL_BYTES + 1)
        if len(data) > _MOST_LABEL_BYTES:
            raise ValueError(f"more than {_MOST_LABEL_BYTES:,} bytes")
        rows = [row for row in csv.reader(data.decode("utf-8").splitlines()) if row]
        short = [number for number, row in enumerate(rows, 1) if len(row) < _FIELDS]
        if short or not rows:
            raise ValueError(f"line {short[0]} with fewer" if short else "no lines")
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(
            f"inputs must be a folder with {LABELS}, whose lines are file, number of classes, "
            f"class. Received: {path} ({shorten(error)})"
        ) from error
    return rows


def _path_of(folder, name):
    """Only files of the folder itself are read."""
    if pathlib.PurePath(name).name != name or name in ("", ".", "..") or "\0" in name:
        raise ValueError(f"{shorten(name)} is not the name of a file")
    return folder / name


def _size_of(folder, row):
    try:
        return _path_of(folder, row[0]).stat().st_size
    except OSError as error:
        raise ValueError(
            f"inputs must be a folder with the files that {LABELS} names: the benchmark's, which "
            f"are not part of this package. Received: {folder} ({shorten(error)})"
        ) from error


def _task_of_size(size, name):
    for task in TASKS:
        if size == task.input_bytes:
            return task
    sizes = " or ".join(f"{task.input_bytes:,} ({task.title})" for task in TASKS)
    raise ValueError(f"A file must have bytes: {sizes}. Received: {shorten(name)} with {size:,}")


def _read_sample(folder, row, task):
    name, classes, label = row[:_FIELDS]
    path = _path_of(folder, name)
    name = shorten(name)
    try:
        if not path.is_file():
            raise ValueError(f"{name} is no file")
        with open(path, "rb") as file:
            data = file.read(task.input_bytes + 1)
    except OSError as error:
        raise ValueError(f"{name} ({shorten(error)})") from error
    if len(data) != task.input_bytes:
        raise ValueError(f"{name} has other than {task.input_bytes:,} bytes")
    if classes.strip() != str(task.classes):
        raise ValueError(f"{name} has {shorten(classes)} classes")
    if label.strip() not in map(str, range(task.classes)):
        raise ValueError(f"{name} has class {shorten(label)}")
    return Sample(name, data, int(label))
