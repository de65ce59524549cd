# SPDX-License-Identifier: Apache-2.0
"""The fully connected layers: NumPy integers against floats, and kernels against the integers."""

import dataclasses
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tflm.kernels.kernel_checks import STATUS, refused, with_option
from tflm.kernels import kernel_runner
from tflm.kernels.dense import Dense
from tflm.kernels.kernel_runner import Target
from tflm.kernels.requantization import integer_multipliers

LARGEST = {8: 127, 4: 7}

# Inputs and outputs: those of MicroNet-M0 with fewer outputs, both sides of the 504 inputs whose
# sums are taken apart together, and incomplete steps and blocks.
SHAPES = [
    (384, 64),
    (640, 100),
    (1, 1),
    (3, 5),
    (8, 4),
    (9, 3),
    (503, 6),
    (504, 2),
    (505, 7),
    (1008, 4),
    (1009, 9),
    (4096, 5),
    (65, 1),
]


def drawn_operation(generator, bits, shape):
    """An operation with random operands, now and then extreme ones, and an input for it."""
    inputs, outputs = shape
    largest = LARGEST[bits]
    weights = generator.integers(-largest, largest + 1, (outputs, inputs)).astype(np.int8)
    x = generator.integers(-128, 128, inputs).astype(np.int8)
    if generator.random() < 0.3:  # the largest sums of their signs
        weights = generator.choice([-largest, largest], (outputs, 1)).repeat(inputs, 1)
        weights = weights.astype(np.int8)
        x = np.full(inputs, generator.choice([-128, 127]), np.int8)
    multipliers = 2**32 * 90 / (80 * largest * np.sqrt(inputs)) * generator.uniform(0.3, 2, outputs)
    biases = generator.integers(-2000, 2000, outputs)
    if generator.random() < 0.3:
        multipliers = generator.choice([0, 1, 2**31 - 1, 2**22], outputs)
        biases = generator.choice([-(2**30), 2**30, 0, 77], outputs)
    lowest, highest = (-128, 127)
    if generator.random() < 0.3:
        lowest, highest = sorted(generator.integers(-128, 128, 2).tolist())
    table = generator.integers(-128, 128, 256).astype(np.int8)
    operation = Dense(
        bits=bits,
        weights=weights,
        biases=biases.astype(np.int32),
        multipliers=multipliers.clip(0, 2**31 - 1).astype(np.int32),
        input_zero_point=int(generator.integers(-128, 128)),
        output_zero_point=int(generator.integers(-128, 128)),
        lowest=lowest,
        highest=highest,
        table=table if generator.random() < 0.5 else None,
    )
    return operation, x


