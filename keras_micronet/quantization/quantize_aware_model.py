"""The Keras model that computes as an int8 device does and learns from it."""

import math

import keras
import tensorflow as tf

from keras_micronet.layer_chain import INPUT, unroll
from keras_micronet.quantization import integer_arithmetic
from keras_micronet.quantization.execution import Execution, Rounding, Unrounded
from keras_micronet.quantization.plan import ShiftMaxNames, plan, range_names
from keras_micronet.quantization.quantizers import ActivationQuantizer, WeightQuantizer
from keras_micronet.quantization.schemes import CONVOLUTION, DENSE, WeightFormat, find_scheme


@keras.saving.register_keras_serializable(package="keras_micronet")
class QuantizeAwareModel(keras.Model):
    """A model that rounds every weight and every value that a device stores.

    Made by `quantize_aware`, which also calibrates its ranges; trains with
    `compile` and `fit`, best with the callback `FreezeSchedule`.

    Batch normalization is folded into the rounded weights: with the moving
    statistics at inference and once `batch_normalization_is_frozen`, before that
    with the batch's while training. Ranges of activations are moving averages
    while training, until `ranges_are_frozen`. Whoever sets one of the two by
    hand between two calls of `fit` compiles the model again.

    Args:
        float_model: a functional Keras model as `layer_chain.unroll` takes it.
            Its weights are those that are trained.
        scheme: a name in `SCHEMES`.
        per_channel_dense: names of dense layers that keep a scale for each
            output where the scheme has one for the layer.
        name: of this model.

    Input and output shape: those of `float_model`.

    Raises:
        ValueError: if the scheme is unknown or a layer cannot be quantized.
    """

    def __init__(self, float_model, scheme="int8", per_channel_dense=(), **kwargs):
        super().__init__(**kwargs)
        self.scheme = find_scheme(scheme)
        self.per_channel_dense = tuple(per_channel_dense)
        self.float_model = float_model
        self.batch_normalization_is_frozen = False
        self._plan = plan(unroll(float_model))
        self._activation_quantizers = _Named()
        for name in range_names(self._plan, INPUT):
            self._activation_quantizers.add(name, ActivationQuantizer)
        self._weight_quantizers = _Named()
        for name, weight_format, channels in self._weight_formats():
            self._weight_quantizers.add(
                name, WeightQuantizer, weight_format=weight_format, channels=channels
            )
        # Whole-model XLA was two to three times slower on a CPU, and Keras would choose it.
        self.supports_jit = False
        self.built = True

    def call(self, inputs, training=None):
        training = bool(training)
        return Execution(
            self._plan,
            self._rounding(training),
            uses_batch_statistics=training and not self.batch_normalization_is_frozen,
            training=training,
        ).run(inputs)

    def logits(self, images):
        """What a device puts out, before a softmax.

        Args:
            images: a batch as the model takes it.

        Returns:
            A float32 array `(batch, outputs)`.
        """
        return self._without_softmax(self._rounding(training=False), images)

    def float_logits(self, images):
        """The same without any rounding: `float_model` before a softmax."""
        return self._without_softmax(Unrounded(), images)

    def compute_output_shape(self, input_shape):
        return self.float_model.compute_output_shape(input_shape)

    def get_config(self):
        return {
            "name": self.name,
            "float_model": keras.saving.serialize_keras_object(self.float_model),
            "scheme": self.scheme.name,
            "per_channel_dense": list(self.per_channel_dense),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        float_model = keras.saving.deserialize_keras_object(
            config["float_model"], custom_objects=custom_objects
        )
        return cls(**{**config, "float_model": float_model})

    @property
    def input_shape(self):
        return self.float_model.input_shape

    @property
    def output_shape(self):
        return self.float_model.output_shape

    @property
    def planned_steps(self):
        """The steps that this model computes, a list of `plan.PlannedStep`."""
        return self._plan

    @property
    def ranges_are_frozen(self):
        """Whether training leaves the ranges of activations as they are."""
        return all(quantizer.is_frozen for quantizer in self._activation_quantizers.values())

    @ranges_are_frozen.setter
    def ranges_are_frozen(self, is_frozen):
        for quantizer in self._activation_quantizers.values():
            quantizer.is_frozen = bool(is_frozen)

    @property
    def activation_ranges(self):
        """Range (low, high) of each stored value, by name."""
        return {name: item.range for name, item in self._activation_quantizers.items()}

    @activation_ranges.setter
    def activation_ranges(self, ranges):
        for name, quantizer in self._activation_quantizers.items():
            quantizer.range = ranges[name]

    @property
    def weight_quantizers(self):
        """`WeightQuantizer` of each kernel, by the name of what it computes."""
        return dict(self._weight_quantizers.items())

    @property
    def weight_roundings(self):
        """`schemes.WeightRounding` of each kernel, by the name of what it computes."""
        return {name: item.rounding for name, item in self._weight_quantizers.items()}

    def _rounding(self, training):
        return _QuantizerRounding(
            self._activation_quantizers, self._weight_quantizers, training
        )

    def _without_softmax(self, rounding, images):
        planned = [item for item in self._plan if item.step.kind != "softmax"]
        return keras.ops.convert_to_numpy(Execution(planned, rounding).run(images))

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
    """Rounding by the quantizers of a model."""

    def __init__(self, activation_quantizers, weight_quantizers, training):
        self._activation_quantizers = activation_quantizers
        self._weight_quantizers = weight_quantizers
        self._training = training
        self._weight_scales = {}

    def stored(self, name, values, factors=None):
        quantizer = self._activation_quantizers[name]
        if factors is not None and not self._training:
            values = integer_arithmetic.requantized(
                values, self._product_scale(factors), quantizer.scale
            )
        return quantizer.call(values, training=self._training)

    def stored_again(self, name, range_name, values):
        quantizer = self._activation_quantizers[range_name]
        if not self._training:
            values = integer_arithmetic.averaged(values, quantizer.scale, quantizer.zero_point)
        return quantizer.call(values, training=False)

    def weights(self, name, kernel, scale=None):
        quantizer = self._weight_quantizers[name]
        if not self._training:  # only the kernels' own rounding asks for it
            self._weight_scales[name] = quantizer.scale(kernel)
        return quantizer.call(kernel, scale)

    def biases(self, bias, factors):
        if self._training:  # int32 is as good as exact beside the rounding of the sums
            return bias
        scale = self._product_scale(factors)
        return tf.round(tf.math.divide_no_nan(bias, scale)) * scale

    def _product_scale(self, factors):
        scale = 1.0 if factors.weights is None else self._weight_scales[factors.weights]
        for name in factors.ranges:
            scale = scale * self._activation_quantizers[name].scale
        return scale


class _Named(keras.layers.Layer):
    """Layers by names that may contain slashes, which Keras's own names may not."""

    def __init__(self):
        super().__init__()
        self._layers_in_order = []
        self._names = []
        self.built = True

    def add(self, name, layer_class, **options):
        self._names.append(name)
        self._layers_in_order.append(layer_class(name=name.replace("/", "."), **options))

    def __getitem__(self, name):
        return self._layers_in_order[self._names.index(name)]

    def items(self):
        return zip(self._names, self._layers_in_order)

    def values(self):
        return list(self._layers_in_order)
