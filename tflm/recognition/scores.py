# SPDX-License-Identifier: Apache-2.0
"""What the C functions of `micronet_scores.h` compute, defined in NumPy.

Probabilities are in Q15: `ONE` is 1. Exponentials are in Q24.
"""

import math
import operator

import numpy as np

ONE = 2**15
NONE_OF_THESE = -1
_EXPONENTIAL_ONE = 2**24
_DIFFERENCES = 256  # of two int8 values
_RECIPROCAL_BITS = 55


def exponentials(scale: float) -> np.ndarray:
    """The table that the softmax of one model needs.

    Args:
        scale: of the model's int8 output: real value = scale * (integer - zero point).

    Returns:
        uint32 array (256,): for each difference from the highest score, 0 to 255, the exponential
        of minus its real value, in Q24, rounded.

    Raises:
        ValueError: if the scale is not positive and finite.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"An output's scale must be positive and finite. Received: scale={scale}")
    values = np.exp(-float(scale) * np.arange(_DIFFERENCES))
    return np.round(values * _EXPONENTIAL_ONE).astype(np.uint32)


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """The classes with the highest scores, best first; of equal ones, the first comes first.

    Args:
        scores: int8 array (count,).
        k: how many are wanted.

    Returns:
        Integers, as many as `k`, but at most `count` and at least 0.
    """
    order = np.argsort(-scores.astype(np.int32), kind="stable")
    return order[: max(operator.index(k), 0)]


def probabilities(scores: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The softmax of the scores' real values.

    Args:
        scores: int8 array (..., classes).
        table: `exponentials` of the output's scale.

    Returns:
        uint16 array of the same shape in Q15. Each is within `0.5 + classes / 1024` of `ONE` times
        the exact softmax, and their sum within `classes / 2 + 1` of `ONE`.
    """
    values = scores.astype(np.int64)
    terms = table[values.max(axis=-1, keepdims=True) - values].astype(np.uint64)
    reciprocals = np.uint64(2**_RECIPROCAL_BITS) // terms.sum(axis=-1, keepdims=True)
    half = np.uint64(2 ** (_RECIPROCAL_BITS - 16))
    return (terms * reciprocals + half >> np.uint64(_RECIPROCAL_BITS - 15)).astype(np.uint16)


def recognize(
    scores: np.ndarray, table: np.ndarray, threshold: int
) -> tuple[np.ndarray, np.ndarray]:
    """The answer to each image.

    Args:
        scores: int8 array (..., classes).
        table: `exponentials` of the output's scale.
        threshold: probability of the best class, in Q15, from which on it is the answer.

    Returns:
        Two arrays (...): answers, each the first class with the highest score or `NONE_OF_THESE`;
        and the probability of that class, uint16 in Q15, whatever the answer.
    """
    highest = probabilities(scores, table).max(axis=-1)
    return np.where(highest >= threshold, scores.argmax(axis=-1), NONE_OF_THESE), highest
