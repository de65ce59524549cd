# SPDX-License-Identifier: Apache-2.0
"""Normalization of raw images by a fixed mean and variance of each channel."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_micronet import expressions


@keras.saving.register_keras_serializable(package="keras_micronet")
class ImageNormalization(keras.layers.Normalization):
    """`keras.layers.Normalization` of channels-last images, several times faster on a CPU.

    Args:
        mean: sequence of a number for each channel.
        variance: sequence of a number for each channel.
        **kwargs: `name`, `dtype` of `keras.layers.Layer`.

    Input shape: `(batch, height, width, channels)`. Output shape: the same.
    """

    def __init__(self, mean: Sequence[float], variance: Sequence[float], **kwargs: Any) -> None:
        super().__init__(axis=-1, mean=mean, variance=variance, **kwargs)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        images = tf.cast(inputs, self.compute_dtype)
        deviation = np.maximum(np.sqrt(self.input_variance), keras.config.epsilon())
        scale = 1.0 / deviation
        offset = -np.asarray(self.input_mean) * scale
        return expressions.scale_and_offset(
            images, tf.constant(scale, images.dtype), tf.constant(offset, images.dtype)
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["axis"], config["invert"]
        return config
