# SPDX-License-Identifier: Apache-2.0
"""The task of finding objects by their centres, and of counting them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_micronet.grid_answers.objects import PROBABILITY_ONE, Objects, find_objects
from keras_micronet.grid_answers.quality import matched, matched_rows
from training.fitting.grid_evaluation import DetectionEvaluation
from training.recipes.recipes import DETECT
from training.runs.marked_pictures import MISSED, Mark
from training.tasks.found import FoundTask
from training.tasks.grids import named


class DetectionTask(FoundTask):
    """See `task.Task`."""

    def __init__(self) -> None:
        super().__init__(DETECT, "classes")

    def report(
        self, evaluation: DetectionEvaluation, class_names: tuple[str, ...]
    ) -> Iterator[str]:
        yield f"Mean F1 {self.score.text(evaluation.score)}"
        yield "Each class at its threshold, and by how many objects a picture's count is wrong:"
        for each in self.rows(evaluation, class_names):
            yield (
                f"  {each['name']}: F1 {each['f1']:.3f}, precision {each['precision']:.3f}, recall "
                f"{each['recall']:.3f} of {each['there']:,} objects, from "
                f"{each['threshold']:.1%} on; count {each['count_error']:.2f}"
            )

    def rows(
        self, evaluation: DetectionEvaluation, class_names: tuple[str, ...]
    ) -> list[dict[str, Any]]:
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

    def find(self, probabilities: np.ndarray, thresholds: np.ndarray, most: int | None) -> Objects:
        """The most probable first."""
        return find_objects(probabilities, thresholds, most)

    def mistakes(self, evaluation: DetectionEvaluation) -> np.ndarray:
        counts = evaluation.counts
        return (counts.there + counts.found - 2 * counts.right).sum(axis=1)

    def are_right(
        self, evaluation: DetectionEvaluation, index: int, label: np.ndarray, stride: int
    ) -> np.ndarray:
        return matched(evaluation.found[index], label, stride)

    def missed(
        self,
        evaluation: DetectionEvaluation,
        index: int,
        label: np.ndarray,
        names: tuple[str, ...],
        stride: int,
    ) -> Iterator[Mark]:
        """With their boxes."""
        found = matched_rows(evaluation.found[index], label, stride)
        for row in set(range(len(label))) - set(found.tolist()):
            chosen, top, left, bottom, right = label[row].tolist()
            size = {"width": right - left, "height": bottom - top}
            yield Mark(MISSED, left, top, names[int(chosen)], **size)
