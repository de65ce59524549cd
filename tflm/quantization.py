"""Attaches TensorFlow Lite's int8 quantization to a float graph.

Activations: asymmetric, one scale and zero point each. Weights: symmetric in
[-127, 127], or [-7, 7] for 4 bits, with one scale for the layer or one for each
output channel. Biases: int32 at the scale of input times weights. Ranges and
formats come from a `keras_micronet.quantization.QuantizeAwareModel`.

Reference: Jacob et al. 2018, arXiv 1712.05877; TensorFlow Lite's 8-bit
quantization specification.
"""

import copy

import ml_dtypes
import numpy as np

from keras_micronet.quantization.schemes import CONVOLUTION, DENSE, WeightRounding
from tflm.graph import Graph, Quantization

_BIAS_LIMIT = 2**30
_SMALLEST_SCALE = 2.0**-27  # kernels hold 6 / scale, the limit of ReLU6, in int32
_HAS_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_WEIGHT_TYPES = {8: np.int8, 4: ml_dtypes.int4}
_COPIES_INTEGERS = ("GATHER", "AVERAGE_POOL_2D", "RELU", "RELU6")


def quantize(graph, ranges, weight_roundings=None):
    """Quantizes a graph.

    Args:
        graph: a float `Graph` of TensorFlow Lite kinds.
        ranges: pair (low, high) of every activation, by name, but of those that
            copy integers and of the operands of a MAXIMUM. Within an option
            `output_range`, where the operation has one.
        weight_roundings: `WeightRounding`s by the name of the layer's output;
            layers without one have 8-bit weights, convolutions with a scale for
            each output channel and dense layers with one scale.

    Returns:
        A new `Graph` with integer constants, int32 biases and a `Quantization`
        on every tensor but indices.

    Raises:
        ValueError: if a range is missing or not finite.
    """
    activations = activation_quantizations(graph, ranges)
    result = Graph(inputs=list(graph.inputs), outputs=list(graph.outputs))
    for name, tensor in graph.tensors.items():
        result.add_tensor(name, tensor.shape, tensor.data, activations.get(name))
    result.operations = copy.deepcopy(graph.operations)
    for operation in result.operations:
        if operation.kind in _HAS_WEIGHTS:
            default = DENSE if operation.kind == "FULLY_CONNECTED" else CONVOLUTION
            rounding = (weight_roundings or {}).get(operation.outputs[0], WeightRounding(default))
            _quantize_constants(result, operation, rounding)
        operation.options.pop("output_range", None)  # from here on, int8's own saturation
    return result


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


def activation_quantizations(graph, ranges):
    """Quantization of every activation, by name.

    Operations that copy integers give their output the quantization of their
    input, and both operands of a maximum take that of its result: what an
    operand loses below the result's range never wins.
    """
    maxima = {
        name: operation.outputs[0]
        for operation in graph.operations
        if operation.kind == "MAXIMUM"
        for name in operation.inputs
    }
    by_name = {name: affine(*_range_of(name, ranges)) for name in graph.inputs}
    for operation in graph.operations:
        output = operation.outputs[0]
        if operation.kind in _COPIES_INTEGERS:
            by_name[output] = by_name[operation.inputs[0]]
        else:
            by_name[output] = affine(*_range_of(maxima.get(output, output), ranges))
    return by_name


def _range_of(name, ranges):
    if name not in ranges:
        raise ValueError(f"Every activation must have a range. Received: no range of {name}")
    return ranges[name]


def _quantize_constants(graph, operation, rounding):
    inputs, weights, bias = (graph.tensors[name] for name in operation.inputs)
    axis = 3 if operation.kind == "DEPTHWISE_CONV_2D" else 0
    input_scale = inputs.quantization.scale[0]
    scales = channel_scales(weights.data, bias.data, axis, input_scale, rounding)
    if not rounding.weight_format.per_channel:
        scales, axis = scales.max(keepdims=True), None
    zeros = np.zeros(len(scales), np.int64)
    weights.quantization = Quantization(scales, zeros, axis)
    limit = rounding.weight_format.limit
    integers = np.clip(weights.quantization.quantize(weights.data), -limit, limit)
    weights.data = integers.astype(_WEIGHT_TYPES[rounding.weight_format.bits])
    bias_axis = None if axis is None else 0
    bias.quantization = Quantization(scales * input_scale, zeros, bias_axis)
    bias.data = bias.quantization.quantize(bias.data, np.int32)


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
