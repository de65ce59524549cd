# SPDX-License-Identifier: Apache-2.0
"""The stem: a 3 x 1 and a 1 x 3 convolution that halve the image and widen it."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_micronet.layers import arguments
from keras_micronet.layers.channel_shuffle import ChannelShuffle
from keras_micronet.layers.image_layer import ImageLayerSequence
from keras_micronet.layers.normalized_conv2d import NormalizedConv2D, NormalizedDepthwiseConv2D


@keras.saving.register_keras_serializable(package="keras_micronet")
class FactorizedStem(ImageLayerSequence):
    """First layer of MicroNet: micro-factorized k x k convolution of stride 2, then ReLU6.

    A k x 1 convolution to `channels[0]` channels, a 1 x k depthwise convolution
    with multiplier `channels[1]`, each with its stride of 2, symmetric padding
    and batch normalization; then `ChannelShuffle(channels[0])` and ReLU6.

    Args:
        channels: pair (p, q): p channels after the first convolution, p * q
            after the second.
        kernel_size: odd integer k.
        strides: integer, the same for rows and columns.
        full_rank: `True` for one dense k x k convolution to p * q channels
            instead, as in the full-rank partner of mutual learning.
        data_format: `"channels_last"`, `"channels_first"` or `None`.

    Input shape: `(batch, height, width, channels)`, usually 3 channels.
    Output shape: `(batch, ceil(height / strides), ceil(width / strides), p * q)`.

    Raises:
        ValueError: if `kernel_size` is even or a size is not a positive integer.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        kernel_size: int = 3,
        strides: int = 2,
        full_rank: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.channels = arguments.integers("channels", channels, 2)
        self.kernel_size = arguments.odd_integer("kernel_size", kernel_size)
        self.strides = arguments.positive_integer("strides", strides)
        self.full_rank = bool(full_rank)
        self.convolutions = self._full_rank() if self.full_rank else self._factorized()
        self.shuffle = None
        if not self.full_rank:
            self.shuffle = ChannelShuffle(
                self.channels[0],
                data_format="channels_last",
                dtype=self.dtype_policy,
                name="shuffle",
            )
        self.activation = keras.layers.ReLU(6.0, dtype=self.dtype_policy, name="activation")

    @property
    def steps(self) -> list[keras.layers.Layer]:
        shuffle = [] if self.shuffle is None else [self.shuffle]
        return [*self.convolutions, *shuffle, self.activation]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "channels": list(self.channels),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "full_rank": self.full_rank,
        }

    def _factorized(self):
        common = {"data_format": "channels_last", "dtype": self.dtype_policy}
        vertical = NormalizedConv2D(
            self.channels[0],
            (self.kernel_size, 1),
            strides=(self.strides, 1),
            name="vertical",
            **common,
        )
        horizontal = NormalizedDepthwiseConv2D(
            (1, self.kernel_size),
            strides=(1, self.strides),
            depth_multiplier=self.channels[1],
            name="horizontal",
            **common,
        )
        return [vertical, horizontal]

    def _full_rank(self):
        convolution = NormalizedConv2D(
            self.channels[0] * self.channels[1],
            self.kernel_size,
            strides=self.strides,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="convolution",
        )
        return [convolution]
