# SPDX-License-Identifier: Apache-2.0
"""The layers' mathematics written a second time, with PyTorch's operations and plain loops.

Nothing here calls the library or TensorFlow. Images are float64 NumPy arrays,
channels-last; kernels are in Keras's layout.
"""

import numpy as np
import torch

EPSILON = 1e-5


def convolution(images, kernel, strides=(1, 1), groups=1):
    """Convolution padded by half the kernel on both sides; kernel (kh, kw, in / groups, out)."""
    height, width = kernel.shape[:2]
    outputs = torch.nn.functional.conv2d(
        torch.tensor(np.asarray(images, np.float64).transpose(0, 3, 1, 2)),
        torch.tensor(np.asarray(kernel, np.float64).transpose(3, 2, 0, 1)),
        stride=tuple(strides),
        padding=(height // 2, width // 2),
        groups=groups,
    )
    return outputs.numpy().transpose(0, 2, 3, 1)


def depthwise_convolution(images, kernel, strides=(1, 1)):
    """Depthwise convolution; kernel (kh, kw, channels, multiplier), multiples are neighbours."""
    height, width, channels, multiplier = kernel.shape
    grouped = np.asarray(kernel).reshape(height, width, 1, channels * multiplier)
    return convolution(images, grouped, strides, groups=channels)


def normalize(images, gamma, beta, mean, variance):
    """Batch normalization with given statistics."""
    gamma, beta, mean, variance = (
        np.asarray(value, np.float64) for value in (gamma, beta, mean, variance)
    )
    return (images - mean) / np.sqrt(variance + EPSILON) * gamma + beta


def batch_statistics(images):
    """Mean and biased variance of each channel over batch and positions."""
    return images.mean(axis=(0, 1, 2)), images.var(axis=(0, 1, 2))


def shuffle(images, groups):
    """The release's channel shuffle: view as (groups, C / groups), transpose, flatten."""
    batch, height, width, channels = images.shape
    view = images.reshape(batch, height, width, groups, channels // groups)
    return np.swapaxes(view, 3, 4).reshape(images.shape)


def hard_sigmoid(values):
    """h-sigmoid of the MobileNetV3 paper."""
    return np.clip(values + 3.0, 0.0, 6.0) / 6.0


def relu6(values):
    """Values clipped to [0, 6]."""
    return np.clip(values, 0.0, 6.0)


def shift_max(images, groups, fusions, initial_a, initial_b, squeeze, excite):
    """Dynamic Shift-Max, one channel after another (Equations 5 to 7 of the paper).

    Args:
        images: `(batch, height, width, channels)`.
        groups: G of the circular shift.
        fusions: K.
        initial_a, initial_b: K numbers each.
        squeeze, excite: (kernel, bias) of the two dense layers.
    """
    images = np.asarray(images, np.float64)
    batch, _, _, channels = images.shape
    columns = channels // groups
    outputs = np.empty_like(images)
    for sample in range(batch):
        pooled = images[sample].mean(axis=(0, 1))
        hidden = np.maximum(pooled @ np.asarray(squeeze[0]) + np.asarray(squeeze[1]), 0.0)
        dynamic = hard_sigmoid(hidden @ np.asarray(excite[0]) + np.asarray(excite[1]))
        dynamic = (dynamic - 0.5) * 4.0
        for channel in range(channels):
            row, column = divmod(channel, columns)
            source = (row + 1) % groups * columns + (column + 1) % columns
            fused = []
            for fusion in range(fusions):
                a = initial_a[fusion] + dynamic[2 * fusion * channels + channel]
                b = initial_b[fusion] + dynamic[(2 * fusion + 1) * channels + channel]
                fused.append(a * images[sample, ..., channel] + b * images[sample, ..., source])
            outputs[sample, ..., channel] = np.max(fused, axis=0)
    return outputs


def normalized_convolution(images, layer, depthwise=False, groups=1):
    """What a convolution layer of the library does at inference, from its weights alone."""
    apply = depthwise_convolution if depthwise else convolution
    options = {} if depthwise else {"groups": groups}
    outputs = apply(images, np.array(layer.kernel), layer.strides, **options)
    return normalize(outputs, *normalization_weights(layer))


def normalization_weights(layer):
    """gamma, beta, mean and variance of a layer's batch normalization."""
    normalization = layer.batch_normalization
    return tuple(
        np.array(value, np.float64)
        for value in (
            normalization.gamma,
            normalization.beta,
            normalization.moving_mean,
            normalization.moving_variance,
        )
    )


def dense_weights(layer):
    """Kernel and bias of a dense layer."""
    return np.array(layer.kernel, np.float64), np.array(layer.bias, np.float64)
