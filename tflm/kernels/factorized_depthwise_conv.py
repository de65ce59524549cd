# SPDX-License-Identifier: Apache-2.0
"""Depthwise k x 1 convolution and depthwise 1 x k convolution: `factorized_depthwise_conv_s8`."""

import dataclasses

import numpy as np

from tflm.kernels import factorized_conv
from tflm.kernels.factorized_conv import FactorizedConv, windows_along

DESCRIPTION = factorized_conv.description(
    "factorized_depthwise_conv_s8", "factorized depthwise convolution"
)
# Of the output: as many are computed at a time, at most, if it overlaps the input.
STRIP_ROWS = 16


@dataclasses.dataclass(frozen=True)
class FactorizedDepthwiseConv(FactorizedConv):
    """The integers of two depthwise convolutions; see `FactorizedConv`.

    Attributes:
        vertical_weights: int8 array (vertical channels, taps). Channel i reads input channel
            i // depth multiplier.
    """

    description = DESCRIPTION
    _vertical_dimensions = 2
    _buffer_bytes_of_a_pair = 64

    @property
    def lead_bytes(self) -> int:
        """How far the input must begin behind the output for the two to overlap.

        No strip of rows then overwrites what it or a later one reads, on any processor: strips
        may end anywhere. Input and output together need this much and the input.
        """
        _, width, channels = self.input_shape
        height, output_width, output_channels = self.output_shape
        padding = self.vertical_weights.shape[1] // 2
        lead = 0
        for end in range(1, height + 1):
            first_read = max(0, max(0, end - STRIP_ROWS) * self.vertical_stride - padding)
            written = end * output_width * output_channels
            lead = max(lead, written - first_read * width * channels)
        return lead

    def _check_shapes(self):
        super()._check_shapes()
        if len(self.vertical_weights) % self.input_shape[2]:
            raise ValueError(
                "Vertical channels must be a multiple of the input's. "
                f"Received: {len(self.vertical_weights)}, {self.input_shape[2]}"
            )

    def _vertical_sums(self, x: np.ndarray) -> np.ndarray:
        read = np.repeat(x, len(self.vertical_weights) // self.input_shape[2], axis=2)
        windows = windows_along(read, 0, self.vertical_weights.shape[1], self.vertical_stride)
        return np.einsum("hwck,ck->hwc", windows, self.vertical_weights.astype(np.int64))
