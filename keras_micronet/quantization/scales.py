# SPDX-License-Identifier: Apache-2.0
"""Every scale: what one step of the integers stands for that a device stores.

One definition for the simulation and for the export. Arguments are tensors, or numbers and NumPy
arrays in eager code. A scale is as small as the values allow and as large as the kernels need.
"""

from typing import TypeAlias

import numpy as np
import tensorflow as tf

from keras_micronet.quantization.schemes import ACTIVATION_BITS, WeightFormat

# What scales are computed of.
Values: TypeAlias = tf.Tensor | np.ndarray | float

# Products of two, and parts of them, are normal numbers of float32. Smaller values count as 0.
SMALLEST_SCALE = 2.0**-56
MOST_BIAS_STEPS = 2.0**30  # int32 holds as much besides: the products
# Without products beside it, a bias has fewer steps: float32, which simulates, has each of them.
_MOST_STEPS_OF_A_LONE_BIAS = 2.0**22
# In a sum of two maps, of the larger one's scale in the sum's: the fused kernel holds less than 8.
MOST_STEPS_OF_A_TERM = 7.5
# Of the argument's scale in hard-swish's: the builtin kernel holds less than 128.
MOST_STEPS_OF_AN_ARGUMENT = 127.0
# Of the result's scale in that of the sums that it is requantized from: the fused kernels' factors
# stay below a half. Coarser steps lose nothing, the rounding of such weights is the larger error.
LEAST_STEPS_OF_A_SUM = 2.0 * (1 + 2.0**-20)
_STEPS = 2**ACTIVATION_BITS - 1
_LOWEST = -(2.0 ** (ACTIVATION_BITS - 1))


def stored_range(low: Values, high: Values) -> tuple[tf.Tensor, tf.Tensor]:
    """The range that a stored value has: it holds 0, and its steps have some size.

    Args:
        low, high: numbers in order, scalars.

    Returns:
        Two float32 tensors; (0, 1) for a range so narrow that its values count as 0.
    """
    low, high = tf.minimum(_float32(low), 0.0), tf.maximum(_float32(high), 0.0)
    is_zero = high - low < _STEPS * SMALLEST_SCALE
    return tf.where(is_zero, 0.0, low), tf.where(is_zero, 1.0, high)


def activation_scale(low: Values, high: Values, least: Values = 0.0) -> tf.Tensor:
    """Scale of a stored value.

    Args:
        low, high: of `stored_range`.
        least: what the scale must be at least, a scalar.

    Returns:
        A float32 scalar tensor.
    """
    width = tf.cast(high, tf.float64) - tf.cast(low, tf.float64)
    return tf.maximum(_float32(width / _STEPS), _float32(least))


def zero_point(low: Values, high: Values) -> tf.Tensor:
    """The int8 integer that stands for 0, a scalar float32 tensor.

    TensorFlow's FakeQuant computes it in float32 and rounds halves up; it is half a step off as
    often as a range is symmetric.

    Args:
        low, high: of `stored_range`; a larger scale leaves the zero point where it is.
    """
    low, high = _float32(low), _float32(high)
    return tf.floor(-low / ((high - low) / _STEPS) + 0.5) + _LOWEST


def least_scale_of_sums(product_scales: Values) -> tf.Tensor:
    """The least scale of a value that fused kernels requantize from sums with these scales."""
    return tf.reduce_max(product_scales) * LEAST_STEPS_OF_A_SUM


def least_weight_scales(bias: Values, input_scale: Values) -> tf.Tensor:
    """The scales at which the biases of a layer fit in int32, `(channels,)`.

    Args:
        bias: `(channels,)`.
        input_scale: of the layer's input, scalar.
    """
    return tf.abs(_float32(bias)) / (_float32(input_scale) * MOST_BIAS_STEPS)


def weight_ends(
    largest: Values,
    weight_format: WeightFormat,
    clipping: Values = 1.0,
    least: Values | None = None,
    factors: Values = 1.0,
) -> tf.Tensor:
    """The ends of the ranges of a layer's weights.

    A channel of zeros has the scale that its bias needs, and one without a bias the smallest.

    Args:
        largest: magnitude of the largest weight of each channel, `(channels,)`.
        weight_format: `schemes.WeightFormat`.
        clipping: where the range ends, as a fraction of the largest weight, of each
            channel `(channels,)` or of the layer `(1,)`.
        least: `least_weight_scales`, or `None`.
        factors: positive, by which a device multiplies each channel's weights before rounding.

    Returns:
        float32 tensor `(channels,)`, all alike times `factors` if the layer has one scale.
    """
    largest = _float32(largest)
    ends = largest * _float32(clipping)
    if least is not None:
        is_zero = (largest if weight_format.per_channel else tf.reduce_max(largest)) == 0.0
        coarser = tf.where(is_zero, MOST_BIAS_STEPS / _MOST_STEPS_OF_A_LONE_BIAS, 1.0)
        ends = tf.maximum(ends, least * coarser * weight_format.limit)
    if not weight_format.per_channel:
        ends = tf.reduce_max(ends * factors) / factors * tf.ones_like(ends)
    return tf.maximum(ends, SMALLEST_SCALE * weight_format.limit)


def weight_scales(
    largest: Values,
    weight_format: WeightFormat,
    clipping: Values = 1.0,
    least: Values | None = None,
) -> tf.Tensor:
    """Scales of a layer's weights, float32 tensor `(channels,)`; arguments as of `weight_ends`."""
    return weight_ends(largest, weight_format, clipping, least) / weight_format.limit


def _float32(values):
    return tf.cast(values, tf.float32)
