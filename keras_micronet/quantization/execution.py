# SPDX-License-Identifier: Apache-2.0
"""Computes a chain as a device does, with its layers' weights: every stored value is rounded.

How values and weights are rounded is left to a `Rounding`, so that the same
pass serves training, calibration and the comparison of both.

A stored map may have a scale for each channel: its integers then stand for the
map divided by its channel factors, and the weights before and behind it take the
factors along, so that the device's arithmetic stays as it is (Nagel et al. 2019,
arXiv 1906.04721, for convolutions). Dynamic Shift-Max, y_c = max over k of
(a_kc * x_c + b_kc * x_p(c)), has coefficients of their own for every channel and takes
factors on both sides exactly.
"""

import abc
import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_micronet import expressions
from keras_micronet.layer_chain import INPUT, PROBABILITIES
from keras_micronet.layers.normalized_conv2d import folded_normalization
from keras_micronet.quantization.fused_shift_max import (
    MEAN_FRACTION_BITS,
    FineArithmetic,
    coefficient_factors,
)
from keras_micronet.quantization.plan import PlannedStep, ShiftMaxNames
from keras_micronet.quantization.scales import MOST_STEPS_OF_A_TERM, MOST_STEPS_OF_AN_ARGUMENT
from keras_micronet.quantization.schemes import FUSED

_WEIGHTED = ("convolution", "depthwise", "dense")
_ACTIVATIONS = {"linear": tf.identity, "relu": tf.nn.relu, "relu6": tf.nn.relu6}


@dataclasses.dataclass(frozen=True)
class Products:
    """What the products consist of that a value is the sum of, by name.

    Attributes:
        ranges: of stored values.
        weights: the kernel, or `None` if values are multiplied with each other.
        fraction_bits: that the stored values have been given before.
    """

    ranges: tuple[str, ...]
    weights: str | None = None
    fraction_bits: int = 0


