# SPDX-License-Identifier: Apache-2.0
"""From a trained float model to one that knows the integers of a device."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_micronet.finite_weights import require_finite_weights
from keras_micronet.layer_chain import INPUT, unroll
from keras_micronet.quantization.calibration import observe
from keras_micronet.quantization.channel_factors import (
    choose_channel_factors,
    without_limited,
)
from keras_micronet.quantization.dense_layers import dense_layers
from keras_micronet.quantization.dense_scales import sensitive_dense_layers
from keras_micronet.quantization.plan import channel_factor_rules, range_names
from keras_micronet.quantization.quantize_aware_model import QuantizeAwareModel
from keras_micronet.quantization.ranges import (
    RANGE_RULES,
    least_error_clipping,
    least_error_range,
)
from keras_micronet.quantization.representative_data import representative_batches
from keras_micronet.quantization.schemes import (
    BUILTIN,
    DENSE,
    FUSED,
    find_kernels,
    find_scheme,
)

_TOLERATED_RATIO = 1.25  # of the mean squared errors of the outputs, 1 dB
_MOST_COMPARED_BATCHES = 4


@dataclasses.dataclass(frozen=True)
class CalibrationTools:
    """What brings a quantization after training nearer to the float model.

    Attributes:
        ranges: how the range of a stored value is chosen: "least_error" for the
            least mean squared error of rounding and clipping, "percentile" for
            a range without the ten-thousandth part of the values at either
            end, "extremes" for the range of all values.
        channel_factors: whether maps have a scale for each channel where this is free.
        weight_clipping: whether 4-bit weights are clipped where this has the
            least squared error.
        bias_correction: whether what 4-bit weights shift in the mean is taken
            from the biases.

    Raises:
        ValueError: if `ranges` is none of these.
    """

    ranges: str = "least_error"
    channel_factors: bool = True
    weight_clipping: bool = True
    bias_correction: bool = True

    def __post_init__(self):
        if self.ranges not in RANGE_RULES:
            raise ValueError(
                f"`ranges` must be one of {sorted(RANGE_RULES)}. Received: ranges={self.ranges!r}"
            )


def quantize_aware(
    model: keras.Model,
    representative_data: np.ndarray | Iterable[Any],
    scheme: str = "int8",
    tools: CalibrationTools = CalibrationTools(),
    kernels: str = FUSED,
) -> QuantizeAwareModel:
    """Makes a model that computes as a device does, and trains.

    Without training the result is a post-training quantization. An 8-bit dense
    layer has one scale unless a scale for each output brings the outputs nearer
    to the float model's by more than 1 dB.

    Args:
        model: a trained functional or sequential Keras model: one chain of the library's
            layers, Conv2D, DepthwiseConv2D and Dense (each followed by
            BatchNormalization or not), GlobalAveragePooling2D, ReLU,
            hard-swish, Dropout, Normalization and Rescaling at the beginning,
            and softmax or sigmoid at the end. It is not changed.
        representative_data: images as the model takes them, some hundreds: an
            array `(count, height, width, channels)`, or an iterable of such
            batches or of tuples that begin with one, such as a
            `tf.data.Dataset`.
        scheme: name in `SCHEMES`: "int8"; "int8_head4" for 4-bit weights in the
            model's dense layers with one scale each;
            "int8_head4_per_channel" with a scale for each output. A model without such layers, as
            grid models are, has "int8" only: the dense layers within Dynamic Shift-Max are 8-bit
            always.
        tools: `CalibrationTools`.
        kernels: what will compute on the device: "fused" for this project's own kernels,
            "builtin" for TensorFlow Lite Micro's operators.

    Returns:
        A `QuantizeAwareModel`.

    Raises:
        ValueError: if the scheme is unknown, or for dense layers that the model has not; layers
            cannot be quantized, or weights are not finite, which are all named; or the data are
            empty, infinite or of another shape.
        ImportError: if tensorflow-model-optimization is not installed.
    """
    find_kernels(kernels)
    _require_head(find_scheme(scheme), unroll(model))
    require_finite_weights(model)
    batches = representative_batches(representative_data, model.input_shape[1:])
    float_model = _float32_copy(model)
    options: dict[str, Any] = {
        "scheme": scheme,
        "name": f"quantized_{model.name}",
        "kernels": kernels,
        "has_channel_factors": tools.channel_factors,
    }
    quantized = QuantizeAwareModel(float_model, **options)
    planned = quantized.planned_steps
    rules = channel_factor_rules(planned) if tools.channel_factors else {}
    factors = choose_channel_factors(planned, rules, batches, kernels)
    quantized.channel_factors = factors
    observations = observe(planned, batches, factors)
    range_of = RANGE_RULES[tools.ranges]
    quantized.activation_ranges = {
        name: range_of(observations[name]) for name in quantized.activation_ranges
    }
    sensitive = sensitive_dense_layers(quantized, observations)
    if sensitive:
        careful = QuantizeAwareModel(float_model, per_channel_dense=sensitive, **options)
        careful.channel_factors = factors
        careful.activation_ranges = quantized.activation_ranges
        quantized = _better(quantized, careful, batches[:_MOST_COMPARED_BATCHES])
    if tools.weight_clipping:
        _clip_weights(quantized, observations)
    if tools.bias_correction:
        _correct_biases(quantized, observations)
    return quantized


def recalibrated(
    model: QuantizeAwareModel, representative_data: np.ndarray | Iterable[Any], kernels: str
) -> QuantizeAwareModel:
    """A quantized model for other kernels than those that it has learned.

    Ranges that the other kernels need besides are calibrated anew, and those of maps that cannot
    keep a scale for each channel with builtin operators; all others stay.

    Args:
        model: `QuantizeAwareModel`.
        representative_data: as for `quantize_aware`.
        kernels: "fused" or "builtin".

    Returns:
        A `QuantizeAwareModel` with the same float model; `model` itself if it has these kernels.

    Raises:
        ValueError: if the kernels are unknown, or the data empty, infinite or of another shape.
    """
    find_kernels(kernels)
    if kernels == model.kernels:
        return model
    batches = representative_batches(representative_data, model.input_shape[1:])
    result = model.simulating(kernels)
    planned, ranges = result.planned_steps, result.activation_ranges
    learned = set(range_names(planned, INPUT, model.kernels))
    factors = before = result.channel_factors
    if kernels == BUILTIN:
        factors = without_limited(before, planned, batches)
        learned -= {name for name in factors if factors[name] is not before[name]}
        result.channel_factors = factors
    observations = observe(planned, batches, factors)
    for name in range_names(planned, INPUT, kernels):
        if name not in learned:
            ranges[name] = least_error_range(observations[name])
    result.activation_ranges = ranges
    return result


def _require_head(scheme, steps):
    """Nobody is to believe that weights have 4 bits where none have."""
    if scheme.head != DENSE and not any(step.kind == "dense" for step in steps):
        raise ValueError(
            f"`scheme` {scheme.name} must be for a model with dense layers at its end, whose "
            f"weights get {scheme.head.bits} bits; this one has none, and nothing would be "
            "smaller: take scheme='int8'. "
            f"Received: scheme={scheme.name!r}"
        )


def _float32_copy(model):
    """The model with layers of its own that compute in float32, whose integers are exact."""

    def copy_of(layer):
        return layer.from_config({**layer.get_config(), "dtype": "float32"})

    copy = keras.models.clone_model(model, clone_function=copy_of, recursive=True)
    copy.set_weights(model.get_weights())
    for layer, its_copy in zip(model._flatten_layers(), copy._flatten_layers(), strict=True):
        its_copy.trainable = layer.trainable  # configurations hold it only for outer layers
        if isinstance(its_copy, keras.layers.Normalization):
            its_copy.finalize_state()  # it computes with copies of what `set_weights` sets
    return copy


def _better(frugal, careful, batches):
    """`careful` if its outputs are nearer to the float ones by more than is tolerated."""
    expected = [frugal.float_logits(batch) for batch in batches]

    def error(model):
        return sum(
            np.sum((model.logits(batch) - outputs) ** 2)
            for batch, outputs in zip(batches, expected, strict=True)
        )

    return frugal if error(frugal) <= _TOLERATED_RATIO * error(careful) else careful


def _low_precision_layers(model):
    """Pairs of `DenseLayer` and quantizer where weights have fewer than 8 bits."""
    for layer in dense_layers(model.planned_steps):
        quantizer = model.weight_quantizers[layer.name]
        if quantizer.clipping is not None:
            yield layer, quantizer


def _clip_weights(model, observations):
    for layer, quantizer in _low_precision_layers(model):
        mean_squares = observations[layer.source].mean_squares
        quantizer.clipping.assign(
            least_error_clipping(layer.matrix, quantizer.weight_format, mean_squares)
        )


def _correct_biases(model, observations):
    steps = {item.step.name: item.step for item in model.planned_steps}
    for layer, quantizer in _low_precision_layers(model):
        rounded = quantizer.call(tf.constant(layer.matrix)).numpy()
        shift = observations[layer.source].means @ (layer.matrix - rounded)
        _add_to_bias(steps[layer.name], shift)


def _add_to_bias(step, amounts):
    normalization = step.normalization
    bias = step.layer.bias if normalization is None else normalization.beta
    if bias is not None:
        bias.assign_add(amounts.astype(np.float32))
