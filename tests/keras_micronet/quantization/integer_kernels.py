# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite's int8 kernels a second time, in NumPy's integers (as gemmlowp defines them)."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Affine:
    """real = scale * (integer - zero point), integers in [-128, 127]."""

    scale: float
    zero_point: int

    @classmethod
    def of_range(cls, low, high):
        """The int8 quantization of a range around 0."""
        scale = (high - low) / 255
        return cls(scale, int(np.round(-128 - low / scale)))

    def quantize(self, values):
        integers = np.floor(np.asarray(values) / self.scale + 0.5) + self.zero_point
        return np.clip(integers, -128, 127).astype(np.int64)

    def dequantize(self, integers):
        return self.scale * (integers - self.zero_point)


def quantized_weights(kernel, axis=None):
    """Integers in [-127, 127] and scales, one or one for each channel."""
    scales = np.abs(kernel).max(axis=axis) / 127
    return np.round(kernel / scales).astype(np.int64), scales


def quantized_bias(bias, scale):
    return np.round(bias / scale).astype(np.int64)


def requantize(sums, multiplier):
    """`sums` times `multiplier`: by a 31-bit fraction, then shifted; both steps round.

    Args:
        sums: int64 array of int32 values.
        multiplier: positive number.
    """
    fraction, exponent = math.frexp(multiplier)
    fraction = int(np.round(fraction * 2**31))
    if fraction == 2**31:
        fraction, exponent = fraction // 2, exponent + 1
    product = (sums << max(exponent, 0)) * fraction
    high = (product + 2**30) >> 31  # halves go up
    shift = max(-exponent, 0)
    remainder = high & ((1 << shift) - 1)
    threshold = (((1 << shift) - 1) >> 1) + (high < 0)
    return (high >> shift) + (remainder > threshold)  # halves go away from 0


def store(sums, multiplier, output, limits=(-np.inf, np.inf)):
    """int8 of int32 `sums`, `multiplier` steps of `output` each, within real `limits`."""
    multipliers = np.broadcast_to(multiplier, sums.shape[-1:])
    columns = [requantize(sums[..., i], value) for i, value in enumerate(multipliers)]
    integers = np.stack(columns, axis=-1) + output.zero_point
    low, high = (np.round(limit / output.scale) + output.zero_point for limit in limits)
    return np.clip(integers, max(low, -128), min(high, 127)).astype(np.int64)


def average(integers, axis):
    """Mean of int8 integers; halves go away from 0."""
    sums, count = integers.sum(axis=axis), np.prod([integers.shape[i] for i in axis])
    return np.sign(sums) * ((np.abs(sums) + count // 2) // count)
