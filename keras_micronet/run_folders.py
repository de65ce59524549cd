# SPDX-License-Identifier: Apache-2.0
"""The run folder: what an export starts from, written and read by one rule.

| file | content |
|---|---|
| `model.keras` | the model; `import keras_micronet`, then `keras.saving.load_model`. It takes raw \
RGB or gray in [0, 255], channels last, and gives one probability a class |
| `class_names.txt` | UTF-8, one name a line; line n (from 0) names the model's output n |
| `calibration.npz` | `images` uint8 `(n, height, width, channels)` and `labels` `(n,)`: training \
images, about equally many of each class |
| `test.npz` | the same with images that the training never saw |
| `validation.npz` | the same with images that are neither trained nor tested on: choices are made \
on them. Missing if there are none, and in runs of earlier versions |
| `run.json` | settings and measurements; written last, so that a folder with it is complete |

Models that answer for the cells of a grid (`"task"` in `run.json` is not `"classify"`) give
`(rows, columns, answers)` instead, as `keras_micronet.grid.MicroNetGrid` does, and their labels are
those of `keras_micronet.grid_answers.labels`; `class_names.txt` names the classes without the
background, or the joints.

`python -m training` writes such folders, with more files; `write_run_folder` writes one of a model
that was trained in another way. Readers take none of these files on trust.
"""

import io
import json
import os
import pathlib
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_micronet.files import locks
from keras_micronet.files.archives import (
    DamagedFileError,
    check_model_file,
    read_arrays,
    read_json,
)
from keras_micronet.files.folders import COMPLETE, WholeFolder, move_in
from keras_micronet.files.text import list_some, shorten
from keras_micronet.finite_weights import non_finite_weights, require_finite_weights
from keras_micronet.grid_answers import labels as grid_labels
from keras_micronet.grid_answers.tasks import CLASSIFY, EVERY_TASK, KEYPOINTS

MODEL = "model.keras"
CLASS_NAMES = "class_names.txt"
CALIBRATION = "calibration.npz"
TEST = "test.npz"
VALIDATION = "validation.npz"
SUMMARY = "run.json"
SUMMARY_FORMAT = 1  # what "format" in run.json is; another number for other keys

_CHANNELS = (1, 3)  # gray, RGB
_KIND = "run folder of an own model"
TASK = "task"  # in run.json; missing in runs of earlier versions, which classify
_OWN_MODEL = "own model"  # a section of run.json that trainings do not have
_WEIGHTS_IN_MODEL = "model.weights.h5"
_LONGEST_CLASS_NAME = 200  # characters; the longest of ImageNet has 121
_MOST_NAME_BYTES = 16 * 2**20


