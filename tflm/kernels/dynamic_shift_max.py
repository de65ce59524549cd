# SPDX-License-Identifier: Apache-2.0
"""Dynamic Shift-Max, whose coefficients depend on its input: `dynamic_shift_max_s8`."""

import collections.abc
import dataclasses

import numpy as np

from tflm.kernels.description import LIMITS, PERMUTATION, Constant, Form, KernelDescription
from tflm.kernels.fused_kernel import FusedKernel
from tflm.kernels.grouped_pointwise_conv import INPUT_ORDER
from tflm.kernels.operand_checks import (
    check_integer,
    check_layer,
    check_limits,
    check_permutation,
    check_pooled_shape,
    check_zero_points,
)
from tflm.kernels.packed_operation import PackedOperation
from tflm.kernels.requantization import scaled


def _excite_multiplier_each(constants: collections.abc.Sequence[np.ndarray]) -> dict[str, int]:
    """Whether there are as many multipliers as biases of the second dense layer."""
    _, squeeze_constants, excite_weights, excite_constants, *_ = constants
    rows = excite_weights.size // (squeeze_constants.size // 2)
    return {"excite_multiplier_each": int(excite_constants.size == 2 * rows)}


DESCRIPTION = KernelDescription(
    name="dynamic_shift_max_s8",
    title="Dynamic Shift-Max",
    version=2,
    options=(
        "pixels",
        "channels",
        "squeeze_channels",
        "fusions",
        "coefficient_shift",
        "input_zero_point",
        "output_zero_point",
        "lowest",
        "highest",
    ),
    constants=(
        Constant("squeeze_weights", "int8"),
        Constant("squeeze_constants", "int32"),
        Constant("excite_weights", "int8"),
        Constant("excite_constants", "int32"),
        Constant("coefficient_limits", "int16"),
        Constant("shift", "int16"),
        Constant("output_positions", "int16"),
        Constant("channel_factors", "int8", is_optional=True),
    ),
    absorbs=frozenset({PERMUTATION, LIMITS}),
    in_place=Form("dynamic_shift_max_in_place_s8", "dynamic_shift_max_in_place_s8_map.h"),
    more_members=_excite_multiplier_each,
)
PIXELS_IN_PLACE = 100  # in the buffer at a time, at most, if the result overwrites the map
MEAN_SCALE = 64  # means are in 1 / 64 of the input's unit
MOST_PIXELS = 65536
MOST_CHANNELS = 4096
MOST_ELEMENTS = 2**24
LOWEST_COEFFICIENT_SHIFT = 4
HIGHEST_COEFFICIENT_SHIFT = 14
LARGEST_FACTOR = 127
FACTOR_SHIFT = 10  # of the product of two factors in 32nds

_LARGEST_MEAN = MEAN_SCALE * 255
_LARGEST_HIDDEN = _LARGEST_COEFFICIENT = 32767
_MIDDLE = 16384  # what the kernel subtracts from hidden values
_BLOCK = 4


