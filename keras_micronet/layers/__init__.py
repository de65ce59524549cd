# SPDX-License-Identifier: Apache-2.0
"""The public layers: each usable alone in any Keras model."""

from keras_micronet.layers.channel_shuffle import ChannelShuffle
from keras_micronet.layers.dynamic_shift_max import DynamicShiftMax
from keras_micronet.layers.factorized_depthwise_conv2d import FactorizedDepthwiseConv2D
from keras_micronet.layers.factorized_pointwise_conv2d import FactorizedPointwiseConv2D
from keras_micronet.layers.factorized_stem import FactorizedStem
from keras_micronet.layers.grouped_pointwise_conv2d import GroupedPointwiseConv2D
from keras_micronet.layers.micro_block import MicroBlock
from keras_micronet.layers.normalized_conv2d import NormalizedConv2D, NormalizedDepthwiseConv2D

__all__ = [
    "ChannelShuffle",
    "DynamicShiftMax",
    "FactorizedDepthwiseConv2D",
    "FactorizedPointwiseConv2D",
    "FactorizedStem",
    "GroupedPointwiseConv2D",
    "MicroBlock",
    "NormalizedConv2D",
    "NormalizedDepthwiseConv2D",
]
