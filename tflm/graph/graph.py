# SPDX-License-Identifier: Apache-2.0
"""The deployment graph: tensors and operations between a Keras model and a device.

Everything in `tflm` passes a `Graph` on: `lowering` makes one from a trained
model, `builtin_operations` rewrites it in TensorFlow Lite's vocabulary,
`quantization` attaches integers to it, and `flatbuffer` writes it to a file.
Operation kinds are the names of TensorFlow Lite's builtin operators ("CONV_2D",
"FULLY_CONNECTED", ...), besides the few composite kinds that `lowering` emits
and `builtin_operations` replaces.
"""

import collections.abc
import dataclasses
import typing

import numpy as np
from numpy.typing import ArrayLike

Shape = tuple[int, ...]
Options = dict[str, typing.Any]  # of operations: each operator has its own


@dataclasses.dataclass(frozen=True)
class Quantization:
    """Affine quantization: real = scale * (integer - zero_point).

    Attributes:
        scale: float64 array, one element (per-tensor) or one per channel.
        zero_point: integer array of the same length.
        axis: the channel axis if there is more than one scale, else `None`.
    """

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int | None = None

    @classmethod
    def per_tensor(cls, scale: float, zero_point: int) -> typing.Self:
        """One scale and one zero point for the whole tensor."""
        return cls(np.array([scale], np.float64), np.array([zero_point], np.int64))

    @property
    def is_per_channel(self) -> bool:
        return self.axis is not None

    def quantize(self, real: ArrayLike, dtype: type[np.signedinteger] = np.int8) -> np.ndarray:
        """Nearest representable integers of `real`, saturated to `dtype`."""
        scale, zero_point = self._broadcast(np.ndim(real))
        limits = np.iinfo(dtype)
        integers = np.round(np.asarray(real, np.float64) / scale) + zero_point
        saturated: np.ndarray = np.clip(integers, limits.min, limits.max).astype(dtype)
        return saturated

    def dequantize(self, integers: np.ndarray) -> np.ndarray:
        """Real values (float32) that `integers` stand for."""
        scale, zero_point = self._broadcast(np.ndim(integers))
        real: np.ndarray = (integers.astype(np.float64) - zero_point) * scale
        return real.astype(np.float32)

    def _broadcast(self, rank: int) -> tuple[np.ndarray, np.ndarray]:
        if self.axis is None:
            return self.scale[0], self.zero_point[0]
        shape = [1] * rank
        shape[self.axis] = -1
        return self.scale.reshape(shape), self.zero_point.reshape(shape)


@dataclasses.dataclass
class Tensor:
    """One edge of the graph.

    Attributes:
        name: unique in its graph.
        shape: sizes with the batch of 1 in front; activations are NHWC.
        data: constant value in TensorFlow Lite's layout, or `None` for an
            activation. Float before quantization, integers after.
        quantization: `None` in a float graph and for index tensors.
        channel_factors: `None`, or `(channels,)` by which each channel of the activation is
            multiplied to become what it is in the model, see `channel_factors`.
    """

    name: str
    shape: Shape
    data: np.ndarray | None = None
    quantization: Quantization | None = None
    channel_factors: np.ndarray | None = None

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    @property
    def constant(self) -> np.ndarray:
        """`data` of a constant; `ValueError` for an activation."""
        if self.data is None:
            raise ValueError(f"A tensor must be a constant. Received: the activation {self.name!r}")
        return self.data

    @property
    def quantized_by(self) -> Quantization:
        """`quantization` of a tensor that has one; `ValueError` for others."""
        if self.quantization is None:
            raise ValueError(f"A tensor must have quantization. Received: {self.name!r} without")
        return self.quantization


Tensors = dict[str, Tensor]


@dataclasses.dataclass
class Operation:
    """One node: `kind` applied to named tensors, with the operator's options.

    Attributes:
        kind, inputs, outputs, options: names of an operator and of tensors, and values by name.
        layer: `None`, or what of the model it computes where that is not what its output is
            called: with a channel shuffle, say, that went into it.
    """

    kind: str
    inputs: list[str]
    outputs: list[str]
    options: Options = dataclasses.field(default_factory=dict)
    layer: str | None = None

    @property
    def name(self) -> str:
        """What people call it: the layer that it computes, or its first output."""
        return self.layer or self.outputs[0]


@dataclasses.dataclass
class Graph:
    """Tensors by name, operations in execution order, and the graph's ends."""

    tensors: Tensors = dataclasses.field(default_factory=dict)
    operations: list[Operation] = dataclasses.field(default_factory=list)
    inputs: list[str] = dataclasses.field(default_factory=list)
    outputs: list[str] = dataclasses.field(default_factory=list)

    def add_tensor(
        self,
        name: str,
        shape: collections.abc.Iterable[int],
        data: np.ndarray | None = None,
        quantization: Quantization | None = None,
    ) -> str:
        """Adds a tensor and returns its name, made unique if it is taken."""
        unique, suffix = name, 1
        while unique in self.tensors:
            unique = f"{name}_{suffix}"
            suffix += 1
        sizes = tuple(int(size) for size in shape)
        self.tensors[unique] = Tensor(unique, sizes, data, quantization)
        return unique

    def add_constant(self, name: str, data: ArrayLike) -> str:
        """Adds a constant tensor and returns its name."""
        data = np.asarray(data)
        return self.add_tensor(name, data.shape, data)

    def add_operation(
        self,
        kind: str,
        inputs: collections.abc.Iterable[str],
        output_name: str,
        output_shape: collections.abc.Iterable[int],
        **options: typing.Any,
    ) -> str:
        """Appends an operation with one new output tensor and returns its name."""
        output = self.add_tensor(output_name, output_shape)
        self.operations.append(Operation(kind, list(inputs), [output], options))
        return output
