# SPDX-License-Identifier: Apache-2.0
"""Convolution 1 x 1 in groups of channels: `grouped_pointwise_conv_s8`."""

import dataclasses

import numpy as np

from tflm.kernels.description import LIMITS, PERMUTATION, Constant, KernelDescription
from tflm.kernels.fused_kernel import FusedKernel
from tflm.kernels.operand_checks import (
    check_layer,
    check_limits,
    check_permutation,
    check_zero_points,
    fold_zero_point,
)
from tflm.kernels.packed_operation import PackedOperation, packed_channels
from tflm.kernels.requantization import requantize

DESCRIPTION = KernelDescription(
    name="grouped_pointwise_conv_s8",
    title="grouped pointwise convolution",
    version=1,
    options=("pixels", "inputs", "outputs", "groups", "output_zero_point", "lowest", "highest"),
    constants=(
        Constant("weights", "int16"),
        Constant("channels", "int32"),
        Constant("positions", "int16"),
    ),
    absorbs=frozenset({PERMUTATION, LIMITS}),
)
MOST_CHANNELS = 4096
MOST_ELEMENTS = 2**24
LARGEST_WEIGHT = 127
LARGEST_INPUT = 128
# The processor expands four int8 of a word to even and odd ones.
INPUT_ORDER = (0, 2, 1, 3)
# Of the kernel's buffer.
_MOST_TILE_PIXELS = 128
_MOST_TILE_BYTES = 4096
_MOST_RESIDENT_ROW_BYTES = 16


