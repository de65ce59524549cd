# SPDX-License-Identifier: Apache-2.0
"""The convolution 1 x 1 in groups: NumPy integers against floats, kernels against the integers."""

import dataclasses
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tflm.kernels.kernel_checks import STATUS, refused, with_option
from tflm.kernels import kernel_runner
from tflm.kernels.grouped_pointwise_conv import GroupedPointwiseConv
from tflm.kernels.kernel_runner import Target
from tflm.kernels.requantization import integer_multipliers

# Pixels, inputs and outputs of a group, groups: of MicroNet-M0 and M3 with fewer pixels and groups.
# They have one to four steps of inputs, more in even and odd numbers, one to five Helium vectors,
# and one tile of pixels or two.
MODEL_SHAPES = [
    (130, 8, 4, 2),
    (129, 8, 3, 4),
    (86, 12, 4, 4),
    (131, 4, 16, 2),
    (49, 16, 8, 4),
    (61, 32, 12, 2),
    (49, 24, 6, 4),
    (49, 36, 8, 4),
    (49, 48, 10, 2),
    (49, 10, 60, 3),
    (49, 72, 10, 2),
    (49, 60, 12, 2),
]
ODD_SHAPES = [
    (1, 1, 1, 1),
    (5, 1, 1, 3),
    (5, 3, 3, 2),
    (1, 5, 2, 1),
    (2, 7, 5, 3),
    (3, 9, 1, 2),
    (4, 17, 3, 2),
    (131, 2, 2, 2),
    (3, 511, 2, 1),
    (1, 4096, 3, 1),
    (2, 1, 1, 4096),
]


def drawn_operation(generator, shape):
    """An operation with random operands, now and then extreme ones, and an input for it."""
    pixels, inputs, outputs, groups = shape
    channels = outputs * groups
    weights = generator.integers(-127, 128, (channels, inputs)).astype(np.int8)
    x = generator.integers(-128, 128, (1, pixels, inputs * groups)).astype(np.int8)
    if generator.random() < 0.3:  # the largest sums of their signs
        weights = generator.choice([-127, 127], (channels, 1)).repeat(inputs, 1).astype(np.int8)
        x = generator.choice([-128, 127], (1, pixels, 1)).repeat(inputs * groups, 2).astype(np.int8)
    typical = 2**32 * 60 / (80 * 80 * np.sqrt(inputs))
    multipliers = (typical * generator.uniform(0.5, 2, channels)).clip(0, 2**31 - 1)
    biases = generator.integers(-2000, 2000, channels)
    if generator.random() < 0.3:
        multipliers = generator.choice([0, 1, 2**31 - 1], channels)
        biases = generator.choice([-(2**30), 2**30, 0, 77], channels)
    lowest, highest = (-128, 127)
    if generator.random() < 0.3:
        lowest, highest = sorted(generator.integers(-128, 128, 2).tolist())
    operation = GroupedPointwiseConv(
        input_shape=(1, pixels, inputs * groups),
        groups=groups,
        weights=weights,
        biases=biases.astype(np.int32),
        multipliers=multipliers.astype(np.int32),
        input_zero_point=int(generator.integers(-128, 128)),
        output_zero_point=int(generator.integers(-128, 128)),
        lowest=lowest,
        highest=highest,
        output_positions=generator.permutation(channels),
    )
    return operation, x


def drawn_shape(generator):
    inputs = int(generator.choice([generator.integers(1, 20), generator.integers(1, 80)]))
    shape = generator.integers(1, [30, 2, 10, 5]).tolist()
    return shape[0], inputs, shape[2], shape[3]


def check_against_reference(cases, target, kernel_cache):
    calls = [(operation.packed(), (x,)) for operation, x in cases]
    results = kernel_runner.run(calls, target, kernel_cache)
    for (operation, x), result in zip(cases, results, strict=True):
        assert result.status == 0
        np.testing.assert_array_equal(result.output, operation.reference(x))


@given(st.lists(st.integers(0, 2**32 - 1), min_size=20, max_size=20))
@settings(max_examples=15, deadline=None)
def test_the_portable_kernel_gives_the_reference_within_its_arrays(kernel_cache, seeds):
    generators = [np.random.default_rng(seed) for seed in seeds]
    cases = [drawn_operation(generator, drawn_shape(generator)) for generator in generators]
    check_against_reference(cases, Target.HOST, kernel_cache)


