# SPDX-License-Identifier: Apache-2.0
"""The sum of two maps."""

from keras_micronet.quantization import scales
from tflm.kernels.residual_add import DESCRIPTION, ResidualAdd
from tflm.passes.fused.fusion import Fusion, match_kind
from tflm.passes.fused.operands import zero_point
from tflm.passes.scales import affine


def _quantize(operands):
    least = max(source.scale[0] for source in operands.inputs) / scales.MOST_STEPS_OF_A_TERM
    output = affine(*operands.range_of(operands.options["result"]), least)
    integers = ResidualAdd.of_scales(
        shape=operands.input_shape,
        scales=tuple(float(source.scale[0]) for source in operands.inputs),
        zero_points=tuple(map(zero_point, operands.inputs)),
        output_scale=float(output.scale[0]),
        output_zero_point=zero_point(output),
        **operands.limits(output),
    )
    return integers, output


FUSION = Fusion(DESCRIPTION.kind, DESCRIPTION.absorbs, match_kind("ADD"), _quantize)
