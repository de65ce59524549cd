# SPDX-License-Identifier: Apache-2.0
"""Micro-factorized pointwise convolution W = P Φ Qᵀ."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_micronet.layers import arguments
from keras_micronet.layers.channel_shuffle import ChannelShuffle
from keras_micronet.layers.grouped_pointwise_conv2d import GroupedPointwiseConv2D
from keras_micronet.layers.image_layer import ImageLayerSequence, ImageShape
from keras_micronet.layers.normalized_conv2d import (
    InitializerLike,
    RegularizerLike,
    fresh_initializer,
)


@keras.saving.register_keras_serializable(package="keras_micronet")
class FactorizedPointwiseConv2D(ImageLayerSequence):
    """Pointwise convolution as a product of sparse low-rank ones, W = P Φ Qᵀ in the paper.

    A grouped 1x1 convolution squeezes the channels (Qᵀ), a channel shuffle
    mixes the groups (Φ), and a second grouped 1x1 convolution expands them
    again (P); each convolution is followed by batch normalization.

    Args:
        filters: number of output channels.
        hidden_filters: width between the two convolutions, C/R in the paper.
        groups: integer or pair: groups of the first and of the second
            convolution. `None` takes the paper's G = sqrt(C / R), rounded to
            the nearest number that divides the input channels,
            `hidden_filters` and `filters`.
        kernel_initializer: `None` for the release's: normal values of variance
            2 / (kernel height * kernel width * output channels).
        kernel_regularizer: as in `keras.layers.Conv2D`.
        data_format: `"channels_last"`, `"channels_first"` or `None`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, height, width, filters)`.

    Raises:
        ValueError: if a group count does not divide the channels it splits.
    """

    def __init__(
        self,
        filters: int,
        hidden_filters: int,
        *,
        groups: int | Sequence[int] | None = None,
        kernel_initializer: InitializerLike = None,
        kernel_regularizer: RegularizerLike = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.filters = arguments.positive_integer("filters", filters)
        self.hidden_filters = arguments.positive_integer("hidden_filters", hidden_filters)
        if groups is not None:
            pair = groups if isinstance(groups, (list, tuple)) else (groups, groups)
            groups = arguments.integers("groups", pair, 2)
            arguments.require_divides("groups", groups[0], "hidden filters", self.hidden_filters)
            arguments.require_divides("groups", groups[1], "hidden filters", self.hidden_filters)
            arguments.require_divides("groups", groups[1], "filters", self.filters)
        self.groups = groups
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.squeeze: GroupedPointwiseConv2D | None = None
        self.shuffle: ChannelShuffle | None = None
        self.expand: GroupedPointwiseConv2D | None = None

    def build_channels_last(self, shape: ImageShape) -> None:
        first, second = self.groups or self._default_groups(shape[-1])
        self.squeeze = self._convolution(self.hidden_filters, first, "squeeze")
        self.shuffle = ChannelShuffle(
            first, data_format="channels_last", dtype=self.dtype_policy, name="shuffle"
        )
        self.expand = self._convolution(self.filters, second, "expand")
        super().build_channels_last(shape)

    @property
    def steps(self) -> list[keras.layers.Layer]:
        return [self.squeeze, self.shuffle, self.expand] if self.expand else []

    def transform_shape(self, shape: ImageShape) -> ImageShape:
        return (*shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "hidden_filters": self.hidden_filters,
            "groups": None if self.groups is None else list(self.groups),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }

    def _convolution(self, filters, groups, name):
        return GroupedPointwiseConv2D(
            filters,
            groups,
            kernel_initializer=fresh_initializer(self.kernel_initializer),
            kernel_regularizer=self.kernel_regularizer,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name=name,
        )

    def _default_groups(self, in_channels):
        common = math.gcd(in_channels, self.hidden_filters, self.filters)
        divisors = [count for count in range(1, common + 1) if common % count == 0]
        nearest = min(divisors, key=lambda count: abs(count - math.sqrt(self.hidden_filters)))
        return nearest, nearest