def write_run_folder(
    folder: str | os.PathLike[str],
    model: keras.Model,
    class_names: Iterable[str],
    calibration: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    *,
    task: str = CLASSIFY,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    overwrite: bool = False,
) -> None:
    """Writes what `python -m tflm` needs to export a model that you have trained yourself.

    Args:
        folder: path to write to: a new or empty folder.
        model: Keras model from raw images `(batch, height, width, channels)` in [0, 255], RGB or
            gray, to probabilities `(batch, classes)`, or for other tasks to those of a grid's
            cells; a `QuantizeAwareModel` or a float model, which the export quantizes.
        class_names: one printable name for each of the model's outputs, no two the same; for
            detection and segmentation without that of the background, which is the first output.
        calibration: pair of training images, uint8 `(count, height, width, channels)`, and their
            labels, integers `(count,)`, or those that `keras_micronet.grid_answers.labels`
            describes; the float model's ranges are measured on them.
        test: the same with images that the training never saw. What int8 costs is measured on
            them, and tells the less the fewer they are: 24 images tell an accuracy to 20 points.
        task: `"classify"`, or what the cells of a grid answer: `"detect"`, `"segment"` or
            `"keypoints"`.
        validation: the same with images that are neither among the training's nor the test's, on
            which an export chooses the threshold of "none of these"; `None` if there are none.
        overwrite: whether a folder that this function wrote earlier may be replaced.

    Raises:
        ValueError: if arguments do not fit together, or the folder must not or cannot be written;
            nothing is changed then.
        OSError: if a file cannot be written; an earlier folder is as it was.
    """
    shapes: tuple[Any, Any] = (
        getattr(model, "input_shape", None),
        getattr(model, "output_shape", None),
    )
    names = tuple(class_names)
    _check_shapes(task, *shapes)
    check_class_names(names)
    check_output_count(task, shapes[1], len(names))
    require_finite_weights(model)
    pairs = {"calibration": calibration, "test": test}
    if validation is not None:
        pairs["validation"] = validation
    for argument, pair in pairs.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(
                f"`{argument}` must be a pair of images and their labels. "
                f"Received: {argument} of type {type(pair).__name__}"
            )
        images, labels = pair
        reason = _misfit(task, np.asarray(images), np.asarray(labels), shapes[0][1:], len(names))
        if reason:
            raise ValueError(f"`{argument}` must be images and their labels: {reason}")
    summary = {
        "format": SUMMARY_FORMAT,
        TASK: task,
        _OWN_MODEL: {"name": model.name, "input_shape": list(shapes[0][1:])},
        "versions": {"keras": keras.__version__, "numpy": np.__version__},
    }
    files: dict[str, bytes | str] = {
        MODEL: model_bytes(model),
        CLASS_NAMES: "".join(f"{name}\n" for name in names),
        CALIBRATION: array_bytes(images=calibration[0], labels=calibration[1]),
        TEST: array_bytes(images=test[0], labels=test[1]),
        **(
            {}
            if validation is None
            else {VALIDATION: array_bytes(images=validation[0], labels=validation[1])}
        ),
        SUMMARY: json.dumps(summary, indent=2, ensure_ascii=False) + "\n",
    }
    target = WholeFolder(folder, _KIND)
    with target.reserved(overwrite):
        target.write(files, overwrite)


def _check_shapes(task, input_shape, output_shape):
    if task not in EVERY_TASK:
        raise ValueError(f"`task` must be one of {', '.join(EVERY_TASK)}. Received: task={task!r}")
    dimensions = 2 if task == CLASSIFY else 4
    if not (
        _is_shape(input_shape, 4)
        and _is_shape(output_shape, dimensions)
        and input_shape[-1] in _CHANNELS
    ):
        outputs = "(classes)" if task == CLASSIFY else "(rows, columns, answers)"
        raise ValueError(
            "`model` must be a built Keras model with one input of images (height, width, 3), or "
            "(height, width, 1) if they are gray, and "
            f"one output of probabilities {outputs} for the task {task}. "
            f"Received: shapes={(input_shape, output_shape)}"
        )
    if task != CLASSIFY:
        grid_labels.output_stride(input_shape[1:3], output_shape[1:3])


def check_output_count(task: str, output_shape: Sequence[int | None], class_count: int) -> None:
    """Raises `ValueError` unless a model of a task has an output for each class or joint, and, to
    detect or segment, one for the background."""
    wanted = class_count if task in (CLASSIFY, KEYPOINTS) else class_count + 1
    if output_shape[-1] != wanted:
        background = "" if wanted == class_count else ", besides the first for the background"
        raise ValueError(
            f"`class_names` must name the model's {output_shape[-1]} outputs{background}. "
            f"Received: {class_count} names"
        )


def _is_shape(shape, dimensions):
    return isinstance(shape, tuple) and len(shape) == dimensions and None not in shape[1:]


class _NamedBytes(io.BytesIO):
    """A file in memory whose name tells Keras the format."""

    def __str__(self):
        return MODEL


def model_bytes(model: keras.Model) -> bytes:
    """A Keras model as the content of a `.keras` file.

    It never touches the disk: the HDF5 library crashes the process if a disk is full.
    """
    file = _NamedBytes()
    keras.saving.save_model(model, file)
    return file.getvalue()


