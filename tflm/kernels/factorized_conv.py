# SPDX-License-Identifier: Apache-2.0
"""Two convolutions in a row, k x 1 and 1 x k, as one operator: what both such operators share."""

import abc
import dataclasses
import typing

import numpy as np

from tflm.kernels import requantization
from tflm.kernels.description import LIMITS, PERMUTATION, Constant, Form, KernelDescription
from tflm.kernels.fused_kernel import FusedKernel
from tflm.kernels.operand_checks import (
    check_integer,
    check_layer,
    check_limits,
    check_permutation,
    check_zero_points,
    fold_zero_point,
)
from tflm.kernels.packed_operation import PackedOperation, packed_channels

TAPS = (1, 3, 5, 7)
LARGEST_STRIDE = 4
LARGEST_SIDE = 4096
LARGEST_INPUT = 128
MOST_ELEMENTS = 2**24
_HALVES = ("vertical", "horizontal")


def description(name: str, title: str, rows: Form | None = None) -> KernelDescription:
    """`KernelDescription` of one of both operators.

    Args:
        name, title, rows: as in `KernelDescription`.
    """
    halves = {
        half: tuple(f"{half}.{member}" for member in members.split())
        for half, members in (
            ("vertical", "channels taps stride padding zero_point lowest highest"),
            ("horizontal", "channels taps stride zero_point lowest highest"),
        )
    }
    return KernelDescription(
        name=name,
        title=title,
        version=1,
        version_macro="FACTORIZED_CONV",
        options=("height", "width", "channels", *halves["vertical"], *halves["horizontal"]),
        # The horizontal half reads, beyond the ends of a row, the zero of the vertical one.
        same_values={"vertical.zero_point": "horizontal.padding"},
        constants=(
            Constant("vertical.weights", "int8"),
            Constant("vertical.requantization", "int32"),
            Constant("horizontal.weights", "int8"),
            Constant("horizontal.requantization", "int32"),
            Constant("output_positions", "int16"),
        ),
        absorbs=frozenset({PERMUTATION, LIMITS}),
        rows=rows,
    )


