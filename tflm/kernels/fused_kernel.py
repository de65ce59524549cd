# SPDX-License-Identifier: Apache-2.0
"""What the integers of all fused kernels have in common."""


class FusedKernel:
    """The integers of one operation; a subclass, a frozen dataclass, for each kernel.

    Subclasses have the attribute `description`, a `KernelDescription`, the property
    `multiply_adds`, and the methods `packed()`, which gives a `PackedOperation`, and `reference`,
    which computes in NumPy what the kernel does.
    """

    @property
    def buffer_bytes(self):
        """Bytes of the kernel's buffer."""
        return 0

    @property
    def in_place_buffer_bytes(self):
        """Bytes of the buffer of the form that works in place; `None` if there is none."""
        return None

    @property
    def lead_bytes(self):
        """How far the input must begin behind the output for the two to overlap; `None`: never."""
        return None

    @property
    def rows_buffer_bytes(self):
        """Bytes of the buffer of the form that takes rows; `None` if there is none."""
        return None
