# SPDX-License-Identifier: Apache-2.0
"""Dynamic Shift-Max."""

import numpy as np
import tensorflow as tf

from keras_micronet.expressions import reductions, views
from keras_micronet.expressions.permutations import permute_channels

_WIDE_CHANNELS = 64


def shift_max(images: tf.Tensor, coefficients: tf.Tensor, permutation: np.ndarray) -> tf.Tensor:
    """Maximum over fusions of `a * images + b * shifted images`.

    The gradient is written out: the fusion that won receives it (the first one of equals).

    Args:
        images: `(batch, height, width, channels)`.
        coefficients: `(batch, 2 * fusions * channels)` in the dtype of `images`, in the order
            a1, b1 (, a2, b2); 1 or 2 fusions.
        permutation: channel `permutation[i]` of `images` is channel `i` of the shifted images.

    Returns:
        A tensor of the shape of `images`.
    """
    batch, height, width, channels = views.sizes(images)
    factors = coefficients.shape[-1] // channels
    pixels = width if channels < _WIDE_CHANNELS else 1  # that are multiplied at a time

    def rows(maps):
        return tf.reshape(maps, [batch, height * width // pixels, pixels * channels])

    def factor_rows(coefficients):
        per_channel = tf.reshape(coefficients, [batch, factors, 1, channels])
        return tf.unstack(tf.tile(per_channel, [1, 1, 1, pixels]), axis=1)

    def channel_sums(maps):
        sums = tf.reshape(reductions.sum_over_rows(maps), [batch, pixels, channels])
        return tf.reduce_sum(sums, axis=1)

    @tf.custom_gradient
    def fuse(images, coefficients):
        inputs = rows(images)
        shifted = rows(permute_channels(images, permutation))
        row_factors = factor_rows(coefficients)
        own, neighbours = row_factors[::2], row_factors[1::2]
        fused = [a * inputs + b * shifted for a, b in zip(own, neighbours, strict=True)]
        outputs = fused[0] if len(fused) == 1 else tf.maximum(*fused)

        def gradient(upstream):
            shares = _shares(rows(upstream), fused)
            sums = [channel_sums(share * maps) for share in shares for maps in (inputs, shifted)]
            inputs_gradient = _dot(own, shares)
            shifted_gradient = _dot(neighbours, shares)
            shifted_back = permute_channels(
                views.like(shifted_gradient, images), np.argsort(permutation)
            )
            return (
                views.like(inputs_gradient, images) + shifted_back,
                tf.cast(tf.concat(sums, axis=-1), coefficients.dtype),
            )

        return views.like(outputs, images), gradient

    return fuse(images, coefficients)


def _shares(upstream, fused):
    """The part of the upstream gradient that goes to each of the one or two fusions."""
    if len(fused) == 1:
        return [upstream]
    first = tf.where(fused[0] >= fused[1], upstream, tf.zeros([], upstream.dtype))
    return [first, upstream - first]


def _dot(factors, shares):
    products = [factor * share for factor, share in zip(factors, shares, strict=True)]
    return products[0] if len(products) == 1 else products[0] + products[1]
