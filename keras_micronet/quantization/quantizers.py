# SPDX-License-Identifier: Apache-2.0
"""Rounding while training: values and weights as the integers of a device represent them.

Gradients pass through rounding unchanged and are zero outside the range
(Jacob et al. 2018, arXiv 1712.05877).
"""

from typing import Any

import keras
import tensorflow as tf

from keras_micronet.quantization import model_optimization, scales
from keras_micronet.quantization.schemes import ACTIVATION_BITS, WeightFormat, WeightRounding

_SMALLEST_FACTOR = 1e-20  # keeps the range of a channel that is multiplied by nothing finite


class ActivationQuantizer(keras.layers.Layer):
    """Rounds a value to 8 bits, asymmetric, in a range that follows the batches.

    The range holds 0. While training it moves to each batch's range by a
    thousandth of the distance, unless `is_frozen`.

    Args:
        channels: `None` for one scale; or the number of channels, the value's last axis,
            of which each has a factor of its own: what is rounded in the range is the
            value divided by the factors.

    Attributes:
        is_frozen: whether training leaves the range as it is.
        channel_factors: variable `(channels,)`, positive and not trained, or `None`.
    """

    def __init__(self, channels: int | None = None, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.is_frozen = False
        self.channel_factors = None
        if channels is not None:
            self.channel_factors = self.add_weight(
                name="channel_factors", shape=(channels,), initializer="ones", trainable=False
            )
        self._quantizer = model_optimization.quantizers().MovingAverageQuantizer(
            num_bits=ACTIVATION_BITS, per_axis=False, symmetric=False, narrow_range=False
        )
        owner = model_optimization.WeightOwner(self)
        self._range = self._quantizer.build(None, "range", owner)
        self.built = True

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, least: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Rounds values.

        Args:
            inputs: float tensor.
            training: whether the range follows the values, unless it is frozen.
            least: what the scale of the steps must be at least, or `None`.
        """
        values, factors = tf.cast(inputs, "float32"), self.channel_factors
        values = values if factors is None else values / factors
        if training and not self.is_frozen:
            self._quantizer(values, True, self._range)
        outputs = self.rounded(values, least)
        outputs = outputs if factors is None else outputs * factors
        return tf.cast(outputs, inputs.dtype)

    def rounded(self, values: tf.Tensor, least: tf.Tensor | None = None) -> tf.Tensor:
        """Values divided by the channel factors, rounded in the range as it is."""
        low, high = self._ends
        if least is not None:
            widening = tf.stop_gradient(least / scales.activation_scale(low, high))
            widening = tf.maximum(widening, 1.0)
            low, high = low * widening, high * widening
        outputs = tf.quantization.fake_quant_with_min_max_vars(
            tf.cast(values, "float32"), low, high, ACTIVATION_BITS
        )
        return tf.cast(outputs, values.dtype)

    @property
    def high(self) -> tf.Tensor:
        """End of the range, a scalar tensor."""
        return self._ends[1]

    @property
    def scale(self) -> tf.Tensor:
        """What one step of the integers stands for, a scalar tensor."""
        return scales.activation_scale(*self._ends)

    @property
    def zero_point(self) -> tf.Tensor:
        """The int8 integer that stands for 0, a scalar float tensor."""
        return scales.zero_point(*self._ends)

    @property
    def _ends(self):
        return scales.stored_range(self._range["min_var"], self._range["max_var"])

    @property
    def range(self) -> tuple[float, float]:
        """The pair (low, high) of floats, low <= 0 <= high."""
        low, high = (float(self._range[end].numpy()) for end in ("min_var", "max_var"))
        return low, high

    @range.setter
    def range(self, ends: tuple[float, float]) -> None:
        low, high = scales.stored_range(*ends)
        self._range["min_var"].assign(low)
        self._range["max_var"].assign(high)


class WeightQuantizer(keras.layers.Layer):
    """Rounds weights, symmetric, in a range that follows the weights.

    The largest weight is the end of the range, times `clipping` where there are
    fewer than 8 bits: a narrower range then has smaller steps for all the others.

    Args:
        weight_format: `schemes.WeightFormat`.
        channels: number of output channels.
    """

    def __init__(self, weight_format: WeightFormat, channels: int, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.weight_format = weight_format
        self.clipping = None
        if weight_format.bits < 8:
            self.clipping = self.add_weight(
                name="clipping",
                shape=(channels,) if weight_format.per_channel else (1,),
                initializer="ones",
                trainable=False,
            )
        self.built = True

    def call(
        self, kernel: tf.Tensor, scale: tf.Tensor | None = None, least: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Rounds a kernel.

        Args:
            kernel: float tensor with the output channels last.
            scale: `(channels,)`, by which each channel will be multiplied on
                the device before rounding, or `None`.
            least: `(channels,)`, what the scales must be at least, or `None`.

        Returns:
            The rounded kernel, without `scale`.
        """
        ends = tf.stop_gradient(self._ends(kernel, scale, least))
        return keras.quantizers.fake_quant_with_min_max_vars(
            kernel,
            -ends,
            ends,
            num_bits=self.weight_format.bits,
            narrow_range=True,
            axis=-1,
        )

    def scale(self, kernel: tf.Tensor, least: tf.Tensor | None = None) -> tf.Tensor:
        """What one step of the integers of a kernel stands for, `(channels,)`."""
        return tf.stop_gradient(self._ends(kernel, None, least)) / self.weight_format.limit

    def _ends(self, kernel, scale, least):
        """The ends of the range for each channel of the kernel that is not scaled yet."""
        largest = tf.reduce_max(tf.abs(kernel), axis=range(len(kernel.shape) - 1))
        factors = 1.0
        if scale is not None:
            factors = tf.maximum(tf.abs(tf.cast(scale, "float32")), _SMALLEST_FACTOR)
        clipping = 1.0 if self.clipping is None else self.clipping
        return scales.weight_ends(largest, self.weight_format, clipping, least, factors)

    @property
    def rounding(self) -> WeightRounding:
        """This quantizer's `WeightRounding`."""
        if self.clipping is None:
            return WeightRounding(self.weight_format)
        return WeightRounding(self.weight_format, keras.ops.convert_to_numpy(self.clipping))
