"""Computes a chain as a device does, with its layers' weights: every stored value is rounded.

How values and weights are rounded is left to a `Rounding`, so that the same
pass serves training, calibration and the comparison of both.
"""

import abc
import dataclasses

import keras
import tensorflow as tf

from keras_micronet import expressions
from keras_micronet.layer_chain import INPUT
from keras_micronet.layers.dynamic_shift_max import COEFFICIENT_HALF_RANGE, COEFFICIENT_SLOPE
from keras_micronet.layers.normalized_conv2d import folded_normalization
from keras_micronet.quantization.plan import ShiftMaxNames

_WEIGHTED = ("convolution", "depthwise", "dense")
_ACTIVATIONS = {"linear": tf.identity, "relu": tf.nn.relu, "relu6": tf.nn.relu6}


@dataclasses.dataclass(frozen=True)
class Factors:
    """What the products consist of that a value is the sum of, by name.

    Attributes:
        ranges: of stored values.
        weights: the kernel, or `None` if values are multiplied with each other.
    """

    ranges: tuple
    weights: str | None = None


class Rounding(abc.ABC):
    """What happens to the values and weights of a pass; names are those of the `plan`."""

    @abc.abstractmethod
    def stored(self, name, values, factors=None):
        """A value that the device stores, with a range of its own.

        `factors` are `Factors` if the device computes it as a sum of products.
        """

    @abc.abstractmethod
    def stored_again(self, name, range_name, values):
        """A value that the device stores with the range of the value `range_name`."""

    @abc.abstractmethod
    def weights(self, name, kernel, scale=None):
        """A kernel with the output channels last, which are multiplied by `scale` afterwards."""

    @abc.abstractmethod
    def biases(self, bias, factors):
        """What is added to sums of products of `Factors` whose weights are known by now."""


class Unrounded(Rounding):
    """Leaves everything as it is."""

    def stored(self, name, values, factors=None):
        return values

    def stored_again(self, name, range_name, values):
        return values

    def weights(self, name, kernel, scale=None):
        return kernel

    def biases(self, bias, factors):
        return bias


@dataclasses.dataclass(frozen=True)
class _Value:
    """A tensor and the name of its range."""

    tensor: tf.Tensor
    range_name: str