@pytest.mark.parametrize("target", list(Target), ids=lambda target: target.name)
def test_kernels_give_the_reference(target, kernel_cache):
    generator = np.random.default_rng(3)
    shapes = MODEL_SHAPES + ODD_SHAPES + [drawn_shape(generator) for _ in range(40)]
    cases = [drawn_operation(generator, shape) for shape in shapes]
    check_against_reference(cases, target, kernel_cache)


def test_the_buffer_is_as_large_as_documented(kernel_cache):
    generator = np.random.default_rng(4)
    shapes = [(49, 8, 2, 1), (49, 16, 2, 1), (49, 17, 2, 1), (3136, 8, 2, 1), (1, 4096, 1, 1)]
    calls = [drawn_operation(generator, shape) for shape in shapes]
    calls = [(operation.packed(), (x,)) for operation, x in calls]
    results = kernel_runner.run(calls, Target.HOST, kernel_cache)
    expected = [49 * 16, 49 * 32 + 64, 49 * 40 + 80, 128 * 16, 2 * 4096 + 4 * 4096]
    assert [result.buffer_bytes for result in results] == expected


def test_the_reference_is_the_float_convolution():
    generator = np.random.default_rng(5)
    groups, inputs, outputs, channels = 3, 5, 4, 12
    input_scale, output_scale, input_zero_point, output_zero_point = 0.04, 0.11, -21, 13
    weight_scales = generator.uniform(0.002, 0.02, channels)
    weights = generator.integers(-127, 128, (channels, inputs)).astype(np.int8)
    biases = generator.integers(-3000, 3000, channels).astype(np.int32)
    positions = generator.permutation(channels)
    operation = GroupedPointwiseConv(
        input_shape=(6, 7, groups * inputs),
        groups=groups,
        weights=weights,
        biases=biases,
        multipliers=integer_multipliers(input_scale * weight_scales / output_scale),
        input_zero_point=input_zero_point,
        output_zero_point=output_zero_point,
        lowest=-100,
        highest=120,
        output_positions=positions,
    )
    x = generator.integers(-128, 128, (6, 7, groups * inputs)).astype(np.int8)
    real_x = (x.astype(np.float64) - input_zero_point) * input_scale
    real_weights = weights * weight_scales[:, None]
    expected = np.empty((6, 7, channels))
    for channel in range(channels):
        first = channel // outputs * inputs
        real = real_x[..., first : first + inputs] @ real_weights[channel]
        real += biases[channel] * input_scale * weight_scales[channel]
        expected[..., positions[channel]] = np.round(real / output_scale) + output_zero_point
    difference = operation.reference(x) - expected.clip(-100, 120)
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) < 0.01


@pytest.fixture
def packed():
    operation, _ = drawn_operation(np.random.default_rng(6), (6, 5, 3, 2))
    return operation.packed()


