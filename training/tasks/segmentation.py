# SPDX-License-Identifier: Apache-2.0
"""The task of telling of which class each cell of a picture is."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_micronet.grid_answers.labels import IGNORED, cell_answers
from training.datasets import GridDataset
from training.fitting.evaluation import Evaluation
from training.fitting.grid_evaluation import SegmentationEvaluation
from training.recipes.recipes import SEGMENT, GridRecipe
from training.runs import marked_pictures, plots, run_folder
from training.runs.marked_pictures import INVENTED, MISSED, Mark, MarkedPicture
from training.runs.saved_run import SavedRun
from training.tasks.grids import GridTask, named, worst_examples
from training.tasks.task import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BACKGROUND = "background"
# What the marks of cells say.
_WORDS = ("right", "taken for background", "taken for a wrong class")


class SegmentationTask(GridTask):
    """See `task.Task`."""

    def __init__(self) -> None:
        super().__init__(SEGMENT)

    def sections(
        self, evaluation: SegmentationEvaluation | None, class_names: tuple[str, ...]
    ) -> Mapping[str, Any]:
        return {}

    def results(
        self, evaluation: SegmentationEvaluation | None, class_names: tuple[str, ...]
    ) -> Mapping[str, Any]:
        return {} if evaluation is None else {"classes": _classes(evaluation, class_names)}

    def figures(
        self, evaluation: SegmentationEvaluation, class_names: tuple[str, ...]
    ) -> Mapping[str, Any]:
        return {
            self.score.key: evaluation.score,
            "classes": _classes(evaluation, class_names),
            "confusion": evaluation.counts.confusion.sum(axis=0).tolist(),
        }

    def report(
        self, evaluation: SegmentationEvaluation, class_names: tuple[str, ...]
    ) -> Iterator[str]:
        yield f"Mean IoU {self.score.text(evaluation.score)}"
        yield "IoU of each class:"
        for each in _classes(evaluation, class_names):
            share = "no cells" if each["iou"] is None else f"{each['iou']:.3f}"
            yield f"  {each['name']}: {share} of {each['cells']:,} cells"

    def describe(
        self, probabilities: np.ndarray, run: SavedRun, view: View, most: int | None
    ) -> Iterator[str]:
        """The classes of the cells in one line, those of most cells first."""
        answers = probabilities.argmax(axis=-1)
        shares = np.bincount(answers.ravel(), minlength=probabilities.shape[-1]) / answers.size
        order = np.argsort(-shares, kind="stable")
        names = _all_names(run.class_names)
        yield ", ".join(
            f"{names[each]} {shares[each]:.2%}" for each in order[:most] if shares[each]
        )

    def plots(
        self,
        evaluation: SegmentationEvaluation,
        dataset: GridDataset,
        part: str,
        recipe: GridRecipe,
    ) -> "Mapping[str, Figure]":
        confusion = evaluation.counts.confusion
        mistakes = confusion.sum(axis=(1, 2)) - np.trace(confusion, axis1=1, axis2=2)
        class_names = dataset.class_names
        pictures = []
        for index, image, label in worst_examples(dataset, part, mistakes):
            answers = evaluation.answers[index]
            there = cell_answers(
                SEGMENT, label, dataset.image_size, recipe.output_stride, len(class_names)
            )
            marks = _marks(answers, there, recipe.output_stride)
            pictures.append(MarkedPicture(image, tuple(marks), answers, recipe.output_stride))
        matrix = plots.confusion_matrix(
            Evaluation(evaluation.loss, None, confusion.sum(axis=0)),
            _all_names(class_names),
            noun="cells",
        )
        return {
            run_folder.CONFUSION_MATRIX: matrix,
            run_folder.FOUND_AND_MISSED: marked_pictures.found_and_missed(
                pictures, _all_names(class_names), _WORDS
            ),
        }


def _all_names(class_names):
    """With that of what belongs to no class, unless a class has it."""
    return (BACKGROUND if BACKGROUND not in class_names else f"({BACKGROUND})", *class_names)


def _classes(evaluation, class_names):
    confusion = evaluation.counts.confusion.sum(axis=0)
    return named(_all_names(class_names), iou=evaluation.counts.iou, cells=confusion.sum(axis=1))


def _marks(answers, there, output_stride):
    """The cells that were taken for another class, in their middles."""
    for row, column in np.argwhere((answers != there) & (there != IGNORED)).tolist():
        kind = MISSED if answers[row, column] == 0 else INVENTED
        yield Mark(kind, (column + 0.5) * output_stride, (row + 0.5) * output_stride)