class Rounding(abc.ABC):
    """What happens to the values and weights of a pass; names are those of the `plan`.

    Everything is in the float model's own units. Channel factors are tensors `(channels,)`, or
    `None` for a value with one scale.
    """

    def channel_factors(self, name: str) -> tf.Tensor | None:
        """What the integers of a stored value's channels are multiplied by, besides its scale."""
        return None

    def clips_at_six(self, name: str) -> bool:
        """Whether a ReLU6 ends at 6, or where the range of each channel ends."""
        return True

    @abc.abstractmethod
    def stored(self, name: str, values: tf.Tensor, products: Products | None = None) -> tf.Tensor:
        """A value that the device stores, with a range of its own.

        `products` are `Products` if the device computes it as a sum of products.
        """

    @abc.abstractmethod
    def stored_again(self, name: str, source: "Value", values: tf.Tensor) -> tf.Tensor:
        """A value that the device stores with the range and the channel factors of a `Value`."""

    @abc.abstractmethod
    def weights(self, name: str, kernel: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        """A kernel with the output channels last, of which the device's bias is not known yet.

        Its channels are multiplied by `scale` afterwards. It is what the device multiplies
        integers by, the inputs' channel factors included.
        """

    @abc.abstractmethod
    def layer(
        self, products: Products, kernel: tf.Tensor, bias: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The kernel of sums of `Products`, and the bias that is added to them."""

    def limits_steps(self, name: str, sources: Sequence[str], most: float) -> None:
        """Told before a value is stored of which no step may be finer than a part of its sources'.

        Args:
            name: of the value.
            sources: names of stored values.
            most: how many steps of the value one of theirs may be.
        """
        return None

    def followed(self, name: str, values: tf.Tensor) -> None:
        """Shows a value that is not rounded to 8 bits, but whose range is learned."""
        return None

    def hidden(self, products: Products) -> None:
        """Told when the weights are known by which a fused Dynamic Shift-Max squeezes."""
        return None

    def fine_arithmetic(
        self, item: PlannedStep, source: "Value", limits: Sequence[tuple[float, float]]
    ) -> FineArithmetic | None:
        """The integers with more than 8 bits of a fused Dynamic Shift-Max.

        Asked for when the weights of its dense layers are known.

        Args:
            item: its `plan.PlannedStep`.
            source: the `Value` that it reads.
            limits: pairs (lowest, highest) of each coefficient.

        Returns:
            `fused_shift_max.FineArithmetic`, or `None` for no rounding there.
        """
        return None


class Unrounded(Rounding):
    """Leaves everything as it is."""

    def stored(self, name: str, values: tf.Tensor, products: Products | None = None) -> tf.Tensor:
        return values

    def stored_again(self, name: str, source: "Value", values: tf.Tensor) -> tf.Tensor:
        return values

    def weights(self, name: str, kernel: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        return kernel

    def layer(
        self, products: Products, kernel: tf.Tensor, bias: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        assert products.weights is not None, "products of values have no layer"
        return self.weights(products.weights, kernel), bias


@dataclasses.dataclass(frozen=True)
class Value:
    """A value of a pass.

    Attributes:
        tensor: in the float model's units.
        range_name: name of the stored value that has its range.
        channel_factors: `(channels,)` in the order of the tensor's channels, or `None`.
    """

    tensor: tf.Tensor
    range_name: str
    channel_factors: tf.Tensor | None = None


class Execution:
    """One pass over a batch of images.

    Args:
        planned: list of `plan.PlannedStep`.
        rounding: `Rounding`.
        kernels: whose arithmetic a Dynamic Shift-Max has, one of `schemes.KERNELS`.
        uses_batch_statistics: whether batch normalization takes, and moves, the
            statistics of the batch.
        training: whether dropout drops.
    """

    def __init__(
        self,
        planned: Sequence[PlannedStep],
        rounding: Rounding,
        kernels: str = FUSED,
        uses_batch_statistics: bool = False,
        training: bool = False,
    ) -> None:
        self._planned = planned
        self._rounding = rounding
        self._kernels = kernels
        self._uses_batch_statistics = uses_batch_statistics
        self._training = training
        self._values: dict[str, Value] = {}

    def run(self, images: tf.Tensor | np.ndarray) -> tf.Tensor:
        """The chain's output for `images`, which are as the model takes them."""
        planned = self._planned
        current = tf.cast(tf.convert_to_tensor(images), tf.float32)
        for item in planned:
            if item.step.kind != "normalization":
                break
            current = item.step.layer(current)
        value = self._stored(INPUT, current)
        self._values = {INPUT: value}
        for item in planned:
            value = self._step(item, value)
            self._values[item.step.name] = value
        return value.tensor

    def _stored(self, name, tensor, products=None):
        stored = self._rounding.stored(name, tensor, products)
        return Value(stored, name, self._rounding.channel_factors(name))

    def _step(self, item, source):
        step, values = item.step, source.tensor
        if not item.stores_something:
            return self._unrounded(step, source)
        if step.kind == "shift_max":
            outputs = self._shift_max(item, source)
        elif step.kind in ("convolution", "depthwise"):
            outputs = self._convolution(step, source)
        elif step.kind == "dense":
            outputs = self._dense(step, source)
        elif step.kind == "residual":
            shortcut = self._values[step.shortcut]
            outputs = values + shortcut.tensor
            sources = (source.range_name, shortcut.range_name)
            self._rounding.limits_steps(item.result, sources, MOST_STEPS_OF_A_TERM)
        elif step.kind == "pool":
            outputs = _mean(values, keepdims=step.layer.keepdims)
        elif step.kind == "hard_swish":
            outputs = keras.activations.hard_swish(values)
            sources = (source.range_name,)
            self._rounding.limits_steps(item.result, sources, MOST_STEPS_OF_AN_ARGUMENT)
        else:
            outputs = _ACTIVATIONS[step.kind](values)
        if item.result is None:
            again = self._rounding.stored_again(step.name, source, outputs)
            return dataclasses.replace(source, tensor=again)
        outputs = self._activated(item, outputs)
        products = _products(source, step.name) if step.kind in _WEIGHTED else None
        return self._stored(item.result, outputs, products)

    def _activated(self, item, values):
        activation = item.activation
        if activation == "relu6" and not self._rounding.clips_at_six(item.result):
            activation = "relu"
        return _ACTIVATIONS[activation](values)

    def _unrounded(self, step, source):
        if step.kind == "normalization":
            return source  # `run` has applied it
        if step.kind == "dropout":
            return dataclasses.replace(
                source, tensor=step.layer(source.tensor, training=self._training)
            )
        if step.kind in PROBABILITIES:
            return Value(PROBABILITIES[step.kind](source.tensor), source.range_name)
        factors = source.channel_factors
        if factors is not None:
            factors = tf.gather(factors, step.layer.permutation)
        return Value(step.layer.transform(source.tensor), source.range_name, factors)

    def _convolution(self, step, source):
        layer, images = step.layer, source.tensor
        if self._takes_statistics_of(layer.batch_normalization):
            # Scales of channels do not change how a kernel with a scale for each is rounded.
            kernel = self._convolution_weights(step, tf.convert_to_tensor(layer.kernel), source)
            return layer.normalize_batch(layer.convolve(images, kernel))
        kernel, bias = layer.folded_tensors()
        kernel, bias = self._convolution_weights(step, kernel, source, bias)
        return layer.convolve(images, kernel, bias)

    def _convolution_weights(self, step, kernel, source, bias=None):
        """The rounded kernel and bias; the kernel alone if its bias is not known yet."""
        factors = source.channel_factors
        if factors is None:
            return self._rounded_convolution(step, kernel, source, bias)
        factors = _input_factors(step, kernel, tf.cast(factors, kernel.dtype))
        rounded = self._rounded_convolution(step, kernel * factors, source, bias)
        return rounded / factors if bias is None else (rounded[0] / factors, rounded[1])

    def _rounded_convolution(self, step, kernel, source, bias):
        shape = kernel.shape
        if step.kind == "depthwise":  # the output channels last
            kernel = tf.reshape(kernel, (*shape[:2], 1, shape[2] * shape[3]))
        if bias is None:
            return tf.reshape(self._rounding.weights(step.name, kernel), shape)
        kernel, bias = self._rounding.layer(_products(source, step.name), kernel, bias)
        return tf.reshape(kernel, shape), bias

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
        kernel, bias = self._rounding.layer(_products(source, step.name), kernel, bias)
        return tf.matmul(source.tensor, kernel) + bias

    def _shift_max(self, item, source):
        step = item.step
        operands = [
            source.tensor,
            expressions.permute_channels(source.tensor, step.layer.permutation),
        ]
        is_fused = self._kernels == FUSED
        compute = self._fine_coefficients if is_fused else self._stored_coefficients
        coefficients = compute(item, source, step.layer.coefficient_layers())
        terms = [
            values[:, tf.newaxis, tf.newaxis, :] * operand
            for values, operand in zip(coefficients, operands * step.layer.fusions, strict=True)
        ]
        if not is_fused:
            terms = self._stored_terms(item, source, terms)
        fusions = [terms[i] + terms[i + 1] for i in range(0, len(terms), 2)]
        return fusions[0] if len(fusions) == 1 else tf.maximum(*fusions)

    def _fine_coefficients(self, item, source, layers):
        """As the fused kernel computes them: nothing within is rounded to 8 bits."""
        rounding, within = self._rounding, ShiftMaxNames.of(item.step)
        products = Products((source.range_name,), within.squeeze, MEAN_FRACTION_BITS)
        squeeze, bias = self._squeeze_layer(item.step, source, products)
        rounding.hidden(products)
        kernels, biases = zip(
            *(
                rounding.layer(Products((within.squeeze,), name), each.kernel, each.bias)
                for name, each in zip(within.coefficients, layers, strict=True)
            ),
            strict=True,
        )
        limits = [each.limits for each in layers]
        fine = rounding.fine_arithmetic(item, source, limits)
        if fine is not None:  # it rounds the biases by itself, to integers
            hidden = fine.squeezed(source.tensor, squeeze, item.step.layer.squeeze.bias)
            return fine.coefficients(hidden, kernels, [each.bias for each in layers], limits)
        squeezed = tf.nn.relu(tf.matmul(_mean(source.tensor), squeeze) + bias)
        rounding.followed(within.squeeze, squeezed)
        return [
            tf.clip_by_value(tf.matmul(squeezed, kernel) + each, *ends)
            for kernel, each, ends in zip(kernels, biases, limits, strict=True)
        ]

    def _stored_coefficients(self, item, source, layers):
        """As builtin operators compute them: each vector is stored, with the channel factors."""
        rounding, layer = self._rounding, item.step.layer
        within = ShiftMaxNames.of(item.step)
        pooled = rounding.stored_again(within.pool, source, _mean(source.tensor))
        products = _products(source, within.squeeze)
        squeeze, bias = self._squeeze_layer(item.step, source, products)
        squeezed = tf.nn.relu(tf.matmul(pooled, squeeze) + bias)
        squeezed = rounding.stored(within.squeeze, squeezed, products)
        ratios = coefficient_factors(
            layer.permutation, source.channel_factors, rounding.channel_factors(item.result)
        )
        coefficients = []
        parts = zip(within.coefficients, layers, ratios * layer.fusions, strict=True)
        for name, each, ratio in parts:
            products = Products((within.squeeze,), name)
            kernel, bias = rounding.layer(products, each.kernel * ratio, each.bias * ratio)
            limits = [limit * ratio for limit in each.limits]
            values = tf.clip_by_value(tf.matmul(squeezed, kernel) + bias, *limits)
            coefficients.append(rounding.stored(name, values, products) / ratio)
        return coefficients

    def _stored_terms(self, item, source, terms):
        """The products, which have the channel factors of the activation's result."""
        within = ShiftMaxNames.of(item.step)
        factors = self._rounding.channel_factors(item.result)
        stored = [
            self._rounding.stored(
                name,
                term if factors is None else term / factors,
                Products((coefficient, source.range_name)),
            )
            for name, coefficient, term in zip(
                within.terms, within.coefficients, terms, strict=True
            )
        ]
        return stored if factors is None else [term * factors for term in stored]

    def _squeeze_layer(self, step, source, products):
        layer = step.layer.squeeze
        kernel, bias = tf.convert_to_tensor(layer.kernel), tf.convert_to_tensor(layer.bias)
        if source.channel_factors is None:
            return self._rounding.layer(products, kernel, bias)
        factors = tf.cast(source.channel_factors, kernel.dtype)[:, tf.newaxis]
        kernel, bias = self._rounding.layer(products, kernel * factors, bias)
        return kernel / factors, bias

    def _takes_statistics_of(self, normalization):
        is_trained = normalization is not None and normalization.trainable
        return self._uses_batch_statistics and is_trained


def _input_factors(step, kernel, factors):
    """The factors of a convolution's inputs, in the shape of its kernel's axes of channels."""
    if step.kind == "depthwise":
        return factors[:, tf.newaxis]
    *_, inputs, filters = kernel.shape
    groups = factors.shape[0] // inputs
    by_group = tf.transpose(tf.reshape(factors, (groups, inputs)))
    return tf.repeat(by_group, filters // groups, axis=1)


def _products(source, weights):
    return Products((source.range_name,), weights)


def _mean(images, keepdims=False):
    return tf.reduce_mean(images, axis=(1, 2), keepdims=keepdims)
