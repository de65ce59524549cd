# SPDX-License-Identifier: Apache-2.0
"""What is said once of a fused kernel, for all that packs, plans, calls, runs or documents it.

Each kernel's Python module has its `KernelDescription`; `registry` lists them.
"""

import collections.abc
import dataclasses
import struct

import numpy as np
from numpy.typing import ArrayLike

from tflm.kernels.packed_operation import PackedOperation

# What a kernel can do to its result besides, so that no operation of its own is needed for it.
PERMUTATION = "permutation of channels"
LIMITS = "limits"  # as ReLU and ReLU6 set them
TABLE = "table"  # of 256 results, for any activation

_KIND_PREFIX = "MICRONET_"


@dataclasses.dataclass(frozen=True)
class Constant:
    """An array that a kernel reads.

    Attributes:
        member: of the kernel's C struct, such as "horizontal.weights".
        dtype: "int8", "int16" or "int32".
        is_optional: whether it may be missing. No constant follows that may not.
    """

    member: str
    dtype: str
    is_optional: bool = False


@dataclasses.dataclass(frozen=True)
class Form:
    """Another way to call a kernel, with the same operands and with C files of its own.

    Attributes:
        name: of its C function without the prefix.
        runner_header: C header by which `kernel_runner.c` calls it as it calls others.
    """

    name: str
    runner_header: str


def _no_more_members(constants: collections.abc.Sequence[np.ndarray]) -> dict[str, int]:
    return {}


@dataclasses.dataclass(frozen=True)
class KernelDescription:
    """A fused kernel.

    Attributes:
        name: of its C function without the prefix, such as "residual_add_s8".
        title: what it computes, in words for reports.
        version: of its operands, a number that all models have which the kernel reads.
        options: names of its integers in their order: members of the C struct `<name>_params`.
        constants: its `Constant`s in their order.
        activations: number of int8 inputs.
        takes_buffer: whether its C function has an argument for a buffer.
        may_overwrite_input: whether the result may lie exactly where an input of its size is.
        absorbs: what it can do besides: of `PERMUTATION`, `LIMITS`, `TABLE`.
        in_place: `Form` whose result replaces the input, or `None`.
        rows: `Form` that takes its input row by row, or `None`.
        same_values: by option the name of another member that has the same value.
        more_members: function of the constants -> further members with their values, which
            its `bind` finds out.
        version_macro: name, without prefix and suffix, of the C macro of the version; default: the
            kernel's.
    """

    name: str
    title: str
    version: int
    options: tuple[str, ...]
    constants: tuple[Constant, ...] = ()
    activations: int = 1
    takes_buffer: bool = True
    may_overwrite_input: bool = False
    absorbs: frozenset[str] = frozenset()
    in_place: Form | None = None
    rows: Form | None = None
    same_values: dict[str, str] = dataclasses.field(default_factory=dict)
    more_members: collections.abc.Callable[
        [collections.abc.Sequence[np.ndarray]], dict[str, int]
    ] = _no_more_members
    version_macro: str | None = None

    @property
    def kind(self) -> str:
        """Of its operations in quantized graphs, and its name in model files."""
        return f"{_KIND_PREFIX}{self.name.upper()}"

    @property
    def version_constant(self) -> str:
        """Name of the C macro that has the version."""
        return f"MICRONET_{self.version_macro or self.name.upper()}_VERSION"

    @property
    def forms(self) -> tuple[Form, ...]:
        """Its other `Form`s."""
        return tuple(form for form in (self.in_place, self.rows) if form is not None)

    def pack(
        self,
        options: collections.abc.Mapping[str, int],
        constants: collections.abc.Mapping[str, ArrayLike | None],
        input_shapes: collections.abc.Iterable[collections.abc.Iterable[int]],
        output_shape: collections.abc.Iterable[int],
    ) -> PackedOperation:
        """An operation as the kernel takes it.

        Args:
            options: integers by the names of `options`, all of them.
            constants: arrays by the members of `constants`; `None` for an optional one that is
                missing.
            input_shapes: of the int8 inputs, without the batch.
            output_shape: of the result.

        Returns:
            `PackedOperation`.

        Raises:
            ValueError: an option or a constant is missing, or is none of the kernel's.
        """
        known = [constant.member for constant in self.constants]
        for what, given, expected in (
            ("options", options, self.options),
            ("constants", constants, known),
        ):
            if set(given) != set(expected):
                raise ValueError(
                    f"{self.name} must have the {what} {', '.join(expected)}. "
                    f"Received: {', '.join(given)}"
                )
        values = (self.version, *(int(options[name]) for name in self.options))
        arrays = tuple(
            np.asarray(constants[constant.member], constant.dtype)
            for constant in self.constants
            if constants[constant.member] is not None
        )
        return PackedOperation(
            self.name,
            struct.pack(f"<{len(values)}i", *values),
            arrays,
            tuple(map(tuple, input_shapes)),
            tuple(output_shape),
        )

    def members(
        self, packed: PackedOperation
    ) -> tuple[dict[str, int], dict[str, np.ndarray], dict[str, int]]:
        """Members of the kernel's C struct as its `bind` fills them.

        Args:
            packed: `PackedOperation`.

        Returns:
            Three mappings by member: the options, the constants, and what `bind` finds out.
        """
        _, *values = struct.unpack(f"<{len(packed.options) // 4}i", packed.options)
        numbers = {}
        for name, value in zip(self.options, values, strict=True):
            numbers[name] = value
            if name in self.same_values:
                numbers[self.same_values[name]] = value
        arrays = {
            constant.member: array
            for constant, array in zip(self.constants, packed.constants, strict=False)
        }
        return numbers, arrays, self.more_members(packed.constants)
