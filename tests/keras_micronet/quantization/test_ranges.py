# SPDX-License-Identifier: Apache-2.0
"""Ranges that lose least, against rounding simulated in NumPy."""

import numpy as np
import pytest

from keras_micronet.quantization.calibration import Observation
from keras_micronet.quantization.ranges import (
    RANGE_RULES,
    extreme_range,
    least_error_clipping,
    least_error_range,
    percentile_range,
)
from keras_micronet.quantization.schemes import WeightFormat

COUNT = 100_000


def observation_of(values):
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, bins=2048, range=(low, high if high > low else low + 1))
    rows = values.reshape(-1, 1)
    return Observation(low, high, rows.mean(axis=0), (rows**2).mean(axis=0), counts)


def measured_error(values, low, high):
    """Mean squared error of int8's definition, with its zero point an integer."""
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return np.mean(values**2)
    scale = (high - low) / 255
    zero_point = np.round(-low / scale)
    integers = np.clip(np.round(values / scale) + zero_point, 0, 255)
    return np.mean((scale * (integers - zero_point) - values) ** 2)


def normal(count=COUNT):
    return np.random.default_rng(0).standard_normal(count)


def uniform(low, high):
    return np.random.default_rng(1).uniform(low, high, COUNT)


DISTRIBUTIONS = {
    "normal": normal(),
    "normal_with_outlier": np.append(normal(), 40.0),
    "shifted_normal": normal() + 3,
    "laplace": np.random.default_rng(2).laplace(size=COUNT),
    "relu6": np.clip(3 * normal() + 2, 0, 6),
    "hard_swish": normal() * np.clip(normal()[::-1] + 3, 0, 6) / 6,
    "uniform": uniform(-1, 3),
    "negative": -np.abs(normal()) - 1,
    "two_values": np.repeat([-0.25, 7.0], COUNT // 2),
    "constant": np.full(COUNT, 5.0),
    "negative_constant": np.full(COUNT, -5.0),
    "zeros": np.zeros(COUNT),
    "tiny": normal() * 1e-12,
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_error_is_no_larger_than_with_the_extremes(name):
    values = DISTRIBUTIONS[name]
    low, high = least_error_range(observation_of(values))
    assert min(values.min(), 0) <= low <= 0 <= high <= max(values.max(), 0)
    with_extremes = measured_error(values, values.min(), values.max())
    # Rounding noise is not exactly a twelfth of a squared step where values are few.
    assert measured_error(values, low, high) <= 1.02 * with_extremes + 1e-30


def test_far_outlier_is_clipped():
    """A million normal values are within 5; one of 30 would make the steps of all 3 times wider.

    To cut it to 10 costs 400 / 1e6 in the mean; steps of 35 / 255 instead of 15 / 255 cost
    (35^2 - 15^2) / 255^2 / 12, three times as much.
    """
    values = np.append(normal(1_000_000), 30.0)
    low, high = least_error_range(observation_of(values))
    assert low < -3
    assert 8 < high < 15
    extreme = measured_error(values, values.min(), values.max())
    assert measured_error(values, low, high) < 0.6 * extreme


def test_uniform_values_are_not_clipped():
    assert least_error_range(observation_of(uniform(-1, 3))) == pytest.approx((-1, 3), rel=1e-3)


@pytest.mark.parametrize("name", ["normal", "normal_with_outlier", "laplace", "relu6"])
def test_error_is_near_the_least_of_all_ranges(name):
    values = DISTRIBUTIONS[name]
    tried = [
        measured_error(values, low_part * values.min(), high_part * values.max())
        for low_part in np.linspace(0.3, 1, 8)
        for high_part in np.linspace(0.3, 1, 8)
    ]
    found = measured_error(values, *least_error_range(observation_of(values)))
    assert found <= 1.05 * min(tried)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_extreme_range_holds_everything_and_zero(name):
    values = DISTRIBUTIONS[name]
    assert extreme_range(observation_of(values)) == (min(values.min(), 0), max(values.max(), 0))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_percentile_range_leaves_a_ten_thousandth_out(name):
    values = DISTRIBUTIONS[name]
    interval = np.ptp(values) / 2048
    low, high = percentile_range(observation_of(values))
    assert low <= 0 <= high
    for end, sign in ((low, -1), (high, 1)):
        excess = sign * (values - end)
        assert np.mean(excess > interval) <= 1e-4
        assert np.mean(excess >= -interval) >= 1e-4 or end == 0


def test_rules_by_name():
    assert {
        "least_error": least_error_range,
        "percentile": percentile_range,
        "extremes": extreme_range,
    } == RANGE_RULES


def clipped_and_rounded(matrix, ends, limit):
    steps = ends / limit
    return np.clip(np.round(matrix / steps), -limit, limit) * steps


@pytest.mark.parametrize("per_channel", [False, True])
def test_normal_weights_of_4_bits_are_clipped(per_channel):
    """For 15 levels of a normal distribution the best end is near 2.6 standard deviations."""
    matrix = np.random.default_rng(3).standard_normal((4000, 6)) * [1, 1, 1, 2, 2, 2]
    clipping = least_error_clipping(matrix, WeightFormat(4, per_channel), np.ones(4000))
    if per_channel:
        ends = clipping * np.abs(matrix).max(axis=0)
        np.testing.assert_allclose(ends / [1, 1, 1, 2, 2, 2], 2.6, atol=0.25)
        assert np.all(clipping < 0.8)
    else:
        # The wider half of the outputs decides: its errors are four times as large.
        assert clipping.shape == (1,)
        assert 2.2 < clipping[0] * np.abs(matrix).max() / 2 < 2.85


def test_weights_of_8_bits_keep_nearly_all():
    matrix = np.random.default_rng(3).standard_normal((4000, 6))
    assert least_error_clipping(matrix, WeightFormat(8, False), np.ones(4000)) > 0.85


@pytest.mark.parametrize("per_channel", [False, True])
def test_uniform_weights_of_4_bits_are_hardly_clipped(per_channel):
    """15 levels divide [-1, 1] best into 15 equal cells: steps of 2/15 up to 14/15."""
    matrix = np.random.default_rng(4).uniform(-1, 1, (4000, 6))
    clipping = least_error_clipping(matrix, WeightFormat(4, per_channel), np.ones(4000))
    np.testing.assert_allclose(clipping, 14 / 15, atol=0.025)


@pytest.mark.parametrize("per_channel", [False, True])
def test_clipping_loses_least_in_the_outputs(per_channel):
    """Inputs of unlike sizes: the outputs' error, simulated, is as small as any end makes it."""
    generator = np.random.default_rng(5)
    sizes = np.geomspace(0.01, 10, 60)
    matrix = generator.laplace(size=(60, 8))
    inputs = generator.standard_normal((5000, 60)) * sizes
    weight_format = WeightFormat(4, per_channel)
    clipping = least_error_clipping(matrix, weight_format, np.mean(inputs**2, axis=0))
    largest = np.abs(matrix).max(axis=0) if per_channel else np.abs(matrix).max(keepdims=True)[0]

    def errors(fractions):
        rounded = clipped_and_rounded(matrix, fractions * largest, 7)
        return np.mean((inputs @ (rounded - matrix)) ** 2, axis=0)

    tried = [errors(fraction) for fraction in np.linspace(0.3, 1, 36)]
    if per_channel:
        assert np.all(errors(clipping) <= 1.05 * np.min(tried, axis=0))
        assert np.ptp(clipping) > 0.05
    else:
        assert errors(clipping).sum() <= 1.02 * min(error.sum() for error in tried)


def test_weights_of_silent_inputs_do_not_count():
    """The one large weight reads an input that is always 0: nothing is lost by clipping it."""
    matrix = np.random.default_rng(6).uniform(-1, 1, (500, 1))
    matrix[0] = 3.0
    importance = np.ones(500)
    assert least_error_clipping(matrix, WeightFormat(4, True), importance) > 0.5
    importance[0] = 0.0
    assert least_error_clipping(matrix, WeightFormat(4, True), importance) < 0.36


def test_channel_of_zeros():
    matrix = np.zeros((5, 2))
    matrix[:, 1] = [1, -1, 0.5, 0.2, 0]
    clipping = least_error_clipping(matrix, WeightFormat(4, True), np.ones(5))
    assert clipping.shape == (2,) and np.all((clipping > 0) & (clipping <= 1))