# Positions: version, pixels, inputs, outputs, groups, output zero point, lowest, highest.
@pytest.mark.parametrize(
    ("position", "value", "status"),
    [
        (0, 2, STATUS["OPTIONS_VERSION"]),
        (1, 0, STATUS["OPTIONS_VALUE"]),
        (1, 2**24 + 1, STATUS["OPTIONS_VALUE"]),
        (1, 2**24 // 6, STATUS["OPTIONS_VALUE"]),
        (2, 0, STATUS["OPTIONS_VALUE"]),
        (2, 2049, STATUS["OPTIONS_VALUE"]),
        (2, 2**30, STATUS["OPTIONS_VALUE"]),
        (3, -1, STATUS["OPTIONS_VALUE"]),
        (3, 2049, STATUS["OPTIONS_VALUE"]),
        (4, 0, STATUS["OPTIONS_VALUE"]),
        (4, 820, STATUS["OPTIONS_VALUE"]),
        (4, 2**31 - 1, STATUS["OPTIONS_VALUE"]),
        (5, -129, STATUS["OPTIONS_VALUE"]),
        (5, 128, STATUS["OPTIONS_VALUE"]),
        (6, -129, STATUS["OPTIONS_VALUE"]),
        (7, 128, STATUS["OPTIONS_VALUE"]),
        (7, -129, STATUS["OPTIONS_VALUE"]),
        (2, 9, STATUS["CONSTANT_SIZE"]),
        (3, 5, STATUS["CONSTANT_SIZE"]),
        (4, 3, STATUS["CONSTANT_SIZE"]),
    ],
)
def test_bind_refuses_options(packed, kernel_cache, position, value, status):
    damaged = with_option(packed, position, value)
    assert refused(kernel_cache, damaged) == [status]


def test_bind_refuses_an_output_of_too_many_elements(packed, kernel_cache):
    options = struct.pack("<5i", 1, 2**24 // 6 + 1, 1, 3, 2) + packed.options[20:]
    damaged = dataclasses.replace(packed, options=options)
    assert refused(kernel_cache, damaged) == [STATUS["OPTIONS_VALUE"]]


def test_bind_refuses_limits_in_the_wrong_order(packed, kernel_cache):
    options = packed.options[:-8] + struct.pack("<2i", 5, 4)
    damaged = dataclasses.replace(packed, options=options)
    assert refused(kernel_cache, damaged) == [STATUS["OPTIONS_VALUE"]]


@pytest.mark.parametrize("length", [0, 3, 4, 31, 33])
def test_bind_refuses_options_of_another_length(packed, kernel_cache, length):
    options = (packed.options + b"\0")[:length]
    damaged = dataclasses.replace(packed, options=options)
    assert refused(kernel_cache, damaged) == [STATUS["OPTIONS_SIZE"]]


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("change", [-1, 1])
def test_bind_refuses_constants_of_another_length(packed, kernel_cache, index, change):
    constants = [constant.reshape(-1) for constant in packed.constants]
    constants[index] = np.resize(constants[index], constants[index].size + change)
    damaged = dataclasses.replace(packed, constants=tuple(constants))
    assert refused(kernel_cache, damaged) == [STATUS["CONSTANT_SIZE"]]


@pytest.mark.parametrize("count", [0, 2, 4])
def test_bind_refuses_another_number_of_constants(packed, kernel_cache, count):
    constants = (packed.constants + packed.constants)[:count]
    damaged = dataclasses.replace(packed, constants=constants)
    assert refused(kernel_cache, damaged) == [STATUS["CONSTANT_COUNT"]]


@pytest.mark.parametrize("values", [[0, 1, 2, 3, 4, 4], [0, 1, 2, 3, 4, 6], [-1, 1, 2, 3, 4, 5]])
def test_bind_refuses_positions_that_are_no_permutation(packed, kernel_cache, values):
    constants = (*packed.constants[:2], np.array(values, np.int16))
    damaged = dataclasses.replace(packed, constants=constants)
    assert refused(kernel_cache, damaged) == [STATUS["CONSTANT_VALUE"]]


def test_bind_refuses_a_negative_multiplier(packed, kernel_cache):
    channels = packed.constants[1].copy()
    channels[-1, 1] = -1
    constants = (packed.constants[0], channels, packed.constants[2])
    damaged = dataclasses.replace(packed, constants=constants)
    assert refused(kernel_cache, damaged) == [STATUS["CONSTANT_VALUE"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_shape": (1, 6, 11)}, "multiples of the groups"),
        ({"input_shape": (1, 5000, 10)}, "must be 1 to 4096"),
        ({"input_shape": (1, 0, 10)}, "must be 1 to 4096"),
        ({"input_shape": (4096, 4096, 10)}, "at most 16777216 elements"),
        ({"groups": 4}, "multiples of the groups"),
        ({"groups": 0}, "multiples of the groups"),
        ({"weights": np.zeros((6, 4), np.int8)}, "must have the shape"),
        ({"weights": np.full((6, 5), -128, np.int8)}, "-127 to 127"),
        ({"weights": np.zeros((6, 5), np.int16)}, "must be int8"),
        ({"biases": np.zeros(5, np.int32)}, "`biases` must be integers"),
        ({"biases": np.zeros(6)}, "`biases` must be integers"),
        ({"biases": np.full(6, 2**31 - 1, np.int32)}, "`biases` must be from -2147483648 to"),
        ({"multipliers": np.full(6, -1, np.int32)}, "must be from 0 to"),
        ({"multipliers": np.zeros((6, 1), np.int32)}, "`multipliers` must be integers"),
        ({"input_zero_point": 128}, "`input_zero_point` must be"),
        ({"output_zero_point": -129}, "`output_zero_point` must be"),
        ({"lowest": 3, "highest": 2}, "`lowest` and `highest`"),
        ({"highest": 128}, "`lowest` and `highest`"),
        ({"output_positions": np.array([0, 1, 2, 3, 3, 5])}, "each of 0 to 5 once"),
        ({"output_positions": np.arange(5)}, "each of 0 to 5 once"),
    ],
)
def test_operands_that_no_kernel_takes_are_refused(change, message):
    operation, _ = drawn_operation(np.random.default_rng(6), (6, 5, 3, 2))
    with pytest.raises(ValueError, match=message + "(.|\n)*Received"):
        dataclasses.replace(operation, **change)
