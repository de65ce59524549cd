# SPDX-License-Identifier: Apache-2.0
"""MicroNet for Keras: image recognition on microcontrollers."""

import keras

if keras.config.backend() != "tensorflow":
    raise ImportError(
        "keras_micronet needs Keras's TensorFlow backend: set KERAS_BACKEND=tensorflow before "
        f"Keras is imported. Received: backend={keras.config.backend()!r}"
    )

from keras_micronet import grid, layers, quantization
from keras_micronet.applications import (
    MicroNet,
    MicroNetM0,
    MicroNetM1,
    MicroNetM2,
    MicroNetM3,
    decode_predictions,
    preprocess_input,
)
from keras_micronet.complexity import LayerCost, ModelSummary, summarize
from keras_micronet.layers import (
    ChannelShuffle,
    DynamicShiftMax,
    FactorizedDepthwiseConv2D,
    FactorizedPointwiseConv2D,
    FactorizedStem,
    GroupedPointwiseConv2D,
    MicroBlock,
)
from keras_micronet.run_folders import write_run_folder
from keras_micronet.variants import VARIANTS, BlockRow, Variant
from keras_micronet.weights import load_checkpoint, load_torch_checkpoint

__version__ = "0.1.0"

__all__ = [
    "VARIANTS",
    "BlockRow",
    "ChannelShuffle",
    "DynamicShiftMax",
    "FactorizedDepthwiseConv2D",
    "FactorizedPointwiseConv2D",
    "FactorizedStem",
    "GroupedPointwiseConv2D",
    "LayerCost",
    "MicroBlock",
    "MicroNet",
    "MicroNetM0",
    "MicroNetM1",
    "MicroNetM2",
    "MicroNetM3",
    "ModelSummary",
    "Variant",
    "decode_predictions",
    "grid",
    "layers",
    "load_checkpoint",
    "load_torch_checkpoint",
    "preprocess_input",
    "quantization",
    "summarize",
    "write_run_folder",
]
