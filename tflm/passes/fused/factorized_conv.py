# SPDX-License-Identifier: Apache-2.0
"""Two convolutions along one axis each: what the factorized kernels have in common."""

import collections.abc

import numpy as np

from keras_micronet.quantization.schemes import CONVOLUTION
from tflm.graph.graph import Graph, Quantization
from tflm.kernels.factorized_conv import FactorizedConv
from tflm.passes.fused.fusion import Match
from tflm.passes.fused.operands import Operands, zero_point

_TAPS = (1, 3, 5, 7)
_MOST_STRIDE = 4


def match_pair(graph: Graph, position: int) -> Match | None:
    """The `Match` of a vertical convolution of any kind and a horizontal depthwise one."""
    pair = graph.operations[position : position + 2]
    if len(pair) < 2 or not _is_passed_on(graph, *pair):
        return None
    vertical, horizontal = pair
    if not (_is_along(graph, vertical, 0) and _is_along(graph, horizontal, 1)):
        return None
    return Match(
        2,
        [*vertical.inputs, *horizontal.inputs[1:]],
        {
            "strides": (vertical.options["strides"][0], horizontal.options["strides"][1]),
            "middle": vertical.outputs[0],
        },
    )


def _is_passed_on(graph, vertical, horizontal):
    """Whether the horizontal one, and nobody else, reads what the vertical one makes."""
    (output,) = vertical.outputs
    readers = sum(other.inputs.count(output) for other in graph.operations)
    return (
        horizontal.kind == "DEPTHWISE_CONV_2D"
        and vertical.kind in ("CONV_2D", "DEPTHWISE_CONV_2D")
        and horizontal.inputs[0] == output
        and readers == 1
        and output not in graph.outputs
    )


def _is_along(graph, operation, axis):
    """Whether a convolution has taps along one axis only: 0 for height, 1 for width."""
    taps = graph.tensors[operation.inputs[1]].shape[1:3]
    strides = operation.options["strides"]
    return (
        operation.options["padding"] == "SYMMETRIC"
        and taps[axis] in _TAPS
        and strides[axis] <= _MOST_STRIDE
        and taps[1 - axis] == strides[1 - axis] == 1
    )


def quantize(
    kernel: type[FactorizedConv],
    operands: Operands,
    constants: collections.abc.Iterable[np.ndarray],
) -> tuple[FactorizedConv, Quantization]:
    """The integers of both convolutions, between which there is int8 as between two operators.

    Args:
        kernel: class of the integers, a `FactorizedConv`.
        operands: `Operands`.
        constants: vertical weights as the kernel takes them, vertical biases, horizontal weights
            `(1, 1, taps, channels)` and biases.

    Returns:
        As `Fusion.quantize`.
    """
    vertical_weights, vertical_bias, horizontal_weights, horizontal_bias = constants
    horizontal_weights = horizontal_weights[0, 0].T
    (source,), options = operands.inputs, operands.options
    height, width, channels = operands.input_shape
    vertical = operands.layer(
        options["middle"], vertical_weights, vertical_bias, source.scale[0], CONVOLUTION
    )
    middle = vertical.output(*operands.range_of(options["middle"]))
    horizontal = operands.layer(
        options["result"], horizontal_weights, horizontal_bias, middle.scale[0], CONVOLUTION
    )
    output = horizontal.output(*operands.range_of(options["result"]))
    integers = kernel(
        input_shape=(height, width, channels),
        vertical_weights=vertical.weights,
        vertical_biases=vertical.biases,
        vertical_multipliers=vertical.multipliers(middle.scale[0]),
        vertical_stride=options["strides"][0],
        middle_zero_point=zero_point(middle),
        horizontal_weights=horizontal.weights,
        horizontal_biases=horizontal.biases,
        horizontal_multipliers=horizontal.multipliers(output.scale[0]),
        horizontal_stride=options["strides"][1],
        input_zero_point=zero_point(source),
        output_zero_point=zero_point(output),
        output_positions=operands.output_positions,
        **operands.limits(output),
    )
    return integers, output
