# SPDX-License-Identifier: Apache-2.0
"""The levels of a MicroNet's features, by their strides."""

import math

import keras

from keras_micronet.layers import FactorizedStem, MicroBlock
from keras_micronet.layers.image_layer import standardize_data_format

_FINEST_LEVEL = 2  # that of stride 4, where the first block ends


def outputs(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """The features of each level of a MicroNet.

    Args:
        model: a functional model with a MicroNet's stem and blocks among its layers.

    Returns:
        Mapping from "P2", "P3", ... to Keras tensors: the output of the last block whose stride
        from the images is 4, 8, ...
    """
    stride = 1
    levels = {}
    for layer in model.layers:
        if isinstance(layer, (FactorizedStem, MicroBlock)):
            stride *= layer.strides
            levels[int(math.log2(stride))] = layer.output
    channels_first = standardize_data_format(None) == "channels_first"
    return {
        f"P{level}": keras.ops.transpose(features, (0, 3, 1, 2)) if channels_first else features
        for level, features in levels.items()
        if level >= _FINEST_LEVEL
    }
