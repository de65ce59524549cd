# SPDX-License-Identifier: Apache-2.0
"""Kernels of grouped and depthwise convolutions spread out into dense ones.

A dense convolution has no grouped structure to respect, so it runs at the speed of a matrix
product; while channels are few, multiplying by the zeros between the groups costs less than
TensorFlow's grouped convolutions lose. The kernels are built by the graph, so that training
reaches the weights inside them.
"""

import numpy as np
import tensorflow as tf


def block_diagonal(kernel: tf.Tensor, groups: int) -> tf.Tensor:
    """The dense 1x1 kernel `(1, 1, in_channels, out_channels)` of a grouped one."""
    if groups == 1:
        return kernel
    inputs_per_group, outputs = kernel.shape[2:]
    group_of_output = np.arange(outputs) // (outputs // groups)
    same_group = np.arange(groups)[:, np.newaxis, np.newaxis] == group_of_output
    spread = kernel[0] * tf.constant(same_group, kernel.dtype)
    return tf.reshape(spread, [1, 1, groups * inputs_per_group, outputs])


def packed(kernel: tf.Tensor, count: int) -> tf.Tensor:
    """The k x 1 kernel that treats `count` neighbouring pixels of a row as one pixel.

    Args:
        kernel: `(kernel_height, 1, in_channels, out_channels)`.

    Returns:
        `(kernel_height, 1, count * in_channels, count * out_channels)`.
    """
    if count == 1:
        return kernel
    height, _, inputs, outputs = kernel.shape
    same_pixel = np.eye(count)[:, np.newaxis, :, np.newaxis]
    tiled = tf.reshape(kernel, [height, 1, inputs, 1, outputs])
    spread = tiled * tf.constant(same_pixel, kernel.dtype)
    return tf.reshape(spread, [height, 1, count * inputs, count * outputs])


def dense_row_kernel(
    kernel: tf.Tensor, stride: int, count: int
) -> tuple[tf.Tensor, tuple[int, int]]:
    """The dense kernel of a 1 x k depthwise convolution over packed pixels.

    `count` outputs of a row become one packed output, and the `count * stride` inputs they start
    from one packed input, so that the dense convolution has a stride of 1.

    Args:
        kernel: `(1, kernel_width, channels, depth_multiplier)`.

    Returns:
        The kernel `(1, packed_width, count * stride * channels,
        count * channels * depth_multiplier)`, and the packed pixels of zeros that it needs to
        the left and to the right of each row.
    """
    _, width, channels, multiplier = kernel.shape
    packed_inputs = stride * count
    source = (stride * np.arange(count) - width // 2) + np.arange(width)[:, np.newaxis]
    left, right = -(source.min() // packed_inputs), source.max() // packed_inputs
    packed_width = left + right + 1
    position = source + left * packed_inputs
    taps = np.arange(packed_width * packed_inputs)[:, np.newaxis, np.newaxis] == position
    # Axes: packed input, tap, packed output; then the taps are summed out.
    spread = tf.tensordot(tf.constant(taps.transpose(0, 2, 1), kernel.dtype), kernel[0], axes=1)
    diagonal = tf.constant(np.eye(channels)[:, np.newaxis, :, np.newaxis], kernel.dtype)
    dense = spread[:, tf.newaxis] * diagonal
    shape = [1, packed_width, packed_inputs * channels, count * channels * multiplier]
    return tf.reshape(dense, shape), (left, right)
