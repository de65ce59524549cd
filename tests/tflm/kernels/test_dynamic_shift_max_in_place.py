# SPDX-License-Identifier: Apache-2.0
"""Dynamic Shift-Max over its input: equal to the reference, and what it costs."""

import ctypes
import dataclasses
import re
import subprocess

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from tests.tflm.kernels.kernel_checks import EMULATED
from tests.tflm.kernels.test_dynamic_shift_max import (
    LIMITS,
    cases,
    circular_shift,
    random_images,
    random_operation,
)
from tflm.kernels import c_files, kernel_runner
from tflm.kernels.dynamic_shift_max import PIXELS_IN_PLACE

OPERATOR = "dynamic_shift_max_in_place_s8"
OK, NULL_POINTER = 0, 8
M3 = (56, 56, 48, 8, 2, 12)  # height, width, channels, squeeze channels, fusions, groups of shift
# Numbers of pixels around those of a block, also odd ones; channels so that blocks begin at odd
# addresses, and so that the buffer of the dense layers is larger than the block.
SHAPES = [
    (20, 20, 12, 4, 2, 3),
    (28, 28, 9, 4, 1, 3),
    (10, 10, 7, 3, 2, 7),
    (9, 11, 6, 2, 1, 3),
    (101, 1, 5, 5, 2, 1),
    (3, 67, 8, 4, 2, 4),
    (14, 14, 48, 8, 2, 12),
    (1, 1, 21, 30, 2, 3),
]


def run(calls, target, folder):
    return kernel_runner.run(
        [
            (dataclasses.replace(operation.packed(), operator=OPERATOR), (images,))
            for operation, images in calls
        ],
        target,
        folder,
    )


def check_results(calls, target, folder):
    results = run(calls, target, folder)
    for (operation, images), result in zip(calls, results, strict=True):
        assert result.status == OK
        np.testing.assert_array_equal(result.output, operation.reference(images), str(operation))
        assert result.buffer_bytes == operation.in_place_buffer_bytes
    return results


def case(shape, seed=0, **fields):
    """An operation with random integers, and an input."""
    random = np.random.default_rng(seed)
    shift = circular_shift(shape[2], shape[-1])
    operation = random_operation(random, *shape[:-1], shift, **fields)
    return operation, random_images(random, operation.input_shape)


def cases_of_some_pixels():
    """Of `cases`, whose maps are at most as large as a block, and of larger ones."""
    taller = strategies.builds(
        lambda seed, height: case((height, 5, 6, 4, 1 + seed % 2, 1 + seed % 3), seed),
        strategies.integers(0, 2**16),
        strategies.integers(18, 70),
    )
    return cases() | taller


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(calls=strategies.lists(cases_of_some_pixels(), min_size=1, max_size=8))
def test_host_equals_reference(kernel_cache, calls):
    check_results(calls, kernel_runner.Target.HOST, kernel_cache)


@pytest.fixture(scope="module")
def fixed_calls():
    calls = [case(shape, seed) for seed, shape in enumerate(SHAPES)]
    for seed in range(24):
        random = np.random.default_rng(seed)
        channels = int(random.integers(1, 25))
        shape = (*map(int, random.integers(1, 33, 2)), channels, int(random.integers(1, 13)))
        fields = {"coefficient_shift": 12 if seed % 5 else int(random.integers(4, 15))}
        limits = LIMITS[seed % len(LIMITS)]
        calls.append(
            case((*shape, 1 + seed % 2, 1), seed, is_extreme=seed % 4 == 0, **fields, **limits)
        )
    return calls


@pytest.mark.parametrize("target", EMULATED)
def test_processors_equal_reference(kernel_cache, fixed_calls, target):
    check_results(fixed_calls, target, kernel_cache)


def test_host_takes_the_same_cases(kernel_cache, fixed_calls):
    """With a sanitizer, which sees every access outside the map and the buffer."""
    check_results(fixed_calls, kernel_runner.Target.HOST, kernel_cache)


def test_pixels_of_a_block_are_those_of_the_kernel():
    header = c_files.find(f"{OPERATOR}.h").read_text()
    assert re.findall(r"_IN_PLACE_S8_PIXELS = (\d+)", header) == [str(PIXELS_IN_PLACE)]


@pytest.mark.parametrize(
    "shape, expected",
    [
        (M3, 4 * 2 * 48 + 100 * 48),  # coefficients, and 100 of 3136 pixels
        ((7, 7, 96, 12, 1, 8), 4 * 96 + 49 * 96),  # all pixels
        ((1, 1, 21, 30, 2, 3), 4 * 2 * 24 + 2 * 24 + 2 * 32),  # means and hidden values
    ],
)
def test_buffer(kernel_cache, shape, expected):
    (result,) = run([case(shape)], kernel_runner.Target.HOST, kernel_cache)
    assert result.buffer_bytes == expected


@pytest.mark.parametrize(
    "target, shape, most",
    [
        ("CORTEX_M4", M3, 1.09),
        ("CORTEX_M4", (14, 14, 480, 40, 2, 40), 1.05),
        ("CORTEX_M4", (28, 28, 32, 4, 1, 8), 1.12),
        ("CORTEX_M7", (28, 28, 32, 4, 1, 8), 1.12),
        ("CORTEX_M55", M3, 1.17),
        ("CORTEX_M55", (14, 14, 480, 40, 2, 40), 1.08),
        ("CORTEX_M4_PORTABLE", (28, 28, 32, 4, 1, 8), 1.05),
    ],
)
def test_instructions(kernel_cache, target, shape, most):
    """Compared with a result of its own."""
    operation, images = case(shape)
    target = kernel_runner.Target[target]
    (apart,) = kernel_runner.run([(operation.packed(), (images,))], target, kernel_cache)
    (in_place,) = run([(operation, images)], target, kernel_cache)
    assert apart.instructions < in_place.instructions < most * apart.instructions


def test_null_is_refused(tmp_path):
    path = tmp_path / "library.so"
    words = ["gcc", "-std=c99", "-shared", "-fPIC", *kernel_runner.sources(OPERATOR)]
    for folder in c_files.include_folders():
        words += ["-I", folder]
    subprocess.run([*words, "-o", path], check=True)
    function = ctypes.CDLL(str(path)).micronet_dynamic_shift_max_in_place_s8
    block = ctypes.create_string_buffer(256)
    for missing in range(3):
        arguments = [block] * 3
        arguments[missing] = None
        assert function(*arguments) == NULL_POINTER
