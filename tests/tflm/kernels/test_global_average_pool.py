# SPDX-License-Identifier: Apache-2.0
"""Tests of global average pooling: the NumPy reference, the kernels, what bind refuses."""

import dataclasses

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from tests.tflm.kernels.kernel_checks import EMULATED, STATUS, check_results, refused, with_option
from tflm.kernels import kernel_runner
from tflm.kernels.global_average_pool import GlobalAveragePool

MODEL_SHAPES = [(7, 7, 384), (7, 7, 864)]  # of MicroNet-M0 and M3


def random_table(random):
    return random.integers(-128, 128, 256).astype(np.int8)


def random_images(random, shape):
    """int8 images with a mean of their own in every channel."""
    means = random.integers(-150, 151, shape[-1])
    return np.clip(random.normal(means, 60, shape).round(), -128, 127).astype(np.int8)


@strategies.composite
def cases(draw):
    """Operation and input, of all kinds."""
    random = np.random.default_rng(draw(strategies.integers(0, 2**32 - 1)))
    height, width = draw(strategies.integers(1, 40)), draw(strategies.integers(1, 20))
    shape = (height, width, draw(strategies.integers(1, 19)))
    table = random_table(random) if draw(strategies.booleans()) else None
    images = random_images(random, shape)
    if draw(strategies.booleans()):
        images[:] = draw(strategies.sampled_from([-128, 127]))
    return GlobalAveragePool(shape, table), images


def check_without_buffer(calls, target, folder):
    results = check_results(calls, target, folder)
    assert [result.buffer_bytes for result in results] == [0] * len(calls)
    return results


def test_reference_is_the_rounded_mean():
    shape = (9, 11, 50)
    images = random_images(np.random.default_rng(0), shape)
    results = GlobalAveragePool(shape).reference(images)
    expected = np.round(images.mean(axis=(0, 1), dtype=np.float64))  # 99 pixels: never a half
    np.testing.assert_array_equal(results, expected.reshape(1, 1, 50))


@pytest.mark.parametrize("pair, mean", [((0, 1), 1), ((0, -1), -1), ((3, 4), 4), ((-3, -4), -4)])
def test_halves_are_rounded_away_from_zero(pair, mean):
    images = np.array(pair, np.int8).reshape(2, 1, 1)
    assert GlobalAveragePool((2, 1, 1)).reference(images) == mean


def test_table_is_applied_to_the_mean():
    table = np.arange(-128, 128)[::-1].astype(np.int8)
    images = np.array([5, 5], np.int8).reshape(2, 1, 1)
    assert GlobalAveragePool((2, 1, 1), table).reference(images) == -6


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(calls=strategies.lists(cases(), min_size=1, max_size=12))
def test_host_equals_reference(kernel_cache, calls):
    check_without_buffer(calls, kernel_runner.Target.HOST, kernel_cache)


@pytest.mark.parametrize("target", EMULATED)
def test_processors_equal_reference(kernel_cache, target):
    random = np.random.default_rng(0)
    calls = []
    for case in range(40):
        shape = tuple(int(size) for size in random.integers(1, (30, 20, 22)))
        table = random_table(random) if case % 2 else None
        images = random_images(random, shape)
        if case % 5 == 0:
            images[:] = -128 if case % 2 else 127
        calls.append((GlobalAveragePool(shape, table), images))
    # As many pixels as there may be: sums of 256 blocks.
    large = np.full((256, 256, 5), -128, np.int8)
    calls.append((GlobalAveragePool(large.shape), large))
    for shape in MODEL_SHAPES:
        operation = GlobalAveragePool(shape, random_table(random))
        calls.append((operation, random_images(random, shape)))
    results = check_without_buffer(calls, target, kernel_cache)
    if target is kernel_runner.Target.CORTEX_M4:
        # As tight as it was measured: 1.4 instructions an element.
        assert results[-1].instructions < 1.6 * 7 * 7 * 864


@pytest.fixture
def packed():
    return GlobalAveragePool((2, 2, 3), random_table(np.random.default_rng(0))).packed()


@pytest.mark.parametrize(
    "index, values",
    [(1, [0, -1, 65537, 2**31 - 1]), (2, [0, -1, 4097, 2**31 - 1]), (3, [-1, 2])],
)
def test_bind_refuses_options(kernel_cache, packed, index, values):
    operations = [with_option(packed, index, value) for value in values]
    assert refused(kernel_cache, *operations) == [STATUS["OPTIONS_VALUE"]] * len(values)


def test_bind_refuses_too_many_elements(kernel_cache, packed):
    many = with_option(with_option(packed, 1, 65536), 2, 4096)
    assert refused(kernel_cache, many) == [STATUS["OPTIONS_VALUE"]]


def test_bind_refuses_other_versions_and_lengths(kernel_cache, packed):
    options = packed.options
    variants = [options[:-4], options[:3], b"", options + b"\0\0\0\0"]
    operations = [dataclasses.replace(packed, options=variant) for variant in variants]
    statuses = refused(kernel_cache, with_option(packed, 0, 2), *operations)
    assert statuses == [STATUS["OPTIONS_VERSION"]] + [STATUS["OPTIONS_SIZE"]] * 4


def test_bind_refuses_other_tables(kernel_cache, packed):
    table = packed.constants[0]
    variants = [(), (table, table), (table[:-1],), (np.append(table, table[:1]),)]
    operations = [dataclasses.replace(packed, constants=variant) for variant in variants]
    unexpected = with_option(packed, 3, 0)
    expected = [STATUS["CONSTANT_COUNT"]] * 2 + [STATUS["CONSTANT_SIZE"]] * 2
    assert refused(kernel_cache, *operations, unexpected) == [*expected, STATUS["CONSTANT_COUNT"]]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (((7, 7),), "`input_shape` must be"),
        (((7, 0, 3),), "`input_shape` must be"),
        (((257, 256, 1),), "at most 65536 pixels"),
        (((1, 1, 4097),), "4096 channels"),
        (((256, 256, 257),), "16777216 elements"),
        (((7, 7, 3), np.zeros(255, np.int8)), "`table` must be `None` or an int8 array of 256"),
        (((7, 7, 3), np.zeros(256)), "`table` must be `None` or an int8 array of 256"),
    ],
)
def test_values_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        GlobalAveragePool(*arguments)
    assert "Received: " in str(caught.value)
