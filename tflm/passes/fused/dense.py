# SPDX-License-Identifier: Apache-2.0
"""A dense layer, with weights of 8 or 4 bits: quantization decides."""

from keras_micronet.quantization.schemes import DENSE
from tflm.kernels.dense import DESCRIPTIONS, Dense
from tflm.passes.fused.fusion import Fusion, match_kind
from tflm.passes.fused.operands import zero_point

_KIND = "MICRONET_DENSE"


def _quantize(operands):
    weights, bias = operands.constants
    (source,), result = operands.inputs, operands.options["result"]
    layer = operands.layer(result, weights, bias, source.scale[0], DENSE)
    computed = layer.output(*operands.range_of(result))
    table, output = operands.hard_swish_table(computed)
    integers = Dense(
        bits=operands.rounding(result, DENSE).weight_format.bits,
        weights=layer.weights,
        biases=layer.biases,
        multipliers=layer.multipliers(computed.scale[0]),
        input_zero_point=zero_point(source),
        output_zero_point=zero_point(computed),
        table=table,
        **operands.limits(computed),
    )
    return integers, output


FUSION = Fusion(_KIND, DESCRIPTIONS[8].absorbs, match_kind("FULLY_CONNECTED"), _quantize)
