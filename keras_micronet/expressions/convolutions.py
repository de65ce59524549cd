# SPDX-License-Identifier: Apache-2.0
"""Convolutions with symmetric padding of half the kernel on each convolved axis.

Each takes an optional bias `(out_channels,)`, which is added where TensorFlow can fuse it, except
with a depthwise convolution.
"""

from collections.abc import Sequence

import tensorflow as tf

from keras_micronet.expressions import devices, kernels, views

_PACKED_CHANNELS = 32
_PACKED_ROW_OUTPUTS = 8
_DENSE_ROW_OUTPUTS = 24
_DENSE_PRODUCT = 60_000


def convolution(
    images: tf.Tensor,
    kernel: tf.Tensor,
    strides: Sequence[int] = (1, 1),
    bias: tf.Tensor | None = None,
) -> tf.Tensor:
    """Dense convolution.

    Args:
        images: `(batch, height, width, in_channels)`.
        kernel: `(kernel_height, kernel_width, in_channels, out_channels)`.
        strides: rows and columns between outputs.
        bias: `(out_channels,)` or `None`.

    Returns:
        `(batch, ceil(height / strides[0]), ceil(width / strides[1]), out_channels)`
        for odd kernels.
    """
    if kernel.shape[1] == 1 and strides[1] == 1:
        return _packed_column_convolution(images, kernel, strides[0], bias)
    height, width = kernel.shape[0] // 2, kernel.shape[1] // 2
    padding = [[0, 0], [height, height], [width, width], [0, 0]]
    return _with_bias(tf.nn.conv2d(images, kernel, [1, *strides, 1], padding), bias)


def pointwise_convolution(
    images: tf.Tensor, kernel: tf.Tensor, groups: int, bias: tf.Tensor | None = None
) -> tf.Tensor:
    """Grouped 1x1 convolution.

    Args:
        images: `(batch, height, width, in_channels)`.
        kernel: `(1, 1, in_channels / groups, out_channels)`.
        groups: number of channel groups, which divides both channel counts.
        bias: `(out_channels,)` or `None`.

    Returns:
        `(batch, height, width, out_channels)`.
    """
    batch, height, width, channels = views.sizes(images)
    outputs = kernel.shape[-1]
    if groups > 1 and channels * outputs > _DENSE_PRODUCT:
        product = _with_bias(_grouped_product(views.pixels(images), kernel, groups), bias)
    else:
        matrix = kernels.block_diagonal(kernel, groups)[0, 0]
        product = _with_bias(tf.matmul(views.pixels(images), matrix), bias)
    return tf.reshape(product, [batch, height, width, outputs])