class Execution:
    """One pass over a batch of images.

    Args:
        planned: list of `plan.PlannedStep`.
        rounding: `Rounding`.
        uses_batch_statistics: whether batch normalization takes, and moves, the
            statistics of the batch.
        training: whether dropout drops.
    """

    def __init__(self, planned, rounding, uses_batch_statistics=False, training=False):
        self._planned = planned
        self._rounding = rounding
        self._uses_batch_statistics = uses_batch_statistics
        self._training = training
        self._values = {}

    def run(self, images):
        """The chain's output for `images`, which are as the model takes them."""
        planned = self._planned
        current = tf.convert_to_tensor(images)
        if planned and planned[0].step.kind == "normalization":
            current = planned[0].step.layer(current)
        value = _Value(self._rounding.stored(INPUT, current), INPUT)
        self._values = {INPUT: value}
        for item in planned:
            value = self._step(item, value)
            self._values[item.step.name] = value
        return value.tensor

    def _step(self, item, source):
        step, values = item.step, source.tensor
        if not item.stores_something:
            return self._unrounded(step, source)
        if step.kind == "shift_max":
            outputs = self._shift_max(step, source)
        elif step.kind in ("convolution", "depthwise"):
            outputs = self._convolution(step, source)
        elif step.kind == "dense":
            outputs = self._dense(step, source)
        elif step.kind == "residual":
            outputs = values + self._values[step.shortcut].tensor
        elif step.kind == "pool":
            outputs = _mean(values)
        elif step.kind == "hard_swish":
            outputs = keras.activations.hard_swish(values)
        else:
            outputs = _ACTIVATIONS[step.kind](values)
        if item.result is None:
            again = self._rounding.stored_again(step.name, source.range_name, outputs)
            return _Value(again, source.range_name)
        outputs = _ACTIVATIONS[item.activation](outputs)
        factors = _factors(source, step.name) if step.kind in _WEIGHTED else None
        return _Value(self._rounding.stored(item.result, outputs, factors), item.result)

    def _unrounded(self, step, source):
        if step.kind == "normalization":
            return source  # `run` has applied it
        if step.kind == "dropout":
            return _Value(step.layer(source.tensor, training=self._training), source.range_name)
        if step.kind == "softmax":
            return _Value(tf.nn.softmax(source.tensor), source.range_name)
        return _Value(step.layer.transform(source.tensor), source.range_name)

    def _convolution(self, step, source):
        layer, images = step.layer, source.tensor
        if self._takes_statistics_of(layer.batch_normalization):
            # Scales of channels do not change how a kernel with a scale for each is rounded.
            kernel = self._convolution_weights(step, tf.convert_to_tensor(layer.kernel))
            return layer.normalize_batch(layer.convolve(images, kernel))
        kernel, bias = layer.folded_tensors()
        kernel = self._convolution_weights(step, kernel)
        bias = self._rounding.biases(bias, _factors(source, step.name))
        return layer.convolve(images, kernel, bias)

    def _convolution_weights(self, step, kernel):
        if step.kind == "convolution":
            return self._rounding.weights(step.name, kernel)
        height, width, channels, multiplier = kernel.shape
        outputs_last = tf.reshape(kernel, (height, width, 1, channels * multiplier))
        return tf.reshape(self._rounding.weights(step.name, outputs_last), kernel.shape)

    def _dense(self, step, source):
        kernel = tf.convert_to_tensor(step.layer.kernel)
        bias = step.layer.bias
        bias = tf.zeros(kernel.shape[-1], kernel.dtype) if bias is None else bias
        normalization = step.normalization
        if normalization is not None:
            scale, offset = folded_normalization(normalization)
            if self._takes_statistics_of(normalization):
                kernel = self._rounding.weights(step.name, kernel, scale)
                return normalization(tf.matmul(source.tensor, kernel) + bias, training=True)
            kernel, bias = kernel * scale, bias * scale + offset
        kernel = self._rounding.weights(step.name, kernel)
        bias = self._rounding.biases(bias, _factors(source, step.name))
        return tf.matmul(source.tensor, kernel) + bias

    def _shift_max(self, step, source):
        images, rounding = source.tensor, self._rounding
        operands = [images, expressions.permute_channels(images, step.layer.permutation)]
        terms = [
            rounding.stored(
                term,
                coefficients[:, tf.newaxis, tf.newaxis, :] * operand,
                factors=Factors((name, source.range_name)),
            )
            for term, (name, coefficients), operand in zip(
                ShiftMaxNames.of(step).terms,
                self._coefficients(step, source),
                operands * step.layer.fusions,
            )
        ]
        fusions = [terms[i] + terms[i + 1] for i in range(0, len(terms), 2)]
        return fusions[0] if len(fusions) == 1 else tf.maximum(*fusions)

    def _coefficients(self, step, source):
        """Pairs of name and coefficients `(batch, channels)`."""
        layer, rounding, within = step.layer, self._rounding, ShiftMaxNames.of(step)
        squeeze = within.squeeze
        pooled = rounding.stored_again(within.pool, source.range_name, _mean(source.tensor))
        kernel = rounding.weights(squeeze, tf.convert_to_tensor(layer.squeeze.kernel))
        factors = _factors(source, squeeze)
        bias = rounding.biases(tf.convert_to_tensor(layer.squeeze.bias), factors)
        squeezed = rounding.stored(squeeze, tf.nn.relu(tf.matmul(pooled, kernel) + bias), factors)
        names, initial_values = within.coefficients, layer.initial_coefficients()
        kernels = tf.split(layer.excite.kernel * COEFFICIENT_SLOPE, len(names), axis=-1)
        biases = tf.split(layer.excite.bias * COEFFICIENT_SLOPE, len(names))
        coefficients = []
        for name, kernel, bias, initial in zip(names, kernels, biases, initial_values):
            factors = Factors((squeeze,), name)
            kernel = rounding.weights(name, kernel)
            logits = tf.matmul(squeezed, kernel) + rounding.biases(bias + initial, factors)
            limits = initial - COEFFICIENT_HALF_RANGE, initial + COEFFICIENT_HALF_RANGE
            limited = tf.clip_by_value(logits, *limits)
            coefficients.append((name, rounding.stored(name, limited, factors)))
        return coefficients

    def _takes_statistics_of(self, normalization):
        is_trained = normalization is not None and normalization.trainable
        return self._uses_batch_statistics and is_trained


def _factors(source, weights):
    return Factors((source.range_name,), weights)


def _mean(images):
    return tf.reduce_mean(images, axis=(1, 2))
