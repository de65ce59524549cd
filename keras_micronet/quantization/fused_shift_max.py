# SPDX-License-Identifier: Apache-2.0
"""Dynamic Shift-Max as the fused kernel rounds it: the mean in 64ths of the input's unit, what is
squeezed in 15 bits, coefficients in 16.

One definition for the simulation and for the export. Values are float tensors in the float model's
units, or NumPy arrays in eager code.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_micronet.quantization.scales import LEAST_STEPS_OF_A_SUM, Values

MEAN_FRACTION_BITS = 6
# Channel factors into the activation are n / 32, those out of it 32 / n.
FACTOR_UNIT = 32
MOST_FACTOR_STEPS = 127
_HIDDEN_STEPS = 2**14  # of the learned range; int16 holds twice as many
_LARGEST_INT16 = 32767
MOST_COEFFICIENT_SHIFT, LEAST_COEFFICIENT_SHIFT = 12, 4
_SHIFTS = tuple(range(MOST_COEFFICIENT_SHIFT, LEAST_COEFFICIENT_SHIFT - 1, -1))
_MARGIN = 1 + 2.0**-12  # for rounding coefficients and their factors to integers


def coefficient_factors(
    permutation: np.ndarray, input_factors: Values | None, output_factors: Values | None
) -> list[tf.Tensor]:
    """What the device's coefficients are multiplied by, for channel factors around the activation.

    From y_c / t_c = (a_c * s_c / t_c) * (x_c / s_c) + (b_c * s_p(c) / t_c) * (x_p(c) / s_p(c)).

    Args:
        permutation: `(channels,)`, p.
        input_factors, output_factors: `(channels,)`, s and t, or `None` for factors of 1.

    Returns:
        Two tensors `(channels,)`: of the coefficients a and of the coefficients b.
    """
    ones = tf.ones(len(permutation))
    inputs = ones if input_factors is None else tf.cast(input_factors, tf.float32)
    outputs = ones if output_factors is None else tf.cast(output_factors, tf.float32)
    return [inputs / outputs, tf.gather(inputs, permutation) / outputs]


def hidden_scale(high: Values, squeeze_scale: Values) -> tf.Tensor:
    """Unit of what is squeezed.

    Args:
        high: end of its range.
        squeeze_scale: largest scale of the squeeze layer's sums of products.
    """
    return tf.maximum(high / _HIDDEN_STEPS, squeeze_scale * LEAST_STEPS_OF_A_SUM)


def coefficient_shift(ratio: Values, largest: Values, excite_scale: Values) -> tf.Tensor:
    """Fraction bits of the coefficients: as many as fit in int16 and requantization allows.

    Args:
        ratio: scale of the activation's input divided by that of its output.
        largest: the largest limit of a coefficient times the largest of 1 and the coefficients'
            channel factors.
        excite_scale: largest scale of the sums of products that the coefficients are made of.

    Returns:
        A float tensor; -1 where even the fewest are too many, which they are not if the output's
        scale is at least `least_output_scale`.
    """
    shifts = tf.constant(_SHIFTS, tf.float64)
    steps = tf.cast(ratio, tf.float64) * 2.0**shifts
    fits = (tf.cast(largest, tf.float64) * steps <= _LARGEST_INT16) & (
        tf.cast(excite_scale, tf.float64) * steps * LEAST_STEPS_OF_A_SUM <= 1
    )
    return tf.reduce_max(tf.where(fits, shifts, -1.0))


def least_output_scale(input_scale: Values, largest: Values, excite_scale: Values) -> tf.Tensor:
    """The least scale of the activation's output that leaves its coefficients a few bits.

    What is coarser is lost anyway: one step of the input is hundreds of such steps, or the
    coefficients have no finer steps.

    Args:
        input_scale: of the activation's input.
        largest, excite_scale: as for `coefficient_shift`.
    """
    largest, excite_scale = tf.cast(largest, tf.float64), tf.cast(excite_scale, tf.float64)
    steps = tf.maximum(largest / _LARGEST_INT16, excite_scale * LEAST_STEPS_OF_A_SUM)
    return tf.cast(input_scale, tf.float64) * 2.0**LEAST_COEFFICIENT_SHIFT * steps * _MARGIN


@dataclasses.dataclass(frozen=True)
class FineArithmetic:
    """The kernel's integers for one activation, in float64, where they are exact.

    Attributes:
        input_scale: of the activation's input, scalar.
        input_factors: `(channels,)` or a scalar 1.
        squeeze_scale: of the squeeze layer's weights, scalar or `(squeeze channels,)`.
        hidden_unit: what one step of the squeezed values stands for, scalar.
        excite_scales: of the weights of each coefficient's layer, scalars or `(channels,)`.
        coefficient_unit: the same of the coefficients, before their channel factors.
        factors: of each coefficient `(channels,)`, or `None` for none.
    """

    input_scale: tf.Tensor
    input_factors: tf.Tensor
    squeeze_scale: tf.Tensor
    hidden_unit: tf.Tensor
    excite_scales: list[tf.Tensor]
    coefficient_unit: tf.Tensor
    factors: list[tf.Tensor] | None

    def squeezed(self, images: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        """What is squeezed, in hidden units, float64 `(batch, squeeze channels)`.

        Args:
            images: `(batch, height, width, channels)` as stored.
            kernel: `(channels, squeeze channels)` as rounded, in the model's units.
            bias: `(squeeze channels,)`.
        """
        pixels = images.shape[1] * images.shape[2]
        integers = tf.round(images / (self.input_scale * self.input_factors))
        # At most 2^16 pixels of 8 bits: float32 adds them exactly.
        sums = _float64(tf.reduce_sum(integers, axis=(1, 2)))
        means = tf.floor((2**MEAN_FRACTION_BITS * sums + pixels // 2) / pixels)
        kernel = kernel * tf.reshape(self.input_factors, (-1, 1))
        unit = _float64(self.input_scale) / 2**MEAN_FRACTION_BITS
        hidden = _dense(means, unit, kernel, self.squeeze_scale, bias, self.hidden_unit)
        return tf.clip_by_value(hidden, 0.0, _LARGEST_INT16)

    def coefficients(
        self,
        hidden: tf.Tensor,
        kernels: Sequence[tf.Tensor],
        biases: Sequence[tf.Tensor],
        limits: Sequence[tuple[float, float]],
    ) -> list[tf.Tensor]:
        """The coefficients in the model's units, a list of float32 tensors `(batch, channels)`.

        Args:
            hidden: of `squeezed`.
            kernels, biases, limits: of each coefficient's layer: as rounded, and pairs of numbers.
        """
        unit, results = _float64(self.coefficient_unit), []
        layers = zip(kernels, self.excite_scales, biases, limits, strict=True)
        for number, (kernel, scale, bias, ends) in enumerate(layers):
            values = _dense(hidden, self.hidden_unit, kernel, scale, bias, unit)
            values = tf.clip_by_value(values, *(tf.round(end / unit) for end in ends))
            if self.factors is not None:
                factors = _float64(self.factors[number])
                values = tf.floor(values * factors + 0.5) / factors
            results.append(tf.cast(values * unit, tf.float32))
        return results


def _dense(inputs, input_unit, kernel, weight_scale, bias, output_unit):
    """A dense layer of integers `(batch, inputs)`, requantized: float64 integers."""
    sum_unit = _float64(input_unit) * _float64(weight_scale)
    sums = tf.matmul(inputs, _float64(tf.round(kernel / weight_scale)))
    sums += tf.round(_float64(bias) / sum_unit)
    multipliers = tf.round(sum_unit / _float64(output_unit) * 2.0**32)
    return tf.floor(sums * (multipliers * 2.0**-32) + 0.5)


def _float64(values):
    return tf.cast(values, tf.float64)


def input_factor_steps(factors: Values) -> np.ndarray:
    """Factors of the activation's input as the kernel's integers, int8."""
    return np.round(np.asarray(factors, np.float64) * FACTOR_UNIT).astype(np.int8)


def output_factor_steps(factors: Values) -> np.ndarray:
    """Factors of the activation's output as the kernel's integers, int8."""
    return np.round(FACTOR_UNIT / np.asarray(factors, np.float64)).astype(np.int8)
