# SPDX-License-Identifier: Apache-2.0
"""What the integers of all fused kernels have in common."""

import abc

from tflm.kernels.description import KernelDescription
from tflm.kernels.packed_operation import PackedOperation


class FusedKernel(abc.ABC):
    """The integers of one operation; a subclass, a frozen dataclass, for each kernel.

    Subclasses have the attribute `description`, a `KernelDescription`, the property
    `multiply_adds`, and the methods `packed()`, which gives a `PackedOperation`, and `reference`,
    which computes in NumPy what the kernel does.
    """

    @property
    @abc.abstractmethod
    def description(self) -> KernelDescription:
        """The kernel's `KernelDescription`."""

    @property
    @abc.abstractmethod
    def multiply_adds(self) -> int:
        """Exact number of multiply-adds."""

    @abc.abstractmethod
    def packed(self) -> PackedOperation:
        """The operation as the kernel takes it."""

    @property
    def buffer_bytes(self) -> int:
        """Bytes of the kernel's buffer."""
        return 0

    @property
    def in_place_buffer_bytes(self) -> int | None:
        """Bytes of the buffer of the form that works in place; `None` if there is none."""
        return None

    @property
    def lead_bytes(self) -> int | None:
        """How far the input must begin behind the output for the two to overlap; `None`: never."""
        return None

    @property
    def rows_buffer_bytes(self) -> int | None:
        """Bytes of the buffer of the form that takes rows; `None` if there is none."""
        return None
