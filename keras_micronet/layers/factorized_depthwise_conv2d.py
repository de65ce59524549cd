# SPDX-License-Identifier: Apache-2.0
"""Micro-factorized depthwise convolution: k x k as k x 1 followed by 1 x k."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_micronet.layers import arguments
from keras_micronet.layers.image_layer import ImageLayerSequence
from keras_micronet.layers.normalized_conv2d import (
    InitializerLike,
    NormalizedDepthwiseConv2D,
    RegularizerLike,
    fresh_initializer,
)


@keras.saving.register_keras_serializable(package="keras_micronet")
class FactorizedDepthwiseConv2D(ImageLayerSequence):
    """Depthwise convolution as a k x 1 and a 1 x k one ("Micro-Factorized Depthwise Convolution").

    Both are symmetrically padded by k // 2, without bias, each followed by
    batch normalization, with no activation between them. The rows' stride is
    taken by the first, the columns' by the second.

    Args:
        kernel_size: odd integer k.
        strides: integer, the same for rows and columns.
        depth_multipliers: pair of integers: outputs of each input channel in
            the first and in the second convolution.
        kernel_initializer: `None` for the release's: normal values of variance
            2 / (kernel height * kernel width * output channels).
        kernel_regularizer: as in `keras.layers.DepthwiseConv2D`.
        data_format: `"channels_last"`, `"channels_first"` or `None`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, ceil(height / strides), ceil(width / strides),
    channels * depth_multipliers[0] * depth_multipliers[1])`.

    Raises:
        ValueError: if `kernel_size` is even or a size is not a positive integer.
    """

    def __init__(
        self,
        kernel_size: int,
        *,
        strides: int = 1,
        depth_multipliers: Sequence[int] = (1, 1),
        kernel_initializer: InitializerLike = None,
        kernel_regularizer: RegularizerLike = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.kernel_size = arguments.odd_integer("kernel_size", kernel_size)
        self.strides = arguments.positive_integer("strides", strides)
        self.depth_multipliers = arguments.integers("depth_multipliers", depth_multipliers, 2)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        first, second = self.depth_multipliers
        self.vertical = self._convolution(
            (self.kernel_size, 1), (self.strides, 1), first, "vertical"
        )
        self.horizontal = self._convolution(
            (1, self.kernel_size), (1, self.strides), second, "horizontal"
        )

    @property
    def steps(self) -> list[keras.layers.Layer]:
        return [self.vertical, self.horizontal]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "depth_multipliers": list(self.depth_multipliers),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }

    def _convolution(self, kernel_size, strides, depth_multiplier, name):
        return NormalizedDepthwiseConv2D(
            kernel_size,
            strides=strides,
            depth_multiplier=depth_multiplier,
            kernel_initializer=fresh_initializer(self.kernel_initializer),
            kernel_regularizer=self.kernel_regularizer,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name=name,
        )
