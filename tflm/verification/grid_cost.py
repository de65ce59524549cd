# SPDX-License-Identifier: Apache-2.0
"""What does int8 cost a model that answers for the cells of a grid?

As for classes (`accuracy_cost`), that is the user's decision: an export is refused only if it
certainly loses more than was allowed.
"""

import dataclasses

import numpy as np

from keras_micronet.grid_answers.quality import CellCounts, DetectionCounts, JointCounts
from tflm.verification.paired_bootstrap import bootstrap_interval

Counts = DetectionCounts | CellCounts | JointCounts


@dataclasses.dataclass(frozen=True)
class GridCost:
    """One figure of both models on the same images.

    Attributes:
        images: number of images, at least 1.
        float_value: from 0 to 1, of the float model.
        int8_value: of the device.
        points_lost_interval: the pair (low, high): between these `points_lost` is on all images of
            the same kind, see `paired_bootstrap`.
        same_answers: number of questions to which both give the same answer.
        questions: how many there are: a cell each, or a joint of an image.
    """

    images: int
    float_value: float
    int8_value: float
    points_lost_interval: tuple[float, float]
    same_answers: int
    questions: int

    @property
    def points_lost(self) -> float:
        """Percentage points lost on the device; negative if they are gained."""
        return 100 * (self.float_value - self.int8_value)

    @property
    def agreement(self) -> float:
        """Part of the questions, 0 to 1, to which both give the same answer."""
        return self.same_answers / self.questions


def compare_grids(
    float_counts: Counts,
    int8_counts: Counts,
    float_answers: np.ndarray,
    int8_answers: np.ndarray,
) -> GridCost:
    """Compares both models.

    Args:
        float_counts, int8_counts: of the same images.
        float_answers, int8_answers: integers `(images, ...)`, what both answer to the same
            questions.
    """
    all_found, none_found, value = _IMAGINED[type(float_counts)](float_counts)
    low, high = bootstrap_interval(float_counts, int8_counts, all_found, none_found, value)
    return GridCost(
        images=len(float_answers),
        float_value=value(float_counts),
        int8_value=value(int8_counts),
        points_lost_interval=(100 * low, 100 * high),
        same_answers=int(np.count_nonzero(float_answers == int8_answers)),
        questions=float_answers.size,
    )


def _of_detection(counts):
    there = counts.there.mean(axis=0, keepdims=True)
    nothing = np.zeros_like(there)
    right = DetectionCounts(there, there, there)
    return right, DetectionCounts(there, nothing, nothing), lambda each: each.mean_f1


def _of_segmentation(counts):
    there = counts.confusion.sum(axis=2).mean(axis=0)  # cells of each class
    nothing = np.zeros((len(there), len(there)))
    nothing[:, 0] = there  # all of them are taken for background
    right = np.diag(there)
    return (
        CellCounts(right[np.newaxis]),
        CellCounts(nothing[np.newaxis]),
        lambda each: each.mean_iou,
    )


def _of_keypoints(counts):
    there = counts.there.mean(axis=0, keepdims=True)
    right = JointCounts(there, there)
    return right, JointCounts(there, np.zeros_like(there)), lambda each: each.correct


# By type of counts: an imagined image in which all is found, one in which nothing is, and what is
# lost by points.
_IMAGINED = {
    DetectionCounts: _of_detection,
    CellCounts: _of_segmentation,
    JointCounts: _of_keypoints,
}
