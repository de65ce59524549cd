# SPDX-License-Identifier: Apache-2.0
"""Mean of a map over its pixels: `global_average_pool_s8`."""

import dataclasses

import numpy as np

from tflm.kernels.description import TABLE, Constant, KernelDescription
from tflm.kernels.fused_kernel import FusedKernel
from tflm.kernels.operand_checks import check_pooled_shape, check_table
from tflm.kernels.packed_operation import PackedOperation

DESCRIPTION = KernelDescription(
    name="global_average_pool_s8",
    title="global average",
    version=1,
    options=("pixels", "channels", "has_table"),
    constants=(Constant("table", "int8", is_optional=True),),
    absorbs=frozenset({TABLE}),
)
MOST_PIXELS = 65536
MOST_CHANNELS = 4096
MOST_ELEMENTS = 2**24


@dataclasses.dataclass(frozen=True)
class GlobalAveragePool(FusedKernel):
    """The integers of one global average pooling, which leaves scale and zero point as they are.

    Attributes:
        input_shape: (height, width, channels).
        table: int8 array `(256,)` by which a mean m becomes `table[m + 128]`, or `None`.

    Raises:
        ValueError: if the shape is too large or the table is not an int8 array `(256,)`.
    """

    input_shape: tuple[int, int, int]
    table: np.ndarray | None = None

    description = DESCRIPTION

    def __post_init__(self) -> None:
        check_pooled_shape(self.input_shape, MOST_PIXELS, MOST_CHANNELS, MOST_ELEMENTS)
        check_table(self.table)

    @property
    def multiply_adds(self) -> int:
        """None of a convolution or a dense layer."""
        return 0

    def packed(self) -> PackedOperation:
        """The operation as the kernel takes it."""
        height, width, channels = self.input_shape
        options = {
            "pixels": height * width,
            "channels": channels,
            "has_table": self.table is not None,
        }
        constants = {"table": self.table}
        return DESCRIPTION.pack(options, constants, (self.input_shape,), (1, 1, channels))

    def reference(self, images: np.ndarray) -> np.ndarray:
        """The means of an int8 array `input_shape`, in NumPy: int8 array `(1, 1, channels)`."""
        count = int(self.input_shape[0] * self.input_shape[1])
        sums = images.astype(np.int64).sum(axis=(0, 1), keepdims=True)
        means = np.sign(sums) * ((np.abs(sums) + count // 2) // count)  # halves away from zero
        if self.table is not None:
            means = np.asarray(self.table)[means + 128]
        return means.astype(np.int8)