def check_against_reference(cases, target, kernel_cache):
    calls = [(operation.packed(), (x,)) for operation, x in cases]
    results = kernel_runner.run(calls, target, kernel_cache)
    for (operation, x), result in zip(cases, results, strict=True):
        assert result.status == 0
        assert result.buffer_bytes == 2 * (-(-x.size // 8) * 8)
        np.testing.assert_array_equal(result.output, operation.reference(x))


@pytest.mark.parametrize("bits", [8, 4])
@given(seeds=st.lists(st.integers(0, 2**32 - 1), min_size=20, max_size=20))
@settings(max_examples=15, deadline=None)
def test_the_portable_kernel_gives_the_reference_within_its_arrays(kernel_cache, bits, seeds):
    generators = [np.random.default_rng(seed) for seed in seeds]
    cases = [drawn_operation(rng, bits, rng.integers(1, [60, 14]).tolist()) for rng in generators]
    check_against_reference(cases, Target.HOST, kernel_cache)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("target", list(Target), ids=lambda target: target.name)
def test_kernels_give_the_reference(target, bits, kernel_cache):
    generator = np.random.default_rng(3)
    shapes = SHAPES + generator.integers(1, [1200, 14], (40, 2)).tolist()
    cases = [drawn_operation(generator, bits, shape) for shape in shapes]
    check_against_reference(cases, target, kernel_cache)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("target", list(Target), ids=lambda target: target.name)
def test_the_largest_sums_do_not_run_into_each_other(target, bits, kernel_cache):
    largest = LARGEST[bits]
    cases = []
    for inputs in (504, 505, 1009, 4096):
        # Both signs in each place of a block of four.
        signs = np.array([[1], [-1], [-1], [1], [1], [1], [-1], [-1], [0]])
        operation = Dense(
            bits=bits,
            weights=(signs * np.full(inputs, largest)).astype(np.int8),
            biases=np.zeros(9, np.int32),
            multipliers=integer_multipliers(np.full(9, 100 / (inputs * 128 * largest))),
            input_zero_point=0,
            output_zero_point=0,
        )
        cases += [(operation, np.full(inputs, value, np.int8)) for value in (-128, 127)]
        np.testing.assert_array_equal(operation.reference(cases[-2][1]), -100 * signs[:, 0])
    check_against_reference(cases, target, kernel_cache)


@pytest.mark.parametrize("bits", [8, 4])
def test_the_reference_is_the_float_layer(bits):
    generator = np.random.default_rng(5)
    inputs, outputs = 96, 400
    input_scale, output_scale, input_zero_point, output_zero_point = 0.03, 0.09, -50, 4
    weight_scales = generator.uniform(0.002, 0.01, outputs) * 127 / LARGEST[bits]
    weights = generator.integers(-LARGEST[bits], LARGEST[bits] + 1, (outputs, inputs))
    biases = generator.integers(-300, 300, outputs).astype(np.int32)
    plain = Dense(
        bits=bits,
        weights=weights.astype(np.int8),
        biases=biases,
        multipliers=integer_multipliers(input_scale * weight_scales / output_scale),
        input_zero_point=input_zero_point,
        output_zero_point=output_zero_point,
    )
    x = generator.integers(-128, 128, inputs).astype(np.int8)
    real_x = (x.astype(np.float64) - input_zero_point) * input_scale
    real = (weights * weight_scales[:, None]) @ real_x + biases * input_scale * weight_scales
    expected = (np.round(real / output_scale) + output_zero_point).clip(-128, 127)
    result = plain.reference(x)
    assert np.abs(result - expected).max() <= 1
    assert np.mean(result != expected) < 0.01

    table = generator.integers(-128, 128, 256).astype(np.int8)
    with_table = dataclasses.replace(plain, table=table).reference(x)
    np.testing.assert_array_equal(with_table, [table[value + 128] for value in result.tolist()])


def test_4_bit_weights_take_half_the_bytes():
    operation, _ = drawn_operation(np.random.default_rng(8), 4, (384, 640))
    packed = operation.packed()
    assert packed.operator == "dense_s4"
    assert packed.constants[0].nbytes == 384 * 640 // 2


@pytest.fixture(params=[8, 4])
def packed(request):
    operation, _ = drawn_operation(np.random.default_rng(6), request.param, (11, 6))
    table = np.arange(-128, 128).astype(np.int8)
    return dataclasses.replace(operation, table=table).packed()


# Positions: version, inputs, outputs, output zero point, lowest, highest, table.
@pytest.mark.parametrize(
    ("position", "value", "status"),
    [
        (0, 0, STATUS["OPTIONS_VERSION"]),
        (1, 0, STATUS["OPTIONS_VALUE"]),
        (1, 4097, STATUS["OPTIONS_VALUE"]),
        (2, 0, STATUS["OPTIONS_VALUE"]),
        (2, 65537, STATUS["OPTIONS_VALUE"]),
        (2, -(2**31), STATUS["OPTIONS_VALUE"]),
        (3, -129, STATUS["OPTIONS_VALUE"]),
        (3, 128, STATUS["OPTIONS_VALUE"]),
        (4, -129, STATUS["OPTIONS_VALUE"]),
        (5, 128, STATUS["OPTIONS_VALUE"]),
        (5, -129, STATUS["OPTIONS_VALUE"]),
        (6, 2, STATUS["OPTIONS_VALUE"]),
        (6, -1, STATUS["OPTIONS_VALUE"]),
        (6, 0, STATUS["CONSTANT_COUNT"]),
        (1, 17, STATUS["CONSTANT_SIZE"]),
        (2, 9, STATUS["CONSTANT_SIZE"]),
        (2, 5, STATUS["CONSTANT_SIZE"]),
    ],
)
def test_bind_refuses_options(packed, kernel_cache, position, value, status):
    damaged = with_option(packed, position, value)
    assert refused(kernel_cache, damaged) == [status]


def test_bind_refuses_more_than_the_most_weights(packed, kernel_cache):
    options = packed.options[:4] + struct.pack("<2i", 4096, 4097) + packed.options[12:]
    damaged = dataclasses.replace(packed, options=options)
    assert refused(kernel_cache, damaged) == [STATUS["OPTIONS_VALUE"]]


def test_bind_refuses_limits_in_the_wrong_order(packed, kernel_cache):
    options = packed.options[:16] + struct.pack("<2i", 5, 4) + packed.options[24:]
    damaged = dataclasses.replace(packed, options=options)
    assert refused(kernel_cache, damaged) == [STATUS["OPTIONS_VALUE"]]


@pytest.mark.parametrize("length", [0, 3, 4, 27, 29])
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


def test_bind_refuses_a_negative_multiplier(packed, kernel_cache):
    channels = packed.constants[1].copy()
    channels[-1, 1] = -1
    constants = (packed.constants[0], channels, packed.constants[2])
    damaged = dataclasses.replace(packed, constants=constants)
    assert refused(kernel_cache, damaged) == [STATUS["CONSTANT_VALUE"]]


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 2}, "8 or 4 bits"),
        ({"weights": np.zeros((6, 0), np.int8)}, "must have the shape"),
        ({"weights": np.zeros(6, np.int8)}, "must have the shape"),
        ({"weights": np.full((6, 11), -128, np.int8)}, "`weights` must be int8 within"),
        ({"weights": np.zeros((6, 11), np.int32)}, "`weights` must be int8 within"),
        ({"weights": np.zeros((6, 4097), np.int8)}, "at most 65536 outputs, 4096 inputs"),
        ({"weights": np.zeros((65537, 1), np.int8)}, "at most 65536 outputs, 4096 inputs"),
        ({"weights": np.zeros((8193, 2048), np.int8)}, "16777216 weights"),
        ({"biases": np.zeros(5, np.int32)}, "`biases` must be integers"),
        ({"biases": np.full(6, -(2**31), np.int32)}, "must fit in int32"),
        ({"multipliers": np.full(6, -1, np.int32)}, "must be from 0 to"),
        ({"multipliers": np.zeros(6, np.float32)}, "`multipliers` must be integers"),
        ({"input_zero_point": -129}, "`input_zero_point` must be"),
        ({"output_zero_point": 128}, "`output_zero_point` must be"),
        ({"lowest": 3, "highest": 2}, "`lowest` and `highest`"),
        ({"lowest": -129}, "`lowest` and `highest`"),
        ({"table": np.zeros(255, np.int8)}, "256 elements"),
        ({"table": np.zeros(256, np.int16)}, "256 elements"),
    ],
)
def test_operands_that_no_kernel_takes_are_refused(bits, change, message):
    operation, _ = drawn_operation(np.random.default_rng(6), bits, (11, 6))
    with pytest.raises(ValueError, match=message + "(.|\n)*Received"):
        dataclasses.replace(operation, **change)


def test_weights_of_more_than_4_bits_are_refused():
    operation, _ = drawn_operation(np.random.default_rng(6), 4, (11, 6))
    with pytest.raises(ValueError, match="within -7 to 7. Received: int8, 0 to 8"):
        dataclasses.replace(operation, weights=np.eye(6, 11, dtype=np.int8) * np.int8(8))
