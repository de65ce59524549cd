# SPDX-License-Identifier: Apache-2.0
"""Grouped 1x1 convolution: one sparse factor of micro-factorized pointwise convolution."""

from typing import Any

import keras

from keras_micronet.layers.normalized_conv2d import NormalizedConv2D


@keras.saving.register_keras_serializable(package="keras_micronet")
class GroupedPointwiseConv2D(NormalizedConv2D):
    """Grouped 1x1 convolution without bias, then batch normalization.

    The factor P or Q of W = P Φ Qᵀ (the paper's "Micro-Factorized Pointwise
    Convolution"). MicroNet spreads the two over a block;
    `FactorizedPointwiseConv2D` is the whole product.

    Args:
        filters: number of output channels.
        groups: number of channel groups; divides `filters` and the input
            channels.
        kernel_initializer: `None` for the release's: normal values of variance
            2 / (kernel height * kernel width * output channels).
        kernel_regularizer: as in `keras.layers.Conv2D`.
        data_format: `"channels_last"`, `"channels_first"` or `None`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, height, width, filters)`.

    Raises:
        ValueError: if `groups` does not divide `filters` and the input channels.
    """

    def __init__(self, filters: int, groups: int, **kwargs: Any) -> None:
        super().__init__(filters, 1, groups=groups, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["kernel_size"], config["strides"]
        return config
