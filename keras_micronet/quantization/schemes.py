# SPDX-License-Identifier: Apache-2.0
"""What is stored in how many bits: data, by name."""

import dataclasses

import numpy as np

ACTIVATION_BITS = 8

# What computes on a device: operators of TensorFlow Lite Micro, or the kernels of `tflm.kernels`,
# which keep more than 8 bits within a Dynamic Shift-Max.
BUILTIN, FUSED = KERNELS = ("builtin", "fused")


@dataclasses.dataclass(frozen=True)
class WeightFormat:
    """How a layer's weights are stored: symmetric integers and their scales.

    Attributes:
        bits: 8 for integers in [-127, 127], 4 for [-7, 7].
        per_channel: one scale for each output channel, or one for the layer.
    """

    bits: int
    per_channel: bool

    @property
    def limit(self) -> int:
        """The largest integer."""
        return (1 << (self.bits - 1)) - 1


@dataclasses.dataclass(frozen=True)
class WeightRounding:
    """How the weights of one layer of a model are rounded.

    Attributes:
        weight_format: `WeightFormat`.
        clipping: end of the range as a fraction of the largest weight, of each
            output channel `(channels,)` or of the layer `(1,)`.
    """

    weight_format: WeightFormat
    clipping: np.ndarray | float = 1.0


CONVOLUTION = WeightFormat(bits=8, per_channel=True)
DENSE = WeightFormat(bits=8, per_channel=False)


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A named choice of formats; activations are 8-bit and asymmetric in all of them.

    Convolutions have a scale for each output channel. Dense layers have one
    scale: a scale for each output takes 12 bytes in the file and 8 of RAM.

    Attributes:
        name: as `quantize_aware` takes it.
        head: format of the model's own dense layers, where most of MicroNet's
            weights are; those inside Dynamic Shift-Max are 8-bit always.
    """

    name: str
    head: WeightFormat


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("int8", DENSE),
        # TensorFlow Lite Micro's own dense kernel takes 4-bit weights with one scale only.
        Scheme("int8_head4", WeightFormat(bits=4, per_channel=False)),
        Scheme("int8_head4_per_channel", WeightFormat(bits=4, per_channel=True)),
    )
}


def find_scheme(name: str) -> Scheme:
    """The scheme of a name.

    Raises:
        ValueError: if there is none.
    """
    if name not in SCHEMES:
        raise ValueError(f"`scheme` must be one of {sorted(SCHEMES)}. Received: scheme={name!r}")
    return SCHEMES[name]


def find_kernels(name: str) -> str:
    """The name itself, if it is one of `KERNELS`.

    Raises:
        ValueError: if it is not.
    """
    if name not in KERNELS:
        raise ValueError(f"`kernels` must be one of {list(KERNELS)}. Received: kernels={name!r}")
    return name
