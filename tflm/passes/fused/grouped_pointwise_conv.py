# SPDX-License-Identifier: Apache-2.0
"""A pointwise convolution, in groups or in one."""

from keras_micronet.quantization.schemes import CONVOLUTION
from tflm.kernels.grouped_pointwise_conv import DESCRIPTION, GroupedPointwiseConv
from tflm.passes.fused.fusion import Fusion, Match
from tflm.passes.fused.operands import zero_point


def _match(graph, position):
    operation = graph.operations[position]
    if operation.kind != "CONV_2D":
        return None
    taps = tuple(graph.tensors[operation.inputs[1]].shape[1:3])
    if (taps, tuple(operation.options["strides"])) != ((1, 1), (1, 1)):
        return None
    return Match(1, operation.inputs)


def _quantize(operands):
    weights, bias = operands.constants
    (source,), result = operands.inputs, operands.options["result"]
    layer = operands.layer(result, weights[:, 0, 0], bias, source.scale[0], CONVOLUTION)
    output = layer.output(*operands.range_of(result))
    integers = GroupedPointwiseConv(
        input_shape=operands.input_shape,
        groups=operands.input_shape[-1] // weights.shape[-1],
        weights=layer.weights,
        biases=layer.biases,
        multipliers=layer.multipliers(output.scale[0]),
        input_zero_point=zero_point(source),
        output_zero_point=zero_point(output),
        output_positions=operands.output_positions,
        **operands.limits(output),
    )
    return integers, output


FUSION = Fusion(DESCRIPTION.kind, DESCRIPTION.absorbs, _match, _quantize)