@dataclasses.dataclass(frozen=True, eq=False)
class GroupedPointwiseConv(FusedKernel):
    """The integers of one convolution.

    Attributes:
        input_shape: (height, width, channels).
        groups: number of groups; group g reads the g-th part of the input's channels and makes the
            g-th part of the outputs.
        weights: int8 array `(outputs, channels // groups)`, values in [-127, 127].
        biases: int32 array `(outputs,)`, in steps of input scale * weight scale.
        multipliers: int32 array `(outputs,)`: real factors times 2**32, at least 0.
        input_zero_point, output_zero_point: within int8.
        lowest, highest: limits of the output, within int8.
        output_positions: int array `(outputs,)`, a permutation: the channel of the output map that
            each output becomes.
    """

    input_shape: tuple[int, int, int]
    groups: int
    weights: np.ndarray
    biases: np.ndarray
    multipliers: np.ndarray
    input_zero_point: int
    output_zero_point: int
    lowest: int
    highest: int
    output_positions: np.ndarray

    description = DESCRIPTION

    def __post_init__(self) -> None:
        self._check_shape()
        check_zero_points(self, "input_zero_point", "output_zero_point")
        check_limits(self)
        check_layer("", self.weights, self.biases, self.multipliers, 0, LARGEST_WEIGHT)
        check_layer("", self.weights, self.folded_biases, self.multipliers, LARGEST_INPUT)
        check_permutation("output_positions", self.output_positions, self.outputs)

    def _check_shape(self):
        height, width, channels = self.input_shape
        if min(self.input_shape) < 1 or max(self.input_shape) > MOST_CHANNELS:
            raise ValueError(
                f"Height, width and channels must be 1 to {MOST_CHANNELS}. "
                f"Received: {self.input_shape}"
            )
        if self.groups < 1 or channels % self.groups or self.outputs % self.groups:
            raise ValueError(
                "Input and output channels must be multiples of the groups. "
                f"Received: {channels} and {self.outputs} channels, {self.groups} groups"
            )
        if np.ndim(self.weights) != 2 or self.weights.shape[1] != channels // self.groups:
            raise ValueError(
                f"Weights must have the shape (outputs, {channels // self.groups}). "
                f"Received: {np.shape(self.weights)}"
            )
        if not 1 <= self.outputs <= MOST_CHANNELS:
            raise ValueError(
                f"There must be 1 to {MOST_CHANNELS} outputs. Received: {self.outputs}"
            )
        if height * width * max(channels, self.outputs) > MOST_ELEMENTS:
            raise ValueError(
                f"Input and output must have at most {MOST_ELEMENTS} elements. "
                f"Received: {self.input_shape} to {self.outputs} channels"
            )

    @property
    def outputs(self) -> int:
        """Output channels of all groups."""
        return len(self.weights)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return (*self.input_shape[:2], self.outputs)

    @property
    def multiply_adds(self) -> int:
        """Of all pixels."""
        return self.weights.size * self.input_shape[0] * self.input_shape[1]

    @property
    def folded_biases(self) -> np.ndarray:
        """int64 array `(outputs,)`: biases for inputs from which no zero point is subtracted."""
        return fold_zero_point(self.weights, self.biases, self.input_zero_point)

    @property
    def buffer_bytes(self) -> int:
        """Bytes of the kernel's buffer: some pixels' inputs as int16, or what vectors need."""
        height, width, channels = self.input_shape
        inputs = channels // self.groups
        row = 8 * -(-inputs // 4)
        fitting = _MOST_TILE_BYTES // row // 4 * 4
        tile = min(max(fitting, 1), _MOST_TILE_PIXELS, height * width)
        two_rows = 2 * row if row > _MOST_RESIDENT_ROW_BYTES else 0
        return max(tile * row + two_rows, 64 * -(-inputs // 16))

    def packed(self) -> PackedOperation:
        """The operation as the kernel takes it."""
        height, width, channels = self.input_shape
        options = {
            "pixels": height * width,
            "inputs": channels // self.groups,
            "outputs": self.outputs // self.groups,
            "groups": self.groups,
            "output_zero_point": self.output_zero_point,
            "lowest": self.lowest,
            "highest": self.highest,
        }
        constants = {
            "weights": self._packed_weights(),
            "channels": packed_channels(self.folded_biases, self.multipliers),
            "positions": self.output_positions,
        }
        return DESCRIPTION.pack(options, constants, (self.input_shape,), self.output_shape)

    def _packed_weights(self):
        """int16 array `(groups, pairs of outputs, steps, 4)`."""
        weights = self.weights.reshape(self.groups, -1, self.weights.shape[1])
        return packed_pairs(np.pad(weights, [(0, 0), (0, weights.shape[1] % 2), (0, 0)]), 4)

    def reference(self, x: np.ndarray) -> np.ndarray:
        """The convolution of an int8 array `input_shape`, in NumPy."""
        pixels = x.reshape(-1, self.groups, x.shape[-1] // self.groups).astype(np.int64)
        weights = self.weights.reshape(self.groups, -1, self.weights.shape[1]).astype(np.int64)
        sums = np.einsum("pgi,goi->pgo", pixels - self.input_zero_point, weights)
        sums = sums.reshape(self.output_shape) + self.biases
        result = np.empty(self.output_shape, np.int8)
        result[..., self.output_positions] = requantize(
            sums, self.multipliers, self.output_zero_point, self.lowest, self.highest
        )
        return result


def packed_pairs(weights: np.ndarray, multiple: int) -> np.ndarray:
    """Two rows of weights in one: 256 * even row + odd row.

    Args:
        weights: int8 array `(..., rows, inputs)`, rows even, values in [-127, 127].
        multiple: the inputs are filled up with zeros to a multiple of this, itself one of 4.

    Returns:
        int16 array `(..., rows // 2, steps, 4)`, the four inputs of a step in `INPUT_ORDER`.
    """
    missing = -weights.shape[-1] % multiple
    wide = np.pad(weights.astype(np.int16), [(0, 0)] * (weights.ndim - 1) + [(0, missing)])
    pairs = 256 * wide[..., 0::2, :] + wide[..., 1::2, :]
    return pairs.reshape(*pairs.shape[:-1], -1, 4)[..., INPUT_ORDER]
