# SPDX-License-Identifier: Apache-2.0
"""What detection and keypoints have in common: what is found has a threshold a class or joint."""

import abc
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_micronet.grid_answers.objects import CELL, Objects, quantized_probabilities
from training.datasets import GridDataset
from training.fitting.grid_evaluation import FoundEvaluation
from training.recipes.recipes import GridRecipe
from training.runs import marked_pictures, plots, run_folder
from training.runs.marked_pictures import INVENTED, RIGHT, Mark, MarkedPicture
from training.runs.saved_run import SavedRun
from training.tasks.grids import (
    GridTask,
    describe_objects,
    threshold_section,
    thresholds_and_stride,
    worst_examples,
)
from training.tasks.task import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class FoundTask(GridTask, abc.ABC):
    """See `task.Task`.

    Args:
        name: one of `recipes.GRID_TASKS`.
        noun: what `run.json` and `evaluation.json` call those that have a threshold each.
    """

    def __init__(self, name: str, noun: str) -> None:
        super().__init__(name)
        self._noun = noun

    @abc.abstractmethod
    def rows(self, evaluation: Any, class_names: tuple[str, ...]) -> list[dict[str, Any]]:
        """The figures of each class or joint."""

    @abc.abstractmethod
    def find(self, probabilities: np.ndarray, thresholds: np.ndarray, most: int | None) -> Objects:
        """What probabilities in Q15 show, at most so many."""

    @abc.abstractmethod
    def mistakes(self, evaluation: Any) -> np.ndarray:
        """How many each image has, `(images,)`."""

    @abc.abstractmethod
    def are_right(self, evaluation: Any, index: int, label: np.ndarray, stride: int) -> np.ndarray:
        """Which of the objects found in an image are right, booleans."""

    @abc.abstractmethod
    def missed(
        self, evaluation: Any, index: int, label: np.ndarray, names: tuple[str, ...], stride: int
    ) -> Iterable[Mark]:
        """Marks of what was not found in an image."""

    def sections(
        self, evaluation: FoundEvaluation | None, class_names: tuple[str, ...]
    ) -> Mapping[str, Any]:
        return {} if evaluation is None else threshold_section(evaluation.thresholds)

    def results(
        self, evaluation: FoundEvaluation | None, class_names: tuple[str, ...]
    ) -> Mapping[str, Any]:
        return {} if evaluation is None else {self._noun: self.rows(evaluation, class_names)}

    def figures(self, evaluation: Any, class_names: tuple[str, ...]) -> Mapping[str, Any]:
        return {
            self.score.key: evaluation.score,
            self._noun: self.rows(evaluation, class_names),
            **threshold_section(evaluation.thresholds),
        }

    def describe(
        self, probabilities: np.ndarray, run: SavedRun, view: View, most: int | None
    ) -> Iterator[str]:
        """A line for each that is found, or one that there is none."""
        thresholds, output_stride = thresholds_and_stride(run)
        objects = self.find(quantized_probabilities(probabilities), thresholds, most)
        yield from describe_objects(objects, run.class_names, output_stride, view)
        if not len(objects):
            yield "nothing found"

    def plots(
        self, evaluation: FoundEvaluation, dataset: GridDataset, part: str, recipe: GridRecipe
    ) -> "Mapping[str, Figure]":
        names, stride = dataset.class_names, recipe.output_stride
        pictures = []
        for index, image, label in worst_examples(dataset, part, self.mistakes(evaluation)):
            is_right = self.are_right(evaluation, index, label, stride)
            marks = [
                *_found_marks(evaluation.found[index], is_right, names, stride),
                *self.missed(evaluation, index, label, names, stride),
            ]
            pictures.append(MarkedPicture(image, tuple(marks)))
        return {
            run_folder.PRECISION_RECALL: plots.precision_recall(
                evaluation.curves, evaluation.thresholds, names
            ),
            run_folder.FOUND_AND_MISSED: marked_pictures.found_and_missed(pictures),
        }


def _found_marks(objects, is_right, names, stride):
    """What was found, at its centre."""
    for chosen, x, y, right in zip(objects.classes, objects.x, objects.y, is_right, strict=True):
        kind = RIGHT if right else INVENTED
        yield Mark(kind, x * stride / CELL, y * stride / CELL, names[chosen])
