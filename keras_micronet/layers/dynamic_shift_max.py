# SPDX-License-Identifier: Apache-2.0
"""Dynamic Shift-Max: the maximum of input-dependent fusions of a map and its channel shift."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_micronet import expressions
from keras_micronet.layers import arguments
from keras_micronet.layers.image_layer import ImageLayer, ImageShape

# Coefficients are 4 * (hard_sigmoid(z) - 1 / 2) = clip(slope * z, -2, 2) and their initial values.
_HALF_RANGE = 2.0
_SLOPE = 2.0 * _HALF_RANGE / 6.0


@keras.saving.register_keras_serializable(package="keras_micronet")
class DynamicShiftMax(ImageLayer):
    """Activation: dynamic maximum fusion of a group-wise channel shift (Dynamic Shift-Max).

    y = max over k of (a_k(x) * x + b_k(x) * shift(x)), where the coefficients
    come from global average pooling, two dense layers and a hard sigmoid, and
    lie within 2 of their initial values. With one fusion nothing is maximised
    and the activation is linear in x for given coefficients.

    Args:
        groups: G, a divisor of the number of channels C. The shift takes
            channel (i, j) of the `(G, C / G)` view from (i + 1, j + 1), both
            circular.
        fusions: K, 1 or 2.
        reduction_ratio: C divided by the width of the squeeze layer, about.
        initial_a: K numbers, the coefficients of x at initialization.
        initial_b: K numbers, the coefficients of shift(x).
        data_format: `"channels_last"`, `"channels_first"` or `None`.

    Input shape: `(batch, height, width, channels)`. Output shape: the same.

    Raises:
        ValueError: if `groups` does not divide the channels, `fusions` is not
            1 or 2, or the initial coefficients are not K finite numbers.
    """

    def __init__(
        self,
        groups: int,
        *,
        fusions: int = 2,
        reduction_ratio: int = 8,
        initial_a: Sequence[float] | None = None,
        initial_b: Sequence[float] | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.groups = arguments.positive_integer("groups", groups)
        if fusions not in (1, 2):
            raise ValueError(f"`fusions` must be 1 or 2. Received: fusions={fusions!r}")
        self.fusions = int(fusions)
        self.reduction_ratio = arguments.positive_integer("reduction_ratio", reduction_ratio)
        self.initial_a = self._initial("initial_a", initial_a, default=1.0)
        self.initial_b = self._initial("initial_b", initial_b, default=0.0)

    def build_channels_last(self, shape: ImageShape) -> None:
        channels = shape[-1]
        arguments.require_divides("groups", self.groups, "channels", channels)
        self.permutation = shift_permutation(channels, self.groups)
        width = squeeze_width(channels, self.reduction_ratio)
        self.squeeze = self._dense(width, "relu", "squeeze")
        self.squeeze.build((None, channels))
        self.excite = self._dense(2 * self.fusions * channels, None, "excite")
        self.excite.build((None, width))

    def transform(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return expressions.shift_max(images, self.coefficients(images), self.permutation)

    def coefficients(self, images: tf.Tensor) -> tf.Tensor:
        """Fusion coefficients of channels-last `images`.

        Returns:
            `(batch, 2 * K * channels)`: a1, b1 (, a2, b2), one after another.
        """
        # float16 cannot hold the sum over a large map.
        pooled = tf.reduce_mean(tf.cast(images, self.variable_dtype), axis=(1, 2))
        logits = self.excite(self.squeeze(tf.cast(pooled, self.compute_dtype)))
        # The hard sigmoid by a ReLU6 from the lowest coefficients on, in few operations.
        initial_values = np.repeat(self.initial_coefficients(), images.shape[-1])
        lowest = initial_values - _HALF_RANGE
        dynamic = tf.nn.relu6(logits + 3.0) * _SLOPE
        return dynamic + tf.constant(lowest, logits.dtype)

    def initial_coefficients(self) -> list[float]:
        """The 2 * K initial values in the order of `coefficients`."""
        return [
            value for pair in zip(self.initial_a, self.initial_b, strict=True) for value in pair
        ]

    def coefficient_layers(self) -> list["CoefficientLayer"]:
        """The `CoefficientLayer` of each of the 2 * K coefficients, in the same order."""
        return coefficient_layers(self.excite.kernel, self.excite.bias, self.initial_coefficients())

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "groups": self.groups,
            "fusions": self.fusions,
            "reduction_ratio": self.reduction_ratio,
            "initial_a": list(self.initial_a),
            "initial_b": list(self.initial_b),
        }

    def _dense(self, units, activation, name):
        return keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype=self.dtype_policy,
            name=name,
        )

    def _initial(self, name, values, default):
        if values is None:
            return (default,) * self.fusions
        return arguments.finite_numbers(name, values, self.fusions)


@dataclasses.dataclass(frozen=True)
class CoefficientLayer:
    """The dense layer of one coefficient, its hard sigmoid and initial value folded in.

    The coefficient of every channel is clip(squeezed @ kernel + bias, *limits).

    Attributes:
        kernel: tensor `(squeeze width, channels)`.
        bias: tensor `(channels,)`.
        limits: lowest and highest coefficient.
    """

    kernel: tf.Tensor
    bias: tf.Tensor
    limits: tuple[float, float]


def coefficient_layers(
    excite_kernel: tf.Tensor, excite_bias: tf.Tensor, initial_values: Sequence[float]
) -> list[CoefficientLayer]:
    """Splits the excite layer of Dynamic Shift-Max by the coefficients that it gives.

    Args:
        excite_kernel: `(squeeze width, 2 * K * channels)`.
        excite_bias: `(2 * K * channels,)`.
        initial_values: of the 2 * K coefficients: a1, b1 (, a2, b2).

    Returns:
        A list of 2 * K `CoefficientLayer`.
    """
    kernels = tf.split(excite_kernel * _SLOPE, len(initial_values), axis=-1)
    biases = tf.split(excite_bias * _SLOPE, len(initial_values))
    return [
        CoefficientLayer(kernel, bias + initial, (initial - _HALF_RANGE, initial + _HALF_RANGE))
        for kernel, bias, initial in zip(kernels, biases, initial_values, strict=True)
    ]


def shift_permutation(channels: int, groups: int) -> np.ndarray:
    """Source channel of every channel of the circularly shifted map, an integer array."""
    matrix = np.arange(channels).reshape(groups, -1)
    return np.roll(matrix, (-1, -1), axis=(0, 1)).flatten()


def squeeze_width(channels: int, reduction_ratio: int) -> int:
    """Width of the squeeze layer: about `channels / reduction_ratio`, a multiple of 4.

    Rounded to the nearest multiple, at least 4, never more than 10% below the
    quotient (MobileNetV2's rule).
    """
    quotient = channels // reduction_ratio
    width = max(4, (quotient + 2) // 4 * 4)
    return width + 4 if width < 0.9 * quotient else width
