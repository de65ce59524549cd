# SPDX-License-Identifier: Apache-2.0
"""How the library's few operations are written in TensorFlow: speed lives here and nowhere else.

TensorFlow's own grouped and depthwise convolutions are either missing (gradients of grouped
convolutions, strides that differ by axis) or several times too slow on a CPU, and so is anything
whose innermost axis is a handful of channels. Each function of this package computes exactly the
operation it names, by the expression that measured fastest; `benchmarks/` holds the measurements.
Images are channels-last throughout.
"""

from keras_micronet.expressions.convolutions import (
    convolution,
    depthwise_convolution,
    pointwise_convolution,
)
from keras_micronet.expressions.maximum_fusion import shift_max
from keras_micronet.expressions.normalization import batch_normalization, scale_and_offset
from keras_micronet.expressions.permutations import permute_channels

__all__ = [
    "batch_normalization",
    "convolution",
    "depthwise_convolution",
    "permute_channels",
    "pointwise_convolution",
    "scale_and_offset",
    "shift_max",
]