def weight_bytes(content: bytes) -> bytes:
    """The content of the `.weights.h5` file of a model, from that of its `.keras` file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(_WEIGHTS_IN_MODEL)


def array_bytes(**arrays: ArrayLike) -> bytes:
    """Arrays as the content of a compressed `.npz` file."""
    file = io.BytesIO()
    contents: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    np.savez_compressed(file, **contents)
    return file.getvalue()


def check_class_names(names: Collection[str]) -> None:
    """Raises `ValueError` unless names are different, printable, not blank and not too long.

    Files and the firmware's table of labels hold one a line.
    """
    bad = [
        name
        for name in names
        if not isinstance(name, str)
        or not name.isprintable()
        or not name.strip()
        or len(name) > _LONGEST_CLASS_NAME
    ]
    if bad:
        raise ValueError(
            "class names must be printable text without line breaks, of at most "
            f"{_LONGEST_CLASS_NAME} characters. "
            f"Received: {list_some((shorten(repr(name), 80) for name in bad), 3)}"
        )
    seen: set[str] = set()
    twice = []
    for name in names:
        if name in seen:
            twice.append(name)
        seen.add(name)
    if twice:
        raise ValueError(
            f"class names must differ from each other. Received: {list_some(twice, 3)} twice"
        )


def read_summary(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a run's `run.json`, which only a complete run has.

    Args:
        folder: path of the run folder.

    Returns:
        A dict, of this format.

    Raises:
        DamagedFileError: if it is missing, damaged or of another format.
    """
    summary = read_json(pathlib.Path(folder) / SUMMARY)
    if summary.get("format") != SUMMARY_FORMAT:
        raise DamagedFileError(f"format={shorten(summary.get('format'))} in {SUMMARY}")
    return summary


def read_task(summary: Mapping[str, Any]) -> str:
    """What a run's model answers, one of `EVERY_TASK`, by its summary.

    Raises:
        DamagedFileError: if it is none of them.
    """
    task = summary.get(TASK, CLASSIFY)
    if task not in EVERY_TASK:
        raise DamagedFileError(f"task={shorten(task)} in {SUMMARY}")
    return str(task)


def is_own_model(summary: Mapping[str, Any]) -> bool:
    """Whether a summary is of a folder that `write_run_folder` wrote, not a training."""
    return _OWN_MODEL in summary


def read_class_names(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """Reads a run's class names.

    Args:
        folder: path of the run folder.

    Returns:
        A tuple of names; a byte order mark before the first is no part of it.

    Raises:
        DamagedFileError: if the file is missing or no UTF-8.
        ValueError: as `check_class_names`.
    """
    path = pathlib.Path(folder) / CLASS_NAMES
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_NAME_BYTES + 1)
        if len(content) > _MOST_NAME_BYTES:
            raise ValueError(f"more than {_MOST_NAME_BYTES:,} bytes")
        text = content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path.name}: {type(error).__name__}: {shorten(error)}") from error
    # Only line feeds end a name: the other characters that Python splits at are refused.
    names = tuple(text.replace("\r\n", "\n").removesuffix("\n").split("\n"))
    check_class_names(names)
    return names


