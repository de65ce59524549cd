# SPDX-License-Identifier: Apache-2.0
"""The task of finding the joints of what a picture shows."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_micronet.grid_answers.objects import (
    CELL,
    PROBABILITY_ONE,
    find_keypoints,
    quantized_probabilities,
)
from training.datasets import GridDataset
from training.fitting.grid_evaluation import KeypointEvaluation
from training.recipes.recipes import KEYPOINTS, GridRecipe
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


class KeypointTask(GridTask):
    """See `task.Task`."""

    def __init__(self) -> None:
        super().__init__(KEYPOINTS)

    def sections(
        self, evaluation: KeypointEvaluation | None, class_names: tuple[str, ...]
    ) -> Mapping[str, Any]:
        return {} if evaluation is None else threshold_section(evaluation.thresholds)

    def results(
        self, evaluation: KeypointEvaluation | None, class_names: tuple[str, ...]
    ) -> Mapping[str, Any]:
        return {} if evaluation is None else {"joints": _joints(evaluation, class_names)}

    def figures(
        self, evaluation: KeypointEvaluation, class_names: tuple[str, ...]
    ) -> Mapping[str, Any]:
        return {
            self.score.key: evaluation.score,
            "joints": _joints(evaluation, class_names),
            **threshold_section(evaluation.thresholds),
        }

    def report(self, evaluation: KeypointEvaluation, class_names: tuple[str, ...]) -> Iterator[str]:
        yield f"PCK {self.score.text(evaluation.score)}"
        yield "Part of each joint that was found within a tenth of the picture's longer side:"
        for each in _joints(evaluation, class_names):
            share = "not in any picture" if each["pck"] is None else f"{each['pck']:.3f}"
            yield f"  {each['name']}: {share} of {each['there']:,}, from {each['threshold']:.1%} on"

    def describe(
        self, probabilities: np.ndarray, run: SavedRun, view: View, most: int | None
    ) -> Iterator[str]:
        """A line for each joint that is found, in their order, or one that there is none."""
        thresholds, output_stride = thresholds_and_stride(run)
        joints = find_keypoints(quantized_probabilities(probabilities), thresholds)
        joints = joints.subset(np.arange(len(joints))[:most])
        yield from describe_objects(joints, run.class_names, output_stride, view)
        if not len(joints):
            yield "nothing found"

    def plots(
        self, evaluation: KeypointEvaluation, dataset: GridDataset, part: str, recipe: GridRecipe
    ) -> "Mapping[str, Figure]":
        counts = evaluation.counts
        found = np.stack([_is_found(each, counts.there.shape[1]) for each in evaluation.found])
        mistakes = (counts.there ^ counts.right).sum(axis=1) + (found & ~counts.there).sum(axis=1)
        pictures = []
        for index, image, label in worst_examples(dataset, part, mistakes):
            marks = _marks(
                evaluation.found[index],
                label,
                counts.right[index],
                dataset.class_names,
                recipe.output_stride,
            )
            pictures.append(MarkedPicture(image, tuple(marks)))
        return {
            run_folder.PRECISION_RECALL: plots.precision_recall(
                evaluation.curves, evaluation.thresholds, dataset.class_names
            ),
            run_folder.FOUND_AND_MISSED: marked_pictures.found_and_missed(pictures),
        }


def _is_found(objects, joint_count):
    return np.isin(np.arange(joint_count), objects.classes)


def _joints(evaluation, class_names):
    there = evaluation.counts.there.sum(axis=0)
    right = evaluation.counts.right.sum(axis=0)
    return named(
        class_names,
        pck=np.where(there > 0, right / np.maximum(there, 1), np.nan),
        there=there,
        right=right,
        found=sum(_is_found(each, len(class_names)).astype(int) for each in evaluation.found),
        threshold=evaluation.thresholds / PROBABILITY_ONE,
    )


def _marks(objects, label, right, class_names, output_stride):
    """Where joints were found, and where those are that were not."""
    for joint, x, y in zip(objects.classes, objects.x, objects.y, strict=True):
        kind = RIGHT if right[joint] else INVENTED
        yield Mark(kind, x * output_stride / CELL, y * output_stride / CELL, class_names[joint])
    for joint in np.flatnonzero(np.isfinite(label).all(axis=-1) & ~right):
        y, x = label[joint].tolist()
        yield Mark(MISSED, x, y, class_names[joint])
