# SPDX-License-Identifier: Apache-2.0
"""A factorized stem: a dense vertical convolution of an image, and a depthwise horizontal one."""

from tflm.kernels.factorized_stem import DESCRIPTION, MOST_INPUT_CHANNELS, FactorizedStem
from tflm.passes.fused import factorized_conv
from tflm.passes.fused.fusion import Fusion


def _match(graph, position):
    vertical = graph.operations[position]
    if vertical.kind != "CONV_2D":
        return None
    channels = graph.tensors[vertical.inputs[0]].shape[-1]
    is_dense = graph.tensors[vertical.inputs[1]].shape[-1] == channels
    if not is_dense or channels > MOST_INPUT_CHANNELS:
        return None
    return factorized_conv.match_pair(graph, position)


def _quantize(operands):
    vertical_weights, *others = operands.constants  # (channels, taps, 1, inputs)
    constants = [vertical_weights[:, :, 0], *others]
    return factorized_conv.quantize(FactorizedStem, operands, constants)


FUSION = Fusion(DESCRIPTION.kind, DESCRIPTION.absorbs, _match, _quantize)
