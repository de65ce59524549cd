# SPDX-License-Identifier: Apache-2.0
"""Rounding against TensorFlow Lite's definition of int8, worked out by hand or in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_micronet.quantization.quantizers import ActivationQuantizer, WeightQuantizer
from keras_micronet.quantization.schemes import WeightFormat

FORMATS = [WeightFormat(bits, per_channel) for bits in (8, 4) for per_channel in (False, True)]
FORMAT_NAMES = [
    f"{weight_format.bits}_bits_{'per_channel' if weight_format.per_channel else 'per_tensor'}"
    for weight_format in FORMATS
]


def activation_quantizer(low, high):
    quantizer = ActivationQuantizer()
    quantizer.range = (low, high)
    return quantizer


def rounded_asymmetric(values, low, high):
    """The int8 definition: real = scale * (integer - zero point), integers in [-128, 127]."""
    scale = (high - low) / 255
    zero_point = np.round(-128 - low / scale)
    integers = np.clip(np.round(values / scale) + zero_point, -128, 127)
    return scale * (integers - zero_point)


def rounded_symmetric(kernel, limit, per_channel, scale=None):
    """real = scale * integer, integers in [-limit, limit], the largest weight at the end."""
    factors = np.ones(kernel.shape[-1]) if scale is None else np.abs(scale)
    scaled = kernel * factors
    axes = tuple(range(kernel.ndim - 1)) if per_channel else None
    step = np.abs(scaled).max(axis=axes) / limit
    return np.round(scaled / step) * step / factors


def gradient(function, values):
    values = tf.constant(values, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = function(values)
    return tape.gradient(outputs, values).numpy()


@pytest.mark.parametrize(
    ("low", "high", "table"),
    [
        # Scale 1: integers stay, halves go up, what is outside becomes the end.
        (-128, 127, {-500: -128, -128: -128, -1.6: -2, 0: 0, 0.5: 1, 3.4: 3, 127: 127, 128: 127}),
        (0, 255, {-1: 0, 0: 0, 100.4: 100, 255: 255, 300: 255}),
        # Scale 6/255 = 2/85.
        (0, 6, {-0.1: 0, 0: 0, 0.01: 0, 0.012: 2 / 85, 3: 128 * 2 / 85, 6: 6, 7: 6}),
        (-6, 0, {0.1: 0, 0: 0, -0.012: -2 / 85, -6: -6, -7: -6}),
        # Scale 4/255 puts 0 at 63.75 steps from the low end; it is moved to 64 so that 0 is exact,
        # and the range becomes [-64, 191] steps.
        (-1, 3, {0: 0, -1: -64 * 4 / 255, -2: -64 * 4 / 255, 3: 191 * 4 / 255, 1: 64 * 4 / 255}),
        # A range is widened to hold 0: 0..5.1 and -5.1..0 have a scale of 0.02.
        (2, 5.1, {0: 0, 1.0: 1.0, 1.011: 1.02, 6: 5.1}),
        (-5.1, -2, {0: 0, -1.0: -1.0, 1: 0, -6: -5.1}),
    ],
)
def test_table_of_activations(low, high, table):
    quantizer = activation_quantizer(low, high)
    outputs = quantizer(tf.constant(list(table), tf.float32)).numpy()
    np.testing.assert_allclose(outputs, list(table.values()), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("low", "high"), [(-1, 3), (0, 6), (-6, 0), (-0.37, 1.91), (-700, 2), (0, 1e-3)]
)
def test_activations_against_the_definition(low, high):
    width = high - low
    values = np.random.default_rng(1).uniform(low - width / 5, high + width / 5, 5000)
    outputs = activation_quantizer(low, high)(tf.constant(values, tf.float32)).numpy()
    expected = rounded_asymmetric(values, low, high)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6 * width)
    assert len(np.unique(outputs)) == 256


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((-1, 3), (-1, 3)),
        ((2, 5), (0, 5)),
        ((-5, -2), (-5, 0)),
        ((0, 0), (0, 1)),  # of a value that is always 0: steps must have some size
    ],
)
def test_range_holds_zero(ends, expected):
    assert activation_quantizer(*ends).range == expected


def test_half_precision_values_stay_half():
    quantizer = activation_quantizer(-128, 127)
    outputs = quantizer.call(tf.constant([1.25, -3.75], tf.float16))
    assert outputs.dtype == tf.float16
    np.testing.assert_array_equal(outputs, [1, -4])


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (-128, 127, 1, 0),
        (0, 6, 6 / 255, -128),
        (-6, 0, 6 / 255, 127),
        (-1, 3, 4 / 255, -64),  # -128 + 255 / 4 = -64.25
        (0, 0, 1 / 255, -128),
    ],
)
def test_scale_and_zero_point(low, high, scale, zero_point):
    quantizer = activation_quantizer(low, high)
    assert float(quantizer.scale) == pytest.approx(scale, rel=1e-6)
    assert float(quantizer.zero_point) == zero_point


@pytest.mark.parametrize("training", [False, True])
def test_gradient_passes_activations_within_the_range(training):
    """Range (-1, 3) ends at -1.0039 and 2.9961: see the table above."""
    values = [-1.5, -1.005, -1.003, 0.0, 0.0171, 2.995, 2.997, 100.0]
    quantizer = activation_quantizer(-1, 3)
    quantizer.is_frozen = True
    actual = gradient(lambda inputs: quantizer(inputs, training=training), values)
    np.testing.assert_array_equal(actual, [0, 0, 1, 1, 1, 1, 0, 0])


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        # From (-1, 3), by a thousandth of the distance to the batch's own range.
        ([-11.0, 0.5, 5.0], (-1.01, 3.002)),
        ([-0.5, 2.0], (-0.9995, 2.999)),
        ([4.0, 7.0], (-0.999, 3.004)),  # the batch's range holds 0: low is 0, not 4
        ([-7.0, -4.0], (-1.006, 2.997)),
    ],
)
def test_training_moves_a_range(batch, expected):
    quantizer = activation_quantizer(-1, 3)
    quantizer(tf.constant(batch), training=True)
    assert quantizer.range == pytest.approx(expected, rel=1e-6)


def test_many_steps_follow_an_exponential():
    quantizer = activation_quantizer(0, 1)
    for _ in range(100):
        quantizer(tf.constant([-2.0, 3.0]), training=True)
    left = 0.999**100
    assert quantizer.range == pytest.approx((-2 + 2 * left, 3 - 2 * left), rel=1e-4)


@pytest.mark.parametrize(("training", "is_frozen"), [(False, False), (True, True), (None, False)])
def test_otherwise_a_range_stays(training, is_frozen):
    quantizer = activation_quantizer(-1, 3)
    quantizer.is_frozen = is_frozen
    quantizer(tf.constant([-50.0, 50.0]), training=training)
    assert quantizer.range == (-1, 3)


def test_ranges_are_not_trained_by_gradients():
    assert activation_quantizer(-1, 3).trainable_variables == []


TABLE = np.array([[1.27, -0.50, 0.004], [-0.126, 0.25, -0.02], [0.0, 0.1249, 0.03]])


@pytest.mark.parametrize(
    ("weight_format", "expected"),
    [
        # Per tensor: 1.27 is 127 steps of 0.01.
        (WeightFormat(8, False), [[1.27, -0.5, 0.0], [-0.13, 0.25, -0.02], [0, 0.12, 0.03]]),
        # Per channel: steps of 0.01, 0.5/127 and 0.03/127.
        (
            WeightFormat(8, True),
            [
                [1.27, -0.5, 17 * 0.03 / 127],
                [-0.13, 64 * 0.5 / 127, -85 * 0.03 / 127],
                [0, 32 * 0.5 / 127, 0.03],
            ],
        ),
        # Per tensor, 4 bits: steps of 1.27/7 = 0.181.
        (
            WeightFormat(4, False),
            [[1.27, -3 * 1.27 / 7, 0], [-1.27 / 7, 1.27 / 7, 0], [0, 1.27 / 7, 0]],
        ),
        # Per channel: steps of 0.181, 0.0714 and 0.00429.
        (
            WeightFormat(4, True),
            [
                [1.27, -0.5, 0.03 / 7],
                [-1.27 / 7, 4 * 0.5 / 7, -5 * 0.03 / 7],
                [0, 2 * 0.5 / 7, 0.03],
            ],
        ),
    ],
    ids=["8_per_tensor", "8_per_channel", "4_per_tensor", "4_per_channel"],
)
def test_table_of_weights(weight_format, expected):
    outputs = WeightQuantizer(weight_format, 3).call(tf.constant(TABLE, tf.float32)).numpy()
    np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("weight_format", FORMATS, ids=FORMAT_NAMES)
@pytest.mark.parametrize("scale", [None, [0.5, -3.0, 0.01, 1.7]], ids=["plain", "scaled"])
@pytest.mark.parametrize("shape", [(60, 4), (3, 3, 5, 4)], ids=["dense", "convolution"])
def test_weights_against_the_definition(weight_format, scale, shape):
    kernel = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    scale_tensor = None if scale is None else tf.constant(scale)
    outputs = WeightQuantizer(weight_format, 4).call(tf.constant(kernel), scale_tensor).numpy()
    limit = {8: 127, 4: 7}[weight_format.bits]
    expected = rounded_symmetric(kernel, limit, weight_format.per_channel, scale)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("weight_format", FORMATS, ids=FORMAT_NAMES)
def test_rounding_with_a_scale_is_rounding_the_scaled_kernel(weight_format):
    generator = np.random.default_rng(3)
    kernel = tf.constant(generator.standard_normal((50, 6)), tf.float32)
    scale = tf.constant([1.0, -0.2, 4.0, 0.03, 2.5, -9.0])
    quantizer = WeightQuantizer(weight_format, 6)
    if quantizer.clipping is not None:
        quantizer.clipping.assign(np.linspace(0.5, 1, quantizer.clipping.shape[0]))
    before = quantizer.call(kernel, scale)
    afterwards = quantizer.call(kernel * scale) / scale
    np.testing.assert_allclose(before, afterwards, rtol=1e-5, atol=1e-7)


def test_channel_that_is_multiplied_by_zero():
    """It is zero on the device whatever its weights are, and takes no range from the others."""
    kernel = tf.constant([[1.27, 90.0], [-0.5, -4.0]])
    quantizer = WeightQuantizer(WeightFormat(8, per_channel=False), 2)
    outputs = quantizer.call(kernel, tf.constant([1.0, 0.0])).numpy()
    np.testing.assert_allclose(outputs[:, 0], [1.27, -0.5], rtol=1e-6)
    assert np.all(np.isfinite(outputs))


@pytest.mark.parametrize(
    ("weight_format", "expected"),
    [
        (WeightFormat(8, False), [1.27 / 127] * 3),
        (WeightFormat(8, True), [1.27 / 127, 0.5 / 127, 0.03 / 127]),
        (WeightFormat(4, False), [0.5 * 1.27 / 7] * 3),
        (WeightFormat(4, True), [0.5 * 1.27 / 7, 0.5 * 0.5 / 7, 0.5 * 0.03 / 7]),
    ],
    ids=["8_per_tensor", "8_per_channel", "4_per_tensor", "4_per_channel"],
)
def test_scale_of_weights(weight_format, expected):
    """Clipping, which 4 bits have, is part of it."""
    quantizer = WeightQuantizer(weight_format, 3)
    if quantizer.clipping is not None:
        quantizer.clipping.assign(np.full(quantizer.clipping.shape, 0.5))
    scales = quantizer.scale(tf.constant(TABLE, tf.float32))
    np.testing.assert_allclose(scales, expected, rtol=1e-6)


@pytest.mark.parametrize("weight_format", FORMATS, ids=FORMAT_NAMES)
def test_weights_of_zero(weight_format):
    outputs = WeightQuantizer(weight_format, 3).call(tf.zeros((5, 3))).numpy()
    np.testing.assert_array_equal(outputs, np.zeros((5, 3)))


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("scale", [None, [0.25, 2.0]], ids=["plain", "scaled"])
def test_gradient_passes_all_weights(bits, scale):
    """The range follows the weights: none is outside, and no gradient takes the way over it."""
    # Ends at which the steps are powers of two, free of rounding.
    end = 2.0 ** (bits - 1) - 1
    kernel = [[end, -3.3], [-1.2, -end], [0.4, 0.0]]
    quantizer = WeightQuantizer(WeightFormat(bits, per_channel=False), 2)
    scale = None if scale is None else tf.constant(scale)
    actual = gradient(lambda weights: quantizer.call(weights, scale), kernel)
    np.testing.assert_array_equal(actual, np.ones((3, 2)))


@pytest.mark.parametrize(
    ("per_channel", "clipping", "outputs", "gradients"),
    [
        # The end is half of 7: steps of 0.5. The last weight of channel 0 is just outside.
        (
            False,
            [0.5],
            [[3.5, 3.5], [-3.5, 1.0], [0.5, 1.5], [-3.5, 0.0]],
            [[0, 1], [0, 1], [1, 1], [0, 1]],
        ),
        # Each channel's own end: 3.5 and 1.75, steps of 0.5 and 0.25.
        (
            True,
            [0.5, 0.5],
            [[3.5, 1.75], [-3.5, 1.0], [0.5, 1.5], [-3.5, 0.0]],
            [[0, 0], [0, 1], [1, 1], [0, 1]],
        ),
    ],
    ids=["per_tensor", "per_channel"],
)
def test_clipped_weights(per_channel, clipping, outputs, gradients):
    kernel = [[7.0, 3.5], [-5.0, 0.9], [0.6, 1.4], [-3.55, 0.1]]
    quantizer = WeightQuantizer(WeightFormat(4, per_channel), 2)
    quantizer.clipping.assign(clipping)
    np.testing.assert_allclose(quantizer.call(tf.constant(kernel)), outputs, rtol=1e-6)
    np.testing.assert_array_equal(gradient(quantizer.call, kernel), gradients)


@pytest.mark.parametrize("weight_format", FORMATS, ids=FORMAT_NAMES)
def test_rounding_describes_the_quantizer(weight_format):
    quantizer = WeightQuantizer(weight_format, 3)
    rounding = quantizer.rounding
    assert rounding.weight_format == weight_format
    if weight_format.bits == 8:
        assert quantizer.clipping is None and quantizer.weights == []
        assert rounding.clipping == 1.0
    else:
        fractions = [0.5, 0.75, 1.0][: 3 if weight_format.per_channel else 1]
        quantizer.clipping.assign(fractions)
        np.testing.assert_array_equal(quantizer.rounding.clipping, fractions)
        assert quantizer.trainable_variables == []
