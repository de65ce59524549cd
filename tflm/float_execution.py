"""Runs a float graph with TensorFlow: what the device would compute without rounding."""

import numpy as np
import tensorflow as tf


def run(graph, images):
    """Computes every activation of a float graph.

    Args:
        graph: a float `Graph` of TensorFlow Lite kinds (`builtin_operations`).
        images: float32 array `(batch, height, width, channels)` for the
            graph's input.

    Returns:
        A dictionary from tensor names to float32 tensors with `batch` in front.
    """
    values = {graph.inputs[0]: tf.convert_to_tensor(images, tf.float32)}
    for operation in graph.operations:
        inputs = [
            tf.convert_to_tensor(graph.tensors[name].data)
            if graph.tensors[name].is_constant
            else values[name]
            for name in operation.inputs
        ]
        outputs = _KERNELS[operation.kind](*inputs, **operation.options)
        low, high = operation.options.get("output_range", (-np.inf, np.inf))
        values[operation.outputs[0]] = tf.clip_by_value(outputs, low, high)
    return values


def _activated(values, activation):
    return {"NONE": tf.identity, "RELU": tf.nn.relu, "RELU6": tf.nn.relu6}[activation](values)


def _convolution(images, weights, bias, strides, padding, activation, **_):
    # A CPU has no strided depthwise or grouped convolution for every case; correlate per group.
    kernel = tf.transpose(weights, (1, 2, 3, 0))
    groups = images.shape[-1] // kernel.shape[2]
    parts = [
        tf.nn.conv2d(part, part_kernel, [1, *strides, 1], padding)
        for part, part_kernel in zip(
            tf.split(images, groups, axis=-1), tf.split(kernel, groups, axis=-1)
        )
    ]
    return _activated(tf.concat(parts, axis=-1) + bias, activation)


def _depthwise(images, weights, bias, strides, padding, activation, depth_multiplier, **_):
    channels = images.shape[-1]
    kernel = tf.reshape(weights, (*weights.shape[1:3], channels, depth_multiplier))
    padding = _explicit_padding(images.shape[1:3], kernel.shape[:2], strides, padding)
    outputs = tf.nn.depthwise_conv2d(images, kernel, [1, 1, 1, 1], padding)
    return _activated(outputs[:, :: strides[0], :: strides[1]] + bias, activation)


def _explicit_padding(sizes, kernel, strides, padding):
    """Padding for stride 1 such that every stride-th output is one of the strided convolution."""
    amounts = [[0, 0]]
    for size, taps, stride in zip(sizes, kernel, strides):
        total = max((-(-size // stride) - 1) * stride + taps - size, 0) if padding == "SAME" else 0
        amounts.append([total // 2, total - total // 2])
    return [*amounts, [0, 0]]


def _dense(values, weights, bias, activation, **_):
    values = tf.reshape(values, (-1, weights.shape[1]))
    return _activated(tf.matmul(values, weights, transpose_b=True) + bias, activation)


def _average_pool(images, filter, strides, padding, activation):
    return _activated(tf.nn.avg_pool2d(images, filter, strides, padding), activation)


def _broadcast(values, rank):
    """(batch, channels) as (batch, 1, 1, channels) beside a map."""
    return tf.reshape(values, (-1, 1, 1, values.shape[-1])) if len(values.shape) < rank else values


def _elementwise(function):
    def kernel(first, second, activation="NONE", **_):
        rank = max(len(first.shape), len(second.shape))
        return _activated(function(_broadcast(first, rank), _broadcast(second, rank)), activation)

    return kernel


_KERNELS = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "AVERAGE_POOL_2D": _average_pool,
    "ADD": _elementwise(tf.add),
    "MUL": _elementwise(tf.multiply),
    "MAXIMUM": _elementwise(tf.maximum),
    "GATHER": lambda values, indices, axis: tf.gather(values, indices, axis=axis),
    "HARD_SWISH": lambda values: values * tf.nn.relu6(values + 3) / 6,
    "RELU": tf.nn.relu,
    "RELU6": tf.nn.relu6,
}
