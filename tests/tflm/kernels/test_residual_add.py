# SPDX-License-Identifier: Apache-2.0
"""Tests of the sum of two maps: the NumPy reference, the kernels, what bind refuses."""

import dataclasses

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from tests.tflm.kernels.kernel_checks import EMULATED, STATUS, refused, with_option
from tflm.kernels import kernel_runner
from tflm.kernels.residual_add import ResidualAdd

LIMITS = [{}, {"lowest": -30}, {"highest": 77}, {"lowest": -30, "highest": 77}]
MODEL_SHAPES = [(28, 28, 24), (14, 14, 32), (14, 14, 80), (7, 7, 120)]  # of MicroNet-M3

int8_values = strategies.integers(-128, 127)


@strategies.composite
def cases(draw):
    """Operation and inputs, of all kinds."""
    random = np.random.default_rng(draw(strategies.integers(0, 2**32 - 1)))
    shape = (draw(strategies.integers(1, 5)), draw(strategies.integers(1, 5)))
    shape += (draw(strategies.integers(1, 9)),)
    multiplier = strategies.integers(0, 32767) | strategies.sampled_from([0, 1, 4096, 32767])
    limits = {}
    if draw(strategies.booleans()):
        limits["highest"] = draw(int8_values)
        limits["lowest"] = draw(strategies.integers(-128, limits["highest"]))
    operation = ResidualAdd(
        shape,
        (draw(multiplier), draw(multiplier)),
        (draw(int8_values), draw(int8_values)),
        draw(int8_values),
        **limits,
    )
    return operation, random_inputs(random, shape, draw(strategies.booleans()))


def random_inputs(random, shape, is_extreme=False):
    choices = np.array([-128, 127]) if is_extreme else np.arange(-128, 128)
    return tuple(random.choice(choices, shape).astype(np.int8) for _ in range(2))


def check_results(calls, target, folder):
    results = kernel_runner.run(
        [(operation.packed(), inputs) for operation, inputs in calls], target, folder
    )
    for (operation, inputs), result in zip(calls, results, strict=True):
        assert (result.status, result.buffer_bytes) == (0, 0)
        np.testing.assert_array_equal(result.output, operation.reference(*inputs), str(operation))
    return results


@pytest.mark.parametrize("scales", [(0.02, 0.03), (0.1, 0.004), (0.0007, 0.05)])
def test_reference_is_close_to_real_numbers(scales):
    shape = (20, 20, 10)
    zero_points, output_scale, output_zero_point = (3, -9), 0.041, -14
    operation = ResidualAdd.of_scales(shape, scales, zero_points, output_scale, output_zero_point)
    inputs = random_inputs(np.random.default_rng(0), shape)
    real = sum(
        scale * (values.astype(np.float64) - zero_point)
        for scale, values, zero_point in zip(scales, inputs, zero_points, strict=True)
    )
    expected = np.clip(np.round(real / output_scale) + output_zero_point, -128, 127)
    differences = np.abs(operation.reference(*inputs) - expected)
    assert differences.max() <= 1
    assert np.mean(differences > 0) < 0.02


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(calls=strategies.lists(cases(), min_size=1, max_size=20))
def test_host_equals_reference(kernel_cache, calls):
    check_results(calls, kernel_runner.Target.HOST, kernel_cache)


@pytest.mark.parametrize("target", EMULATED)
def test_processors_equal_reference(kernel_cache, target):
    random = np.random.default_rng(0)
    calls = []
    for case in range(40):
        shape = (1, int(random.integers(1, 6)), int(random.integers(1, 10)))
        operation = ResidualAdd(
            shape,
            tuple(int(value) for value in random.integers(0, 32768, 2)),
            tuple(int(value) for value in random.integers(-128, 128, 2)),
            int(random.integers(-128, 128)),
            **LIMITS[case % len(LIMITS)],
        )
        calls.append((operation, random_inputs(random, shape, case % 3 == 0)))
    for shape in MODEL_SHAPES:
        operation = ResidualAdd.of_scales(shape, (0.02, 0.03), (3, -9), 0.035, -4)
        calls.append((operation, random_inputs(random, shape)))
    results = check_results(calls, target, kernel_cache)
    if target is kernel_runner.Target.CORTEX_M4:
        # As tight as it was measured: 6.0 instructions an element.
        assert results[-1].instructions < 6.5 * results[-1].output.size


@pytest.fixture
def packed():
    return ResidualAdd((1, 2, 3), (4000, 5000), (1, 2), 3).packed()


@pytest.mark.parametrize(
    "index, values",
    [
        (1, [0, -1, 2**24 + 1, 2**31 - 1]),
        (2, [-1, 32768]),
        (3, [-1, 32768]),
        (4, [-(2**29) - 1, 2**29 + 1, -(2**31)]),
        (5, [-129, 128]),
        (6, [-129, 128]),
    ],
)
def test_bind_refuses_options(kernel_cache, packed, index, values):
    operations = [with_option(packed, index, value) for value in values]
    assert refused(kernel_cache, *operations) == [STATUS["OPTIONS_VALUE"]] * len(values)


def test_bind_refuses_crossed_limits(kernel_cache, packed):
    crossed = with_option(with_option(packed, 5, 4), 6, 3)
    assert refused(kernel_cache, crossed) == [STATUS["OPTIONS_VALUE"]]


def test_bind_refuses_other_versions_lengths_and_constants(kernel_cache, packed):
    options = packed.options
    variants = [options[:-4], options[:3], b"", options + b"\0\0\0\0"]
    operations = [dataclasses.replace(packed, options=variant) for variant in variants]
    operations.append(with_option(packed, 0, 2))
    operations.append(dataclasses.replace(packed, constants=(np.zeros(4, np.int8),)))
    expected = [STATUS["OPTIONS_SIZE"]] * 4 + [STATUS["OPTIONS_VERSION"], STATUS["CONSTANT_COUNT"]]
    assert refused(kernel_cache, *operations) == expected


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"shape": (0, 2, 3)}, "must have 1 to 16777216 elements"),
        ({"shape": (4096, 4096, 2)}, "must have 1 to 16777216 elements"),
        ({"multipliers": (1, 32768)}, "`multipliers` must be an integer from 0 to 32767"),
        ({"multipliers": (1,)}, "`multipliers` must be two integers"),
        ({"zero_points": (128, 0)}, "`zero_points` must be an integer from -128 to 127"),
        ({"output_zero_point": -129}, "`output_zero_point` must be an integer"),
        ({"lowest": 2, "highest": 1}, "`lowest` and `highest` must be in order"),
    ],
)
def test_values_are_checked(fields, message):
    values = {
        "shape": (1, 2, 3),
        "multipliers": (1, 2),
        "zero_points": (0, 0),
        "output_zero_point": 0,
    }
    with pytest.raises(ValueError, match=message) as caught:
        ResidualAdd(**{**values, **fields})
    assert "Received: " in str(caught.value)


def test_scales_that_are_far_larger_than_the_sums_are_refused():
    with pytest.raises(ValueError, match="less than 8 times the scale of the sum. Received: "):
        ResidualAdd.of_scales((1, 1, 1), (0.1, 0.9), (0, 0), 0.1, 0)
