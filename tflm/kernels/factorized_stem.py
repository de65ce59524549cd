# SPDX-License-Identifier: Apache-2.0
"""Dense k x 1 convolution and depthwise 1 x k convolution: `factorized_stem_s8`."""

import dataclasses

import numpy as np

from tflm.kernels import factorized_conv
from tflm.kernels.description import Form
from tflm.kernels.factorized_conv import FactorizedConv, windows_along

DESCRIPTION = factorized_conv.description(
    "factorized_stem_s8",
    "factorized stem",
    rows=Form("factorized_stem_rows_s8", "factorized_stem_rows_s8_image.h"),
)
MOST_INPUT_CHANNELS = 4
_ROWS_STATE_BYTES = 12


@dataclasses.dataclass(frozen=True)
class FactorizedStem(FactorizedConv):
    """The integers of a dense and a depthwise convolution; see `FactorizedConv`.

    Attributes:
        vertical_weights: int8 array (vertical channels, taps, input channels); 1 to 4 input
            channels.
    """

    description = DESCRIPTION
    _vertical_dimensions = 3
    _buffer_bytes_of_a_pair = 8

    def _check_shapes(self):
        super()._check_shapes()
        channels = self.input_shape[2]
        if self.vertical_weights.shape[2] != channels or channels > MOST_INPUT_CHANNELS:
            raise ValueError(
                "The input must have 1 to 4 channels, as many as vertical_weights. "
                f"Received: {channels}, {self.vertical_weights.shape[2]}"
            )

    @property
    def rows_buffer_bytes(self) -> int:
        """Bytes of the buffer of `factorized_stem_rows_s8`: a state, rows of the input, a strip."""
        _, width, channels = self.input_shape
        kept_rows = self.vertical_weights.shape[1] - 1
        return _ROWS_STATE_BYTES + kept_rows * (-(-width * channels // 4) * 4) + self.buffer_bytes

    def _vertical_sums(self, x: np.ndarray) -> np.ndarray:
        windows = windows_along(x, 0, self.vertical_weights.shape[1], self.vertical_stride)
        return np.einsum("hwik,cki->hwc", windows, self.vertical_weights.astype(np.int64))
