# SPDX-License-Identifier: Apache-2.0
"""Activations and weights in TensorFlow Lite's int8 quantization: scales and integers.

The scales are those of `keras_micronet.quantization.scales`, as in the simulation.
"""

import collections.abc
import dataclasses

import numpy as np
import tensorflow as tf

from keras_micronet.quantization import scales
from keras_micronet.quantization.schemes import WeightRounding
from tflm.graph.graph import Quantization

# The smallest and the largest value of activations, by name.
Ranges = collections.abc.Mapping[str, tuple[float, float]]


def affine(low: float, high: float, least: tf.Tensor | float = 0.0) -> Quantization:
    """The int8 quantization of the smallest range that holds `low`, `high` and 0.

    Args:
        low, high: finite numbers, `low <= high`.
        least: what the scale must be at least.

    Returns:
        A per-tensor `Quantization`; its scale is a float32 value, as files store it.
    """
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ValueError(
            f"A range must be two finite numbers in order. Received: low={low}, high={high}"
        )
    lowest, highest = scales.stored_range(low, high)
    scale = float(scales.activation_scale(lowest, highest, least))
    return Quantization.per_tensor(scale, int(scales.zero_point(lowest, highest)))


def range_of(name: str, ranges: Ranges) -> tuple[float, float]:
    """The range of an activation; `ValueError` names it if there is none."""
    if name not in ranges:
        raise ValueError(f"Every activation must have a range. Received: no range of {name}")
    return ranges[name]


def channel_scales(
    weights: np.ndarray, bias: np.ndarray, axis: int, input_scale: float, rounding: WeightRounding
) -> np.ndarray:
    """Scales that hold each channel's weights in their format and its bias in int32.

    Args:
        weights: float array with the output channels on `axis`.
        bias: float array `(channels,)`.
        axis: of the output channels.
        input_scale: scale of the layer's input.
        rounding: `WeightRounding`.

    Returns:
        float64 array `(channels,)` of float32 values, as files store them; all alike if the
        format has one scale.
    """
    others = tuple(other for other in range(weights.ndim) if other != axis)
    least = scales.least_weight_scales(bias, input_scale)
    largest = np.abs(weights).max(axis=others)
    found = scales.weight_scales(largest, rounding.weight_format, rounding.clipping, least)
    return found.numpy().astype(np.float64)


@dataclasses.dataclass(frozen=True)
class QuantizedLayer:
    """Weights and biases of one layer in integers.

    Attributes:
        weights: int8 array, in the range of its format.
        weight_quantization: of the weights, for each output channel or for the layer.
        biases: int32 array `(channels,)`.
        bias_quantization: of the biases and of the layer's sums, in the same way.
    """

    weights: np.ndarray
    weight_quantization: Quantization
    biases: np.ndarray
    bias_quantization: Quantization


def quantize_layer(
    weights: np.ndarray, bias: np.ndarray, axis: int, input_scale: float, rounding: WeightRounding
) -> QuantizedLayer:
    """Rounds a layer.

    Args:
        weights, bias, axis, input_scale, rounding: as for `channel_scales`.

    Returns:
        A `QuantizedLayer`.
    """
    found = channel_scales(weights, bias, axis, input_scale, rounding)
    weight_axis: int | None = axis
    bias_axis: int | None = 0
    if not rounding.weight_format.per_channel:
        found, weight_axis, bias_axis = found[:1], None, None
    zeros = np.zeros(len(found), np.int64)
    of_weights = Quantization(found, zeros, weight_axis)
    of_biases = Quantization(found * input_scale, zeros, bias_axis)
    limit = rounding.weight_format.limit
    integers = np.clip(of_weights.quantize(weights), -limit, limit)
    return QuantizedLayer(integers, of_weights, of_biases.quantize(bias, np.int32), of_biases)