@dataclasses.dataclass(frozen=True)
class FactorizedConv(FusedKernel):
    """The integers of a vertical and a horizontal convolution.

    The vertical one's results are requantized to int8. The horizontal one is depthwise: its channel
    i reads vertical channel i // depth multiplier. Each pads both ends of its axis with taps // 2
    zero points and has (size - 1) // stride + 1 results along it.

    Attributes:
        input_shape: (height, width, channels).
        vertical_weights: int8 array; its shape is the subclass's.
        vertical_biases: int32 array (vertical channels,), without the zero point's share.
        vertical_multipliers: int32 array (vertical channels,), see `requantization`.
        vertical_stride: 1 to 4, along the height.
        middle_zero_point: of the vertical results.
        horizontal_weights: int8 array (output channels, taps); taps are 1, 3, 5 or 7.
        horizontal_biases, horizontal_multipliers: int32 arrays (output channels,).
        horizontal_stride: 1 to 4, along the width.
        input_zero_point, output_zero_point: of the input and of the output.
        output_positions: integer array (output channels,): channel c of the output is written to
            place output_positions[c].
        middle_lowest, middle_highest: limits of the vertical results, within int8.
        lowest, highest: limits of the output, within int8.
    """

    input_shape: tuple[int, int, int]
    vertical_weights: np.ndarray
    vertical_biases: np.ndarray
    vertical_multipliers: np.ndarray
    vertical_stride: int
    middle_zero_point: int
    horizontal_weights: np.ndarray
    horizontal_biases: np.ndarray
    horizontal_multipliers: np.ndarray
    horizontal_stride: int
    input_zero_point: int
    output_zero_point: int
    output_positions: np.ndarray
    middle_lowest: int = -128
    middle_highest: int = 127
    lowest: int = -128
    highest: int = 127

    # Of a subclass.
    _vertical_dimensions: typing.ClassVar[int]
    _buffer_bytes_of_a_pair: typing.ClassVar[int]

    def __post_init__(self) -> None:
        for name in ("vertical_stride", "horizontal_stride"):
            check_integer(name, getattr(self, name), 1, LARGEST_STRIDE)
        self._check_shapes()
        check_zero_points(self, "input_zero_point", "middle_zero_point", "output_zero_point")
        check_limits(self)
        check_limits(self, "middle_")
        for half, zero_point in zip(_HALVES, self._read_zero_points, strict=True):
            weights = getattr(self, f"{half}_weights")
            if weights.shape[1] not in TAPS:
                raise ValueError(
                    f"{half}_weights must have {TAPS} taps. Received: shape {weights.shape}"
                )
            biases = getattr(self, f"{half}_biases")
            multipliers = getattr(self, f"{half}_multipliers")
            check_layer(f"{half}_", weights, biases, multipliers, 0)
            folded = fold_zero_point(weights, biases, zero_point)
            check_layer(f"{half}_", weights, folded, multipliers, LARGEST_INPUT)

    def _check_shapes(self):
        height, width, channels = self.input_shape
        sides = {
            "height": height,
            "width": width,
            "channels": channels,
            "vertical_channels": len(self.vertical_weights),
            "output_channels": self.output_channels,
        }
        for name, side in sides.items():
            check_integer(name, side, 1, LARGEST_SIDE)
        if self.vertical_weights.ndim != self._vertical_dimensions:
            raise ValueError(
                f"vertical_weights must have {self._vertical_dimensions} dimensions. "
                f"Received: shape {self.vertical_weights.shape}"
            )
        if self.horizontal_weights.ndim != 2:
            raise ValueError(
                "horizontal_weights must have shape (channels, taps). "
                f"Received: {self.horizontal_weights.shape}"
            )
        if self.output_channels % len(self.vertical_weights):
            raise ValueError(
                "Output channels must be a multiple of the vertical channels. "
                f"Received: {self.output_channels}, {len(self.vertical_weights)}"
            )
        elements = max(int(np.prod(self.input_shape)), int(np.prod(self.output_shape)))
        if elements > MOST_ELEMENTS:
            raise ValueError(f"Maps must have at most 2**24 elements. Received: {elements}")
        check_permutation("output_positions", self.output_positions, self.output_channels)

    @property
    def output_channels(self) -> int:
        """Number of channels of the output."""
        return len(self.horizontal_weights)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the output."""
        height, width, _ = self.input_shape
        return (
            (height - 1) // self.vertical_stride + 1,
            (width - 1) // self.horizontal_stride + 1,
            self.output_channels,
        )

    @property
    def multiply_adds(self) -> int:
        """Of both convolutions, padding included."""
        height, width, _ = self.output_shape
        vertical = self.vertical_weights.size * height * self.input_shape[1]
        return vertical + self.horizontal_weights.size * height * width

    @abc.abstractmethod
    def _vertical_sums(self, x: np.ndarray) -> np.ndarray:
        """Sums of the vertical convolution, of integers without zero point."""

    @property
    def _read_zero_points(self):
        return self.input_zero_point, self.middle_zero_point

    @property
    def buffer_bytes(self) -> int:
        """Bytes of the kernel's buffer: rows of vertical results, in pairs of padded columns."""
        columns = self.input_shape[1] + self.horizontal_weights.shape[1]
        return columns // 2 * self._buffer_bytes_of_a_pair

    def packed(self) -> PackedOperation:
        """The operation as the kernel takes it."""
        height, width, channels = self.input_shape
        options = {
            "height": height,
            "width": width,
            "channels": channels,
            "vertical.channels": len(self.vertical_weights),
            "vertical.taps": self.vertical_weights.shape[1],
            "vertical.stride": self.vertical_stride,
            "vertical.padding": self.input_zero_point,
            "vertical.zero_point": self.middle_zero_point,
            "vertical.lowest": self.middle_lowest,
            "vertical.highest": self.middle_highest,
            "horizontal.channels": self.output_channels,
            "horizontal.taps": self.horizontal_weights.shape[1],
            "horizontal.stride": self.horizontal_stride,
            "horizontal.zero_point": self.output_zero_point,
            "horizontal.lowest": self.lowest,
            "horizontal.highest": self.highest,
        }
        constants = {"output_positions": self.output_positions}
        for half, zero_point in zip(_HALVES, self._read_zero_points, strict=True):
            weights, biases, multipliers = (
                getattr(self, f"{half}_{part}") for part in ("weights", "biases", "multipliers")
            )
            folded = fold_zero_point(weights, biases, zero_point)
            constants[f"{half}.weights"] = weights
            constants[f"{half}.requantization"] = packed_channels(folded, multipliers)
        return self.description.pack(options, constants, (self.input_shape,), self.output_shape)

    def reference(self, x: np.ndarray) -> np.ndarray:
        """The operator in NumPy.

        Args:
            x: int8 array `input_shape`.

        Returns:
            int8 array `output_shape`.
        """
        middle = requantization.requantize(
            self._vertical_sums(x.astype(np.int64) - self.input_zero_point) + self.vertical_biases,
            self.vertical_multipliers,
            self.middle_zero_point,
            self.middle_lowest,
            self.middle_highest,
        )
        multiplier = self.output_channels // len(self.vertical_weights)
        read = np.repeat(middle.astype(np.int64) - self.middle_zero_point, multiplier, axis=2)
        windows = windows_along(read, 1, self.horizontal_weights.shape[1], self.horizontal_stride)
        sums = np.einsum("hwck,ck->hwc", windows, self.horizontal_weights.astype(np.int64))
        natural = requantization.requantize(
            sums + self.horizontal_biases,
            self.horizontal_multipliers,
            self.output_zero_point,
            self.lowest,
            self.highest,
        )
        result = np.empty_like(natural)
        result[..., np.asarray(self.output_positions)] = natural
        return result


def windows_along(values: np.ndarray, axis: int, taps: int, stride: int) -> np.ndarray:
    """What each result of a convolution along one axis reads, zeros behind both ends.

    Returns:
        Array with `(size - 1) // stride + 1` windows along `axis`, and `taps` as a last axis.
    """
    padding = [(0, 0)] * values.ndim
    padding[axis] = (taps // 2, taps // 2)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, padding), taps, axis)
    return windows.take(np.arange(0, windows.shape[axis], stride), axis)
