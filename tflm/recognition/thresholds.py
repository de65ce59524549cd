# SPDX-License-Identifier: Apache-2.0
"""From which probability on the best class is the answer, and what that keeps and rejects.

It is chosen on validation images, by the probabilities that the device computes, and measured on
the test images, which it was not chosen on.
"""

import collections.abc
import dataclasses
import math

import numpy as np

from tflm.recognition.scores import ONE, exponentials, recognize
from tflm.settings import KEEP_RIGHT, check_keep_right

# Without validation images: the best class is more probable than all others together.
DEFAULT_THRESHOLD = ONE // 2
# What others might have chosen, percent of the right answers.
_SHOWN_KEEP_RIGHT = (100.0, 99.0, 95.0, 90.0, 80.0)

ScoredImages = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Kept:
    """What a threshold keeps of a model's answers to labelled images.

    Attributes:
        right: number of images of which the best class is right.
        kept_right: those of them that are at least as probable as the threshold.
        wrong: number of images of which the best class is wrong.
        kept_wrong: those of them that are kept.
    """

    right: int
    kept_right: int
    wrong: int
    kept_wrong: int

    @property
    def images(self) -> int:
        """All of them."""
        return self.right + self.wrong

    @property
    def rejected_wrong(self) -> int:
        """Wrong answers that become "none of these"."""
        return self.wrong - self.kept_wrong

    @property
    def kept(self) -> int:
        """Images that get a class as answer."""
        return self.kept_right + self.kept_wrong


@dataclasses.dataclass(frozen=True)
class ThresholdRow:
    """One threshold with what it does.

    Attributes:
        threshold: in Q15.
        validation: `Kept` of the images that thresholds are chosen on, if there are any.
        test: `Kept` of the test images.
    """

    threshold: int
    validation: Kept | None
    test: Kept


@dataclasses.dataclass(frozen=True)
class ThresholdChoice:
    """The threshold of one model.

    Attributes:
        threshold: in Q15.
        keep_right: percent of the right answers that it was to keep.
        is_chosen: whether it was chosen; else it is `DEFAULT_THRESHOLD`, as there are no validation
            images that get a right answer.
        rows: `ThresholdRow`s of rising thresholds, the first 0; the chosen one is among them.
    """

    threshold: int
    keep_right: float
    is_chosen: bool
    rows: tuple[ThresholdRow, ...]

    @property
    def chosen_row(self) -> ThresholdRow:
        """The row of the threshold."""
        return next(row for row in self.rows if row.threshold == self.threshold)


def choose(
    scale: float,
    validation: ScoredImages | None,
    test: ScoredImages,
    keep_right: float = KEEP_RIGHT,
) -> ThresholdChoice:
    """The highest threshold that keeps so many right answers to the validation images.

    Args:
        scale: of the model's int8 output.
        validation: pair of int8 scores `(count, classes)` and right classes `(count,)`, of images
            that are neither trained nor tested on; `None` if there are none.
        test: the same of the test images.
        keep_right: percent of the right answers that are kept at least, above 0, at most 100.

    Raises:
        ValueError: if `keep_right` is outside its range.
    """
    check_keep_right(keep_right)
    table = exponentials(scale)
    tested = _Answers.of(*test, table)
    watched = None if validation is None else _Answers.of(*validation, table)
    if watched is None or not watched.is_right.any():
        threshold, is_chosen = DEFAULT_THRESHOLD, False
        others: collections.abc.Iterable[int] = ()
    else:
        threshold, is_chosen = watched.keeping(keep_right), True
        others = map(watched.keeping, _SHOWN_KEEP_RIGHT)
    rows = tuple(
        ThresholdRow(each, None if watched is None else watched.kept(each), tested.kept(each))
        for each in sorted({0, threshold, *others})
    )
    return ThresholdChoice(threshold, keep_right, is_chosen, rows)


@dataclasses.dataclass(frozen=True)
class _Answers:
    """The best class of each image: how probable it is, in Q15, and whether it is right."""

    probability: np.ndarray
    is_right: np.ndarray

    @classmethod
    def of(cls, scores, labels, table):
        answers, highest = recognize(scores, table, 0)
        return cls(highest.astype(np.int64), answers == labels)

    def keeping(self, percent):
        """The highest threshold that keeps so many of the right answers."""
        right = np.sort(self.probability[self.is_right])[::-1]
        return int(right[math.ceil(percent * len(right) / 100) - 1])

    def kept(self, threshold):
        is_kept = self.probability >= threshold
        return Kept(
            right=int(np.count_nonzero(self.is_right)),
            kept_right=int(np.count_nonzero(self.is_right & is_kept)),
            wrong=int(np.count_nonzero(~self.is_right)),
            kept_wrong=int(np.count_nonzero(~self.is_right & is_kept)),
        )
