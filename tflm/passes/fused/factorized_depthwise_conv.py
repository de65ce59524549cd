# SPDX-License-Identifier: Apache-2.0
"""A factorized depthwise convolution: a vertical and a horizontal one."""

from tflm.kernels.factorized_depthwise_conv import DESCRIPTION, FactorizedDepthwiseConv
from tflm.passes.fused import factorized_conv
from tflm.passes.fused.fusion import Fusion


def _match(graph, position):
    if graph.operations[position].kind != "DEPTHWISE_CONV_2D":
        return None
    return factorized_conv.match_pair(graph, position)


def _quantize(operands):
    vertical_weights, *others = operands.constants  # (1, taps, 1, channels)
    constants = [vertical_weights[0, :, 0].T, *others]
    return factorized_conv.quantize(FactorizedDepthwiseConv, operands, constants)


FUSION = Fusion(DESCRIPTION.kind, DESCRIPTION.absorbs, _match, _quantize)
