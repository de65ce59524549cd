"""One operator of `tflm.kernels` as it stands in a model file."""

import dataclasses
import struct

import numpy as np

_PREFIX = "MICRONET_"


@dataclasses.dataclass(frozen=True)
class FusedOperation:
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
    constants: tuple
    input_shapes: tuple
    output_shape: tuple


def custom_name(operator):
    """Name of an operator in model files: "MICRONET_RESIDUAL_ADD_S8" of "residual_add_s8"."""
    return f"{_PREFIX}{operator.upper()}"


def operator_of(name):
    """The operator whose `custom_name` a name is."""
    return name.removeprefix(_PREFIX).lower()


def pack_options(version, *values):
    """Options as their bytes: the version, then integers."""
    return struct.pack(f"<{len(values) + 1}i", version, *(int(value) for value in values))


def packed_channels(biases, multipliers):
    """Biases and requantization multipliers as the kernels take them.

    Args:
        biases, multipliers: integer arrays `(channels,)`.

    Returns:
        int32 array `(channels, 2)`.
    """
    return np.stack([biases, multipliers], axis=-1).astype(np.int32)
