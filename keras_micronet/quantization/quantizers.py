"""Rounding while training: values and weights as the integers of a device represent them.

Gradients pass through rounding unchanged and are zero outside the range
(Jacob et al. 2018, arXiv 1712.05877).
"""

import keras
import numpy as np
import tensorflow as tf

from keras_micronet.quantization import model_optimization
from keras_micronet.quantization.schemes import ACTIVATION_BITS, WeightRounding

_TINY = float(np.finfo(np.float32).tiny)
_SMALLEST_SCALE = 1e-20  # keeps the range of a channel that is multiplied by nothing finite


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

    def __init__(self, channels=None, **kwargs):
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

    def call(self, inputs, training=None):
        follows = bool(training) and not self.is_frozen
        values, factors = tf.cast(inputs, "float32"), self.channel_factors
        if factors is None:
            outputs = self._quantizer(values, follows, self._range)
        else:
            outputs = self._quantizer(values / factors, follows, self._range) * factors
        return tf.cast(outputs, inputs.dtype)

    def rounded(self, values):
        """Values divided by the channel factors, rounded in the range as it is."""
        outputs = self._quantizer(tf.cast(values, "float32"), False, self._range)
        return tf.cast(outputs, values.dtype)

    @property
    def high(self):
        """End of the range, a scalar tensor."""
        return tf.convert_to_tensor(self._range["max_var"])

    @property
    def scale(self):
        """What one step of the integers stands for, a scalar tensor."""
        low, high = (tf.cast(self._range[end], tf.float64) for end in ("min_var", "max_var"))
        return tf.cast((high - low) / (2**ACTIVATION_BITS - 1), tf.float32)

    @property
    def zero_point(self):
        """The int8 integer that stands for 0, a scalar float tensor."""
        lowest = -(2.0 ** (ACTIVATION_BITS - 1))
        return tf.round(lowest - tf.math.divide_no_nan(self._range["min_var"], self.scale))

    @property
    def range(self):
        """The pair (low, high) of floats, low <= 0 <= high."""
        return tuple(float(self._range[end].numpy()) for end in ("min_var", "max_var"))

    @range.setter
    def range(self, ends):
        low, high = min(ends[0], 0.0), max(ends[1], 0.0)
        if low == high:
            high = 1.0  # a value that was always 0 needs steps of some size
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

    def __init__(self, weight_format, channels, **kwargs):
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

    def call(self, kernel, scale=None):
        """Rounds a kernel.

        Args:
            kernel: float tensor with the output channels last.
            scale: `(channels,)`, by which each channel will be multiplied on
                the device before rounding, or `None`.

        Returns:
            The rounded kernel, without `scale`.
        """
        ends = tf.stop_gradient(tf.cast(self._ends(kernel, scale), "float32"))
        return keras.quantizers.fake_quant_with_min_max_vars(
            kernel,
            -ends,
            ends,
            num_bits=self.weight_format.bits,
            narrow_range=True,
            axis=-1,
        )

    def scale(self, kernel):
        """What one step of the integers of a kernel stands for, `(channels,)`."""
        scales = self._ends(kernel, None) / self.weight_format.limit
        # Integers of channels that are all zero stand for nothing, their bias for something.
        return tf.where(scales < _TINY, 1.0 / self.weight_format.limit, scales)

    def _ends(self, kernel, scale):
        """The ends of the range for each channel of the kernel that is not scaled yet."""
        largest = tf.reduce_max(tf.abs(kernel), axis=range(len(kernel.shape) - 1))
        if not self.weight_format.per_channel:
            factors = tf.ones_like(largest)
            if scale is not None:
                factors = tf.maximum(tf.abs(tf.cast(scale, largest.dtype)), _SMALLEST_SCALE)
            largest = tf.reduce_max(largest * factors) / factors
        return largest if self.clipping is None else largest * tf.cast(self.clipping, largest.dtype)

    @property
    def rounding(self):
        """This quantizer's `WeightRounding`."""
        if self.clipping is None:
            return WeightRounding(self.weight_format)
        return WeightRounding(self.weight_format, keras.ops.convert_to_numpy(self.clipping))
