# SPDX-License-Identifier: Apache-2.0
"""A finished run, float or quantize-aware: to be measured, asked, or trained on.

Its folder may come from anyone: nothing in it is run as code, and what does not fit together is
refused.
"""

import dataclasses
import os
import pathlib
from typing import Any, Self

import keras
import numpy as np

from keras_micronet import run_folders
from keras_micronet.files.archives import DamagedFileError
from keras_micronet.files.text import shorten
from keras_micronet.grid_answers.objects import PROBABILITY_ONE
from training.fitting.epoch_record import SCORES
from training.recipes.recipes import (
    CLASSIFY,
    SEGMENT,
    GridRecipe,
    QuantizeAwareGridRecipe,
    QuantizeAwareRecipe,
    Recipe,
)
from training.settings import PARTS

QUANTIZATION = "quantization"  # run.json's section that float runs do not have
THRESHOLDS = "thresholds"  # the section that runs to detect or to find keypoints have
THRESHOLDS_Q15 = "q15"

# By whether it is of a grid and whether it is quantized.
_RECIPE_TYPES: dict[tuple[bool, bool], type[Recipe]] = {
    (False, False): Recipe,
    (False, True): QuantizeAwareRecipe,
    (True, False): GridRecipe,
    (True, True): QuantizeAwareGridRecipe,
}


@dataclasses.dataclass(frozen=True)
class SavedRun:
    """What a run folder's `run.json` and `class_names.txt` tell about its run.

    Attributes:
        folder: the run folder.
        variant: name of the MicroNet variant, such as `"M0"`.
        initial_weights: what the training started from: `None`, `"imagenet"` or a path.
        dataset: the dataset as it was named on the command line.
        skip_unreadable: whether images that cannot be decoded were left out.
        part_sizes: number of images in each of `PARTS`.
        class_names: names of the classes, in the order of the model's outputs, or of the joints.
        recipe: the `Recipe` that the model was trained by, and for which task.
        test_score: the model's score on the test images, in [0, 1], such as its top-1 accuracy.
        is_quantized: whether a quantize-aware training made it.
        thresholds: of each class of objects, or of each joint, integers in Q15; `None` if the task
            has none.
    """

    folder: pathlib.Path
    variant: str
    initial_weights: str | None
    dataset: str
    skip_unreadable: bool
    part_sizes: dict[str, int]
    class_names: tuple[str, ...]
    recipe: Recipe
    test_score: float
    is_quantized: bool
    thresholds: np.ndarray | None = None

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Self:
        """Reads what a run folder tells about its run; the model and the images stay unread.

        Args:
            folder: path of the run folder.

        Returns:
            A `SavedRun`.

        Raises:
            ValueError: if the folder holds no finished run.
        """
        folder = pathlib.Path(folder)
        run_folders.finish_replacement(folder)
        summary = _read_summary(folder)
        _existing(folder, run_folders.CLASS_NAMES)
        is_quantized = QUANTIZATION in summary
        try:
            task = run_folders.read_task(summary)
            recipe_type = _RECIPE_TYPES[task != CLASSIFY, is_quantized]
            dataset = summary["dataset"]
            recipe: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in summary["recipe"].items()
            }
            if recipe.get("task", CLASSIFY) != task:
                raise ValueError(f"a recipe to {shorten(recipe['task'])} in a run to {task}")
            class_names = run_folders.read_class_names(folder)
            return cls(
                folder=folder,
                variant=_typed(summary["model"]["variant"], str),
                initial_weights=_typed(summary["model"]["initial_weights"], str | None),
                dataset=_typed(dataset["source"], str),
                # Runs before there was a quantize-aware training did not say.
                skip_unreadable=_typed(dataset.get("skip_unreadable", False), bool),
                part_sizes={part: _typed(dataset[f"{part}_images"], int) for part in PARTS},
                class_names=class_names,
                recipe=recipe_type(**recipe),
                test_score=_typed(summary["results"][f"test_{SCORES[task].key}"], float),
                is_quantized=is_quantized,
                thresholds=_thresholds(summary, task, len(class_names)),
            )
        # Whatever values that somebody made up lead to.
        except (AttributeError, ArithmeticError, KeyError, TypeError, ValueError) as error:
            raise _damaged(folder, f"{type(error).__name__}: {shorten(error)}") from error

    @classmethod
    def read_float(cls, folder: str | os.PathLike[str]) -> Self:
        """Reads the float run that a quantize-aware training starts from, as `read` does.

        Raises:
            ValueError: if the folder holds no finished run, or one that is quantized already.
        """
        run = cls.read(folder)
        if run.is_quantized:
            raise ValueError(
                "the run to start from must be a float run: give the one that this run was made "
                f"from. Received: {folder}, which is quantized already"
            )
        return run

    def load_model(self) -> keras.Model:
        """Loads the trained model, without running code that its file may contain.

        Returns:
            The Keras model, from float images `(batch, height, width, channels)` in [0, 255] to
            probabilities `(batch, classes)`, or those of a grid's cells; not compiled.

        Raises:
            ValueError: if the file is missing or damaged, or its model does not fit the run.
        """
        path = _existing(self.folder, run_folders.MODEL)
        try:
            model = run_folders.read_model(self.folder)
        except DamagedFileError as error:
            raise ValueError(
                f"{path.name} must be a whole Keras model without code of its own: train the float "
                f"model again. Received: {path} ({error})"
            ) from error
        shapes = model.input_shape, model.output_shape
        outputs = self.recipe.output_shape(len(self.class_names))
        expected = (None, *self.recipe.input_shape), (None, *outputs)
        if shapes != expected:
            raise ValueError(
                f"{path.name} must take and give arrays of the shapes {expected}, as "
                f"{run_folders.SUMMARY} and {run_folders.CLASS_NAMES} say: train the model "
                f"again. Received: {shapes}"
            )
        return model

    def calibration_images(self) -> np.ndarray:
        """The training images that ranges are measured on: uint8 `(n, height, width, channels)`.

        Raises:
            ValueError: if the file is missing, damaged or does not fit the run.
        """
        return self._read_images(run_folders.CALIBRATION)[0]

    def test_images(self) -> tuple[np.ndarray, np.ndarray]:
        """Held-out images, uint8 `(n, height, width, channels)`, and their labels `(n,)`, or those
        that `keras_micronet.grid_answers.labels` describes.

        Raises:
            ValueError: if the file is missing, damaged or does not fit the run.
        """
        return self._read_images(run_folders.TEST)

    def _read_images(self, name):
        path = _existing(self.folder, name)
        try:
            return run_folders.read_images(
                self.folder,
                name,
                self.recipe.input_shape,
                len(self.class_names),
                self.recipe.task,
            )
        except ValueError as error:
            raise ValueError(
                f"{name} must hold the arrays images and labels, uint8 images of the model's input "
                "size and a label for each: train the model again. "
                f"Received: {path} ({error})"
            ) from error


