# SPDX-License-Identifier: Apache-2.0
"""Rounding that integer kernels, TensorFlow Lite's and this project's, do on the way to int8.

Simulated at inference, so that a model's answers are those of the device; while
training it would be noise beside the rounding to int8 that follows.
"""

import math

import tensorflow as tf

from keras_micronet.quantization.scales import Values

_MOST_FRACTION_BITS = 12  # float32 holds 8 bits of an integer and as many of its fraction


def requantized(values: tf.Tensor, product_scale: Values, scale: Values) -> tf.Tensor:
    """Values a little off, as the kernels' two roundings leave them.

    A sum of products is multiplied by a 31-bit fraction, rounded, and shifted to
    the right with another rounding, which moves halves away from 0.

    Args:
        values: float tensor.
        product_scale: what one unit of the sums of products stands for, a scalar
            or `(channels,)`.
        scale: what one unit of the result stands for, a scalar.

    Returns:
        A tensor that rounds to what the kernels' integers stand for.
    """
    multiplier = tf.maximum(product_scale / scale, 2.0**-_MOST_FRACTION_BITS)
    fraction_bits = tf.maximum(-(tf.floor(tf.math.log(multiplier) / math.log(2.0)) + 1.0), 0.0)
    unit = scale * 2.0**-fraction_bits
    rounded = tf.floor(tf.math.divide_no_nan(values, unit) + 0.5) * unit
    return rounded + tf.sign(rounded) * unit / 4


def requantized_once(values: tf.Tensor, product_scale: Values, scale: Values) -> tf.Tensor:
    """Values as the fused kernels round sums of products: once, halves up.

    A sum is an integer of products, which float32 has nearly: it is rounded to that integer before
    the requantization, so that what lies near a half falls to the device's side of it.

    Args:
        values, product_scale, scale: as for `requantized`.

    Returns:
        A tensor of multiples of `scale`.
    """
    unit, scale = tf.cast(product_scale, tf.float64), tf.cast(scale, tf.float64)
    sums = tf.round(tf.math.divide_no_nan(tf.cast(values, tf.float64), unit))
    multiplier = tf.round(unit / scale * 2.0**32) * 2.0**-32
    return tf.cast(tf.floor(sums * multiplier + 0.5) * scale, values.dtype)


def averaged(values: tf.Tensor, scale: Values, zero_point: Values) -> tf.Tensor:
    """Means a little off, so that halves round away from the integer 0.

    Args:
        values: float tensor of means of integers' values.
        scale, zero_point: of the integers, scalars.

    Returns:
        A tensor that rounds to what the kernel's integers stand for.
    """
    integers = tf.math.divide_no_nan(values, scale) + zero_point
    return values + tf.sign(integers) * scale * 2.0**-_MOST_FRACTION_BITS
