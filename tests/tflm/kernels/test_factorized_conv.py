# SPDX-License-Identifier: Apache-2.0
"""Tests of both factorized convolutions: NumPy reference, kernels, what bind refuses."""

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
    with_options,
)
from tflm.kernels import kernel_runner
from tflm.kernels.factorized_depthwise_conv import FactorizedDepthwiseConv
from tflm.kernels.factorized_stem import FactorizedStem

KINDS = [FactorizedDepthwiseConv, FactorizedStem]

# Input shape, taps and strides (vertical, horizontal), multipliers (the stem's first one is its
# number of vertical channels): those of MicroNet-M0 and M3 with fewer channels, and what else the
# kernels treat in ways of their own.
DEPTHWISE_SHAPES = [
    ((112, 112, 1), (3, 3), (2, 2), (2, 2)),
    ((56, 56, 2), (3, 3), (2, 2), (2, 2)),
    ((28, 28, 2), (3, 3), (1, 1), (2, 2)),
    ((28, 28, 2), (5, 5), (2, 2), (2, 2)),
    ((28, 28, 3), (5, 5), (2, 2), (1, 1)),
    ((14, 14, 5), (5, 5), (1, 1), (1, 1)),
    ((14, 14, 5), (5, 5), (2, 2), (1, 1)),
    ((7, 7, 6), (5, 5), (1, 1), (1, 1)),
    ((7, 7, 6), (3, 3), (1, 1), (1, 1)),
    ((24, 24, 2), (3, 3), (2, 2), (2, 2)),
    ((12, 12, 2), (3, 3), (1, 1), (2, 2)),
    ((12, 12, 3), (5, 5), (2, 2), (1, 1)),
    ((6, 6, 4), (5, 5), (1, 1), (1, 1)),
    ((6, 6, 4), (5, 5), (2, 2), (1, 1)),
    ((3, 3, 5), (5, 5), (1, 1), (1, 1)),
    ((3, 3, 5), (3, 3), (1, 1), (1, 1)),
    ((11, 11, 2), (5, 5), (2, 2), (2, 1)),  # 6 results of an odd height
    ((33, 13, 2), (5, 3), (1, 2), (1, 1)),  # an odd last strip
    ((14, 9, 2), (5, 3), (1, 1), (2, 1)),
    ((14, 10, 2), (5, 3), (2, 2), (1, 2)),
    ((21, 8, 2), (5, 5), (1, 1), (1, 1)),
    ((28, 6, 2), (5, 5), (1, 1), (2, 1)),
    ((27, 28, 2), (5, 5), (2, 2), (1, 1)),
    ((7, 14, 2), (3, 5), (1, 1), (1, 1)),
    ((13, 13, 2), (5, 5), (2, 2), (2, 1)),  # the last of 7 windows has 2 rows outside
    ((13, 14, 2), (3, 3), (2, 1), (2, 2)),  # and here 1
    ((40, 9, 2), (5, 5), (1, 2), (1, 2)),  # several strips of rows
    ((39, 27, 2), (3, 3), (1, 1), (3, 1)),
    ((67, 30, 1), (3, 5), (2, 1), (1, 1)),
    ((41, 15, 2), (5, 3), (2, 1), (1, 1)),
    ((2, 2, 3), (5, 5), (1, 1), (1, 2)),
    ((1, 9, 3), (3, 3), (1, 1), (1, 1)),
    ((1, 1, 1), (7, 7), (4, 4), (1, 1)),
    ((12, 33, 2), (1, 7), (3, 4), (2, 1)),
    ((35, 29, 2), (7, 1), (1, 3), (1, 2)),
]
STEM_SHAPES = [
    ((16, 224, 3), (3, 3), (2, 2), (2, 2)),
    ((10, 96, 3), (3, 3), (2, 2), (4, 3)),
    ((9, 33, 3), (3, 3), (2, 2), (3, 2)),  # an odd width and an odd number of channels
    ((8, 18, 3), (3, 5), (1, 1), (1, 2)),
    ((7, 17, 3), (3, 5), (2, 2), (2, 1)),
    ((1, 2, 3), (3, 3), (2, 2), (2, 1)),
    ((2, 1, 3), (3, 3), (2, 2), (2, 1)),
    ((8, 13, 1), (3, 3), (2, 2), (2, 2)),  # gray, an odd width
    ((9, 32, 1), (3, 3), (2, 2), (3, 2)),  # and an odd number of channels
    ((7, 19, 1), (3, 5), (1, 1), (4, 2)),
    ((1, 6, 1), (3, 3), (2, 2), (2, 1)),
    ((2, 1, 1), (3, 3), (2, 2), (2, 1)),
    ((8, 12, 4), (5, 3), (2, 2), (2, 2)),
    ((9, 12, 2), (7, 7), (3, 4), (2, 1)),
    ((3, 5, 3), (1, 1), (1, 1), (1, 1)),
]
SHAPES = {FactorizedDepthwiseConv: DEPTHWISE_SHAPES, FactorizedStem: STEM_SHAPES}


