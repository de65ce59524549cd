# SPDX-License-Identifier: Apache-2.0
"""The task of finding objects by their centres, and of counting them."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_micronet.grid_answers.objects import (
    CELL,
    PROBABILITY_ONE,
    find_objects,
    quantized_probabilities,
)
from keras_micronet.grid_answers.quality import matched_rows
from training.datasets import GridDataset
from training.fitting.grid_evaluation import DetectionEvaluation
from training.recipes.recipes import DETECT, GridRecipe
from training.runs import marked_pictures, plots, run_folder
from training.runs.marked_pictures import INVENTED, MISSED, RIGHT, Mark, MarkedPicture
from training.runs.saved_run import SavedRun
from training.tasks.grids import (
    GridTask,
    describe_objects,
    named,
    threshold_section,
    thresholds_and_stride,
    worst_examples,
)
from training.tasks.task import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class DetectionTask(GridTask):
    """See `task.Task`."""

    def __init__(self) -> None:
        super().__init__(DETECT)

    def sections(
        self, evaluation: DetectionEvaluation | None, class_names: tuple[str, ...]
    ) -> Mapping[str, Any]:
        return {} if evaluation is None else threshold_section(evaluation.thresholds)

    def results(
        self, evaluation: DetectionEvaluation | None, class_names: tuple[str, ...]
    ) -> Mapping[str, Any]:
        return {} if evaluation is None else {"classes": _classes(evaluation, class_names)}

    def figures(
        self, evaluation: DetectionEvaluation, class_names: tuple[str, ...]
    ) -> Mapping[str, Any]:
        return {
            self.score.key: evaluation.score,
            "classes": _classes(evaluation, class_names),
            **threshold_section(evaluation.thresholds),
        }

    def report(
        self, evaluation: DetectionEvaluation, class_names: tuple[str, ...]
    ) -> Iterator[str]:
        yield f"Mean F1 {self.score.text(evaluation.score)}"
        yield "Each class at its threshold, and by how many objects a picture's count is wrong:"
        for each in _classes(evaluation, class_names):
            yield (
                f"  {each['name']}: F1 {each['f1']:.3f}, precision {each['precision']:.3f}, recall "
                f"{each['recall']:.3f} of {each['there']:,} objects, from "
                f"{each['threshold']:.1%} on; count {each['count_error']:.2f}"
            )

    def describe(
        self, probabilities: np.ndarray, run: SavedRun, view: View, most: int | None
    ) -> Iterator[str]:
        """A line for each object, the most probable first, or one that there is none."""
        thresholds, output_stride = thresholds_and_stride(run)
        objects = find_objects(quantized_probabilities(probabilities), thresholds, most)
        yield from describe_objects(objects, run.class_names, output_stride, view)
        if not len(objects):
            yield "nothing found"

    def plots(
        self, evaluation: DetectionEvaluation, dataset: GridDataset, part: str, recipe: GridRecipe
    ) -> "Mapping[str, Figure]":
        counts = evaluation.counts
        mistakes = (counts.there + counts.found - 2 * counts.right).sum(axis=1)
        pictures = []
        for index, image, label in worst_examples(dataset, part, mistakes):
            objects = evaluation.found[index]
            marks = _marks(objects, label, dataset.class_names, recipe.output_stride)
            pictures.append(MarkedPicture(image, tuple(marks)))
        return {
            run_folder.PRECISION_RECALL: plots.precision_recall(
                evaluation.curves, evaluation.thresholds, dataset.class_names
            ),
            run_folder.FOUND_AND_MISSED: marked_pictures.found_and_missed(pictures),
        }


def _classes(evaluation, class_names):
    counts = evaluation.counts
    return named(
        class_names,
        f1=counts.f1,
        precision=counts.precision,
        recall=counts.recall,
        count_error=counts.count_error,
        there=counts.there.sum(axis=0),
        found=counts.found.sum(axis=0),
        right=counts.right.sum(axis=0),
        threshold=evaluation.thresholds / PROBABILITY_ONE,
    )


def _marks(objects, label, class_names, output_stride):
    """What was found, at its centre, and what was missed, with its box."""
    found = matched_rows(objects, label, output_stride)
    for chosen, x, y, match in zip(objects.classes, objects.x, objects.y, found, strict=True):
        kind = RIGHT if match >= 0 else INVENTED
        yield Mark(kind, x * output_stride / CELL, y * output_stride / CELL, class_names[chosen])
    for index in set(range(len(label))) - set(found.tolist()):
        chosen, top, left, bottom, right = label[index].tolist()
        yield Mark(
            MISSED, left, top, class_names[int(chosen)], width=right - left, height=bottom - top
        )
