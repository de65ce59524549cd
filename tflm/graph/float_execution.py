# SPDX-License-Identifier: Apache-2.0
"""Runs a float graph with TensorFlow: what the device would compute without rounding.

It takes graphs of `lowering` as well as those of TensorFlow Lite kinds made of them.
"""

import collections.abc
import typing

import numpy as np
import tensorflow as tf

from keras_micronet.layers.dynamic_shift_max import coefficient_layers
from keras_micronet.quantization.fused_shift_max import coefficient_factors
from tflm.graph.graph import Graph, Operation

_Kernel = collections.abc.Callable[..., tf.Tensor]


def run(graph: Graph, images: np.ndarray) -> dict[str, tf.Tensor]:
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


def run_operation(
    graph: Graph, operation: Operation, values: collections.abc.Mapping[str, tf.Tensor | np.ndarray]
) -> tf.Tensor:
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


def _activated(values: tf.Tensor, activation: str) -> tf.Tensor:
    return {"NONE": tf.identity, "RELU": tf.nn.relu, "RELU6": tf.nn.relu6}[activation](values)


def _convolution(
    images: tf.Tensor,
    weights: tf.Tensor,
    bias: tf.Tensor,
    strides: collections.abc.Sequence[int],
    padding: str,
    activation: str = "NONE",
) -> tf.Tensor:
    # A CPU has no strided depthwise or grouped convolution for every case; correlate per group.
    kernel = tf.transpose(weights, (1, 2, 3, 0))
    groups = images.shape[-1] // kernel.shape[2]
    margins = _symmetric_padding(kernel.shape[:2]) if padding == "SYMMETRIC" else padding
    parts = [
        tf.nn.conv2d(part, part_kernel, [1, *strides, 1], margins)
        for part, part_kernel in zip(
            tf.split(images, groups, axis=-1), tf.split(kernel, groups, axis=-1), strict=True
        )
    ]
    return _activated(tf.concat(parts, axis=-1) + bias, activation)


def _depthwise(
    images: tf.Tensor,
    weights: tf.Tensor,
    bias: tf.Tensor,
    strides: collections.abc.Sequence[int],
    padding: str,
    activation: str = "NONE",
    **_: typing.Any,
) -> tf.Tensor:
    kernel = tf.reshape(weights, (*weights.shape[1:3], images.shape[-1], -1))
    if padding == "SYMMETRIC":
        margins = _symmetric_padding(kernel.shape[:2])
    else:
        margins = _explicit_padding(images.shape[1:3], kernel.shape[:2], strides, padding)
    outputs = tf.nn.depthwise_conv2d(images, kernel, [1, 1, 1, 1], margins)
    return _activated(outputs[:, :: strides[0], :: strides[1]] + bias, activation)


def _symmetric_padding(kernel: collections.abc.Iterable[int]) -> list[list[int]]:
    return [[0, 0], *([taps // 2] * 2 for taps in kernel), [0, 0]]


def _explicit_padding(
    sizes: collections.abc.Iterable[int],
    kernel: collections.abc.Iterable[int],
    strides: collections.abc.Sequence[int],
    padding: str,
) -> list[list[int]]:
    """Padding for stride 1 such that every stride-th output is one of the strided convolution."""
    amounts = [[0, 0]]
    for size, taps, stride in zip(sizes, kernel, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + taps - size, 0) if padding == "SAME" else 0
        amounts.append([total // 2, total - total // 2])
    return [*amounts, [0, 0]]


def _dense(
    values: tf.Tensor,
    weights: tf.Tensor,
    bias: tf.Tensor,
    activation: str = "NONE",
    **_: typing.Any,
) -> tf.Tensor:
    values = tf.reshape(values, (-1, weights.shape[1]))
    return _activated(tf.matmul(values, weights, transpose_b=True) + bias, activation)


def _average_pool(
    images: tf.Tensor,
    filter: collections.abc.Sequence[int],
    strides: collections.abc.Sequence[int],
    padding: str,
    activation: str,
) -> tf.Tensor:
    return _activated(tf.nn.avg_pool2d(images, filter, strides, padding), activation)


def _shift_max(
    images: tf.Tensor,
    squeeze_weights: tf.Tensor,
    squeeze_bias: tf.Tensor,
    excite_weights: tf.Tensor,
    excite_bias: tf.Tensor,
    permutation: np.ndarray,
    initial_values: collections.abc.Sequence[float],
    input_factors: np.ndarray | None = None,
    output_factors: np.ndarray | None = None,
) -> tf.Tensor:
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


def _broadcast(values: tf.Tensor, rank: int) -> tf.Tensor:
    """(batch, channels) as (batch, 1, 1, channels) beside a map."""
    return tf.reshape(values, (-1, 1, 1, values.shape[-1])) if len(values.shape) < rank else values


def _elementwise(function: _Kernel) -> _Kernel:
    def kernel(
        first: tf.Tensor, second: tf.Tensor, activation: str = "NONE", **_: typing.Any
    ) -> tf.Tensor:
        rank = max(len(first.shape), len(second.shape))
        return _activated(function(_broadcast(first, rank), _broadcast(second, rank)), activation)

    return kernel


def _relu6(values: tf.Tensor, ceilings: np.ndarray | float = 6.0) -> tf.Tensor:
    return tf.minimum(tf.nn.relu(values), tf.cast(ceilings, values.dtype))


_KERNELS: dict[str, _Kernel] = {
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
