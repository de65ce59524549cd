# SPDX-License-Identifier: Apache-2.0
"""Runs a float graph with TensorFlow: what the device would compute without rounding.

It takes graphs of `lowering` as well as those of TensorFlow Lite kinds made of them.
"""

import numpy as np
import tensorflow as tf

from keras_micronet.layers.dynamic_shift_max import coefficient_layers
from keras_micronet.quantization.fused_shift_max import coefficient_factors


def run(graph, images):
    """Computes every activation of a float graph.

    Args:
        graph: a float `Graph` of `lowering` or `builtin_operations`.
        images: float32 array `(batch, height, width, channels)` for the
            graph's input.

    Returns:
        A dictionary from tensor names to float32 tensors with `batch` in front.
    """
    values = {graph.inputs[0]: tf.convert_to_tensor(images, tf.float32)}
    for operation in graph.operations:
        values[operation.outputs[0]] = run_operation(graph, operation, values)
    return values


def run_operation(graph, operation, values):
    """Computes the output of one operation.

    Args:
        graph: the float `Graph` that has its constants.
        operation: one of the graph's.
        values: tensors or float32 arrays by name, with `batch` in front: those that it reads.

    Returns:
        A float32 tensor.
    """
    inputs = [
        tf.convert_to_tensor(
            graph.tensors[name].data if graph.tensors[name].is_constant else values[name]
        )
        for name in operation.inputs
    ]
    options = dict(operation.options)
    low, high = options.pop("output_range", (-np.inf, np.inf))
    outputs = _KERNELS[operation.kind](*inputs, **options)
    return tf.clip_by_value(outputs, low, high)


def _activated(values, activation):
    return {"NONE": tf.identity, "RELU": tf.nn.relu, "RELU6": tf.nn.relu6}[activation](values)


def _convolution(images, weights, bias, strides, padding, activation="NONE"):
    # A CPU has no strided depthwise or grouped convolution for every case; correlate per group.
    kernel = tf.transpose(weights, (1, 2, 3, 0))
    groups = images.shape[-1] // kernel.shape[2]
    if padding == "SYMMETRIC":
        padding = _symmetric_padding(kernel.shape[:2])
    parts = [
        tf.nn.conv2d(part, part_kernel, [1, *strides, 1], padding)
        for part, part_kernel in zip(
            tf.split(images, groups, axis=-1), tf.split(kernel, groups, axis=-1), strict=True
        )
    ]
    return _activated(tf.concat(parts, axis=-1) + bias, activation)


def _depthwise(images, weights, bias, strides, padding, activation="NONE", **_):
    kernel = tf.reshape(weights, (*weights.shape[1:3], images.shape[-1], -1))
    if padding == "SYMMETRIC":
        padding = _symmetric_padding(kernel.shape[:2])
    else:
        padding = _explicit_padding(images.shape[1:3], kernel.shape[:2], strides, padding)
    outputs = tf.nn.depthwise_conv2d(images, kernel, [1, 1, 1, 1], padding)
    return _activated(outputs[:, :: strides[0], :: strides[1]] + bias, activation)


def _symmetric_padding(kernel):
    return [[0, 0], *([taps // 2] * 2 for taps in kernel), [0, 0]]


def _explicit_padding(sizes, kernel, strides, padding):
    """Padding for stride 1 such that every stride-th output is one of the strided convolution."""
    amounts = [[0, 0]]
    for size, taps, stride in zip(sizes, kernel, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + taps - size, 0) if padding == "SAME" else 0
        amounts.append([total // 2, total - total // 2])
    return [*amounts, [0, 0]]


def _dense(values, weights, bias, activation="NONE", **_):
    values = tf.reshape(values, (-1, weights.shape[1]))
    return _activated(tf.matmul(values, weights, transpose_b=True) + bias, activation)


def _average_pool(images, filter, strides, padding, activation):
    return _activated(tf.nn.avg_pool2d(images, filter, strides, padding), activation)


def _shift_max(
    images,
    squeeze_weights,
    squeeze_bias,
    excite_weights,
    excite_bias,
    permutation,
    initial_values,
    input_factors=None,
    output_factors=None,
):
    squeezed = _dense(tf.reduce_mean(images, (1, 2)), squeeze_weights, squeeze_bias, "RELU")
    ratios = coefficient_factors(permutation, input_factors, output_factors)
    layers = coefficient_layers(tf.transpose(excite_weights), excite_bias, initial_values)
    coefficients = [
        _broadcast(tf.clip_by_value(squeezed @ each.kernel + each.bias, *each.limits) * ratio, 4)
        for each, ratio in zip(layers, ratios * (len(layers) // 2), strict=True)
    ]
    shifted = tf.gather(images, permutation, axis=-1)
    fusions = [
        a * images + b * shifted for a, b in zip(coefficients[::2], coefficients[1::2], strict=True)
    ]
    return fusions[0] if len(fusions) == 1 else tf.maximum(*fusions)


def _broadcast(values, rank):
    """(batch, channels) as (batch, 1, 1, channels) beside a map."""
    return tf.reshape(values, (-1, 1, 1, values.shape[-1])) if len(values.shape) < rank else values


def _elementwise(function):
    def kernel(first, second, activation="NONE", **_):
        rank = max(len(first.shape), len(second.shape))
        return _activated(function(_broadcast(first, rank), _broadcast(second, rank)), activation)

    return kernel


def _relu6(values, ceilings=6.0):
    return tf.minimum(tf.nn.relu(values), tf.cast(ceilings, values.dtype))


_KERNELS = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "AVERAGE_POOL_2D": _average_pool,
    "ADD": _elementwise(tf.add),
    "MUL": _elementwise(tf.multiply),
    "MAXIMUM": _elementwise(tf.maximum),
    "GLOBAL_AVERAGE_POOL": lambda images: tf.reduce_mean(images, (1, 2), keepdims=True),
    "DYNAMIC_SHIFT_MAX": _shift_max,
    "CHANNEL_PERMUTATION": lambda values, permutation: tf.gather(values, permutation, axis=-1),
    "GATHER": lambda values, indices, axis: tf.gather(values, indices, axis=axis),
    "HARD_SWISH": lambda values: values * tf.nn.relu6(values + 3) / 6,
    "RELU": tf.nn.relu,
    "RELU6": _relu6,
}