def random_half(random, shape, zero_point, is_extreme):
    """Weights, biases and multipliers of one of the two convolutions."""
    weights = random.integers(-127, 128, shape).astype(np.int8)
    if is_extreme:
        weights = random.choice(np.array([-128, 127], np.int8), shape)
    wide = weights.reshape(len(weights), -1).astype(np.int64)
    channels, inputs = wide.shape
    biases = random.integers(-6000, 6000, channels)
    multipliers = 2**32 * random.uniform(0.3, 1.5, channels) / (100 * inputs**0.5)
    if is_extreme:
        room = 2**31 - 1 - 128 * np.abs(wide).sum(axis=1)
        biases = random.integers(-room, room + 1) + zero_point * wide.sum(axis=1)
        multipliers = random.choice([0, 1, 2**20, 2**31 - 1], channels)
    return weights, biases, multipliers.astype(np.int64)


def random_operation(
    random, kind, input_shape, taps, strides, multipliers, is_extreme=False, **fields
):
    """A factorized convolution with random integers."""
    channels = input_shape[2]
    middle = multipliers[0] if kind is FactorizedStem else channels * multipliers[0]
    outputs = middle * multipliers[1]
    shape = (middle, taps[0], channels) if kind is FactorizedStem else (middle, taps[0])
    zero_points = {
        f"{name}_zero_point": int(random.integers(-128, 128))
        for name in ("input", "middle", "output")
    }
    zero_points |= {name: value for name, value in fields.items() if name in zero_points}
    vertical = random_half(random, shape, zero_points["input_zero_point"], is_extreme)
    horizontal = random_half(
        random, (outputs, taps[1]), zero_points["middle_zero_point"], is_extreme
    )
    values = {
        "input_shape": input_shape,
        "vertical_weights": vertical[0],
        "vertical_biases": vertical[1],
        "vertical_multipliers": vertical[2],
        "vertical_stride": strides[0],
        "horizontal_weights": horizontal[0],
        "horizontal_biases": horizontal[1],
        "horizontal_multipliers": horizontal[2],
        "horizontal_stride": strides[1],
        "output_positions": random.permutation(outputs).astype(np.int16),
        **zero_points,
    }
    return kind(**{**values, **fields})


def random_images(random, shape):
    return random.integers(-128, 128, shape).astype(np.int8)


def random_limits(random):
    middle, last = np.sort(random.integers(-128, 128, (2, 2)))
    names = ("middle_lowest", "middle_highest", "lowest", "highest")
    return dict(zip(names, map(int, (*middle, *last)), strict=True))


@strategies.composite
def cases(draw, kind):
    """Operation and input, of all kinds."""
    random = np.random.default_rng(draw(strategies.integers(0, 2**32 - 1)))
    most_channels, most_multiplier = (4, 5) if kind is FactorizedStem else (5, 3)
    channels = draw(strategies.just(3) | strategies.integers(1, most_channels))
    taps = [draw(strategies.sampled_from((3, 5, 1, 7))) for _ in range(2)]
    strides = [draw(strategies.sampled_from((2, 1, 3, 4))) for _ in range(2)]
    operation = random_operation(
        random,
        kind,
        (draw(strategies.integers(1, 40)), draw(strategies.integers(1, 12)), channels),
        taps,
        strides,
        (draw(strategies.integers(1, most_multiplier)), draw(strategies.integers(1, 3))),
        is_extreme=draw(strategies.booleans()),
        **(random_limits(random) if draw(strategies.booleans()) else {}),
    )
    return operation, random_images(random, operation.input_shape)


