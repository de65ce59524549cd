# SPDX-License-Identifier: Apache-2.0
"""Every scale, worked out by hand; the simulation's FakeQuant agrees with the zero points."""

import numpy as np
import pytest
import tensorflow as tf

from keras_micronet.quantization import scales
from keras_micronet.quantization.quantizers import ActivationQuantizer, WeightQuantizer
from keras_micronet.quantization.schemes import WeightFormat

PER_TENSOR, PER_CHANNEL = (WeightFormat(8, per_channel) for per_channel in (False, True))


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((-1, 3), (-1, 3)),
        ((2, 5), (0, 5)),
        ((-5, -2), (-5, 0)),
        ((0, 0), (0, 1)),
        ((-1e-9, 1e-9), (-1e-9, 1e-9)),  # tiny values have all their steps
        ((0, 1e-18), (0, 1)),  # and these count as 0
    ],
)
def test_range(ends, expected):
    np.testing.assert_allclose(scales.stored_range(*ends), expected, rtol=1e-7)


def test_activation_scale():
    assert float(scales.activation_scale(-1.0, 4.1)) == pytest.approx(0.02, rel=1e-7)
    assert float(scales.activation_scale(-1.0, 4.1, least=0.03)) == np.float32(0.03)


@pytest.mark.parametrize("seed", range(3))
def test_zero_points_are_those_of_the_rounding(seed):
    """Halfway between two integers as well, where each rule has its own answer: FakeQuant's."""
    generator = np.random.default_rng(seed)
    highs = generator.uniform(0.1, 9, 40).astype(np.float32)
    lows = -generator.uniform(0.1, 9, 40).astype(np.float32)
    # Symmetric ranges have a zero point of -1/2, and -126.5 / 255 : 128.5 / 255 one of -3/2.
    lows[:15], lows[15:30] = -highs[:15], -highs[15:30] * np.float32(126.5 / 128.5)
    for low, high in zip(lows, highs, strict=True):
        lowest = tf.quantization.fake_quant_with_min_max_vars(np.float32([-99.0]), low, high)
        scale = (np.float64(high) - np.float64(low)) / 255
        expected = -128 - np.round(lowest.numpy()[0] / scale)
        assert float(scales.zero_point(low, high)) == expected, (low, high)


def test_biases_fit_in_int32_with_room_for_sums():
    """2^30 steps of 0.5 * 2^-20 are 512."""
    least = scales.least_weight_scales(np.array([512.0, -1024.0, 0.0]), 0.5)
    np.testing.assert_allclose(least, [2.0**-20, 2.0**-19, 0.0])


@pytest.mark.parametrize(
    ("weight_format", "largest", "least", "expected"),
    [
        (PER_CHANNEL, [1.27, 0.0, 12.7], None, [0.01, scales.SMALLEST_SCALE, 0.1]),
        # A bias has 2^30 steps beside products, and 2^22 where there are none.
        (PER_CHANNEL, [1.27, 0.0, 12.7], [0.02, 0.03, 0.0], [0.02, 0.03 * 2**8, 0.1]),
        # A row of zeros has no say in the one scale of a layer, but for its bias.
        (PER_TENSOR, [1.27e-4, 0.0, 0.0], None, [1e-6] * 3),
        (PER_TENSOR, [1.27e-4, 0.0, 0.0], [0.0, 3e-6, 0.0], [3e-6] * 3),
        (PER_TENSOR, [0.0, 0.0, 0.0], None, [scales.SMALLEST_SCALE] * 3),
        (PER_TENSOR, [0.0, 0.0, 0.0], [1e-3, 0.0, 2e-3], [2e-3 * 2**8] * 3),
        (WeightFormat(4, True), [0.7, 0.0, 0.7], [0.2, 0.3, 0.0], [0.2, 0.3 * 2**8, 0.1]),
    ],
)
def test_weight_scales(weight_format, largest, least, expected):
    least = None if least is None else tf.constant(least)
    actual = scales.weight_scales(np.array(largest), weight_format, least=least)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_clipping_comes_before_the_bias():
    least = tf.constant([0.15, 0.0])
    actual = scales.weight_scales([1.4, 1.4], WeightFormat(4, True), [0.5, 1.0], least)
    np.testing.assert_allclose(actual, [0.15, 0.2], rtol=1e-6)


def test_quantizer_of_weights_has_these_scales():
    kernel = tf.constant([[1.27, 0.0], [-0.5, 0.0]])
    quantizer = WeightQuantizer(PER_CHANNEL, 2)
    least = tf.constant([0.1, 0.5])
    np.testing.assert_allclose(quantizer.scale(kernel, least), [0.1, 128.0], rtol=1e-6)
    rounded = quantizer.call(kernel, least=least)
    np.testing.assert_allclose(rounded, [[1.3, 0], [-0.5, 0]], rtol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_larger_scale_of_an_activation(training):
    """Steps of 0.5 instead of 0.02: the range grows with them, its zero point stays."""
    quantizer = ActivationQuantizer()
    quantizer.is_frozen = True
    quantizer.range = (-1.0, 4.1)
    values = tf.constant([-1.3, 0.2, 0.3, 1.0, 50.0, 1000.0, -1000.0])
    outputs = quantizer.call(values, training, tf.constant(0.5))
    expected = [-1.5, 0, 0.5, 1.0, 50.0, 205 * 0.5, -50 * 0.5]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5)