def read_model(folder: str | os.PathLike[str]) -> keras.Model:
    """Reads a run's model, without running code that its file may contain.

    Args:
        folder: path of the run folder.

    Returns:
        The Keras model, not compiled, with one input and one output.

    Raises:
        DamagedFileError: if the file is missing, damaged, has code of its own, or weights that are
            no finite numbers.
    """
    path = pathlib.Path(folder) / MODEL
    check_model_file(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        shapes = model.input_shape, model.output_shape
    except Exception as error:  # Keras raises many types for damaged files
        raise DamagedFileError(f"{path.name}: {shorten(error)}") from error
    if not all(isinstance(shape, tuple) for shape in shapes):
        raise DamagedFileError(f"{path.name}: several inputs or outputs")
    damaged = non_finite_weights(model)
    if damaged:
        raise DamagedFileError(
            f"{path.name}: {shorten(damaged[0])} has weights that are infinite or no numbers"
        )
    return model


def read_images(
    folder: str | os.PathLike[str],
    name: str,
    input_shape: Sequence[int],
    class_count: int,
    task: str = CLASSIFY,
) -> tuple[np.ndarray, np.ndarray]:
    """Reads a run's images.

    Args:
        folder: path of the run folder.
        name: `CALIBRATION`, `TEST` or `VALIDATION`.
        input_shape: height, width and channels that the model takes.
        class_count: number of classes, or of joints.
        task: what the model answers.

    Returns:
        Pair of images, uint8 `(count, height, width, channels)`, and labels: integers `(count,)`,
        or those that `keras_micronet.grid_answers.labels` describes.

    Raises:
        DamagedFileError: if the file is missing, damaged or too large.
        ValueError: if the images or labels do not fit.
    """
    path = pathlib.Path(folder) / name

    def check(formats):
        missing = [key for key in ("images", "labels") if key not in formats]
        if missing:
            raise DamagedFileError(f"{name}: no arrays {missing}")
        images, labels = formats["images"], formats["labels"]
        reason = _image_misfit(*images, input_shape)
        if reason is None and task == CLASSIFY:
            reason = _class_misfit(*labels, images[0][0])
        if reason:
            raise ValueError(f"{name}: {reason}")

    arrays = read_arrays(path, check)
    reason = _misfit(task, arrays["images"], arrays["labels"], input_shape, class_count)
    if reason:
        raise ValueError(f"{name}: {reason}")
    return arrays["images"], arrays["labels"]


def _misfit(task, images, labels, input_shape, class_count):
    """What is wrong with images and labels, as a sentence; `None` if they fit."""
    reason = _image_misfit(images.shape, images.dtype, input_shape)
    if reason is None and task == CLASSIFY:
        return _class_misfit(labels.shape, labels.dtype, len(images)) or _label_misfit(
            labels, class_count
        )
    if reason is None and len(images) == 0:
        return "there must be at least one image. Received: 0 images"
    return reason or grid_labels.label_misfit(
        task, labels, len(images), input_shape[:2], class_count
    )


def _image_misfit(shape, dtype, input_shape):
    if (
        dtype != np.uint8
        or shape[1:] != tuple(input_shape)
        or tuple(input_shape)[-1:] not in ((1,), (3,))
    ):
        return (
            "the images must be raw RGB or gray, uint8 of the model's input shape "
            f"{tuple(input_shape)}. "
            f"Received: {shorten(dtype, 80)} of shape {shorten(shape, 80)}"
        )
    return None


def _class_misfit(shape, dtype, image_count):
    if shape != (image_count,) or not np.issubdtype(dtype, np.integer):
        return (
            f"the labels must be one integer for each of {image_count} images. "
            f"Received: {shorten(dtype, 80)} of shape {shorten(shape, 80)}"
        )
    return None


def _label_misfit(labels, class_count):
    if len(labels) == 0:
        return f"the labels must be at least one, in [0, {class_count}). Received: 0 labels"
    if labels.min() < 0 or labels.max() >= class_count:
        return (
            f"the labels must be at least one, in [0, {class_count}). "
            f"Received: {len(labels)} labels from {labels.min()} to {labels.max()}"
        )
    return None


def finish_replacement(folder: str | os.PathLike[str]) -> None:
    """Finishes what a command was killed at that moved a run to the place of an earlier one.

    All its files are there then, but not all in their places; to be called before a run is read.

    Args:
        folder: path of the run folder.

    Raises:
        ValueError: if a command is moving the files right now, or they cannot be moved.
    """
    folder = pathlib.Path(folder)
    if not (folder / COMPLETE).is_dir():
        return
    try:
        with locks.acquire(folder / locks.LOCK_NAME, folder):
            move_in(folder, SUMMARY)
    except OSError as error:
        raise ValueError(
            "a run folder of which a replacement was interrupted must be one that can be written "
            f"to, as that is finished now. Received: {folder} ({error.strerror or error})"
        ) from error
