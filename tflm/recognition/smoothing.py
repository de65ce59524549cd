# SPDX-License-Identifier: Apache-2.0
"""What the C functions of `micronet_smoothing.h` compute: a steady answer to frame after frame."""

import dataclasses

import numpy as np

from tflm.recognition.scores import NONE_OF_THESE, ONE

_FINER = 2**16  # averages are in Q31


@dataclasses.dataclass(frozen=True)
class SmoothingSettings:
    """How to smooth.

    Attributes:
        weight: of the newest frame in Q15, 1 to 32768; 32768 for no smoothing.
        threshold: average in Q15 at which a class becomes the answer, 1 to 32768.
        release: average in Q15 below which it no longer is, 0 to `threshold`.
        hold: frames that a class stays the answer at least, 0 to 65535.

    Raises:
        ValueError: if a value is outside its range.
    """

    weight: int
    threshold: int
    release: int
    hold: int = 0

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("weight", 1, ONE),
            ("threshold", 1, ONE),
            ("release", 0, self.threshold),
            ("hold", 0, 2**16 - 1),
        ):
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise ValueError(
                    f"`{name}` must be from {lowest} to {highest}. Received: {name}={value}"
                )


class Smoothing:
    """Averages of the probabilities of all frames so far, and the answer that they give.

    Args:
        settings: `SmoothingSettings`.
        classes: number of classes.

    Attributes:
        answer: index of a class, or `NONE_OF_THESE`.
        probability: average in Q15 of the answer; without one, of the likeliest class.
    """

    def __init__(self, settings: SmoothingSettings, classes: int) -> None:
        self._settings = settings
        self._averages = [0] * classes
        self._frames_since = 0
        self.answer = NONE_OF_THESE
        self.probability = 0

    def update(self, probabilities: np.ndarray) -> bool:
        """Takes the next frame.

        Args:
            probabilities: uint16 array (classes,) in Q15.

        Returns:
            Whether the answer is another one than before.
        """
        weight = self._settings.weight
        self._averages = [
            (average * (ONE - weight) + newest * _FINER * weight + ONE // 2) // ONE
            for average, newest in zip(self._averages, probabilities.tolist(), strict=True)
        ]
        self._frames_since += 1
        before, self.answer = self.answer, self._next_answer()
        if self.answer != before:
            self._frames_since = 0
        shown = max(self._averages) if self.answer == NONE_OF_THESE else self._averages[self.answer]
        self.probability = (shown + _FINER // 2) // _FINER
        return self.answer != before

    def _next_answer(self):
        settings, averages = self._settings, self._averages
        likeliest = averages.index(max(averages))
        is_reached = _is_at_least(averages[likeliest], settings.threshold)
        reached = likeliest if is_reached else NONE_OF_THESE
        if self.answer == NONE_OF_THESE:
            return reached
        if self._frames_since < settings.hold:
            return self.answer
        if not _is_at_least(averages[self.answer], settings.release):
            return reached
        lead = averages[likeliest] - averages[self.answer]
        is_passed = reached != NONE_OF_THESE and lead >= self._margin and likeliest != self.answer
        return reached if is_passed else self.answer

    @property
    def _margin(self):
        return (self._settings.threshold - self._settings.release) * _FINER


def _is_at_least(average, limit):
    """Whether an average, rounded to Q15, is at least a limit.

    An average comes as near as this to a probability that stays, but need not reach it.
    """
    return average + _FINER // 2 >= limit * _FINER
