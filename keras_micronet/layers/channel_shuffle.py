# SPDX-License-Identifier: Apache-2.0
"""Channel shuffle: the fixed permutation Φ of micro-factorized pointwise convolution."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_micronet import expressions
from keras_micronet.layers import arguments
from keras_micronet.layers.image_layer import ImageLayer, ImageShape


@keras.saving.register_keras_serializable(package="keras_micronet")
class ChannelShuffle(ImageLayer):
    """Interleaves groups of channels: the paper's permutation Φ.

    The C channels are viewed as a `(groups, C / groups)` matrix, which is
    transposed and flattened: one channel of each group becomes a group of the
    result. A `ChannelShuffle(C / groups)` undoes a `ChannelShuffle(groups)`.

    Args:
        groups: positive integer that divides the number of channels, or a
            sequence of such integers: shuffles applied one after another, as
            one permutation.
        data_format: `"channels_last"`, `"channels_first"` or `None` (Keras's
            setting).

    Input shape: `(batch, height, width, channels)`. Output shape: the same.

    Raises:
        ValueError: if a group count is not a positive integer or does not
            divide the number of channels.
    """

    def __init__(
        self, groups: int | Sequence[int], *, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        sequence = groups if isinstance(groups, (list, tuple)) else (groups,)
        self.groups = tuple(arguments.positive_integer("groups", count) for count in sequence)

    def build_channels_last(self, shape: ImageShape) -> None:
        self.permutation = shuffle_permutation(shape[-1], self.groups)

    def transform(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return expressions.permute_channels(images, self.permutation)

    def get_config(self) -> dict[str, Any]:
        groups = self.groups[0] if len(self.groups) == 1 else list(self.groups)
        return {**super().get_config(), "groups": groups}


def shuffle_permutation(channels: int, groups: Iterable[int]) -> np.ndarray:
    """Source channel of every output channel of successive shuffles, an integer array."""
    permutation = np.arange(channels)
    for count in groups:
        arguments.require_divides("groups", count, "channels", channels)
        permutation = permutation.reshape(count, -1).T.flatten()
    return permutation
