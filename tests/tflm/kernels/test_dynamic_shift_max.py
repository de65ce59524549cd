# SPDX-License-Identifier: Apache-2.0
"""Tests of Dynamic Shift-Max in integers: the NumPy reference, the kernels, what bind refuses."""

import dataclasses

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from tests.tflm.kernels.kernel_checks import (
    EMULATED,
    STATUS,
    check_results,
    refused,
    with_constant,
    with_option,
)
from tflm.kernels import kernel_runner
from tflm.kernels.dynamic_shift_max import DynamicShiftMax

LIMITS = [{}, {}, {"lowest": -50}, {}, {}, {"highest": 90}, {"lowest": -50, "highest": 90}]
LARGEST_INPUT = {"squeeze": 64 * 255, "excite": 32767}

# Height, width, channels, squeeze channels, fusions, groups of the shift: of MicroNet-M0 and M3, on
# maps of fewer pixels where these would take long.
MODEL_SHAPES = [
    (14, 14, 8, 4, 1, 2),
    (28, 28, 32, 4, 2, 8),
    (28, 28, 12, 4, 1, 4),
    (14, 14, 48, 8, 2, 12),
    (14, 14, 64, 8, 2, 16),
    (7, 7, 96, 12, 1, 8),
    (7, 7, 384, 24, 1, 12),
    (7, 7, 144, 20, 2, 24),
    (3, 3, 720, 44, 2, 60),
]


def circular_shift(channels, groups):
    """Source channels of MicroNet's shift: one further among the groups and within them."""
    return np.roll(np.arange(channels).reshape(groups, -1), (-1, -1), axis=(0, 1)).flatten()


def random_layer(random, name, rows, columns, is_extreme):
    """Weights, biases and multipliers. If `is_extreme`, the sums come to the ends of int32."""
    weights = random.integers(-128, 128, (rows, columns)).astype(np.int8)
    if is_extreme:
        weights = random.choice(np.array([-128, 127], np.int8), (rows, columns))
    largest = np.abs(weights.astype(np.int64)).sum(axis=1) * LARGEST_INPUT[name]
    room = 2**31 - 1 - largest
    assert room.min() >= 0, "the case is not one that the operator takes"
    biases = random.integers(-room, room + 1) if is_extreme else room // random.integers(-99, -9)
    # So that the results of usual inputs are about as large as int16 values are.
    multipliers = np.minimum(2**31 - 1, 2**32 * 2.0**15 / np.maximum(largest, 1)).astype(np.int64)
    if is_extreme:
        multipliers = random.choice([0, 1, 2**31 - 1, 2**24], rows)
    return {
        f"{name}_weights": weights,
        f"{name}_biases": biases.astype(np.int32),
        f"{name}_multipliers": multipliers.astype(np.int32),
    }


def random_operation(
    random,
    height,
    width,
    channels,
    squeeze_channels,
    fusions,
    shift=None,
    is_extreme=False,
    **fields,
):
    """A Dynamic Shift-Max with random integers."""
    limits = np.sort(random.integers(-32768, 32768, (2 * fusions, 2)), axis=1)
    if not is_extreme:
        limits = np.array([[-4096, 12288], [-8192, 8192]] * fusions)
    values = {
        "input_shape": (height, width, channels),
        "input_zero_point": int(random.integers(-128, 128)),
        "coefficient_limits": tuple((int(low), int(high)) for low, high in limits),
        "shift": random.permutation(channels) if shift is None else shift,
        "coefficient_shift": 12,
        "output_zero_point": int(random.integers(-128, 128)),
        "lowest": -128,
        "highest": 127,
        "output_positions": random.permutation(channels),
        **random_layer(random, "squeeze", squeeze_channels, channels, is_extreme),
        **random_layer(random, "excite", 2 * fusions * channels, squeeze_channels, is_extreme),
    }
    if random.integers(2):  # the rows of a coefficient share their multiplier, as with one scale
        rows = values["excite_multipliers"].reshape(2 * fusions, channels)
        values["excite_multipliers"] = np.repeat(rows.min(axis=1), channels)
    return DynamicShiftMax(**{**values, **fields})


