# SPDX-License-Identifier: Apache-2.0
"""What an export starts from: a complete run folder, as `keras_micronet.run_folders` describes it.

Its `run.json` also tells what came before a quantize-aware training.
"""

import dataclasses
import os
import pathlib
import typing

import keras
import numpy as np

from keras_micronet import run_folders
from keras_micronet.files.archives import DamagedFileError
from keras_micronet.grid_answers.labels import output_stride
from keras_micronet.grid_answers.tasks import CLASSIFY, SCORE_KEYS

_FILES = (
    run_folders.MODEL,
    run_folders.CLASS_NAMES,
    run_folders.CALIBRATION,
    run_folders.TEST,
)


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Raw images, uint8 `(count, height, width, channels)`, and their labels: classes `(count,)`,
    or what `keras_micronet.grid_answers.labels` describes."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


@dataclasses.dataclass(frozen=True)
class FloatRun:
    """The run that a quantize-aware training has continued.

    Attributes:
        folder: its path, if it is still beside the other one; else its name.
        test_value: how good its float model is, 0 to 1, on all test images of the dataset: what
            `SCORE_KEYS` names.
    """

    folder: pathlib.Path
    test_value: float


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A trained model with what its export needs.

    Attributes:
        model: the Keras model.
        class_names: one name for each of its outputs; of a grid for each but the background.
        calibration: `LabelledImages` that the ranges are observed on.
        test: held-out `LabelledImages`.
        folder: the path that it was read from.
        float_run: `FloatRun` that came before a quantize-aware training, if that is known.
        is_own_model: whether it was trained by other means than `python -m training`.
        validation: `LabelledImages` that are neither trained nor tested on, if the run has any.
        task: what the model answers, one of `keras_micronet.grid_answers.tasks.EVERY_TASK`.
    """

    model: keras.Model
    class_names: tuple[str, ...]
    calibration: LabelledImages
    test: LabelledImages
    folder: pathlib.Path
    float_run: FloatRun | None = None
    is_own_model: bool = False
    validation: LabelledImages | None = None
    task: str = CLASSIFY

    @property
    def float_test_value(self) -> float | None:
        """How good the float run that came before is on all test images, if that is known."""
        return None if self.float_run is None else self.float_run.test_value

    @classmethod
    def load(cls, folder: os.PathLike[str] | str) -> typing.Self:
        """Reads a folder.

        Args:
            folder: path of a run folder.

        Raises:
            ValueError: if the run is not complete, or a file is missing, damaged, or does not fit
                the model.
        """
        folder = pathlib.Path(folder)
        if not folder.is_dir():
            raise ValueError(f"A run must be a folder. Received: {folder}, which is none")
        run_folders.finish_replacement(folder)
        summary = _read_summary(folder)
        missing = [name for name in _FILES if not (folder / name).is_file()]
        if missing:
            raise ValueError(
                f"A run folder must hold {', '.join(missing)}: train again, or see "
                f"keras_micronet.write_run_folder. Received: {folder} without"
            )
        try:
            names = run_folders.read_class_names(folder)
            model = run_folders.read_model(folder)
            task = run_folders.read_task(summary)
            _check_outputs(model, names, task)
            calibration, test = (
                _read_images(folder, name, model, names, task)
                for name in (run_folders.CALIBRATION, run_folders.TEST)
            )
            validation = None
            if (folder / run_folders.VALIDATION).exists():
                validation = _read_images(folder, run_folders.VALIDATION, model, names, task)
        except ValueError as error:
            raise ValueError(
                "A run folder must hold whole files that fit together: train again, or see "
                f"keras_micronet.write_run_folder. Received: {folder} ({error})"
            ) from error
        if _read_summary(folder) != summary:
            raise ValueError(
                "A run must not change while it is read: wait until its training has ended. "
                f"Received: {folder}"
            )
        is_own_model = run_folders.is_own_model(summary)
        float_run = _float_run(folder, summary, task)
        return cls(
            model, names, calibration, test, folder, float_run, is_own_model, validation, task
        )


def _read_images(folder, name, model, names, task):
    images = run_folders.read_images(folder, name, model.input_shape[1:], len(names), task)
    return LabelledImages(*images)


def _check_outputs(model, names, task):
    shape = model.output_shape
    if task == CLASSIFY:
        if shape[1:] != (len(names),):
            raise ValueError(
                f"{run_folders.CLASS_NAMES} must name the model's outputs, one a line. "
                f"Received: {len(names)} names for outputs of shape {shape}"
            )
        return
    if len(shape) != 4 or None in shape[1:]:
        raise ValueError(
            f"the model must put out a map (rows, columns, answers) for the task {task} in "
            f"{run_folders.SUMMARY}. Received: outputs of shape {shape}"
        )
    output_stride(model.input_shape[1:3], shape[1:3])
    run_folders.check_output_count(task, shape, len(names))


def _read_summary(folder):
    """The content of `run.json`, which says that a run is complete."""
    try:
        return run_folders.read_summary(folder)
    except DamagedFileError as error:
        raise ValueError(
            f"A run folder must be complete, which its {run_folders.SUMMARY} tells: give the "
            "command of its training again, which continues it; keras_micronet.write_run_folder "
            f"writes the folder of a model of your own. Received: {folder} ({error})"
        ) from error


def _float_run(folder, summary, task):
    """What `run.json` tells of the float run; `None` if it tells nothing, or nonsense."""
    section = summary.get("quantization")
    section = section if isinstance(section, dict) else {}
    name, value = section.get("float_run"), section.get(f"float_test_{SCORE_KEYS[task]}")
    is_name = isinstance(name, str) and pathlib.PurePath(name).name == name and name.isprintable()
    if not is_name or not isinstance(value, float) or not 0 <= value <= 1:
        return None
    beside = folder.parent / name
    return FloatRun(beside if beside.is_dir() else pathlib.Path(name), value)
