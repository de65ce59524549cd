# SPDX-License-Identifier: Apache-2.0
"""The task of finding the joints of what a picture shows."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_micronet.grid_answers.objects import PROBABILITY_ONE, Objects, find_keypoints
from training.fitting.grid_evaluation import KeypointEvaluation
from training.recipes.recipes import KEYPOINTS
from training.runs.marked_pictures import MISSED, Mark
from training.tasks.found import FoundTask
from training.tasks.grids import named


class KeypointTask(FoundTask):
    """See `task.Task`."""

    def __init__(self) -> None:
        super().__init__(KEYPOINTS, "joints")

    def report(self, evaluation: KeypointEvaluation, class_names: tuple[str, ...]) -> Iterator[str]:
        yield f"PCK {self.score.text(evaluation.score)}"
        yield "Part of each joint that was found within a tenth of the picture's longer side:"
        for each in self.rows(evaluation, class_names):
            share = "not in any picture" if each["pck"] is None else f"{each['pck']:.3f}"
            yield f"  {each['name']}: {share} of {each['there']:,}, from {each['threshold']:.1%} on"

    def rows(
        self, evaluation: KeypointEvaluation, class_names: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        there = evaluation.counts.there.sum(axis=0)
        right = evaluation.counts.right.sum(axis=0)
        return named(
            class_names,
            pck=np.where(there > 0, right / np.maximum(there, 1), np.nan),
            there=there,
            right=right,
            found=_are_found(evaluation).sum(axis=0),
            threshold=evaluation.thresholds / PROBABILITY_ONE,
        )

    def find(self, probabilities: np.ndarray, thresholds: np.ndarray, most: int | None) -> Objects:
        """In the joints' order."""
        joints = find_keypoints(probabilities, thresholds)
        return joints.subset(np.arange(len(joints))[:most])

    def mistakes(self, evaluation: KeypointEvaluation) -> np.ndarray:
        counts = evaluation.counts
        invented = _are_found(evaluation) & ~counts.there
        return (counts.there ^ counts.right).sum(axis=1) + invented.sum(axis=1)

    def are_right(
        self, evaluation: KeypointEvaluation, index: int, label: np.ndarray, stride: int
    ) -> np.ndarray:
        return evaluation.counts.right[index][evaluation.found[index].classes]

    def missed(
        self,
        evaluation: KeypointEvaluation,
        index: int,
        label: np.ndarray,
        names: tuple[str, ...],
        stride: int,
    ) -> Iterator[Mark]:
        """Where they are."""
        right = evaluation.counts.right[index]
        for joint in np.flatnonzero(np.isfinite(label).all(axis=-1) & ~right):
            y, x = label[joint].tolist()
            yield Mark(MISSED, x, y, names[joint])


def _are_found(evaluation):
    """Booleans `(images, joints)`, right or not."""
    joints = np.arange(evaluation.counts.there.shape[1])
    return np.stack([np.isin(joints, each.classes) for each in evaluation.found])
