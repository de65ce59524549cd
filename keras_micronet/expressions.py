"""How the library's few operations are written in TensorFlow: speed lives here and nowhere else.

TensorFlow's own grouped and depthwise convolutions are either missing (gradients of grouped
convolutions, strides that differ by axis) or several times too slow on a CPU without oneDNN or XLA.
Each function below computes exactly the operation it names, by the expression that measured
fastest; `benchmarks/` holds the measurements. Images are channels-last throughout.
"""

import numpy as np
import tensorflow as tf


def convolution(images, kernel, strides=(1, 1)):
    """Dense convolution with symmetric padding of half the kernel on each convolved axis.

    Args:
        images: `(batch, height, width, in_channels)`.
        kernel: `(kernel_height, kernel_width, in_channels, out_channels)`.
        strides: rows and columns between outputs.

    Returns:
        `(batch, ceil(height / strides[0]), ceil(width / strides[1]), out_channels)`
        for odd kernels.
    """
    height, width = kernel.shape[0] // 2, kernel.shape[1] // 2
    padding = [[0, 0], [height, height], [width, width], [0, 0]]
    return tf.nn.conv2d(images, kernel, [1, *strides, 1], padding)


def pointwise_convolution(images, kernel, groups):
    """Grouped 1x1 convolution.

    Args:
        images: `(batch, height, width, in_channels)`.
        kernel: `(1, 1, in_channels / groups, out_channels)`.
        groups: number of channel groups, which divides both channel counts.

    Returns:
        `(batch, height, width, out_channels)`.
    """
    return convolution(images, block_diagonal_kernel(kernel, groups))


def block_diagonal_kernel(kernel, groups):
    """The dense 1x1 kernel `(1, 1, in_channels, out_channels)` of a grouped one."""
    if groups == 1:
        return kernel
    inputs_per_group, outputs = kernel.shape[2:]
    group_of_input = np.arange(groups * inputs_per_group) // inputs_per_group
    group_of_output = np.arange(outputs) // (outputs // groups)
    same_group = group_of_input[:, np.newaxis] == group_of_output
    return tf.tile(kernel, [1, 1, groups, 1]) * tf.cast(same_group, kernel.dtype)


def depthwise_convolution(images, kernel, strides=(1, 1)):
    """Depthwise convolution with symmetric padding of half the kernel on each convolved axis.

    Args:
        images: `(batch, height, width, channels)`.
        kernel: `(kernel_height, kernel_width, channels, depth_multiplier)`.
        strides: rows and columns between outputs, of any two values.

    Returns:
        `(batch, ceil(height / strides[0]), ceil(width / strides[1]),
        channels * depth_multiplier)` for odd kernels; the outputs of one input channel are
        neighbours.
    """
    if kernel.shape[1] == 1 and strides[1] == 1:
        return _column_convolution(images, kernel, strides[0])
    if kernel.shape[0] == 1 and strides[0] == 1:
        return _row_convolution(images, kernel, strides[1])
    stride = strides[0] if strides[0] == strides[1] else 1
    padding = [[0, 0], *([size // 2] * 2 for size in kernel.shape[:2]), [0, 0]]
    outputs = tf.nn.depthwise_conv2d(images, kernel, [1, stride, stride, 1], padding)
    if strides[0] != strides[1]:
        outputs = outputs[:, :: strides[0], :: strides[1]]
    return outputs


def _column_convolution(images, kernel, stride):
    """k x 1 depthwise convolution: whole rows serve as channels, so that strides are equal."""
    shape = tf.shape(images)
    channels, multiplier = kernel.shape[2:]
    width = images.shape[2] if images.shape[2] is not None else shape[2]
    height = images.shape[1] if images.shape[1] is not None else shape[1]
    rows = tf.reshape(images, [shape[0], height, 1, width * channels])
    row_kernel = tf.tile(kernel, [1, 1, width, 1])
    outputs = _one_axis_convolution(rows, row_kernel, stride)
    new_height = -(-height // stride)
    return tf.reshape(outputs, [shape[0], new_height, width, channels * multiplier])


def _row_convolution(images, kernel, stride):
    """1 x k depthwise convolution: every row is an image of its own, so that strides are equal."""
    shape = tf.shape(images)
    channels, multiplier = kernel.shape[2:]
    width = images.shape[2] if images.shape[2] is not None else shape[2]
    height = images.shape[1] if images.shape[1] is not None else shape[1]
    columns = tf.reshape(images, [shape[0] * height, width, 1, channels])
    outputs = _one_axis_convolution(columns, tf.transpose(kernel, [1, 0, 2, 3]), stride)
    new_width = -(-width // stride)
    return tf.reshape(outputs, [shape[0], height, new_width, channels * multiplier])


def _one_axis_convolution(signals, kernel, stride):
    half = kernel.shape[0] // 2
    padding = [[0, 0], [half, half], [0, 0], [0, 0]]
    return tf.nn.depthwise_conv2d(signals, kernel, [1, stride, stride, 1], padding)


def permute_channels(images, permutation):
    """Channel `i` of the result is channel `permutation[i]` of `images`.

    The gradient is the inverse permutation; TensorFlow's own gradient of a gather is a slow
    scatter-add that is not deterministic on a GPU.
    """
    permutation = np.asarray(permutation, np.int32)
    if np.array_equal(permutation, np.arange(permutation.size)):
        return images
    inverse = np.argsort(permutation)

    @tf.custom_gradient
    def permute(images):
        def gradient(upstream):
            return permute_channels(upstream, inverse)

        return tf.gather(images, permutation, axis=-1), gradient

    return permute(images)


def shift_max(images, coefficients, permutation):
    """Maximum over fusions of `a * images + b * shifted images` (Equation 5 of the paper).

    Args:
        images: `(batch, height, width, channels)`.
        coefficients: `(batch, 2 * fusions * channels)`, in the order a1, b1 (, a2, b2).
        permutation: channel `permutation[i]` of `images` is channel `i` of the shifted images.

    Returns:
        A tensor of the shape of `images`.
    """
    channels = images.shape[-1]
    fusions = coefficients.shape[-1] // (2 * channels)
    shape = [-1, 1, 1, channels]
    shifted = permute_channels(images, permutation)
    factors = [tf.reshape(part, shape) for part in tf.split(coefficients, 2 * fusions, axis=-1)]
    fused = [a * images + b * shifted for a, b in zip(factors[::2], factors[1::2])]
    return fused[0] if fusions == 1 else tf.maximum(*fused)