def with_factors(random, operation):
    """The operation with random factors of its channels, as large as its coefficients allow."""
    limit = np.abs(np.asarray(operation.coefficient_limits, np.int64)).max()
    largest = int(min(127, np.sqrt(1024 * 32767 // limit)))
    factors = random.integers(1, largest + 1, (2, operation.channels))
    return dataclasses.replace(operation, input_factors=factors[0], output_factors=factors[1])


def test_factors_scale_channels_exactly():
    """By the kernel's own arithmetic without factors, on coefficients that the factors divide.

    With powers of two as factors nothing is rounded: multiplying coefficients by the kernel is
    multiplying them beforehand.
    """
    random = np.random.default_rng(5)
    channels = 6
    inputs, outputs = 2 ** random.integers(3, 7, (2, channels))
    shift = circular_shift(channels, 2)
    operation = random_operation(random, 5, 4, channels, 3, 2, shift)
    coefficients = 1024 * random.integers(-3, 4, (4, channels))
    plain = with_coefficients(operation, coefficients)
    of_a, of_b = inputs * outputs, inputs[shift] * outputs
    multiplied = coefficients * np.stack([of_a, of_b] * 2) // 1024
    assert np.abs(multiplied).max() < 32768
    limits = ((-3072, 3072),) * 4
    scaled = dataclasses.replace(
        plain, coefficient_limits=limits, input_factors=inputs, output_factors=outputs
    )
    images = random_images(random, operation.input_shape)
    expected = with_coefficients(operation, multiplied).reference(images)
    np.testing.assert_array_equal(scaled.reference(images), expected)
    assert len(np.unique(expected)) > 20


def test_multipliers_that_rows_share_are_stored_once():
    channels, fusions = 7, 2
    operation = random_operation(np.random.default_rng(0), 2, 3, channels, 4, fusions)
    rows = 2 * fusions * 8  # channels are filled up to a multiple of 4
    shared = dataclasses.replace(
        operation, excite_multipliers=np.repeat([11, 12, 13, 14], channels).astype(np.int32)
    )
    assert list(shared.packed().constants[3][rows:]) == [11, 12, 11, 12, 13, 14, 13, 14]
    each = shared.excite_multipliers.copy()
    each[channels] = 99  # of b1
    each = dataclasses.replace(shared, excite_multipliers=each).packed().constants[3][rows:]
    assert list(each[:6]) == [11, 99, 11, 12, 11, 12]
    assert len(each) == rows


def with_coefficients(operation, coefficients):
    """The operation with coefficients `(2 * K, C)` that do not depend on the input."""
    limits = ((-32768, 32767),) * len(coefficients)
    return dataclasses.replace(
        operation,
        excite_weights=np.zeros_like(operation.excite_weights),
        excite_biases=4 * coefficients.reshape(-1),
        excite_multipliers=np.full(coefficients.size, 2**30),
        coefficient_limits=limits,
    )


def random_images(random, shape):
    """int8 images with a mean of their own in every channel."""
    means = random.integers(-150, 151, shape[-1])
    return np.clip(random.normal(means, 60, shape).round(), -128, 127).astype(np.int8)


@strategies.composite
def cases(draw):
    """Operation and input, of all kinds."""
    random = np.random.default_rng(draw(strategies.integers(0, 2**32 - 1)))
    height, width = draw(strategies.integers(1, 17)), draw(strategies.integers(1, 5))
    channels = draw(strategies.integers(1, 26))
    shift = None
    if draw(strategies.booleans()):
        divisors = [groups for groups in range(1, channels + 1) if channels % groups == 0]
        shift = circular_shift(channels, draw(strategies.sampled_from(divisors)))
    fields = {}
    if draw(strategies.integers(0, 3)) == 0:
        fields["highest"] = draw(strategies.integers(-128, 127))
        fields["lowest"] = draw(strategies.integers(-128, fields["highest"]))
    operation = random_operation(
        random,
        height,
        width,
        channels,
        draw(strategies.integers(1, 9)),
        draw(strategies.integers(1, 2)),
        shift,
        draw(strategies.booleans()),
        input_zero_point=draw(strategies.integers(-128, 127)),
        output_zero_point=draw(strategies.integers(-128, 127)),
        coefficient_shift=draw(strategies.just(12) | strategies.integers(4, 14)),
        **fields,
    )
    if draw(strategies.booleans()):
        operation = with_factors(random, operation)
    images = random_images(random, operation.input_shape)
    if draw(strategies.booleans()):
        images = random.choice(np.array([-128, 127], np.int8), operation.input_shape)
    return operation, images


class RealShiftMax:
    """Dynamic Shift-Max in float64, made from real coefficients, and the same in integers."""

    def __init__(self, random, shape, squeeze_channels, fusions, groups):
        channels = shape[-1]
        rows = 2 * fusions * channels
        self.fusions = fusions
        self.input_scale, self.input_zero_point = 0.021, -7
        self.output_scale, self.output_zero_point = 0.047, 5
        squeeze_scale, excite_scale, hidden_scale = 0.004, 0.003, 5e-4
        squeeze = random.integers(-127, 128, (squeeze_channels, channels)).astype(np.int8)
        excite = random.integers(-127, 128, (rows, squeeze_channels)).astype(np.int8)
        self.squeeze, self.excite = squeeze * squeeze_scale, excite * excite_scale
        self.squeeze_biases = random.normal(0.3, 0.5, squeeze_channels)
        self.excite_biases = random.normal(0, 1, rows)
        self.shift = circular_shift(channels, groups)
        self.positions = random.permutation(channels)
        self.limits = [(-1.0, 3.0), (-2.0, 2.0)] * fusions
        sum_scale = squeeze_scale * self.input_scale / 64
        coefficient = 4096 * self.input_scale / self.output_scale
        excite_sum_scale = excite_scale * hidden_scale
        self.integers = DynamicShiftMax(
            input_shape=shape,
            input_zero_point=self.input_zero_point,
            squeeze_weights=squeeze,
            squeeze_biases=np.round(self.squeeze_biases / sum_scale).astype(np.int32),
            squeeze_multipliers=np.full(squeeze_channels, round(2**32 * sum_scale / hidden_scale)),
            excite_weights=excite,
            excite_biases=np.round(self.excite_biases / excite_sum_scale).astype(np.int32),
            excite_multipliers=np.full(rows, round(2**32 * excite_sum_scale * coefficient)),
            coefficient_limits=tuple(
                (round(low * coefficient), round(high * coefficient)) for low, high in self.limits
            ),
            shift=self.shift,
            coefficient_shift=12,
            output_zero_point=self.output_zero_point,
            lowest=-128,
            highest=127,
            output_positions=self.positions,
        )

    def results(self, images):
        """int8 results of int8 images, computed in real numbers."""
        x = (images.astype(np.float64) - self.input_zero_point) * self.input_scale
        hidden = np.maximum(self.squeeze @ x.mean(axis=(0, 1)) + self.squeeze_biases, 0)
        values = (self.excite @ hidden + self.excite_biases).reshape(2 * self.fusions, -1)
        values = [
            np.clip(value, *limits) for value, limits in zip(values, self.limits, strict=True)
        ]
        sums = [
            values[2 * k] * x + values[2 * k + 1] * x[..., self.shift] for k in range(self.fusions)
        ]
        y = np.maximum.reduce(sums) / self.output_scale + self.output_zero_point
        results = np.zeros(images.shape, np.int8)
        results[..., self.positions] = np.clip(np.round(y), -128, 127).astype(np.int8)
        return results


@pytest.mark.parametrize("fusions", [1, 2])
def test_reference_is_close_to_real_numbers(fusions):
    random = np.random.default_rng(fusions)
    real = RealShiftMax(random, (9, 11, 24), 8, fusions, groups=4)
    images = random_images(random, (9, 11, 24))
    expected = real.results(images).astype(int)
    differences = np.abs(real.integers.reference(images) - expected)
    assert differences.max() <= 1
    assert np.mean(differences > 0) < 0.03
    assert np.mean(np.abs(expected + 0.5) < 127) > 0.5  # most are not saturated
    coefficients = real.integers.coefficients(images.astype(int) - real.input_zero_point)
    assert len(np.unique(coefficients)) > coefficients.size // 2  # most are not at a limit


def operation_on_means(shape, signs):
    """Its coefficients a are sign * mean in 1 / 64, or 0 if that is negative; b is 0."""
    channels = shape[-1]
    quarter = np.full(channels, 2**30)
    zeros, identity = np.zeros(channels, int), np.eye(channels, dtype=np.int8)
    return DynamicShiftMax(
        input_shape=shape,
        input_zero_point=0,
        squeeze_weights=(4 * identity * signs).astype(np.int8),
        squeeze_biases=zeros,
        squeeze_multipliers=quarter,
        excite_weights=np.concatenate([4 * identity, 0 * identity]),
        excite_biases=np.zeros(2 * channels, int),
        excite_multipliers=np.tile(quarter, 2),
        coefficient_limits=((0, 32767), (0, 0)),
        shift=np.arange(channels),
        coefficient_shift=7,
        output_zero_point=0,
        lowest=-128,
        highest=127,
        output_positions=np.arange(channels),
    )


@pytest.mark.parametrize(
    "values, mean",
    [
        ((0, 1), 32),
        ((1, 2, 2), 107),  # 106.67
        ((1, 0, 0), 21),  # 21.33
        ((-1, -1, 0), 43),  # -42.67
        ((-1, 0, 0), 21),  # -21.33
        ((1,) + (0,) * 127, 1),  # 0.5
        ((-1,) + (0,) * 127, 0),  # -0.5
        ((-3,) + (0,) * 127, 1),  # -1.5
    ],
)
def test_reference_rounds_means_to_the_nearest(values, mean):
    images = np.array(values).reshape(len(values), 1, 1)
    operation = operation_on_means(images.shape, np.sign(images.sum()))
    assert operation.coefficients(images)[0, 0] == mean


@pytest.mark.parametrize("target", kernel_runner.Target)
def test_every_mean_is_exact(kernel_cache, target):
    """Also with weights for channels that do not exist: their means and hidden values are 0."""
    random = np.random.default_rng(0)
    calls, expected = [], []
    for height in range(2, 42):
        images = random.integers(-2, 3, (height, 1, 5))
        images[0], images[1] = 100, -100
        images = images.astype(np.int8)
        operation = operation_on_means(images.shape, random.choice([-1, 1], 5))
        packed = operation.packed()
        for index, middle in ((0, 0), (2, 16384)):
            fours = packed.constants[index][:, 1]  # columns 4, 6, 5, 7
            fours[..., 1:] = 127
            partners = 127 * fours[..., 0].flatten().astype(np.int32) + 127**2
            biases = packed.constants[index + 1].reshape(-1)[: len(partners)]
            biases += 3 * 127 * middle - partners
        calls.append((packed, (images,)))
        expected.append(operation.reference(images))
    results = kernel_runner.run(calls, target, kernel_cache)
    assert len(np.unique(np.concatenate(expected))) > 50
    for result, values in zip(results, expected, strict=True):
        assert result.status == 0
        np.testing.assert_array_equal(result.output, values)


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(calls=strategies.lists(cases(), min_size=1, max_size=8))
def test_host_equals_reference(kernel_cache, calls):
    check_results(calls, kernel_runner.Target.HOST, kernel_cache)


@pytest.fixture(scope="module")
def fixed_calls():
    """40 cases of all kinds that are the same in every run, and the models' shapes."""
    calls = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        channels = int(random.integers(1, 25))
        operation = random_operation(
            random,
            int(random.integers(1, 20)),
            int(random.integers(1, 20)),
            channels,
            int(random.integers(1, 13)),
            1 + seed % 2,
            circular_shift(channels, 1) if seed % 3 else None,
            is_extreme=seed % 4 == 0,
            coefficient_shift=12 if seed % 5 else int(random.integers(4, 15)),
            **LIMITS[seed % len(LIMITS)],
        )
        if seed % 3:
            operation = with_factors(random, operation)
        calls.append((operation, random_images(random, operation.input_shape)))
    for shape in MODEL_SHAPES:
        random = np.random.default_rng(shape)
        operation = random_operation(random, *shape[:-1], circular_shift(shape[2], shape[-1]))
        calls.append((operation, random_images(random, operation.input_shape)))
        calls.append((with_factors(random, operation), calls[-1][1]))
    # Channels whose two coefficients a, or b, are further apart than int16 values.
    for channel in range(4):
        coefficients = random.integers(-2000, 2000, (4, 6))
        coefficients[channel % 2, channel] = 20000
        coefficients[channel % 2 + 2, channel] = -20000
        apart = with_coefficients(
            random_operation(random, 5, 5, 6, 2, 2, circular_shift(6, 1)), coefficients
        )
        calls.append((apart, random_images(random, apart.input_shape)))
    return calls


@pytest.mark.parametrize("target", EMULATED)
def test_processors_equal_reference(kernel_cache, fixed_calls, target):
    results = check_results(fixed_calls, target, kernel_cache)
    for (operation, _), result in zip(fixed_calls, results, strict=True):
        channels, squeeze_channels = (
            -(-count // 4) * 4 for count in (operation.channels, operation.squeeze_channels)
        )
        expected = (2 + 4 * operation.fusions) * channels + 2 * squeeze_channels
        assert result.buffer_bytes == expected


@pytest.mark.parametrize("target", EMULATED)
def test_processors_agree_on_what_fills_up_blocks(kernel_cache, target):
    """A file may hold anything but zeros there; no processor may compute something of its own."""
    calls = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        operation = random_operation(random, 3, 4, 5 + seed % 3, 1 + seed % 5, 1 + seed % 2)
        packed = operation.packed()
        for index in range(4):
            values = packed.constants[index]
            noise = random.integers(0, 30, values.shape).astype(values.dtype)
            packed = with_constant(packed, index, np.where(values == 0, noise, values))
        calls.append((packed, (random_images(random, operation.input_shape),)))
    on_host = kernel_runner.run(calls, kernel_runner.Target.HOST, kernel_cache)
    emulated = kernel_runner.run(calls, target, kernel_cache)
    for expected, result in zip(on_host, emulated, strict=True):
        assert expected.status == result.status == 0
        np.testing.assert_array_equal(result.output, expected.output)


@pytest.mark.emulator
def test_instructions_on_cortex_m4(kernel_cache):
    """The loops stay as tight as they were measured: 11.4 and 7.9 instructions an element."""
    random = np.random.default_rng(0)
    calls = []
    for shape in ((28, 28, 32, 4, 2, 8), (56, 56, 8, 4, 1, 2)):
        operation = random_operation(random, *shape[:-1], circular_shift(shape[2], shape[-1]))
        calls.append((operation, random_images(random, operation.input_shape)))
    results = check_results(calls, kernel_runner.Target.CORTEX_M4, kernel_cache)
    two, one = (result.instructions / result.output.size for result in results)
    assert two < 12
    assert one < 8.5


# Channels and squeeze channels that are no multiples of 4, so that padding counts.
BIND_SHAPE = (3, 5, 6, 5, 2)


@pytest.fixture
def packed():
    return random_operation(np.random.default_rng(3), *BIND_SHAPE).packed()


@pytest.mark.parametrize(
    "index, values",
    [
        (1, [0, -1, 65537, 2**31 - 1]),
        (2, [0, -1, 4097, 2**31 - 1]),
        (3, [0, -4, 4097, 2**31 - 1]),
        (4, [0, 3, -1]),
        (5, [3, 15, -1, 40]),
        (6, [-129, 128]),
        (7, [-129, 128]),
        (8, [-129, 128]),
        (9, [-129, 128]),
    ],
)
def test_bind_refuses_options(kernel_cache, packed, index, values):
    operations = [with_option(packed, index, value) for value in values]
    statuses = refused(kernel_cache, *operations)
    assert statuses == [STATUS["OPTIONS_VALUE"]] * len(values)


def test_bind_refuses_contradictions(kernel_cache, packed):
    crossed = with_option(with_option(packed, 8, 5), 9, 4)
    too_many_elements = with_option(with_option(packed, 1, 65536), 2, 4096)
    statuses = refused(kernel_cache, crossed, too_many_elements)
    assert statuses == [STATUS["OPTIONS_VALUE"]] * 2


def test_bind_refuses_other_versions_and_lengths(kernel_cache, packed):
    options = packed.options
    variants = [options[:-4], options[:3], b"", options + b"\0\0\0\0"]
    operations = [dataclasses.replace(packed, options=variant) for variant in variants]
    statuses = refused(kernel_cache, with_option(packed, 0, 1), *operations)
    assert statuses == [STATUS["OPTIONS_VERSION"]] + [STATUS["OPTIONS_SIZE"]] * 4


@pytest.mark.parametrize("index", range(7))
def test_bind_refuses_constants_of_other_sizes(kernel_cache, packed, index):
    values = packed.constants[index].reshape(-1)
    short = with_constant(packed, index, values[:-1])
    long = with_constant(packed, index, np.append(values, values[:1]))
    assert refused(kernel_cache, short, long) == [STATUS["CONSTANT_SIZE"]] * 2


def test_bind_refuses_another_number_of_constants(kernel_cache, packed):
    factors = np.full((2, BIND_SHAPE[2]), 32, np.int8)
    fewer = dataclasses.replace(packed, constants=packed.constants[:-1])
    more = dataclasses.replace(packed, constants=(*packed.constants, factors, factors))
    assert refused(kernel_cache, fewer, more) == [STATUS["CONSTANT_COUNT"]] * 2


def test_bind_refuses_factors(kernel_cache, packed):
    """Of other sizes, not positive, or so large that a coefficient leaves int16."""
    right = np.full((2, BIND_SHAPE[2]), 32, np.int8)

    def with_these(factors):
        return dataclasses.replace(packed, constants=(*packed.constants, factors))

    short = with_these(right.ravel()[:-1])
    assert refused(kernel_cache, short) == [STATUS["CONSTANT_SIZE"]]
    wrong = []
    for row, value in ((0, 0), (1, 0), (0, -1), (1, -128)):
        factors = right.copy()
        factors[row, -1] = value
        wrong.append(with_these(factors))
    largest = np.abs(packed.constants[4]).max()
    assert largest == 12288  # times 2.67 it leaves int16
    too_large = right.copy()
    too_large[0, 0], too_large[1, 0] = 127, 22
    wrong.append(with_these(too_large))
    assert refused(kernel_cache, *wrong) == [STATUS["CONSTANT_VALUE"]] * 5


@pytest.mark.parametrize("index", [5, 6])
def test_bind_refuses_what_is_no_permutation(kernel_cache, packed, index):
    operations = []
    for value in (-1, BIND_SHAPE[2], int(packed.constants[index][1])):
        wrong = packed.constants[index].copy()
        wrong[0] = value
        operations.append(with_constant(packed, index, wrong))
    assert refused(kernel_cache, *operations) == [STATUS["CONSTANT_VALUE"]] * 3


def test_bind_refuses_crossed_coefficient_limits(kernel_cache, packed):
    wrong = packed.constants[4].copy()
    wrong[-1] = wrong[-1][::-1]
    assert refused(kernel_cache, with_constant(packed, 4, wrong)) == [STATUS["CONSTANT_VALUE"]]


@pytest.mark.parametrize("index", [1, 3])
def test_bind_refuses_negative_multipliers(kernel_cache, packed, index):
    wrong = packed.constants[index].copy()
    wrong.reshape(-1)[-1] = -1
    assert refused(kernel_cache, with_constant(packed, index, wrong)) == [STATUS["CONSTANT_VALUE"]]


@pytest.mark.parametrize("index", [1, 3])
@pytest.mark.parametrize("bias", [-(2**31), 2**31 - 1])
def test_bind_refuses_sums_outside_int32(kernel_cache, packed, index, bias):
    # A row that belongs to a channel: its weights are not all 0.
    wrong = packed.constants[index].copy()
    wrong.reshape(-1)[1] = bias
    assert refused(kernel_cache, with_constant(packed, index, wrong)) == [STATUS["CONSTANT_VALUE"]]


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"input_shape": (3, 5)}, "`input_shape` must be"),
        ({"input_shape": (300, 300, 6)}, "at most 65536 pixels"),
        ({"input_zero_point": 128}, "`input_zero_point` must be an integer from -128 to 127"),
        ({"output_zero_point": -129}, "`output_zero_point` must be"),
        ({"lowest": 5, "highest": 4}, "`lowest` and `highest` must be in order"),
        ({"coefficient_shift": 15}, "`coefficient_shift` must be an integer from 4 to 14"),
        ({"coefficient_limits": ((0, 1),) * 3}, "must be 2 or 4 pairs"),
        ({"coefficient_limits": ((0, 1), (2, 1))}, "must be 2 or 4 pairs"),
        ({"coefficient_limits": ((0, 1), (0, 32768))}, "must be 2 or 4 pairs"),
        ({"input_factors": np.ones(6, int)}, "`output_factors` must be 6 integers from 1 to 127"),
        (
            {"input_factors": np.ones(6, int), "output_factors": np.zeros(6, int)},
            "`output_factors` must be 6 integers",
        ),
        (
            {"input_factors": np.full(6, 127), "output_factors": np.full(6, 127)},
            "must fit in int16",
        ),
        ({"shift": np.zeros(6, int)}, "`shift` must hold each of 0 to 5 once"),
        ({"output_positions": np.arange(5)}, "`output_positions` must hold each"),
        ({"squeeze_weights": np.zeros((5, 7), np.int8)}, "`squeeze_weights` must have the shape"),
        ({"excite_weights": np.zeros((24, 4), np.int8)}, "`excite_weights` must have the shape"),
        ({"squeeze_weights": np.zeros((5, 6))}, "`squeeze_weights` must be int8"),
        ({"excite_biases": np.full(24, 2**31 - 1)}, "must fit in int32"),
        ({"squeeze_multipliers": np.full(5, -1)}, "`squeeze_multipliers` must be from 0 to"),
    ],
)
def test_values_are_checked(fields, message):
    with pytest.raises(ValueError, match=message) as caught:
        random_operation(np.random.default_rng(3), *BIND_SHAPE, **fields)
    assert "Received: " in str(caught.value)