def depthwise_convolution(
    images: tf.Tensor,
    kernel: tf.Tensor,
    strides: Sequence[int] = (1, 1),
    bias: tf.Tensor | None = None,
) -> tf.Tensor:
    """Depthwise convolution.

    Args:
        images: `(batch, height, width, channels)`.
        kernel: `(kernel_height, kernel_width, channels, depth_multiplier)`.
        strides: rows and columns between outputs, of any two values.
        bias: `(channels * depth_multiplier,)` or `None`.

    Returns:
        `(batch, ceil(height / strides[0]), ceil(width / strides[1]),
        channels * depth_multiplier)` for odd kernels; the outputs of one input channel are
        neighbours.
    """
    if kernel.shape[1] == 1 and strides[1] == 1:
        return _column_convolution(images, kernel, strides[0], bias)
    if kernel.shape[0] == 1 and strides[0] == 1:
        if kernel.shape[2] * kernel.shape[3] <= _DENSE_ROW_OUTPUTS:
            return _dense_row_convolution(images, kernel, strides[1], bias)
        return _row_convolution(images, kernel, strides[1], bias)
    stride = strides[0] if strides[0] == strides[1] else 1
    padding = [[0, 0], *([size // 2] * 2 for size in kernel.shape[:2]), [0, 0]]
    outputs = _equally_strided_depthwise(images, kernel, stride, padding)
    if strides[0] != strides[1]:
        outputs = outputs[:, :: strides[0], :: strides[1]]
    return _with_unfused_bias(outputs, bias, views.sizes(outputs))


def _packed_column_convolution(images, kernel, stride, bias):
    """k x 1 convolution: neighbouring pixels of a row serve as one of more channels."""
    batch, height, width, channels = views.sizes(images)
    half, outputs = kernel.shape[0] // 2, kernel.shape[-1]
    count = views.packing(images.shape[2], max(channels, outputs), _PACKED_CHANNELS)
    convolved = tf.nn.conv2d(
        tf.reshape(images, [batch, height, width // count, count * channels]),
        kernels.packed(kernel, count),
        [1, stride, 1, 1],
        [[0, 0], [half, half], [0, 0], [0, 0]],
    )
    convolved = _with_bias(convolved, _tiled(bias, count))
    return tf.reshape(convolved, [batch, -(-height // stride), width, outputs])


def _grouped_product(matrix, kernel, groups):
    """`matrix` times the grouped kernel, group by group."""
    inputs, outputs = kernel.shape[2:]
    factors = tf.reshape(kernel, [inputs, groups, outputs // groups])
    grouped = tf.reshape(matrix, [-1, groups, inputs])
    products = tf.matmul(tf.transpose(grouped, [1, 0, 2]), tf.transpose(factors, [1, 0, 2]))
    return tf.reshape(tf.transpose(products, [1, 0, 2]), [-1, outputs])


def _column_convolution(images, kernel, stride, bias):
    """k x 1 depthwise convolution: whole rows serve as channels, so that strides are equal."""
    batch, height, width, channels = views.sizes(images)
    outputs = channels * kernel.shape[3]
    signals = tf.reshape(images, [batch, height, 1, width * channels])
    convolved = _one_axis_convolution(signals, tf.tile(kernel, [1, 1, width, 1]), stride)
    return _with_unfused_bias(convolved, bias, [batch, -(-height // stride), width, outputs])


def _row_convolution(images, kernel, stride, bias):
    """1 x k depthwise convolution: every row is an image of its own, so that strides are equal."""
    batch, height, width, channels = views.sizes(images)
    outputs = channels * kernel.shape[3]
    signals = tf.reshape(images, [-1, width, 1, channels])
    convolved = _one_axis_convolution(signals, tf.transpose(kernel, [1, 0, 2, 3]), stride)
    return _with_unfused_bias(convolved, bias, [batch, height, -(-width // stride), outputs])


def _one_axis_convolution(signals, kernel, stride):
    half = kernel.shape[0] // 2
    padding = [[0, 0], [half, half], [0, 0], [0, 0]]
    return _equally_strided_depthwise(signals, kernel, stride, padding)


def _equally_strided_depthwise(images, kernel, stride, padding):
    multiplier = kernel.shape[3]
    if multiplier > 1 and devices.only_cpus():
        # oneDNN, with which TensorFlow computes on recent processors, is five to fourteen times as
        # slow with several outputs of a channel; without it the detour costs some per cent.
        images = tf.repeat(images, multiplier, axis=-1)
        kernel = tf.reshape(kernel, [*kernel.shape[:2], -1, 1])
    return tf.nn.depthwise_conv2d(images, kernel, [1, stride, stride, 1], padding)


def _dense_row_convolution(images, kernel, stride, bias):
    """1 x k depthwise convolution of few channels: a dense one over packed pixels."""
    batch, height, width, channels = views.sizes(images)
    outputs = channels * kernel.shape[3]
    new_width = -(-width // stride)
    count = 1
    if images.shape[2] is not None and width % stride == 0:
        count = views.packing(new_width, outputs, _PACKED_ROW_OUTPUTS)
        packed_stride = 1
        signals = tf.reshape(images, [batch, height, new_width // count, count * stride * channels])
        dense, padding = kernels.dense_row_kernel(kernel, stride, count)
    else:
        packed_stride = stride
        signals = images
        dense, padding = kernels.dense_row_kernel(kernel, 1, 1)
    convolved = tf.nn.conv2d(
        signals, dense, [1, 1, packed_stride, 1], [[0, 0], [0, 0], list(padding), [0, 0]]
    )
    convolved = _with_bias(convolved, _tiled(bias, count))
    return tf.reshape(convolved, [batch, height, new_width, outputs])


def _tiled(bias, count):
    return bias if bias is None else tf.tile(bias, [count])


def _with_unfused_bias(outputs, bias, shape):
    """Gives a depthwise convolution's outputs their shape, and a bias if there is one.

    The bias is added to a list of pixels: where oneDNN is on, TensorFlow 2.21 would fuse it with
    the convolution itself, lose the sizes of the padding and abort the process.
    """
    if bias is not None:
        outputs = tf.nn.bias_add(tf.reshape(outputs, [-1, shape[-1]]), bias)
    return tf.reshape(outputs, shape)


def _with_bias(outputs, bias):
    return outputs if bias is None else tf.nn.bias_add(outputs, bias)
