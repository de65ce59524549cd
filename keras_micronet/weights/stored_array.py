# SPDX-License-Identifier: Apache-2.0
"""An array in a file: its shape before its values."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array of which the shape is known and the values are read on request.

    What does not fit a model is refused by its shape: a file of a few bytes that claims gigabytes
    costs nothing.

    Attributes:
        shape: tuple of integers.
        read: function without arguments that gives the values, a NumPy array of numbers of that
            shape; raises `ValueError` if the file is damaged there.
    """

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]

    @staticmethod
    def of_bytes(shape: tuple[int, ...], dtype: np.dtype, content: bytes) -> "StoredArray":
        """The array whose values lie in C order in `content`, bytes, if there are as many.

        Raises:
            ValueError: if the shape is none, or the length another.
        """
        check_shape(shape)
        if math.prod(shape) * dtype.itemsize != len(content):
            raise ValueError(f"an array of shape {shape} has {len(content)} bytes")
        return StoredArray(shape, lambda: np.frombuffer(content, dtype).reshape(shape))


def check_shape(shape: object) -> None:
    """Raises `ValueError` unless `shape` is a tuple of integers from 0 to 2**63 - 1."""
    if type(shape) is not tuple or len(shape) > 32:
        raise ValueError("the shape of an array is not a tuple of at most 32 sizes")
    if any(type(size) is not int or not 0 <= size < 2**63 for size in shape):
        raise ValueError("the shape of an array has something else than sizes")
