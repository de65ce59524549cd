# SPDX-License-Identifier: Apache-2.0
"""Simulated rounding of the kernels, against the kernels in integers."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_micronet.quantization.integer_arithmetic import averaged, requantized
from tests.keras_micronet.quantization import integer_kernels
from tests.keras_micronet.quantization.integer_kernels import Affine


@pytest.mark.parametrize(
    ("sums", "multiplier", "expected"),
    [
        # A quarter is 0.5 / 2. Times 0.5: 0.5, 1, 1.5, 3, -0.5, -1, -3; halves go up.
        # That is 1, 1, 2, 3, 0, -1, -3; halves of it go away from 0.
        ([1, 2, 3, 6, -1, -2, -6], 0.25, [1, 1, 1, 2, 0, -1, -2]),
        # A third is 2/3 / 2. Times 2/3: 0.67, 1.33, 2, -0.67, -1.33, -2.67.
        ([1, 2, 3, -1, -2, -4], 1 / 3, [1, 1, 1, -1, -1, -2]),
        # 0.9 is not shifted: 4.5 is a little less in 31 bits than in truth.
        ([1, 4, 6, -6], 0.9, [1, 4, 5, -5]),
        ([3, -7], 2.0, [6, -14]),
    ],
)
def test_the_kernels_by_hand(sums, multiplier, expected):
    actual = integer_kernels.requantize(np.array(sums), multiplier)
    np.testing.assert_array_equal(actual, expected)


def rounded(values, scale):
    """What the rounding to int8 makes of simulated values: integers."""
    return np.floor(np.asarray(values, np.float64) / scale + 0.5).astype(int)


# Irrational numbers, whose multiples are hardly ever halves, and powers of two, exact in float32.
IRRATIONAL = [math.sqrt(3), *(math.sqrt(3) * 0.5**shift for shift in range(1, 12))]
EXACT = [0.5, 0.25, 0.125, 2.0**-6, 2.0**-10]


@pytest.mark.parametrize(
    ("multiplier", "scale"),
    [*((value, 0.0371) for value in IRRATIONAL), *((value, 1.0) for value in EXACT)],
)
def test_requantized_sums(multiplier, scale):
    """Of all sums whose result is an int8."""
    limit = int(127 / multiplier)
    sums = np.unique(np.linspace(-limit, limit, 20001).astype(int))
    product_scale = np.float32(multiplier * scale)
    simulated = requantized(
        tf.constant(sums * product_scale, tf.float32), product_scale, np.float32(scale)
    )
    expected = integer_kernels.requantize(sums, float(product_scale) / float(np.float32(scale)))
    differing = rounded(simulated, np.float32(scale)) != expected
    if multiplier in EXACT:
        assert not np.any(differing)
    else:  # a product that float32 cannot tell from a half may go either way
        assert np.mean(differing) < 0.001
    if multiplier < 0.5:
        plain = rounded(sums * multiplier * scale, scale)
        assert np.mean(plain != expected) > 10 * np.mean(differing), "one rounding must not do"


def test_channels_have_multipliers_of_their_own():
    multipliers = np.array([0.3137, 0.02137, 0.9137], np.float32)
    sums = np.arange(-120, 121)[:, np.newaxis] * [1, 15, 1]
    simulated = requantized(tf.constant(sums * multipliers, tf.float32), multipliers, 1.0)
    for channel, multiplier in enumerate(multipliers):
        expected = integer_kernels.requantize(sums[:, channel], float(multiplier))
        actual = rounded(simulated[:, channel], 1.0)
        assert np.mean(actual != expected) < 0.01


@pytest.mark.parametrize("count", [2, 3, 4, 49])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.0, 6.0), (-5.0, 0.0)])
def test_averaged_integers(count, low, high):
    affine = Affine.of_range(low, high)
    integers = np.random.default_rng(0).integers(-128, 128, (4000, count))
    means = affine.dequantize(integers).mean(axis=1)
    simulated = averaged(tf.constant(means, tf.float32), affine.scale, float(affine.zero_point))
    actual = rounded(simulated, affine.scale) + affine.zero_point
    np.testing.assert_array_equal(actual, integer_kernels.average(integers, (1,)))


def test_halves_of_means_go_away_from_the_integer_zero():
    """The zero point is part of the integers: real means may go either way."""
    means = np.array([-0.5, 0.5, 9.5, 10.5, 11.5])  # integers -10.5, -9.5, -0.5, 0.5, 1.5
    simulated = averaged(tf.constant(means, tf.float32), 1.0, -10.0)
    np.testing.assert_array_equal(rounded(simulated, 1.0) - 10, [-11, -10, -1, 1, 2])


def test_nothing_is_divided_by_a_range_without_width():
    zeros = tf.zeros(3)
    assert np.all(np.isfinite(requantized(zeros, 0.1, 1.0)))
    assert np.all(np.isfinite(averaged(zeros, 0.0, 0.0)))