@dataclasses.dataclass(frozen=True)
class DynamicShiftMax(FusedKernel):
    """The integers of one Dynamic Shift-Max with C channels, S squeeze channels and K fusions.

    Attributes:
        input_shape: (height, width, C) of the map and of the result.
        input_zero_point: of the map.
        squeeze_weights: int8 `(S, C)`, of the means in 1 / 64 of the map's unit.
        squeeze_biases: int32 `(S,)`.
        squeeze_multipliers: int32 `(S,)`; scale of the sums / scale of the hidden values * 2**32.
        excite_weights: int8 `(2 * K * C, S)`: all rows of a1, of b1 (, of a2, of b2).
        excite_biases: int32 `(2 * K * C,)`.
        excite_multipliers: int32 `(2 * K * C,)`; scale of the sums / scale of coefficients * 2**32.
        coefficient_limits: `2 * K` pairs (lowest, highest) within int16: of a1, b1 (, a2, b2).
        shift: permutation `(C,)`: channel i is fused with channel `shift[i]`.
        coefficient_shift: 4 to 14. A coefficient of `2**coefficient_shift` keeps a number as it is.
        output_zero_point: of the result.
        lowest, highest: limits of the result, within int8.
        output_positions: permutation `(C,)`: where each channel is written.
        input_factors: integers `(C,)` from 1 to 127, or `None` for no factors: the scale of each
            channel of the map is the map's times `input_factors / 32`.
        output_factors: the same with `32 / output_factors` for the result.

    Raises:
        ValueError: if a value is outside its range, an array has another shape than the others
            say, or the sums of a dense layer may not fit in int32.
    """

    input_shape: tuple[int, int, int]
    input_zero_point: int
    squeeze_weights: np.ndarray
    squeeze_biases: np.ndarray
    squeeze_multipliers: np.ndarray
    excite_weights: np.ndarray
    excite_biases: np.ndarray
    excite_multipliers: np.ndarray
    coefficient_limits: tuple[tuple[int, int], ...]
    shift: np.ndarray
    coefficient_shift: int
    output_zero_point: int
    lowest: int
    highest: int
    output_positions: np.ndarray
    input_factors: np.ndarray | None = None
    output_factors: np.ndarray | None = None

    description = DESCRIPTION

    def __post_init__(self) -> None:
        check_pooled_shape(self.input_shape, MOST_PIXELS, MOST_CHANNELS, MOST_ELEMENTS)
        check_zero_points(self, "input_zero_point", "output_zero_point")
        check_limits(self)
        shifts = LOWEST_COEFFICIENT_SHIFT, HIGHEST_COEFFICIENT_SHIFT
        check_integer("coefficient_shift", self.coefficient_shift, *shifts)
        self._check_shapes()
        for name in ("shift", "output_positions"):
            check_permutation(name, getattr(self, name), self.channels)
        for prefix, largest_input in (("squeeze_", _LARGEST_MEAN), ("excite_", _LARGEST_HIDDEN)):
            weights, biases, multipliers = (
                getattr(self, prefix + part) for part in ("weights", "biases", "multipliers")
            )
            check_layer(prefix, weights, biases, multipliers, largest_input)
        self._check_factors()

    @property
    def pixels(self) -> int:
        """Height times width."""
        return int(self.input_shape[0] * self.input_shape[1])

    @property
    def channels(self) -> int:
        """C."""
        return int(self.input_shape[2])

    @property
    def squeeze_channels(self) -> int:
        """S."""
        return len(self.squeeze_weights)

    @property
    def fusions(self) -> int:
        """K, 1 or 2."""
        return len(self.coefficient_limits) // 2

    @property
    def multiply_adds(self) -> int:
        """Of both dense layers: what a complexity counts, not the products of the fusions."""
        return self.squeeze_weights.size + self.excite_weights.size

    @property
    def buffer_bytes(self) -> int:
        """Bytes of the kernel's buffer: means, hidden values and coefficients."""
        channels, squeeze_channels = (
            _BLOCK * -(-count // _BLOCK) for count in (self.channels, self.squeeze_channels)
        )
        return (2 + 4 * self.fusions) * channels + 2 * squeeze_channels

    @property
    def in_place_buffer_bytes(self) -> int:
        """Bytes of the buffer of `dynamic_shift_max_in_place_s8`: coefficients; then, one after
        the other, means with hidden values, and some pixels.
        """
        channels = _BLOCK * -(-self.channels // _BLOCK)
        coefficients = 4 * self.fusions * channels
        block = min(self.pixels, PIXELS_IN_PLACE) * self.channels
        return coefficients + max(self.buffer_bytes - coefficients, block)

    def packed(self) -> PackedOperation:
        """The operation as the kernel takes it."""
        factors = None
        if self.input_factors is not None and self.output_factors is not None:
            factors = np.stack([self.input_factors, self.output_factors])
        constants = {
            "squeeze_weights": _blocks(self.squeeze_weights),
            "squeeze_constants": self._squeeze_constants(),
            "excite_weights": _blocks(self._by_channel(self.excite_weights)),
            "excite_constants": self._excite_constants(),
            "coefficient_limits": self.coefficient_limits,
            "shift": self.shift,
            "output_positions": self.output_positions,
            "channel_factors": factors,
        }
        # Each option is called as this class calls it.
        options = {name: getattr(self, name) for name in DESCRIPTION.options}
        return DESCRIPTION.pack(options, constants, (self.input_shape,), self.input_shape)

    def reference(self, images: np.ndarray) -> np.ndarray:
        """The result for an int8 array `input_shape`, in NumPy: int8 array of the same shape."""
        images = images.astype(np.int64) - self.input_zero_point
        coefficients = self.coefficients(images)
        shifted = images[..., self.shift]
        sums = [
            a * images + b * shifted
            for a, b in zip(coefficients[::2], coefficients[1::2], strict=True)
        ]
        half = 1 << self.coefficient_shift - 1
        fused = np.max(sums, axis=0) + half >> self.coefficient_shift
        results = np.clip(fused + self.output_zero_point, self.lowest, self.highest)
        return results[..., np.argsort(self.output_positions)].astype(np.int8)

    def coefficients(self, images: np.ndarray) -> np.ndarray:
        """Coefficients for integers `input_shape` without zero point: `(2 * K, C)`."""
        sums = images.sum(axis=(0, 1), dtype=np.int64)
        means = (MEAN_SCALE * sums + self.pixels // 2) // self.pixels
        hidden = self.squeeze_weights.astype(np.int64) @ means + self.squeeze_biases
        hidden = np.clip(scaled(hidden, self.squeeze_multipliers), 0, _LARGEST_HIDDEN)
        values = self.excite_weights.astype(np.int64) @ hidden + self.excite_biases
        values = scaled(values, self.excite_multipliers).reshape(-1, self.channels)
        lowest, highest = np.transpose(self.coefficient_limits)[..., np.newaxis]
        values = np.clip(values, lowest, highest)
        if self.input_factors is None:
            return values
        half = 1 << FACTOR_SHIFT - 1
        return values * self._coefficient_factors() + half >> FACTOR_SHIFT

    def _coefficient_factors(self):
        """What coefficients are multiplied by, in 1024ths: `(2 * K, C)`."""
        inputs, outputs = (
            np.asarray(factors, np.int64) for factors in (self.input_factors, self.output_factors)
        )
        return np.stack([inputs * outputs, inputs[self.shift] * outputs] * self.fusions)

    def _by_channel(self, rows):
        """Rows of a1, b1 (, a2, b2) as those of a and b for each fusion and channel, filled up."""
        split = rows.reshape(self.fusions, 2, self.channels, *rows.shape[1:])
        split = _filled_up(split.swapaxes(1, 2), 1)
        return split.reshape(-1, *rows.shape[1:])

    def _squeeze_constants(self):
        biases = _without_partners(self.squeeze_biases, self.squeeze_weights)
        return _filled_up(np.stack([biases, self.squeeze_multipliers]), 1).astype(np.int32)

    def _excite_constants(self):
        """Biases, and a multiplier for each, or a, b, a, b of each fusion if rows share theirs."""
        multipliers = self._by_channel(self.excite_multipliers)
        rows = self.excite_multipliers.reshape(self.fusions, 2, self.channels)
        if np.all(rows == rows[..., :1]):
            multipliers = np.tile(rows[..., 0], 2).reshape(-1)
        biases = _without_partners(self.excite_biases, self.excite_weights)
        biases += _MIDDLE * self.excite_weights.sum(axis=1, dtype=np.int64)
        return np.concatenate([self._by_channel(biases), multipliers]).astype(np.int32)

    def _check_factors(self):
        if self.input_factors is None and self.output_factors is None:
            return
        for name in ("input_factors", "output_factors"):
            factors = np.asarray(getattr(self, name))
            is_valid = factors.shape == (self.channels,) and factors.dtype.kind in "iu"
            if not is_valid or factors.min() < 1 or factors.max() > LARGEST_FACTOR:
                raise ValueError(
                    f"`{name}` must be {self.channels} integers from 1 to {LARGEST_FACTOR}, both "
                    f"or none. Received: {getattr(self, name)}"
                )
        largest = np.abs(np.asarray(self.coefficient_limits, np.int64)).max(axis=1)
        products = largest.reshape(-1, 2).max(axis=0)[:, np.newaxis]
        products = products * self._coefficient_factors()[:2]
        if np.max(products + (1 << FACTOR_SHIFT - 1) >> FACTOR_SHIFT) > _LARGEST_COEFFICIENT:
            raise ValueError(
                "Coefficients times the factors of their channels must fit in int16. "
                f"Received: up to {products.max() / (1 << FACTOR_SHIFT):.0f}"
            )

    def _check_shapes(self):
        limits = np.asarray(self.coefficient_limits)
        is_valid = limits.shape in ((2, 2), (4, 2)) and np.all(limits[:, 0] <= limits[:, 1])
        if not is_valid or np.any(np.abs(limits.astype(np.int64) + 0.5) > 32768):
            raise ValueError(
                "`coefficient_limits` must be 2 or 4 pairs (lowest, highest) of int16 values. "
                f"Received: {self.coefficient_limits}"
            )
        rows = np.shape(self.squeeze_weights)[0] if np.ndim(self.squeeze_weights) == 2 else 0
        check_integer("squeeze_channels", rows, 1, MOST_CHANNELS)
        outputs = len(limits) * self.channels
        shapes = {
            "squeeze_weights": (rows, self.channels),
            "squeeze_biases": (rows,),
            "squeeze_multipliers": (rows,),
            "excite_weights": (outputs, rows),
            "excite_biases": (outputs,),
            "excite_multipliers": (outputs,),
        }
        for name, shape in shapes.items():
            if np.shape(getattr(self, name)) != shape:
                raise ValueError(
                    f"`{name}` must have the shape {shape} for {self.channels} channels, {rows} "
                    f"squeeze channels and {len(limits)} coefficients a channel. "
                    f"Received: {np.shape(getattr(self, name))}"
                )


def _filled_up(values, axis):
    """Zeros behind the values, up to a multiple of 4."""
    missing = [(0, 0)] * values.ndim
    missing[axis] = (0, -values.shape[axis] % _BLOCK)
    return np.pad(values, missing)


def _blocks(weights):
    """A matrix as blocks of 4 rows and 4 columns, partners side by side."""
    filled = _filled_up(_filled_up(weights, 0), 1)
    rows, columns = filled.shape
    split = filled.reshape(rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
    return np.ascontiguousarray(split.swapaxes(1, 2)[..., INPUT_ORDER])


def _without_partners(biases, weights):
    """int64 array: biases less the products of each weight and its partner, two columns on."""
    fours = _filled_up(weights.astype(np.int64), 1).reshape(len(weights), -1, _BLOCK)
    return biases - (fours[..., :2] * fours[..., 2:]).sum(axis=(1, 2))
