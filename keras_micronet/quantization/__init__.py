# SPDX-License-Identifier: Apache-2.0
"""Quantization: post-training, and aware of it while training.

Method: Jacob et al. 2018, arXiv 1712.05877, by TensorFlow Lite's definition of
int8: symmetric weights, asymmetric activations, int32 biases.
"""

from keras_micronet.quantization.freeze_schedule import FreezeSchedule
from keras_micronet.quantization.quantize_aware import (
    CalibrationTools,
    quantize_aware,
    recalibrated,
)
from keras_micronet.quantization.quantize_aware_model import QuantizeAwareModel
from keras_micronet.quantization.schemes import KERNELS, SCHEMES, Scheme, WeightFormat

__all__ = [
    "KERNELS",
    "SCHEMES",
    "CalibrationTools",
    "FreezeSchedule",
    "QuantizeAwareModel",
    "Scheme",
    "WeightFormat",
    "quantize_aware",
    "recalibrated",
]
