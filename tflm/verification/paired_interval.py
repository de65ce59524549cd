# SPDX-License-Identifier: Apache-2.0
"""How sure one can be of a difference between two answers to the same questions.

Two models that answer the same images are right or wrong together most of the time; what tells
them apart are the images that only one of them recognises. The interval is Tango's: the
differences that a score test of the paired proportions does not reject. It keeps its promise with
a dozen images, where it is wide even if both models never differed, as well as with thousands.

Reference: T. Tango 1998, "Equivalence test and confidence interval for the difference in
proportions for the paired-sample design", Statistics in Medicine 17:891-908.
"""

import math
import statistics

CONFIDENCE = 0.95
_HALVINGS = 60  # of an interval of at most 2: as exact as a float


def paired_interval(only_first: int, only_second: int, count: int) -> tuple[float, float]:
    """The confidence interval of the first proportion minus the second.

    Args:
        only_first: number of images that the first alone has right.
        only_second: the same of the second.
        count: number of all images, at least 1.

    Returns:
        The pair (low, high), within -1 to 1, at the level `CONFIDENCE`.

    Raises:
        ValueError: if there are no images, or not as many as both numbers together.
    """
    if not (only_first >= 0 and only_second >= 0 and count >= max(1, only_first + only_second)):
        raise ValueError(
            "There must be at least one image, and as many as only one model has right. "
            f"Received: {only_first} and {only_second} of {count}"
        )
    return -_highest(only_second, only_first, count), _highest(only_first, only_second, count)


def _highest(only_first, only_second, count):
    """The largest difference that is not rejected."""
    quantile = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    low, high = (only_first - only_second) / count, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _is_rejected(middle, only_first, only_second, count, quantile):
            high = middle
        else:
            low = middle
    return high


def _is_rejected(difference, only_first, only_second, count, quantile):
    """Whether the score statistic of a difference, no less than the one seen, is too far out."""
    score = count * difference - (only_first - only_second)
    # The likeliest part of images that the second alone has right, if this is the difference.
    linear = (2 * count - only_first + only_second) * difference - only_first - only_second
    constant = -only_second * difference * (1 - difference)
    root = math.sqrt(linear**2 - 8 * count * constant)
    part = (root - linear) / (4 * count)
    variance = count * (2 * part + difference * (1 - difference))
    return score > quantile * math.sqrt(max(variance, 0.0))
