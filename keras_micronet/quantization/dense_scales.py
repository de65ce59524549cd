# SPDX-License-Identifier: Apache-2.0
"""Which 8-bit dense layers keep a scale for each output: as few as cost no accuracy."""

from collections.abc import Mapping

import numpy as np

from keras_micronet.quantization.calibration import Observation
from keras_micronet.quantization.dense_layers import dense_layers
from keras_micronet.quantization.quantize_aware_model import QuantizeAwareModel
from keras_micronet.quantization.schemes import ACTIVATION_BITS, DENSE

_STEPS = 2**ACTIVATION_BITS - 1


def sensitive_dense_layers(
    model: QuantizeAwareModel, observations: Mapping[str, Observation]
) -> list[str]:
    """Names of 8-bit dense layers whose outputs one scale may move by a step or more.

    Args:
        model: `QuantizeAwareModel` with calibrated ranges.
        observations: `calibration.Observation` of its values, by name.

    Returns:
        A list of names: of layers with one scale whose outputs gain an error
        with a standard deviation above one step of their quantization.
    """
    ranges = model.activation_ranges
    quantizers = model.weight_quantizers
    names = []
    for layer in dense_layers(model.planned_steps):
        low, high = ranges[layer.name]
        error = per_tensor_error(layer.matrix, observations[layer.source].mean_squares)
        has_one_scale = quantizers[layer.name].weight_format == DENSE
        if has_one_scale and error > ((high - low) / _STEPS) ** 2:
            names.append(layer.name)
    return names


def per_tensor_error(matrix: np.ndarray, input_mean_squares: np.ndarray) -> float:
    """Variance that one scale for all outputs adds to a dense layer's outputs.

    Rounding weights to multiples of s leaves errors of variance s²/12 in each;
    inputs of mean squares m turn them into sum(m)·s²/12.

    Args:
        matrix: float array `(inputs, outputs)`.
        input_mean_squares: mean square of each input, `(inputs,)`.

    Returns:
        The mean over the outputs of the variance with the largest scale minus
        that with their own.
    """
    scales = np.abs(matrix).max(axis=0) / DENSE.limit
    excess = np.max(scales) ** 2 - np.mean(np.square(scales))
    return np.sum(input_mean_squares) * excess / 12
