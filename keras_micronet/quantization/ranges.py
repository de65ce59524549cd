# SPDX-License-Identifier: Apache-2.0
"""Ranges that lose least: narrower than the extremes where these are rare."""

import numpy as np

from keras_micronet.quantization.calibration import Observation
from keras_micronet.quantization.schemes import ACTIVATION_BITS, WeightFormat

_OUTLIERS = 1e-4
_FRACTIONS = np.linspace(0.3, 1.0, 36)  # of the distance from 0 to an extreme


def least_error_range(observation: Observation) -> tuple[float, float]:
    """The range around 0 with the least mean squared error of rounding and clipping.

    Args:
        observation: `calibration.Observation`.

    Returns:
        A pair (low, high), low <= 0 <= high.
    """
    low, high = min(observation.low, 0.0), max(observation.high, 0.0)
    centres, counts = observation.centres, observation.counts.astype(np.float64)
    # The error below 0 and the error above it depend on one end each, the rounding on both.
    lows, highs = low * _FRACTIONS, high * _FRACTIONS
    below = _squared_excess(-centres, -lows, counts)
    above = _squared_excess(centres, highs, counts)
    steps = (highs[np.newaxis] - lows[:, np.newaxis]) / (2**ACTIVATION_BITS - 1)
    errors = below[:, np.newaxis] + above[np.newaxis] + counts.sum() * steps**2 / 12
    best_low, best_high = np.unravel_index(np.argmin(errors), errors.shape)
    return float(lows[best_low]), float(highs[best_high])


def extreme_range(observation: Observation) -> tuple[float, float]:
    """The range around 0 of everything that was observed."""
    return min(observation.low, 0.0), max(observation.high, 0.0)


def percentile_range(observation: Observation) -> tuple[float, float]:
    """The range around 0 without the ten-thousandth part of the values at either end."""
    parts = np.cumsum(observation.counts) / observation.counts.sum()
    first = np.searchsorted(parts, _OUTLIERS)
    last = np.searchsorted(parts, 1 - _OUTLIERS)
    return float(min(observation.centres[first], 0.0)), float(max(observation.centres[last], 0.0))


def channel_ranges(
    lows: np.ndarray, highs: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each channel by itself the range around 0 with the least error.

    Args:
        lows, highs: `(channels,)`, the smallest and largest of each channel, around 0.
        counts: `(channels, bins)`, how many values lie in each of equal intervals between.

    Returns:
        Two arrays `(channels,)`: the lows and the highs.
    """
    edges = np.linspace(0, 1, counts.shape[1] + 1)
    centres = lows[:, np.newaxis] + (highs - lows)[:, np.newaxis] * (edges[:-1] + edges[1:]) / 2
    counts = counts.astype(np.float64)
    below = [_squared_excess_of_channels(-centres, -lows * part, counts) for part in _FRACTIONS]
    above = [_squared_excess_of_channels(centres, highs * part, counts) for part in _FRACTIONS]
    widths = (
        highs * _FRACTIONS[np.newaxis, :, np.newaxis] - lows * _FRACTIONS[:, np.newaxis, np.newaxis]
    )
    steps = widths / (2**ACTIVATION_BITS - 1)
    errors = (
        np.array(below)[:, np.newaxis]
        + np.array(above)[np.newaxis]
        + counts.sum(axis=1) * steps**2 / 12
    )
    best = errors.reshape(-1, len(lows)).argmin(axis=0)
    best_low, best_high = np.unravel_index(best, errors.shape[:2])
    return lows * _FRACTIONS[best_low], highs * _FRACTIONS[best_high]


RANGE_RULES = {
    "least_error": least_error_range,
    "percentile": percentile_range,
    "extremes": extreme_range,
}


def least_error_clipping(
    matrix: np.ndarray, weight_format: WeightFormat, input_mean_squares: np.ndarray
) -> np.ndarray:
    """How far the range of a dense layer's weights reaches best.

    Args:
        matrix: float array `(inputs, outputs)`, folded.
        weight_format: `schemes.WeightFormat`.
        input_mean_squares: `(inputs,)`: an error in a weight counts as much as
            its input is large.

    Returns:
        Fractions of the largest weight of each output, `(outputs,)`, or of all,
        `(1,)`.
    """
    importance = np.reshape(input_mean_squares, (-1, 1))
    axis = 0 if weight_format.per_channel else None
    largest = np.abs(matrix).max(axis=axis, keepdims=True)
    largest = np.where(largest > 0, largest, 1.0)
    errors = []
    for fraction in _FRACTIONS:
        scale = largest * fraction / weight_format.limit
        integers = np.clip(np.round(matrix / scale), -weight_format.limit, weight_format.limit)
        errors.append(np.sum((integers * scale - matrix) ** 2 * importance, axis=axis))
    return np.atleast_1d(_FRACTIONS[np.argmin(errors, axis=0)])


def _squared_excess(values, ends, counts):
    """For each end the sum of the squares by which values exceed it."""
    excess = np.maximum(values - ends[:, np.newaxis], 0.0)
    return (excess**2) @ counts


def _squared_excess_of_channels(values, ends, counts):
    """For each channel the sum of the squares by which values exceed its end."""
    excess = np.maximum(values - ends[:, np.newaxis], 0.0)
    return np.sum(excess**2 * counts, axis=1)
