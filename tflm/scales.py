"""Activations and weights in TensorFlow Lite's int8 quantization: scales and integers."""

import dataclasses

import numpy as np

from tflm.graph import Quantization

_BIAS_LIMIT = 2**30
_SMALLEST_SCALE = 2.0**-27  # kernels hold 6 / scale, the limit of ReLU6, in int32


def affine(low, high):
    """The int8 quantization of the smallest range that holds `low`, `high` and 0.

    Args:
        low, high: finite numbers, `low <= high`.

    Returns:
        A per-tensor `Quantization`; its scale is a float32 value, as files store it.
    """
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ValueError(
            f"A range must be two finite numbers in order. Received: low={low}, high={high}"
        )
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        high = 1.0
    scale = max(float(np.float32((high - low) / 255.0)), _SMALLEST_SCALE)
    zero_point = int(np.clip(np.round(-128 - low / scale), -128, 127))
    return Quantization.per_tensor(scale, zero_point)


def range_of(name, ranges):
    """The range of an activation; `ValueError` names it if there is none."""
    if name not in ranges:
        raise ValueError(f"Every activation must have a range. Received: no range of {name}")
    return ranges[name]


def channel_scales(weights, bias, axis, input_scale, rounding):
    """Scales that hold each channel's weights in their format and its bias in int32.

    Args:
        weights: float array with the output channels on `axis`.
        bias: float array `(channels,)`.
        axis: of the output channels.
        input_scale: scale of the layer's input.
        rounding: `WeightRounding`.

    Returns:
        float64 array `(channels,)` of float32 values, as files store them.
    """
    others = tuple(other for other in range(weights.ndim) if other != axis)
    limit = rounding.weight_format.limit
    largest = np.abs(weights).max(axis=others).astype(np.float64) * rounding.clipping
    for_weights = largest / limit
    for_bias = np.abs(bias).astype(np.float64) / (input_scale * _BIAS_LIMIT)
    scales = np.maximum(for_weights, for_bias)
    scales[scales < np.finfo(np.float32).tiny] = 1.0 / limit  # a channel of zeros
    return scales.astype(np.float32).astype(np.float64)


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


def quantize_layer(weights, bias, axis, input_scale, rounding):
    """Rounds a layer.

    Args:
        weights, bias, axis, input_scale, rounding: as for `channel_scales`.

    Returns:
        A `QuantizedLayer`.
    """
    scales, bias_axis = channel_scales(weights, bias, axis, input_scale, rounding), 0
    if not rounding.weight_format.per_channel:
        scales, axis, bias_axis = scales.max(keepdims=True), None, None
    zeros = np.zeros(len(scales), np.int64)
    of_weights = Quantization(scales, zeros, axis)
    of_biases = Quantization(scales * input_scale, zeros, bias_axis)
    limit = rounding.weight_format.limit
    integers = np.clip(of_weights.quantize(weights), -limit, limit)
    return QuantizedLayer(integers, of_weights, of_biases.quantize(bias, np.int32), of_biases)
