# SPDX-License-Identifier: Apache-2.0
"""From int32 sums to int8: the rounding that all kernels share.

A sum is multiplied by `multiplier / 2**32` and rounded once, halves up. TensorFlow Lite rounds
twice, so that its results differ now and then by one.
"""

import numpy as np
from numpy.typing import ArrayLike

MULTIPLIER_BITS = 32


def integer_multipliers(factors: ArrayLike) -> np.ndarray:
    """Real factors as the integers that `requantize` takes.

    Args:
        factors: array of numbers in [0, 0.5): product scale / output scale.

    Returns:
        int32 array of the same shape.

    Raises:
        ValueError: if a factor is outside the range.
    """
    factors = np.asarray(factors, np.float64)
    multipliers = np.round(factors * 2.0**MULTIPLIER_BITS)
    if not np.all((multipliers >= 0) & (multipliers < 2**31)):
        raise ValueError(
            "Requantization factors must be at least 0 and less than 0.5. "
            f"Received: {factors.min()} to {factors.max()}"
        )
    return multipliers.astype(np.int32)


def requantize(
    sums: np.ndarray,
    multipliers: np.ndarray | int,
    zero_point: int,
    lowest: int = -128,
    highest: int = 127,
) -> np.ndarray:
    """int8 results of int32 sums.

    Args:
        sums: integer array `(..., channels)` of int32 values.
        multipliers: integer array `(channels,)` or one integer.
        zero_point: of the result.
        lowest, highest: limits of the result, within int8.

    Returns:
        int8 array of the shape of `sums`.
    """
    return np.clip(scaled(sums, multipliers) + zero_point, lowest, highest).astype(np.int8)


def scaled(sums: np.ndarray, multipliers: np.ndarray | int) -> np.ndarray:
    """Sums times `multipliers / 2**32`, rounded, halves up: int64 array."""
    sums = np.asarray(sums, np.int64)
    assert np.all(np.abs(sums) < 2**31), "a sum does not fit in int32"
    return (sums * np.asarray(multipliers, np.int64) + 2**31) >> MULTIPLIER_BITS
