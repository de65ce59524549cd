# SPDX-License-Identifier: Apache-2.0
"""Sum of two maps: `residual_add_s8`."""

import dataclasses
import typing

import numpy as np

from tflm.kernels.description import LIMITS, KernelDescription
from tflm.kernels.fused_kernel import FusedKernel
from tflm.kernels.operand_checks import check_integer, check_limits, check_zero_points
from tflm.kernels.packed_operation import PackedOperation

DESCRIPTION = KernelDescription(
    name="residual_add_s8",
    title="residual sum",
    version=1,
    options=("elements", "first_multiplier", "second_multiplier", "offset", "lowest", "highest"),
    activations=2,
    takes_buffer=False,
    may_overwrite_input=True,
    absorbs=frozenset({LIMITS}),
)
SHIFT = 12
LARGEST_MULTIPLIER = 32767
MOST_ELEMENTS = 2**24


@dataclasses.dataclass(frozen=True)
class ResidualAdd(FusedKernel):
    """The integers of one sum.

    Attributes:
        shape: (height, width, channels) of both maps and of the sum.
        multipliers: of the two maps, integers in [0, 32767]: scale / output scale times 2**12.
        zero_points: of the two maps.
        output_zero_point: of the sum.
        lowest, highest: limits of the sum, within int8.

    Raises:
        ValueError: if a value is outside its range.
    """

    shape: tuple[int, ...]
    multipliers: tuple[int, int]
    zero_points: tuple[int, int]
    output_zero_point: int
    lowest: int = -128
    highest: int = 127

    description = DESCRIPTION

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or np.prod(self.shape, dtype=np.int64) > MOST_ELEMENTS:
            raise ValueError(
                f"A sum's shape must have 1 to {MOST_ELEMENTS} elements. Received: {self.shape}"
            )
        for name, lowest, highest in (
            ("multipliers", 0, LARGEST_MULTIPLIER),
            ("zero_points", -128, 127),
        ):
            values = getattr(self, name)
            if len(values) != 2:
                raise ValueError(f"`{name}` must be two integers. Received: {name}={values}")
            for value in values:
                check_integer(name, value, lowest, highest)
        check_zero_points(self, "output_zero_point")
        check_limits(self)

    @classmethod
    def of_scales(
        cls,
        shape: tuple[int, ...],
        scales: tuple[float, float],
        zero_points: tuple[int, int],
        output_scale: float,
        output_zero_point: int,
        **limits: int,
    ) -> typing.Self:
        """The sum of two maps with known scales.

        Raises:
            ValueError: if a scale is 8 times the output's or more.
        """
        first, second = (int(np.round(scale / output_scale * 2**SHIFT)) for scale in scales)
        if max(first, second) > LARGEST_MULTIPLIER:
            raise ValueError(
                "Scales of a sum's operands must be less than 8 times the scale of the sum. "
                f"Received: {scales} for a sum of scale {output_scale}"
            )
        return cls(shape, (first, second), zero_points, output_zero_point, **limits)

    @property
    def multiply_adds(self) -> int:
        """None of a convolution or a dense layer."""
        return 0

    @property
    def offset(self) -> int:
        """What is added before the shift: zero points, and the half that rounds."""
        zero = sum(m * z for m, z in zip(self.multipliers, self.zero_points, strict=True))
        return (self.output_zero_point << SHIFT) + (1 << SHIFT - 1) - zero

    def packed(self) -> PackedOperation:
        """The operation as the kernel takes it."""
        first, second = self.multipliers
        options = {
            "elements": int(np.prod(self.shape)),
            "first_multiplier": first,
            "second_multiplier": second,
            "offset": self.offset,
            "lowest": self.lowest,
            "highest": self.highest,
        }
        return DESCRIPTION.pack(options, {}, (self.shape,) * 2, self.shape)

    def reference(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The sum of two int8 arrays `shape`, in NumPy."""
        first, second = first.astype(np.int64), second.astype(np.int64)
        sums = self.multipliers[0] * first + self.multipliers[1] * second + self.offset
        return np.clip(sums >> SHIFT, self.lowest, self.highest).astype(np.int8)
