# SPDX-License-Identifier: Apache-2.0
"""For each fused kernel: which operations become it, and with which integers."""

from tflm.passes.fused import (
    dense,
    dynamic_shift_max,
    factorized_depthwise_conv,
    factorized_stem,
    global_average_pool,
    grouped_pointwise_conv,
    residual_add,
)

FUSIONS = (
    factorized_stem.FUSION,
    factorized_depthwise_conv.FUSION,
    grouped_pointwise_conv.FUSION,
    dynamic_shift_max.FUSION,
    residual_add.FUSION,
    global_average_pool.FUSION,
    dense.FUSION,
)
BY_KIND = {fusion.kind: fusion for fusion in FUSIONS}