def _read_summary(folder):
    if not (folder / run_folders.SUMMARY).is_file():
        raise ValueError(
            "a run must be a folder that `python -m training` has completed. "
            f"Received: {folder} without a readable {run_folders.SUMMARY}"
        )
    try:
        summary = run_folders.read_summary(folder)
    except DamagedFileError as error:
        raise _damaged(folder, error) from error
    if run_folders.is_own_model(summary):
        raise ValueError(
            "a run must be one of `python -m training`, which knows its dataset; "
            "to train your own model on, see keras_micronet.quantization.quantize_aware. "
            f"Received: {folder}, written by write_run_folder"
        )
    return summary


def _existing(folder, name):
    path = folder / name
    if not path.is_file():
        raise ValueError(f"a run must hold {name}: train the model again. Received: {folder}")
    return path


def _thresholds(summary, task, class_count):
    if task in (CLASSIFY, SEGMENT):
        return None
    thresholds = summary[THRESHOLDS][THRESHOLDS_Q15]
    are_right = len(thresholds) == class_count and all(
        type(each) is int and 1 <= each <= PROBABILITY_ONE for each in thresholds
    )
    if not are_right:
        raise ValueError(f"{shorten(thresholds)} as thresholds of {class_count} classes")
    return np.asarray(thresholds, np.int32)


def _typed(value, expected_type):
    if not isinstance(value, expected_type):
        raise TypeError(f"{shorten(repr(value))} where {expected_type} was expected")
    return value


def _damaged(folder, reason):
    return ValueError(
        f"{run_folders.SUMMARY} must be whole and written by this version of `python -m training`: "
        f"train the model again. Received: {folder} ({reason})"
    )
