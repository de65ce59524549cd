"""Attaches TensorFlow Lite's int8 quantization to a float graph.

Activations: asymmetric, one scale and zero point each. Weights: symmetric in
[-127, 127], one scale for each output channel of a convolution and one for a
whole dense layer, unless it is named in `per_channel_dense` (`dense_scales`
chooses): a scale for each output takes 12 bytes in the file and 8 of RAM.
Biases: int32 at the scale of input times weights.

Reference: Jacob et al. 2018, arXiv 1712.05877; TensorFlow Lite's 8-bit
quantization specification.
"""

import copy

import numpy as np

from tflm.graph import Graph, Quantization

_WEIGHT_LIMIT = 127
_BIAS_LIMIT = 2**30
_SMALLEST_SCALE = 2.0**-27  # kernels hold 6 / scale, the limit of ReLU6, in int32
_HAS_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_COPIES_INTEGERS = ("GATHER", "AVERAGE_POOL_2D", "RELU", "RELU6")


def quantize(graph, observations, per_channel_dense=()):
    """Quantizes a graph.

    Args:
        graph: a float `Graph` of TensorFlow Lite kinds.
        observations: an `Observation` of every activation, by name
            (`calibration.observe`).
        per_channel_dense: names of the outputs of the dense layers that keep a
            scale for each output.

    Returns:
        A new `Graph` with int8 constants, int32 biases and a `Quantization` on
        every tensor but indices.

    Raises:
        ValueError: if an observation is missing or its range is not finite.
    """
    activations = activation_quantizations(graph, observations)
    result = Graph(inputs=list(graph.inputs), outputs=list(graph.outputs))
    for name, tensor in graph.tensors.items():
        result.add_tensor(name, tensor.shape, tensor.data, activations.get(name))
    result.operations = copy.deepcopy(graph.operations)
    for operation in result.operations:
        if operation.kind in _HAS_WEIGHTS:
            is_dense = operation.kind == "FULLY_CONNECTED"
            per_tensor = is_dense and operation.outputs[0] not in per_channel_dense
            _quantize_constants(result, operation, per_tensor)
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


def activation_quantizations(graph, observations):
    """Quantization of every activation, by name.

    Operations that copy integers give their output the quantization of their
    input, and both operands of a maximum take that of its result: what an
    operand loses below the result's range never wins.
    """
    by_name = {}
    for name in graph.inputs:
        by_name[name] = affine(*_range_of(name, observations))
    for operation in graph.operations:
        output = operation.outputs[0]
        if operation.kind in _COPIES_INTEGERS:
            by_name[output] = by_name[operation.inputs[0]]
        else:
            low, high = operation.options.get("output_range") or _range_of(output, observations)
            by_name[output] = affine(low, high)
        if operation.kind == "MAXIMUM":
            for name in operation.inputs:
                by_name[name] = by_name[output]
    return by_name


def _range_of(name, observations):
    if name not in observations:
        raise ValueError(f"Every activation must be observed. Received: no observation of {name}")
    return observations[name].low, observations[name].high


def _quantize_constants(graph, operation, per_tensor):
    inputs, weights, bias = (graph.tensors[name] for name in operation.inputs)
    axis = 3 if operation.kind == "DEPTHWISE_CONV_2D" else 0
    input_scale = inputs.quantization.scale[0]
    scales = channel_scales(weights.data, bias.data, axis, input_scale)
    if per_tensor:
        scales, axis = scales.max(keepdims=True), None
    zeros = np.zeros(len(scales), np.int64)
    weights.quantization = Quantization(scales, zeros, axis)
    limit = _WEIGHT_LIMIT
    weights.data = np.clip(weights.quantization.quantize(weights.data), -limit, limit)
    bias_axis = None if axis is None else 0
    bias.quantization = Quantization(scales * input_scale, zeros, bias_axis)
    bias.data = bias.quantization.quantize(bias.data, np.int32)


def channel_scales(weights, bias, axis, input_scale):
    """Scales that hold each channel's weights in int8 and its bias in int32.

    Args:
        weights: float array with the output channels on `axis`.
        bias: float array `(channels,)`.
        axis: of the output channels.
        input_scale: scale of the layer's input.

    Returns:
        float64 array `(channels,)` of float32 values, as files store them.
    """
    others = tuple(other for other in range(weights.ndim) if other != axis)
    for_weights = np.abs(weights).max(axis=others).astype(np.float64) / _WEIGHT_LIMIT
    for_bias = np.abs(bias).astype(np.float64) / (input_scale * _BIAS_LIMIT)
    scales = np.maximum(for_weights, for_bias)
    scales[scales < np.finfo(np.float32).tiny] = 1.0 / _WEIGHT_LIMIT  # a channel of zeros
    return scales.astype(np.float32).astype(np.float64)
