# SPDX-License-Identifier: Apache-2.0
"""The depthwise convolution whose output overlaps its input: the lead that this needs is enough."""

import dataclasses
import re

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from tests.tflm.kernels.kernel_checks import EMULATED
from tests.tflm.kernels.test_factorized_conv import (
    DEPTHWISE_SHAPES,
    cases,
    random_images,
    random_limits,
    random_operation,
)
from tflm.kernels import c_files, kernel_runner
from tflm.kernels.factorized_depthwise_conv import STRIP_ROWS, FactorizedDepthwiseConv
from tflm.kernels.kernel_runner import OVERLAPPING_DEPTHWISE, Target

M0 = ((112, 112, 4), (3, 3), (2, 2), (2, 2))
M3 = ((112, 112, 12), (3, 3), (2, 2), (2, 2))
FILL = 0x5A
# Outputs that grow less, as much and more than what is read, over several strips.
SHAPES = [
    M0,
    *DEPTHWISE_SHAPES,
    ((64, 20, 3), (3, 3), (1, 1), (2, 2)),
    ((49, 12, 5), (5, 3), (1, 1), (1, 1)),
    ((70, 10, 4), (5, 5), (2, 1), (2, 3)),
    ((66, 9, 6), (3, 5), (2, 2), (1, 1)),
    ((33, 8, 2), (5, 5), (1, 2), (1, 1)),
    ((51, 7, 3), (7, 3), (3, 2), (1, 2)),
]


def case(shape, seed=0, **fields):
    random = np.random.default_rng(seed)
    operation = random_operation(random, FactorizedDepthwiseConv, *shape, **fields)
    return operation, random_images(random, operation.input_shape)


def overlapping(operation, images, lead):
    """A call with the output's beginning `lead` bytes before the input's."""
    front = np.full(lead, FILL, np.int8)
    packed = dataclasses.replace(operation.packed(), operator=OVERLAPPING_DEPTHWISE)
    return packed, (np.concatenate([front, images.ravel()]),)


def run(calls, target, folder):
    """Results with each operation's own lead."""
    return kernel_runner.run(
        [overlapping(operation, images, operation.lead_bytes) for operation, images in calls],
        target,
        folder,
    )


def check_results(calls, target, folder):
    for (operation, images), result in zip(calls, run(calls, target, folder), strict=True):
        assert result.status == 0
        np.testing.assert_array_equal(result.output, operation.reference(images), str(operation))


def test_rows_of_a_strip_are_those_of_the_kernel():
    header = c_files.find("factorized_depthwise_conv_s8.h").read_text()
    assert re.findall(r"_STRIP_ROWS = (\d+)", header) == [str(STRIP_ROWS)]


@pytest.mark.parametrize("shape", [*SHAPES, M3])
def test_lead_is_the_least_for_strips_of_any_rows(shape):
    """A strip, wherever it begins and ends, must not reach the first row that it reads."""
    operation, _ = case(shape)
    height, width, channels = operation.input_shape
    output_height, output_width, output_channels = operation.output_shape
    taps, stride = operation.vertical_weights.shape[1], operation.vertical_stride

    def keeps_rows(lead):
        for first in range(output_height):
            for last in range(first, min(first + 16, output_height)):
                window = range(first * stride - taps // 2, first * stride - taps // 2 + taps)
                oldest = min(y for y in window if 0 <= y < height)
                if (last + 1) * output_width * output_channels > lead + oldest * width * channels:
                    return False
        return True

    lead = operation.lead_bytes
    assert keeps_rows(lead) and not keeps_rows(lead - 1)
    # Neither end of the two is a hole or stands out, as `memory_plan.arrange` supposes.
    output_bytes = np.prod(operation.output_shape)
    assert lead <= output_bytes <= lead + np.prod(operation.input_shape)


@pytest.mark.parametrize("shape, expected", [(M0, 14784), (M3, 44352)])
def test_lead_of_the_models(shape, expected):
    """16 rows of the output, and the one row that the strip reads above them."""
    assert case(shape)[0].lead_bytes == expected


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(calls=strategies.lists(cases(FactorizedDepthwiseConv), min_size=1, max_size=12))
def test_host_equals_reference(kernel_cache, calls):
    check_results(calls, Target.HOST, kernel_cache)


@pytest.fixture(scope="module")
def fixed_calls():
    calls = [case(shape, seed) for seed, shape in enumerate(SHAPES)]
    for seed in range(40):
        random = np.random.default_rng(seed)
        most = 4 if seed % 4 == 0 else 2
        shape = (
            (*map(int, random.integers(1, (80, 20))), int(random.integers(1, 6))),
            [(3, 5, 1, 7)[i] for i in random.integers(0, most, 2)],
            [int(stride) for stride in random.integers(1, most + 1, 2)],
            [int(multiplier) for multiplier in random.integers(1, 4, 2)],
        )
        calls.append(case(shape, seed, **(random_limits(random) if seed % 5 == 0 else {})))
    return calls


@pytest.mark.parametrize("target", [Target.HOST, *EMULATED])
def test_all_targets_equal_reference(kernel_cache, fixed_calls, target):
    check_results(fixed_calls, target, kernel_cache)


@pytest.mark.parametrize("target", ["CORTEX_M4", "CORTEX_M7", "CORTEX_M55"])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_less_than_the_lead_is_not_enough(kernel_cache, target, strides):
    """64 rows, which are computed in strips of 16; a row of the input is missing."""
    height = 64 * strides[0]
    operation, images = case(((height, 20, 3), (5, 3), strides, (2, 2)))
    lead = operation.lead_bytes - 20 * 3
    (result,) = kernel_runner.run(
        [overlapping(operation, images, lead)], Target[target], kernel_cache
    )
    assert result.status == 0
    assert np.any(result.output != operation.reference(images))


@pytest.mark.parametrize(
    "target, shape, most", [("CORTEX_M4", M0, 1.001), ("CORTEX_M55", M0, 1.07)]
)
def test_instructions(kernel_cache, target, shape, most):
    """Compared with memory of its own."""
    operation, images = case(shape)
    target = Target[target]
    (apart,) = kernel_runner.run([(operation.packed(), (images,))], target, kernel_cache)
    (result,) = run([(operation, images)], target, kernel_cache)
    assert result.instructions < most * apart.instructions
