# SPDX-License-Identifier: Apache-2.0
"""Small operations of each fused operator, for tests of what all of them have in common."""

import numpy as np

from tflm.kernels.dense import Dense
from tflm.kernels.dynamic_shift_max import DynamicShiftMax
from tflm.kernels.factorized_depthwise_conv import FactorizedDepthwiseConv
from tflm.kernels.factorized_stem import FactorizedStem
from tflm.kernels.global_average_pool import GlobalAveragePool
from tflm.kernels.grouped_pointwise_conv import GroupedPointwiseConv
from tflm.kernels.residual_add import ResidualAdd


def _int8(generator, shape, limit=127):
    return generator.integers(-limit, limit + 1, shape).astype(np.int8)


def _biases(generator, count):
    return generator.integers(-2000, 2000, count).astype(np.int32)


def _multipliers(generator, count, terms, largest_weight=127):
    """Such that a sum of `terms` products of int8 values becomes about 50."""
    typical_sum = 100 * largest_weight * np.sqrt(terms) / 2
    middle = 50 / typical_sum * 2**32
    return np.minimum(generator.integers(middle / 2, middle, count), 2**31 - 1).astype(np.int32)


def _permutation(generator, count):
    return generator.permutation(count).astype(np.int16)


def _table(generator):
    return generator.permutation(np.arange(-128, 128)).astype(np.int8)


def _limits(generator):
    """Those of int8, or narrower ones."""
    if generator.integers(2):
        return {"lowest": -128, "highest": 127}
    return {"lowest": int(generator.integers(-128, 0)), "highest": int(generator.integers(0, 128))}


def _zero_point(generator):
    return int(generator.integers(-128, 128))


def _side(generator):
    return int(generator.integers(1, 12))


def _dense(generator, bits):
    outputs, inputs = (int(size) for size in generator.integers(1, 40, 2))
    largest = 2 ** (bits - 1) - 1
    return Dense(
        bits=bits,
        weights=_int8(generator, (outputs, inputs), largest),
        biases=_biases(generator, outputs),
        multipliers=_multipliers(generator, outputs, inputs, largest),
        input_zero_point=_zero_point(generator),
        output_zero_point=int(generator.integers(-60, 60)),
        **_limits(generator),
        table=_table(generator) if generator.integers(2) else None,
    )


def _dynamic_shift_max(generator):
    channels, squeezed = (int(size) for size in generator.integers(1, 20, 2))
    fusions = int(generator.integers(1, 3))
    factors = {}
    if generator.integers(2):
        inputs, outputs = generator.integers(10, 50, (2, channels))
        factors = {"input_factors": inputs, "output_factors": outputs}
    return DynamicShiftMax(
        input_shape=(_side(generator), _side(generator), channels),
        input_zero_point=_zero_point(generator),
        squeeze_weights=_int8(generator, (squeezed, channels)),
        squeeze_biases=_biases(generator, squeezed),
        squeeze_multipliers=_multipliers(generator, squeezed, channels),
        excite_weights=_int8(generator, (2 * fusions * channels, squeezed)),
        excite_biases=_biases(generator, 2 * fusions * channels),
        excite_multipliers=_multipliers(generator, 2 * fusions * channels, squeezed),
        coefficient_limits=((-4096, 12288), (-8192, 8192)) * fusions,
        shift=np.roll(np.arange(channels), 1).astype(np.int16),
        coefficient_shift=int(generator.choice([4, 12, 12, 12, 14])),
        output_zero_point=int(generator.integers(-60, 60)),
        **_limits(generator),
        output_positions=_permutation(generator, channels),
        **factors,
    )


def _factorized(generator, kind):
    """The stem's vertical convolution is dense, the other one has a depth multiplier."""
    vertical_taps, horizontal_taps = (int(taps) for taps in generator.choice([1, 3, 3, 5, 5, 7], 2))
    if kind is FactorizedStem:
        channels, middle = int(generator.choice([1, 3, 3, 4])), int(generator.integers(1, 6))
        vertical_shape = (middle, vertical_taps, channels)
    else:
        channels = int(generator.integers(1, 12))
        middle = channels * int(generator.integers(1, 3))
        vertical_shape = (middle, vertical_taps)
    outputs = middle * int(generator.integers(1, 4))
    strides = generator.choice([1, 2, 2, 3], 2)
    return kind(
        input_shape=(_side(generator), _side(generator), channels),
        vertical_weights=_int8(generator, vertical_shape),
        vertical_biases=_biases(generator, middle),
        vertical_multipliers=_multipliers(generator, middle, np.prod(vertical_shape[1:])),
        vertical_stride=int(strides[0]),
        middle_zero_point=int(generator.integers(-60, 60)),
        horizontal_weights=_int8(generator, (outputs, horizontal_taps)),
        horizontal_biases=_biases(generator, outputs),
        horizontal_multipliers=_multipliers(generator, outputs, horizontal_taps),
        horizontal_stride=int(strides[1]),
        input_zero_point=_zero_point(generator),
        output_zero_point=int(generator.integers(-60, 60)),
        output_positions=_permutation(generator, outputs),
        **_limits(generator),
    )


def _grouped_pointwise_conv(generator):
    groups, inputs, outputs = (int(size) for size in generator.integers(1, (5, 20, 12)))
    return GroupedPointwiseConv(
        input_shape=(_side(generator), _side(generator), groups * inputs),
        groups=groups,
        weights=_int8(generator, (groups * outputs, inputs)),
        biases=_biases(generator, groups * outputs),
        multipliers=_multipliers(generator, groups * outputs, inputs),
        input_zero_point=_zero_point(generator),
        output_zero_point=int(generator.integers(-60, 60)),
        **_limits(generator),
        output_positions=_permutation(generator, groups * outputs),
    )


def _global_average_pool(generator):
    shape = (_side(generator), _side(generator), int(generator.integers(1, 60)))
    return GlobalAveragePool(shape, _table(generator) if generator.integers(2) else None)


def _residual_add(generator):
    shape = (_side(generator), _side(generator), int(generator.integers(1, 12)))
    return ResidualAdd.of_scales(shape, (0.02, 0.03), (3, -9), 0.035, -4, **_limits(generator))


_MAKERS = {
    "dense_s4": lambda generator: _dense(generator, 4),
    "dense_s8": lambda generator: _dense(generator, 8),
    "dynamic_shift_max_s8": _dynamic_shift_max,
    "factorized_depthwise_conv_s8": lambda generator: _factorized(
        generator, FactorizedDepthwiseConv
    ),
    "factorized_stem_s8": lambda generator: _factorized(generator, FactorizedStem),
    "global_average_pool_s8": _global_average_pool,
    "grouped_pointwise_conv_s8": _grouped_pointwise_conv,
    "residual_add_s8": _residual_add,
}
OPERATORS = tuple(sorted(_MAKERS))


def sample(operator, seed=1):
    """An operation of `operator` with random sizes: an object with `packed` and `reference`."""
    return _MAKERS[operator](np.random.default_rng(seed))
