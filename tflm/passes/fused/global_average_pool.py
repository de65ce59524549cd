# SPDX-License-Identifier: Apache-2.0
"""The mean over all pixels."""

from tflm.kernels.global_average_pool import DESCRIPTION, GlobalAveragePool
from tflm.passes.fused.fusion import Fusion, match_kind


def _quantize(operands):
    (source,) = operands.inputs
    table, output = operands.hard_swish_table(source)
    return GlobalAveragePool(input_shape=operands.input_shape, table=table), output


FUSION = Fusion(DESCRIPTION.kind, DESCRIPTION.absorbs, match_kind("GLOBAL_AVERAGE_POOL"), _quantize)
