# SPDX-License-Identifier: Apache-2.0
"""What the kernels' operands must be: the checks that several operators share.

Each function raises `ValueError` that states the rule and what was received.
"""

import collections.abc

import numpy as np

from tflm.kernels.fused_kernel import FusedKernel

INT32_END = 2**31


def check_integer(name: str, value: int, lowest: int, highest: int) -> None:
    """An integer from `lowest` to `highest`."""
    if int(value) != value or not lowest <= value <= highest:
        raise ValueError(
            f"`{name}` must be an integer from {lowest} to {highest}. Received: {name}={value}"
        )


def check_zero_points(operation: FusedKernel, *names: str) -> None:
    """Attributes of an operation, each within int8."""
    for name in names:
        check_integer(name, getattr(operation, name), -128, 127)


def check_limits(operation: FusedKernel, prefix: str = "") -> None:
    """An operation's `lowest` and `highest`, in order and within int8."""
    lowest = getattr(operation, f"{prefix}lowest")
    highest = getattr(operation, f"{prefix}highest")
    if not -128 <= lowest <= highest <= 127:
        raise ValueError(
            f"`{prefix}lowest` and `{prefix}highest` must be in order and within int8. "
            f"Received: {lowest}, {highest}"
        )


def check_permutation(
    name: str, values: np.ndarray | collections.abc.Sequence[int], count: int
) -> None:
    """Each of 0 to `count` - 1 once."""
    if not np.array_equal(np.sort(np.asarray(values).ravel()), np.arange(count)):
        raise ValueError(f"`{name}` must hold each of 0 to {count - 1} once. Received: {values}")


def check_pooled_shape(
    shape: collections.abc.Iterable[int], most_pixels: int, most_channels: int, most_elements: int
) -> None:
    """(height, width, channels) of a map over which sums are taken."""
    sizes = tuple(shape)
    if (
        len(sizes) != 3
        or min(sizes) < 1
        or sizes[0] * sizes[1] > most_pixels
        or sizes[2] > most_channels
        or np.prod(sizes, dtype=np.int64) > most_elements
    ):
        raise ValueError(
            f"`input_shape` must be (height, width, channels) with at most {most_pixels} pixels, "
            f"{most_channels} channels and {most_elements} elements. Received: {shape}"
        )


def check_table(table: np.ndarray | None) -> None:
    """`None`, or int8 of 256 elements."""
    if table is not None and (np.shape(table) != (256,) or np.asarray(table).dtype != np.int8):
        raise ValueError(
            "`table` must be `None` or an int8 array of 256 elements. "
            f"Received: shape {np.shape(table)}, {np.asarray(table).dtype}"
        )


def check_layer(
    prefix: str,
    weights: np.ndarray,
    biases: np.ndarray,
    multipliers: np.ndarray,
    largest_input: int,
    largest_weight: int = 128,
) -> None:
    """int8 weights, and for each row a bias, a multiplier and sums that int32 holds.

    Args:
        prefix: of the names in messages.
        weights: array `(rows, ...)`.
        biases: integer array `(rows,)`, as the kernel begins its sums.
        multipliers: integer array `(rows,)`, 0 to 2**31 - 1.
        largest_input: magnitude that no input exceeds.
        largest_weight: magnitude that no weight exceeds.
    """
    weights = np.asarray(weights)
    wide = weights.astype(np.int64)
    if weights.dtype != np.int8 or np.abs(wide).max() > largest_weight:
        raise ValueError(
            f"`{prefix}weights` must be int8 within -{largest_weight} to {largest_weight}. "
            f"Received: {weights.dtype}, {weights.min()} to {weights.max()}"
        )
    _check_rows(f"{prefix}biases", biases, len(weights), -INT32_END)
    _check_rows(f"{prefix}multipliers", multipliers, len(weights), 0)
    largest = np.abs(wide).reshape(len(weights), -1).sum(axis=1) * largest_input
    largest += np.abs(np.asarray(biases, np.int64))
    if largest.max() >= INT32_END:
        raise ValueError(
            f"Sums of `{prefix}weights` and `{prefix}biases` must fit in int32 for all inputs up "
            f"to {largest_input}. Received: {largest.max()} for row {largest.argmax()}"
        )


def _check_rows(name, values, rows, lowest):
    values = np.asarray(values)
    is_integer = np.issubdtype(values.dtype, np.integer)
    if values.shape != (rows,) or not is_integer:
        raise ValueError(
            f"`{name}` must be integers, one for each of {rows} rows. "
            f"Received: {values.dtype}, shape {values.shape}"
        )
    if values.min() < lowest or values.max() >= INT32_END:
        raise ValueError(
            f"`{name}` must be from {lowest} to {INT32_END - 1}. "
            f"Received: {values.min()} to {values.max()}"
        )


def fold_zero_point(weights: np.ndarray, biases: np.ndarray, input_zero_point: int) -> np.ndarray:
    """Biases for sums over inputs from which no zero point is subtracted.

    Args:
        weights: int8 array `(rows, ...)`.
        biases: integer array `(rows,)`.
        input_zero_point: integer.

    Returns:
        int64 array `(rows,)`.
    """
    axes = tuple(range(1, np.ndim(weights)))
    return np.asarray(biases, np.int64) - input_zero_point * weights.sum(axes, dtype=np.int64)
