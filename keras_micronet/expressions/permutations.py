# SPDX-License-Identifier: Apache-2.0
"""Permutations of channels."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_micronet.expressions import devices, views

_MATRIX_CHANNELS = 64
_RUN_LENGTH = 8


def permute_channels(images: tf.Tensor, permutation: np.ndarray | Sequence[int]) -> tf.Tensor:
    """Channel `i` of the result is channel `permutation[i]` of `images`.

    On a CPU a gather moves one number at a time. Few channels are permuted several times faster
    by a product with a permutation matrix (exact for finite values), the channel shuffle of many
    by the transposition that it is, and the channel shift of many by copying its runs of
    neighbours. The gradient is the inverse permutation; TensorFlow's own gradient of a gather is
    a scattered addition.

    Args:
        images: `(batch, height, width, channels)`.
        permutation: array of `channels` integers.

    Returns:
        A tensor of the shape of `images`.
    """
    permutation = np.asarray(permutation, np.int32)
    if np.array_equal(permutation, np.arange(permutation.size)):
        return images
    inverse = np.argsort(permutation)

    @tf.custom_gradient
    def permute(images):
        def gradient(upstream):
            return permute_channels(upstream, inverse)

        return _permuted(images, permutation), gradient

    return permute(images)


def _permuted(images, permutation):
    channels = permutation.size
    if channels <= _MATRIX_CHANNELS and devices.matrix_products_are_exact():
        matrix = tf.constant(np.eye(channels)[:, permutation], images.dtype)
        return views.like(tf.matmul(views.pixels(images), matrix), images)
    groups = shuffle_groups(permutation)
    if groups is not None:
        grouped = tf.reshape(images, [-1, groups, channels // groups])
        return views.like(tf.transpose(grouped, [0, 2, 1]), images)
    runs = np.split(permutation, np.flatnonzero(np.diff(permutation) != 1) + 1)
    if len(runs) * _RUN_LENGTH <= channels:
        return tf.concat([images[..., run[0] : run[-1] + 1] for run in runs], axis=-1)
    return tf.gather(images, permutation, axis=-1)


def shuffle_groups(permutation: np.ndarray) -> int | None:
    """The g for which `permutation` is a channel shuffle of g groups, or `None`."""
    channels = permutation.size
    for groups in range(2, channels):
        if channels % groups == 0:
            shuffle = np.arange(channels).reshape(groups, -1).T.flatten()
            if np.array_equal(permutation, shuffle):
                return groups
    return None