# Reference


def real_convolution(values, weights, axis, stride):
    """Depthwise convolution along `axis` in float64, one product after the other.

    Args:
        values: (height, width, channels); zeros are read behind the ends.
        weights: (channels, taps).
    """
    taps = weights.shape[1]
    padding = [(0, 0)] * 3
    padding[axis] = (taps // 2, taps // 2)
    padded = np.pad(values, padding)
    size = -(-values.shape[axis] // stride)
    total = 0
    for tap in range(taps):
        places = tap + stride * np.arange(size)
        total = total + padded.take(places, axis) * weights[:, tap]
    return total


class RealConv:
    """A factorized convolution in float64, made from real weights, and the same in integers."""

    def __init__(self, random, kind, strides, taps):
        self.kind, self.strides = kind, strides
        self.scales, self.zero_points = (0.02, 0.05, 0.06), (-7, 12, -30)
        self.vertical_scale, self.horizontal_scale = 0.006, 0.007
        channels, middle, outputs = 3, 6, 12
        shape = (middle, taps[0], channels) if kind is FactorizedStem else (middle, taps[0])
        vertical = random.integers(-127, 128, shape).astype(np.int8)
        horizontal = random.integers(-127, 128, (outputs, taps[1])).astype(np.int8)
        self.vertical = vertical * self.vertical_scale
        self.horizontal = horizontal * self.horizontal_scale
        self.vertical_biases = random.normal(0, 0.5, middle)
        self.horizontal_biases = random.normal(0, 0.5, outputs)
        self.positions = random.permutation(outputs)
        first, second = self.vertical_scale * self.scales[0], self.horizontal_scale * self.scales[1]
        self.integers = kind(
            input_shape=(19, 23, channels),
            vertical_weights=vertical,
            vertical_biases=np.round(self.vertical_biases / first).astype(np.int32),
            vertical_multipliers=np.full(middle, round(2**32 * first / self.scales[1])),
            vertical_stride=strides[0],
            middle_zero_point=self.zero_points[1],
            horizontal_weights=horizontal,
            horizontal_biases=np.round(self.horizontal_biases / second).astype(np.int32),
            horizontal_multipliers=np.full(outputs, round(2**32 * second / self.scales[2])),
            horizontal_stride=strides[1],
            input_zero_point=self.zero_points[0],
            output_zero_point=self.zero_points[2],
            output_positions=self.positions,
        )

    def quantized(self, values, index):
        integers = np.round(values / self.scales[index]) + self.zero_points[index]
        return np.clip(integers, -128, 127)

    def results(self, images):
        """int8 results of int8 images, computed in real numbers between the roundings."""
        x = (images.astype(np.float64) - self.zero_points[0]) * self.scales[0]
        if self.kind is FactorizedStem:
            middle = sum(
                real_convolution(x[..., [i] * 6], self.vertical[..., i], 0, self.strides[0])
                for i in range(3)
            )
        else:
            middle = real_convolution(x[..., [0, 0, 1, 1, 2, 2]], self.vertical, 0, self.strides[0])
        middle = self.quantized(middle + self.vertical_biases, 1)
        middle = (middle - self.zero_points[1]) * self.scales[1]
        y = real_convolution(middle[..., np.arange(12) // 2], self.horizontal, 1, self.strides[1])
        results = np.zeros(y.shape, np.int8)
        results[..., self.positions] = self.quantized(y + self.horizontal_biases, 2)
        return results


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strides, taps", [((1, 1), (3, 5)), ((2, 1), (5, 3)), ((3, 4), (7, 1))])
def test_reference_is_close_to_real_numbers(kind, strides, taps):
    random = np.random.default_rng(taps)
    real = RealConv(random, kind, strides, taps)
    images = random_images(random, real.integers.input_shape)
    expected = real.results(images).astype(int)
    differences = np.abs(real.integers.reference(images) - expected)
    assert differences.max() <= 1
    assert np.mean(differences > 0) < 0.01
    assert np.mean(np.abs(expected + 0.5) < 127) > 0.5  # most are not saturated


# Kernels


@pytest.mark.parametrize("kind", KINDS)
@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(data=strategies.data())
def test_host_equals_reference(kernel_cache, kind, data):
    calls = data.draw(strategies.lists(cases(kind), min_size=1, max_size=12))
    check_results(calls, kernel_runner.Target.HOST, kernel_cache)


@pytest.fixture(scope="module", params=KINDS)
def fixed_calls(request):
    """Cases that are the same in every run: the shapes above and random ones."""
    kind = request.param
    calls = []
    for shape in SHAPES[kind]:
        random = np.random.default_rng(len(calls))
        operation = random_operation(random, kind, *shape)
        calls.append((operation, random_images(random, operation.input_shape)))
    for seed in range(40):
        random = np.random.default_rng(seed)
        most_taps = 4 if seed % 4 == 0 else 2
        taps = [(3, 5, 1, 7)[i] for i in random.integers(0, most_taps, 2)]
        if kind is FactorizedStem and seed % 4:
            taps[0] = 3
        height, width = map(int, random.integers(1, 36, 2))
        operation = random_operation(
            random,
            kind,
            (height, width, 3 if seed % 4 else int(random.integers(1, 5))),
            taps,
            [int(stride) for stride in random.integers(1, most_taps + 1, 2)],
            [int(multiplier) for multiplier in random.integers(1, 4, 2)],
            is_extreme=seed % 3 == 0,
            **(random_limits(random) if seed % 5 == 0 else {}),
        )
        calls.append((operation, random_images(random, operation.input_shape)))
    return calls


@pytest.mark.parametrize("target", EMULATED)
def test_processors_equal_reference(kernel_cache, fixed_calls, target):
    results = check_results(fixed_calls, target, kernel_cache)
    for (operation, _), result in zip(fixed_calls, results, strict=True):
        column_pairs = (operation.input_shape[1] + operation.horizontal_weights.shape[1]) // 2
        bytes_of_pair = 8 if isinstance(operation, FactorizedStem) else 64
        assert result.buffer_bytes == bytes_of_pair * column_pairs


def test_buffers_of_the_models(kernel_cache):
    """The stem's is in the arena together with the largest maps."""
    random = np.random.default_rng(0)
    sizes = []
    for kind, shape in (
        (FactorizedStem, ((3, 224, 3), (3, 3), (2, 2), (2, 2))),
        (FactorizedDepthwiseConv, ((3, 112, 1), (3, 3), (2, 2), (2, 2))),
    ):
        operation = random_operation(random, kind, *shape)
        call = (operation, random_images(random, operation.input_shape))
        sizes.append(check_results([call], kernel_runner.Target.HOST, kernel_cache)[0].buffer_bytes)
    assert sizes == [904, 3648]


@pytest.mark.emulator
@pytest.mark.parametrize(
    "kind, shape, on_m4, on_m55",
    [
        (FactorizedStem, ((16, 224, 3), (3, 3), (2, 2), (2, 2)), 13.7, 7),
        (FactorizedDepthwiseConv, ((112, 112, 2), (3, 3), (2, 2), (2, 2)), 8.7, 4.7),
        (FactorizedDepthwiseConv, ((28, 28, 4), (3, 3), (1, 1), (2, 2)), 9.2, 5.8),
        (FactorizedDepthwiseConv, ((14, 14, 16), (5, 5), (1, 1), (1, 1)), 9, 9.8),
        (FactorizedDepthwiseConv, ((14, 14, 16), (5, 5), (2, 2), (1, 1)), 13.1, 13),
        (FactorizedDepthwiseConv, ((7, 7, 32), (3, 3), (1, 1), (1, 1)), 9.4, 9.3),
    ],
)
def test_instructions(kernel_cache, kind, shape, on_m4, on_m55):
    """The loops stay as tight as they were measured, per result of either convolution."""
    random = np.random.default_rng(0)
    operation = random_operation(random, kind, *shape)
    call = (operation, random_images(random, operation.input_shape))
    height, width, channels = operation.output_shape
    results = height * (width * channels + shape[0][1] * len(operation.vertical_weights))
    for target, most in (("CORTEX_M4", on_m4), ("CORTEX_M55", on_m55)):
        result = check_results([call], kernel_runner.Target[target], kernel_cache)[0]
        assert result.instructions / results < most


# Refusals of bind


@pytest.fixture(params=KINDS)
def packed(request):
    multipliers = (4, 2) if request.param is FactorizedStem else (2, 2)
    shape = ((6, 5, 2), (3, 5), (2, 1), multipliers)
    return random_operation(np.random.default_rng(3), request.param, *shape).packed()


@pytest.mark.parametrize(
    "index, values",
    [
        (1, [0, -1, 4097, 2**31 - 1]),  # height
        (2, [0, -1, 4097, 2**31 - 1]),  # width
        (3, [0, -1, 4097, 2**31 - 1]),  # channels
        (4, [0, -1, 4097, 2**31 - 1]),  # vertical channels
        (5, [0, -1, 2, 4, 6, 9]),  # taps
        (6, [0, -1, 5]),  # stride
        (7, [-129, 128]),  # zero points
        (8, [-129, 128]),
        (9, [-129, 128]),  # limits
        (10, [-129, 128]),
        (11, [0, -1, 4, 9, 4097, 4100, 2**31 - 1]),  # output channels
        (12, [0, -1, 2, 4, 6, 9]),
        (13, [0, -1, 5]),
        (14, [-129, 128]),
        (15, [-129, 128]),
        (16, [-129, 128]),
    ],
)
def test_bind_refuses_options(kernel_cache, packed, index, values):
    operations = [with_options(packed, {index: value}) for value in values]
    statuses = refused(kernel_cache, *operations)
    # A smaller multiple of the vertical channels is possible; only the constants are too long then.
    expected = [STATUS["OPTIONS_VALUE"] if value != 4 or index != 11 else 5 for value in values]
    assert statuses == expected


@pytest.mark.parametrize(
    "values",
    [
        {9: 5, 10: 4},
        {15: 5, 16: 4},
        {1: 4096, 2: 4096, 3: 2},
        {1: 4096, 2: 2048, 3: 1, 6: 1, 13: 1},  # too large an output
        {1: 2**30, 2: 2**30},
    ],
)
def test_bind_refuses_contradictions(kernel_cache, packed, values):
    assert refused(kernel_cache, with_options(packed, values)) == [STATUS["OPTIONS_VALUE"]]


@pytest.mark.parametrize("kind, channels", [(FactorizedDepthwiseConv, 3), (FactorizedStem, 5)])
def test_bind_refuses_other_input_channels(kernel_cache, kind, channels):
    shape = ((6, 5, 2), (3, 5), (2, 1), (2, 2))
    packed = random_operation(np.random.default_rng(3), kind, *shape).packed()
    statuses = refused(kernel_cache, with_options(packed, {3: channels}))
    assert statuses == [STATUS["OPTIONS_VALUE"]]


def test_bind_refuses_other_versions_and_lengths(kernel_cache, packed):
    options = packed.options
    variants = [options[:-4], options[:3], b"", options + b"\0\0\0\0"]
    operations = [dataclasses.replace(packed, options=variant) for variant in variants]
    statuses = refused(kernel_cache, with_options(packed, {0: 2}), *operations)
    assert statuses == [STATUS["OPTIONS_VERSION"]] + [STATUS["OPTIONS_SIZE"]] * 4


@pytest.mark.parametrize("index", range(5))
def test_bind_refuses_constants_of_other_sizes(kernel_cache, packed, index):
    values = packed.constants[index].reshape(-1)
    short = with_constant(packed, index, values[:-1])
    long = with_constant(packed, index, np.append(values, values[:1]))
    assert refused(kernel_cache, short, long) == [STATUS["CONSTANT_SIZE"]] * 2


def test_bind_refuses_another_number_of_constants(kernel_cache, packed):
    fewer = dataclasses.replace(packed, constants=packed.constants[:-1])
    more = dataclasses.replace(packed, constants=(*packed.constants, packed.constants[-1]))
    assert refused(kernel_cache, fewer, more) == [STATUS["CONSTANT_COUNT"]] * 2


def test_bind_refuses_what_is_no_permutation(kernel_cache, packed):
    operations = []
    for value in (-1, len(packed.constants[4]), int(packed.constants[4][1])):
        wrong = packed.constants[4].copy()
        wrong[0] = value
        operations.append(with_constant(packed, 4, wrong))
    assert refused(kernel_cache, *operations) == [STATUS["CONSTANT_VALUE"]] * 3


@pytest.mark.parametrize("index", [1, 3])
@pytest.mark.parametrize("value", [(0, -1), (2**31 - 1, 5), (-(2**31), 5)])
def test_bind_refuses_biases_and_multipliers(kernel_cache, packed, index, value):
    """Negative multipliers, and sums outside int32."""
    wrong = packed.constants[index].copy()
    wrong[-1] = value
    assert refused(kernel_cache, with_constant(packed, index, wrong)) == [STATUS["CONSTANT_VALUE"]]


# Refusals in Python


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fields, message",
    [
        ({"input_shape": (0, 5, 2)}, "`height` must be an integer from 1 to 4096"),
        ({"input_shape": (4096, 4096, 2)}, r"at most 2\*\*24 elements. Received: 67108864"),
        ({"vertical_weights": np.zeros((4, 2, 2, 2), np.int8)}, "vertical_weights must have"),
        ({"horizontal_weights": np.zeros(8, np.int8)}, r"shape \(channels, taps\)"),
        ({"horizontal_weights": np.zeros((9, 5), np.int8)}, "a multiple of the vertical channels"),
        ({"horizontal_weights": np.zeros((8, 4), np.int8)}, "taps. Received: shape"),
        ({"horizontal_weights": np.full((8, 5), 128)}, "`horizontal_weights` must be int8"),
        ({"vertical_stride": 5}, "from 1 to 4. Received: vertical_stride=5"),
        ({"horizontal_stride": 0}, "`horizontal_stride` must be an integer from 1 to 4"),
        ({"input_zero_point": 128}, "`input_zero_point` must be an integer from -128 to 127"),
        ({"middle_zero_point": -129}, "`middle_zero_point` must be"),
        ({"output_zero_point": 300}, "`output_zero_point` must be"),
        ({"middle_lowest": 3, "middle_highest": 2}, "must be in order and within int8"),
        ({"highest": 128}, "`lowest` and `highest` must be in order"),
        ({"output_positions": np.array([0, 1, 2, 3, 4, 5, 6, 6])}, "each of 0 to 7 once"),
        ({"output_positions": np.arange(7)}, "must hold each of 0 to 7 once"),
        ({"vertical_biases": np.zeros(3, np.int32)}, "`vertical_biases` must be integers, one for"),
        ({"horizontal_multipliers": np.zeros(9, int)}, "one for each of 8 rows"),
        ({"horizontal_multipliers": np.full(8, -1)}, "`horizontal_multipliers` must be from 0 to"),
        ({"vertical_multipliers": np.full(4, 2**31)}, "`vertical_multipliers` must be from 0 to"),
        ({"vertical_biases": np.full(4, 2**31 - 1)}, "`vertical_biases` must fit in int32"),
    ],
)
def test_fields_are_checked(kind, fields, message):
    multipliers = (4, 2) if kind is FactorizedStem else (2, 2)
    operation = random_operation(
        np.random.default_rng(3), kind, (6, 5, 2), (3, 5), (2, 1), multipliers, input_zero_point=0
    )
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(operation, **fields)


@pytest.mark.parametrize(
    "kind, fields, message",
    [
        (FactorizedDepthwiseConv, {"input_shape": (6, 5, 3)}, "a multiple of the input's"),
        (FactorizedStem, {"input_shape": (6, 5, 3)}, "as many as vertical_weights"),
        (
            FactorizedStem,
            {"input_shape": (6, 5, 5), "vertical_weights": np.zeros((4, 3, 5), np.int8)},
            "must have 1 to 4 channels",
        ),
    ],
)
def test_input_channels_are_checked(kind, fields, message):
    multipliers = (4, 2) if kind is FactorizedStem else (2, 2)
    operation = random_operation(
        np.random.default_rng(3), kind, (6, 5, 2), (3, 5), (2, 1), multipliers
    )
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(operation, **fields)
