# SPDX-License-Identifier: Apache-2.0
"""The Keras model that computes as an int8 device does and learns from it."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from keras_micronet.layer_chain import INPUT, PROBABILITIES, unroll
from keras_micronet.quantization import fused_shift_max, integer_arithmetic, scales
from keras_micronet.quantization.execution import Execution, Rounding, Unrounded
from keras_micronet.quantization.plan import (
    PlannedStep,
    ShiftMaxNames,
    channel_factor_rules,
    plan,
    range_names,
)
from keras_micronet.quantization.quantizers import ActivationQuantizer, WeightQuantizer
from keras_micronet.quantization.schemes import (
    BUILTIN,
    CONVOLUTION,
    DENSE,
    WeightFormat,
    WeightRounding,
    find_kernels,
    find_scheme,
)
from keras_micronet.single_trace import SingleTrace


@keras.saving.register_keras_serializable(package="keras_micronet")
class QuantizeAwareModel(SingleTrace, keras.Model):
    """A model that rounds every weight and every value that a device stores.

    Made by `quantize_aware`, which also calibrates its ranges; trains with
    `compile` and `fit`, best with the callback `FreezeSchedule`.

    Batch normalization is folded into the rounded weights: with the moving
    statistics at inference and once `batch_normalization_is_frozen`, before that
    with the batch's while training. Ranges of activations are moving averages
    while training, until `ranges_are_frozen`. Whoever sets one of the two by
    hand between two calls of `fit` compiles the model again.

    Args:
        float_model: a Keras model as `layer_chain.unroll` takes it.
            Its weights are those that are trained.
        scheme: a name in `SCHEMES`.
        per_channel_dense: names of dense layers that keep a scale for each
            output where the scheme has one for the layer.
        kernels: whose arithmetic is simulated: "fused" for this project's own,
            "builtin" for TensorFlow Lite Micro's operators, which round every
            product and sum within Dynamic Shift-Max to 8 bits.
        has_channel_factors: whether maps have a scale for each channel where
            this is free, see `channel_factors`.
        name: of this model.

    Input and output shape: those of `float_model`.

    Raises:
        ValueError: if the scheme is unknown or a layer cannot be quantized.
    """

    def __init__(
        self,
        float_model: keras.Model,
        scheme: str = "int8",
        per_channel_dense: Iterable[str] = (),
        kernels: str = BUILTIN,
        has_channel_factors: bool = False,
        **kwargs: Any,
    ) -> None:
        # Integers are exact in float32, whatever Keras computes in elsewhere.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.scheme = find_scheme(scheme)
        self.kernels = find_kernels(kernels)
        self.has_channel_factors = bool(has_channel_factors)
        self.per_channel_dense = tuple(per_channel_dense)
        self.float_model = float_model
        self.batch_normalization_is_frozen = False
        self._plan = plan(unroll(float_model))
        self._activation_quantizers = _Named()
        rules = channel_factor_rules(self._plan) if has_channel_factors else {}
        for name in range_names(self._plan, INPUT):
            channels = rules[name].channels if name in rules else None
            self._activation_quantizers.add(name, ActivationQuantizer, channels=channels)
        self._weight_quantizers = _Named()
        for name, weight_format, channels in self._weight_formats():
            self._weight_quantizers.add(
                name, WeightQuantizer, weight_format=weight_format, channels=channels
            )
        # Whole-model XLA was two to three times slower on a CPU, and Keras would choose it.
        self.supports_jit = False
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        training = bool(training)
        return Execution(
            self._plan,
            self._rounding(training),
            self.kernels,
            uses_batch_statistics=training and not self.batch_normalization_is_frozen,
            training=training,
        ).run(inputs)

    def logits(self, images: tf.Tensor | np.ndarray) -> np.ndarray:
        """What a device puts out, before a softmax or sigmoid.

        Args:
            images: a batch as the model takes it.

        Returns:
            A float32 array `(batch, outputs)`, of a grid model `(batch, rows, columns, answers)`.
        """
        return self._without_probabilities(self._rounding(training=False), images)

    def float_logits(self, images: tf.Tensor | np.ndarray) -> np.ndarray:
        """The same without any rounding: `float_model` before a softmax or sigmoid."""
        return self._without_probabilities(Unrounded(), images)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self.float_model.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "float_model": keras.saving.serialize_keras_object(self.float_model),
            "scheme": self.scheme.name,
            "per_channel_dense": list(self.per_channel_dense),
            "kernels": self.kernels,
            "has_channel_factors": self.has_channel_factors,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Self:
        float_model = keras.saving.deserialize_keras_object(
            config["float_model"], custom_objects=custom_objects
        )
        return cls(**{**config, "float_model": float_model})

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        return self.float_model.input_shape

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        return self.float_model.output_shape

    @property
    def planned_steps(self) -> list[PlannedStep]:
        """The steps that this model computes, a list of `plan.PlannedStep`."""
        return self._plan

    @property
    def ranges_are_frozen(self) -> bool:
        """Whether training leaves the ranges of activations as they are."""
        return all(quantizer.is_frozen for quantizer in self._activation_quantizers.values())

    @ranges_are_frozen.setter
    def ranges_are_frozen(self, is_frozen: bool) -> None:
        for quantizer in self._activation_quantizers.values():
            quantizer.is_frozen = bool(is_frozen)

    @property
    def activation_ranges(self) -> dict[str, tuple[float, float]]:
        """Range (low, high) of each stored value, by name."""
        return {name: item.range for name, item in self._activation_quantizers.items()}

    @activation_ranges.setter
    def activation_ranges(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        for name, quantizer in self._activation_quantizers.items():
            quantizer.range = ranges[name]

    @property
    def channel_factors(self) -> dict[str, np.ndarray]:
        """Factors of the channels of each value that has them, by name.

        A channel's real values are its integers without zero point, times the value's scale,
        times its factor: float32 arrays `(channels,)`. Ranges are those of the values divided by
        the factors.
        """
        return {
            name: keras.ops.convert_to_numpy(item.channel_factors)
            for name, item in self._activation_quantizers.items()
            if item.channel_factors is not None
        }

    @channel_factors.setter
    def channel_factors(self, factors: Mapping[str, np.ndarray]) -> None:
        for name, item in self._activation_quantizers.items():
            if item.channel_factors is not None:
                item.channel_factors.assign(factors[name])

    def simulating(self, kernels: str) -> "QuantizeAwareModel":
        """This model with the arithmetic of other kernels.

        Args:
            kernels: "fused" or "builtin".

        Returns:
            This model if it has these kernels already, else another one with the same float
            model, ranges and weight formats. Ranges that only builtin operators need stay where
            calibration set them while a model trains for fused kernels: see `recalibrated`.
        """
        if kernels == self.kernels:
            return self
        options = {**self.get_config(), "float_model": self.float_model, "kernels": kernels}
        other = QuantizeAwareModel(**options)
        other.channel_factors = self.channel_factors
        other.activation_ranges = self.activation_ranges
        for name, quantizer in self._weight_quantizers.items():
            if quantizer.clipping is not None:
                other._weight_quantizers[name].clipping.assign(quantizer.clipping)
        return other

    @property
    def weight_quantizers(self) -> dict[str, WeightQuantizer]:
        """`WeightQuantizer` of each kernel, by the name of what it computes."""
        return dict(self._weight_quantizers.items())

    @property
    def weight_roundings(self) -> dict[str, WeightRounding]:
        """`schemes.WeightRounding` of each kernel, by the name of what it computes."""
        return {name: item.rounding for name, item in self._weight_quantizers.items()}

    def _rounding(self, training):
        return _QuantizerRounding(
            self._activation_quantizers, self._weight_quantizers, self.kernels, training
        )

    def _without_probabilities(self, rounding, images):
        planned = [item for item in self._plan if item.step.kind not in PROBABILITIES]
        outputs = Execution(planned, rounding, self.kernels).run(images)
        return keras.ops.convert_to_numpy(outputs)

    def _weight_formats(self):
        """Yields the name, format and number of output channels of each kernel."""
        for item in self._plan:
            step = item.step
            if step.kind == "convolution":
                yield step.name, CONVOLUTION, step.layer.kernel.shape[-1]
            elif step.kind == "depthwise":
                yield step.name, CONVOLUTION, math.prod(step.layer.kernel.shape[2:])
            elif step.kind == "dense":
                yield step.name, self._head_format(step.name), step.layer.units
            elif step.kind == "shift_max":
                names = ShiftMaxNames.of(step)
                yield names.squeeze, self._dense_format(names.squeeze), step.layer.squeeze.units
                for name in names.coefficients:
                    yield name, self._dense_format(name), len(step.layer.permutation)

    def _head_format(self, name):
        head = self.scheme.head
        return self._dense_format(name) if head == DENSE else head

    def _dense_format(self, name):
        return WeightFormat(DENSE.bits, per_channel=name in self.per_channel_dense)


class _QuantizerRounding(Rounding):
    """Rounding by the quantizers of a model, in one pass."""

    def __init__(self, activation_quantizers, weight_quantizers, kernels, training):
        self._activation_quantizers = activation_quantizers
        self._weight_quantizers = weight_quantizers
        self._rounds_twice = kernels == BUILTIN
        self._training = training
        self._weight_scales = {}
        self._least_scales = {}
        self._scales = {}

    def channel_factors(self, name):
        factors = self._activation_quantizers[name].channel_factors
        return None if factors is None else tf.convert_to_tensor(factors)

    def clips_at_six(self, name):
        quantizer = self._activation_quantizers[name]
        follows = self._training and not quantizer.is_frozen  # a range must not grow beyond 6
        return follows or quantizer.channel_factors is None

    def stored(self, name, values, products=None):
        quantizer = self._activation_quantizers[name]
        least = self._least_scale(name, quantizer, products)
        is_summed = products is not None or not self._rounds_twice and name != INPUT
        if self._training or not is_summed:
            return quantizer.call(values, self._training, least)
        factors = quantizer.channel_factors
        factors = 1.0 if factors is None else tf.convert_to_tensor(factors)
        if self._rounds_twice:
            requantized = integer_arithmetic.requantized
        else:
            requantized = integer_arithmetic.requantized_once
        unit = self._sum_unit(name, products) / factors
        values = requantized(values / factors, unit, self._scale(name))
        return quantizer.rounded(values, least) * factors

    def _least_scale(self, name, quantizer, products):
        """What the scale of a value must be that is being stored; `None` if it may be any."""
        least = self._least_scales.get(name)
        is_weighted = products is not None and products.weights in self._weight_scales
        if is_weighted and not self._rounds_twice:
            factors = quantizer.channel_factors
            factors = 1.0 if factors is None else tf.convert_to_tensor(factors)
            least = scales.least_scale_of_sums(self._product_scale(products) / factors)
        if least is not None:
            self._least_scales[name] = least = tf.cast(least, tf.float32)
        return least

    def _scale(self, name):
        """The scale of a value that is stored."""
        if name not in self._scales:
            scale, least = self._activation_quantizers[name].scale, self._least_scales.get(name)
            self._scales[name] = scale if least is None else tf.maximum(scale, least)
        return self._scales[name]

    def _sum_unit(self, name, products):
        """What one unit of the sums stands for that a value is rounded from."""
        if products is None:  # of coefficients with so many fraction bits, or fewer
            factors = self.channel_factors(name)
            unit = self._scale(name) * 2.0**-fused_shift_max.MOST_COEFFICIENT_SHIFT
            return unit if factors is None else unit * factors
        return self._product_scale(products)

    def stored_again(self, name, source, values):
        quantizer = self._activation_quantizers[source.range_name]
        scale = self._scale(source.range_name)
        factors = source.channel_factors
        values = values if factors is None else values / factors
        if not self._training:
            values = integer_arithmetic.averaged(values, scale, quantizer.zero_point)
        values = quantizer.rounded(values, scale)
        return values if factors is None else values * factors

    def limits_steps(self, name, sources, most):
        largest = tf.reduce_max([self._scale(source) for source in sources])
        self._least_scales[name] = largest / most

    def followed(self, name, values):
        if self._training:
            self._activation_quantizers[name].call(values, training=True)

    def weights(self, name, kernel, scale=None):
        return self._weight_quantizers[name].call(kernel, scale)

    def layer(self, products, kernel, bias):
        quantizer = self._weight_quantizers[products.weights]
        least = scales.least_weight_scales(bias, self._input_scale(products))
        self._weight_scales[products.weights] = quantizer.scale(kernel, least)
        unit = tf.stop_gradient(self._product_scale(products))
        rounded = tf.round(bias / unit) * unit
        if self._training:  # gradients pass
            rounded = bias + tf.stop_gradient(rounded - bias)
        return quantizer.call(kernel, least=least), rounded

    def hidden(self, products):
        name = products.weights
        self._scales[name] = fused_shift_max.hidden_scale(
            self._activation_quantizers[name].high, tf.reduce_max(self._product_scale(products))
        )

    def fine_arithmetic(self, item, source, limits):
        names, layer = ShiftMaxNames.of(item.step), item.step.layer
        made = self._activation_quantizers[item.result]
        factors = None
        largest = max(abs(limit) for pair in limits for limit in pair)
        if source.channel_factors is not None or made.channel_factors is not None:
            factors = layer.fusions * fused_shift_max.coefficient_factors(
                layer.permutation, source.channel_factors, made.channel_factors
            )
            largest = largest * tf.maximum(tf.reduce_max(factors), 1.0)
        read_scale, hidden_unit = self._scale(source.range_name), self._scale(names.squeeze)
        excite_scales = [self._weight_scales[name] for name in names.coefficients]
        excite_scale = hidden_unit * tf.reduce_max(excite_scales)
        least = fused_shift_max.least_output_scale(read_scale, largest, excite_scale)
        self._least_scales[item.result] = least
        if self._training:
            return None
        ratio = read_scale / tf.maximum(made.scale, tf.cast(least, tf.float32))
        shift = fused_shift_max.coefficient_shift(ratio, largest, excite_scale)
        return fused_shift_max.FineArithmetic(
            input_scale=read_scale,
            input_factors=1.0 if source.channel_factors is None else source.channel_factors,
            squeeze_scale=self._weight_scales[names.squeeze],
            hidden_unit=hidden_unit,
            excite_scales=excite_scales,
            coefficient_unit=2.0**-shift / tf.cast(ratio, tf.float64),
            factors=factors,
        )

    def _product_scale(self, products):
        scale = self._input_scale(products)
        return scale if products.weights is None else scale * self._weight_scales[products.weights]

    def _input_scale(self, products):
        scale = 2.0**-products.fraction_bits
        for name in products.ranges:
            scale = scale * self._scale(name)
        return scale


class _Named(keras.layers.Layer):
    """Layers by names that may contain slashes, which Keras's own names may not."""

    def __init__(self):
        super().__init__(dtype="float32")
        self._layers_in_order = []
        self._names = []
        self.built = True

    def add(self, name, layer_class, **options):
        self._names.append(name)
        self._layers_in_order.append(layer_class(name=name.replace("/", "."), **options))

    def __getitem__(self, name):
        return self._layers_in_order[self._names.index(name)]

    def items(self):
        return zip(self._names, self._layers_in_order, strict=True)

    def values(self):
        return list(self._layers_in_order)
