# SPDX-License-Identifier: Apache-2.0
"""One operator of `tflm.kernels` as it stands in a model file."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class PackedOperation:
    """A packed operator.

    Attributes:
        operator: name of the C function without its prefix, such as "residual_add_s8".
        options: bytes; little-endian int32 values, the first of them the version.
        constants: tuple of int8, int16 or int32 arrays in the kernel's own order.
        input_shapes: tuple of (height, width, channels) or (channels,), one for each int8 input.
        output_shape: of the int8 output.
    """

    operator: str
    options: bytes
    constants: tuple[np.ndarray, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    output_shape: tuple[int, ...]


def packed_channels(biases: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
    """Biases and requantization multipliers as the kernels take them.

    Args:
        biases, multipliers: integer arrays `(channels,)`.

    Returns:
        int32 array `(channels, 2)`.
    """
    return np.stack([biases, multipliers], axis=-1).astype(np.int32)
