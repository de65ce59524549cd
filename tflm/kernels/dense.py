# SPDX-License-Identifier: Apache-2.0
"""Fully connected layer with weights of 8 or 4 bits: `dense_s8`, `dense_s4`."""

import dataclasses

import numpy as np

from tflm.kernels.description import LIMITS, TABLE, Constant, KernelDescription
from tflm.kernels.fused_kernel import FusedKernel
from tflm.kernels.grouped_pointwise_conv import INPUT_ORDER, LARGEST_INPUT, packed_pairs
from tflm.kernels.operand_checks import (
    check_layer,
    check_limits,
    check_table,
    check_zero_points,
    fold_zero_point,
)
from tflm.kernels.packed_operation import PackedOperation, packed_channels
from tflm.kernels.requantization import requantize

# By the bits of a weight.
DESCRIPTIONS = {
    bits: KernelDescription(
        name=f"dense_s{bits}",
        title="dense" if bits == 8 else f"dense, {bits}-bit",
        version=2 if bits == 8 else 1,
        options=("inputs", "outputs", "output_zero_point", "lowest", "highest", "has_table"),
        constants=(
            Constant("weights", "int16"),
            Constant("channels", "int32"),
            Constant("table", "int8", is_optional=True),
        ),
        absorbs=frozenset({LIMITS, TABLE}),
    )
    for bits in (8, 4)
}
MOST_INPUTS = 4096
MOST_OUTPUTS = 65536
MOST_WEIGHTS = 2**24
LARGEST_WEIGHTS = {8: 127, 4: 7}
# Outputs and inputs whose weights stand together.
BLOCK = 4
STEP = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Dense(FusedKernel):
    """The integers of one layer.

    Attributes:
        bits: of a weight in the model file, 8 or 4.
        weights: int8 array `(outputs, inputs)`, values in [-127, 127], or [-7, 7] for 4 bits.
        biases: int32 array `(outputs,)`, in steps of input scale * weight scale.
        multipliers: int32 array `(outputs,)`: real factors times 2**32, at least 0.
        input_zero_point, output_zero_point: within int8. The latter is that of the result before
            the table.
        lowest, highest: limits of the result, within int8.
        table: int8 array `(256,)` or `None`: the result r becomes `table[r + 128]`.
    """

    bits: int
    weights: np.ndarray
    biases: np.ndarray
    multipliers: np.ndarray
    input_zero_point: int
    output_zero_point: int
    lowest: int = -128
    highest: int = 127
    table: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.bits not in LARGEST_WEIGHTS:
            raise ValueError(f"Weights must have 8 or 4 bits. Received: {self.bits}")
        self._check_shape()
        check_zero_points(self, "input_zero_point", "output_zero_point")
        check_limits(self)
        limit = LARGEST_WEIGHTS[self.bits]
        check_layer("", self.weights, self.biases, self.multipliers, 0, limit)
        check_layer("", self.weights, self.folded_biases, self.multipliers, LARGEST_INPUT)
        check_table(self.table)

    def _check_shape(self):
        if np.ndim(self.weights) != 2 or np.size(self.weights) == 0:
            raise ValueError(
                f"Weights must have the shape (outputs, inputs). Received: {np.shape(self.weights)}"
            )
        outputs, inputs = self.weights.shape
        if outputs > MOST_OUTPUTS or inputs > MOST_INPUTS or outputs * inputs > MOST_WEIGHTS:
            raise ValueError(
                f"There must be at most {MOST_OUTPUTS} outputs, {MOST_INPUTS} inputs and "
                f"{MOST_WEIGHTS} weights. Received: {outputs} outputs, {inputs} inputs"
            )

    @property
    def description(self) -> KernelDescription:
        """The `KernelDescription` for these weights."""
        return DESCRIPTIONS[self.bits]

    @property
    def multiply_adds(self) -> int:
        """Of all outputs."""
        return self.weights.size

    @property
    def folded_biases(self) -> np.ndarray:
        """int64 array `(outputs,)`: biases for inputs from which no zero point is subtracted."""
        return fold_zero_point(self.weights, self.biases, self.input_zero_point)

    @property
    def buffer_bytes(self) -> int:
        """Bytes of the kernel's buffer: the inputs as int16."""
        return 2 * STEP * -(-self.weights.shape[1] // STEP)

    def packed(self) -> PackedOperation:
        """The operation as the kernel takes it."""
        outputs, inputs = self.weights.shape
        options = {
            "inputs": inputs,
            "outputs": outputs,
            "output_zero_point": self.output_zero_point,
            "lowest": self.lowest,
            "highest": self.highest,
            "has_table": self.table is not None,
        }
        padded = np.pad(self.weights, [(0, -outputs % BLOCK), (0, -inputs % STEP)])
        blocks = padded.reshape(-1, BLOCK, padded.shape[1])
        biases = self.folded_biases
        if self.bits == 8:
            biases = _with_partners(biases, padded)
        constants = {
            "weights": _packed_bytes(blocks) if self.bits == 8 else _packed_nibbles(blocks),
            "channels": packed_channels(biases, self.multipliers),
            "table": self.table,
        }
        return self.description.pack(options, constants, ((inputs,),), (outputs,))

    def reference(self, x: np.ndarray) -> np.ndarray:
        """The outputs for an int8 array `(inputs,)`, in NumPy."""
        sums = self.weights.astype(np.int64) @ (x.astype(np.int64) - self.input_zero_point)
        result = requantize(
            sums + self.biases, self.multipliers, self.output_zero_point, self.lowest, self.highest
        )
        return result if self.table is None else self.table[result.astype(np.int64) + 128]


def _packed_bytes(blocks):
    """int16 array `(blocks, 16 * steps)` of int8 weights `(blocks, 4, inputs)`."""
    pairs = packed_pairs(blocks, STEP)
    steps = pairs.reshape(len(blocks), 2, -1, STEP)
    count = steps.shape[2] // 2 * 2
    twos = steps[:, :, :count].reshape(len(blocks), 2, -1, 2 * STEP).swapaxes(1, 2)
    rest = steps[:, :, count:]
    return np.concatenate([part.reshape(len(blocks), -1) for part in (twos, rest)], axis=1)


def _with_partners(biases, weights):
    """int64 array: biases with what the products of partners are for the kernel.

    Args:
        biases: of the outputs.
        weights: int8 array, filled up to a multiple of 4 outputs and of 8 inputs.
    """
    seconds = weights[1::2].astype(np.int64)
    count = seconds.shape[1] // (2 * STEP) * 2 * STEP
    twos = seconds[:, :count].reshape(len(seconds), -1, 2, STEP)
    products = (twos[:, :, 0] * twos[:, :, 1]).sum(axis=(1, 2))
    added = np.stack([-(-products // 256), -products], axis=1).reshape(-1)
    return biases + added[: len(biases)]


def _packed_nibbles(blocks):
    """int16 array `(blocks, steps, 8)` of int8 weights `(blocks, 4, inputs)` in [-7, 7]."""
    first, second, third, fourth = blocks.astype(np.int16).swapaxes(0, 1)
    fours = 4096 * fourth + 256 * (third + 8) + 16 * (second + 8) + first + 8
    return fours.reshape(len(blocks), -1, 4)[..., INPUT_ORDER].reshape(len(blocks), -1, STEP)
