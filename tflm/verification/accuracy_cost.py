# SPDX-License-Identifier: Apache-2.0
"""What does int8 cost? A model's answers without rounding and on the device, image by image.

That is the user's decision: an export is refused only if it certainly loses more than was allowed.
"""

import dataclasses

import numpy as np

from tflm.verification.paired_interval import paired_interval

# An image is clear to the float model if its best class is this much more probable than its second.
CLEAR_MARGIN = 0.1


@dataclasses.dataclass(frozen=True)
class AccuracyCost:
    """Counts of labelled images, all of them seen by both models.

    Attributes:
        images: all of them, at least 1.
        both_right: those that both models recognise.
        only_float_right: those that rounding loses.
        only_int8_right: those that it gains.
        same_class: those to which both give the same class, right or wrong.
        clear: those that are clear to the float model: its best class is at least `CLEAR_MARGIN`
            more probable than its second.
        clear_same_class: those among them to which both give the same class.
        int8_class_counts: integers `(classes,)`, the images to which int8 gives each class.
    """

    images: int
    both_right: int
    only_float_right: int
    only_int8_right: int
    same_class: int
    clear: int
    clear_same_class: int
    int8_class_counts: tuple[int, ...]

    @property
    def float_accuracy(self) -> float:
        """Part of the images, 0 to 1, that the float model recognises."""
        return (self.both_right + self.only_float_right) / self.images

    @property
    def int8_accuracy(self) -> float:
        """Part of the images, 0 to 1, that the device recognises."""
        return (self.both_right + self.only_int8_right) / self.images

    @property
    def points_lost(self) -> float:
        """Percentage points of accuracy lost on the device; negative if they are gained."""
        return 100 * (self.only_float_right - self.only_int8_right) / self.images

    @property
    def points_lost_interval(self) -> tuple[float, float]:
        """The pair (low, high): between these `points_lost` is, with `CONFIDENCE`.

        That is what the images tell of all images of the same kind; see `paired_interval`.
        """
        low, high = paired_interval(self.only_float_right, self.only_int8_right, self.images)
        return 100 * low, 100 * high

    @property
    def agreement(self) -> float:
        """Part of the images, 0 to 1, to which both give the same class."""
        return self.same_class / self.images

    @property
    def clear_agreement(self) -> float | None:
        """The same among images that are clear to the float model; `None` if none is."""
        return self.clear_same_class / self.clear if self.clear else None

    @property
    def only_class(self) -> int | None:
        """Index of the one class that int8 gives to all images, or `None`."""
        given = np.flatnonzero(self.int8_class_counts)
        return int(given[0]) if len(given) == 1 else None


def compare(
    probabilities: np.ndarray, int8_outputs: np.ndarray, labels: np.ndarray
) -> AccuracyCost:
    """Compares both models' answers.

    Args:
        probabilities: float array `(count, classes)`, the float model's, after a softmax.
        int8_outputs: int8 array `(count, classes)` of the device.
        labels: integers `(count,)`, the right classes.

    Returns:
        An `AccuracyCost`. Of equal outputs, the first counts.
    """
    float_classes, int8_classes = probabilities.argmax(axis=-1), int8_outputs.argmax(axis=-1)
    float_right, int8_right = float_classes == labels, int8_classes == labels
    same, clear = float_classes == int8_classes, _margins(probabilities) >= CLEAR_MARGIN
    class_counts = np.bincount(int8_classes, minlength=int8_outputs.shape[-1])
    return AccuracyCost(
        images=len(labels),
        both_right=_count(float_right & int8_right),
        only_float_right=_count(float_right & ~int8_right),
        only_int8_right=_count(int8_right & ~float_right),
        same_class=_count(same),
        clear=_count(clear),
        clear_same_class=_count(clear & same),
        int8_class_counts=tuple(class_counts.tolist()),
    )


def _margins(probabilities):
    """By how much the best class is more probable than the second, which may not exist."""
    padded = np.pad(probabilities, [(0, 0), (1, 0)])
    second, best = np.sort(padded, axis=-1)[:, -2:].T
    return best - second


def _count(mask):
    return int(np.count_nonzero(mask))
