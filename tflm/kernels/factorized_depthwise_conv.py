"""Depthwise k x 1 convolution and depthwise 1 x k convolution: `factorized_depthwise_conv_s8`."""

import dataclasses

import numpy as np

from tflm.kernels.factorized_conv import FactorizedConv, windows_along


@dataclasses.dataclass(frozen=True)
class FactorizedDepthwiseConv(FactorizedConv):
    """The integers of two depthwise convolutions; see `FactorizedConv`.

    Attributes:
        vertical_weights: int8 array (vertical channels, taps). Channel i reads input channel
            i // depth multiplier.
    """

    _operator = "factorized_depthwise_conv_s8"
    _vertical_dimensions = 2
    _buffer_bytes_of_a_pair = 64

    def _check_shapes(self):
        super()._check_shapes()
        if len(self.vertical_weights) % self.input_shape[2]:
            raise ValueError(
                "Vertical channels must be a multiple of the input's. "
                f"Received: {len(self.vertical_weights)}, {self.input_shape[2]}"
            )

    def _vertical_sums(self, x):
        read = np.repeat(x, len(self.vertical_weights) // self.input_shape[2], axis=2)
        windows = windows_along(read, 0, self.vertical_weights.shape[1], self.vertical_stride)
        return np.einsum("hwck,ck->hwc", windows, self.vertical_weights.astype(np.int64))
