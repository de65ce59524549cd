# SPDX-License-Identifier: Apache-2.0
"""Rows of pixels as cameras give them: what each format means, in NumPy.

`source/micronet_pixel_formats.h` is the same for a device, byte for byte.
"""

import collections.abc
import dataclasses

import numpy as np

from keras_micronet.luma import luma

_MIDDLE = 128  # U and V without colour
_FACTOR_BITS = 16


@dataclasses.dataclass(frozen=True)
class PixelFormat:
    """A format of rows.

    Attributes:
        bytes_per_pixel: of a row.
        width_multiple: a row's width in pixels must be a multiple of it.
        channels: 3 if it has colours, 1 if its RGB888 is its gray value three times.
        to_rgb888: function of rows, uint8 `(..., width * bytes_per_pixel)`, to uint8
            `(..., width, 3)`, red first.
        to_gray: the same to uint8 `(..., width)`.
    """

    bytes_per_pixel: int
    width_multiple: int
    channels: int
    to_rgb888: collections.abc.Callable[[np.ndarray], np.ndarray]
    to_gray: collections.abc.Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class _YuvRange:
    """How Y, U and V become colours; factors in `2 ** -_FACTOR_BITS`.

    Attributes:
        black: Y of black.
        luma: of Y - black.
        colours: of U - 128 and of V - 128, for red, green and blue.
    """

    black: int
    luma: int
    colours: tuple[tuple[int, int], ...]


_FULL = _YuvRange(0, 65536, ((0, 91881), (-22554, -46802), (116130, 0)))
_LIMITED = _YuvRange(16, 76309, ((0, 104597), (-25675, -53279), (132201, 0)))


def _of_colours(bytes_per_pixel, to_rgb888):
    return PixelFormat(bytes_per_pixel, 1, 3, to_rgb888, lambda rows: luma(to_rgb888(rows)))


def _rgb565(high):
    """high: where the high byte of a pixel is, 0 or 1."""

    def to_rgb888(rows):
        pairs = rows.reshape(*rows.shape[:-1], -1, 2).astype(np.int32)
        pixels = pairs[..., high] << 8 | pairs[..., 1 - high]
        red, green, blue = pixels >> 11, pixels >> 5 & 63, pixels & 31
        colours = (red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2)
        return np.stack(colours, axis=-1).astype(np.uint8)

    return _of_colours(2, to_rgb888)


def _yuv422(first_y, values):
    """first_y: where the first Y of four bytes is, 0 or 1."""

    def luma_sums(rows):
        y = rows[..., first_y::2].astype(np.int32)
        return (y - values.black) * values.luma + (1 << _FACTOR_BITS - 1)

    def to_rgb888(rows):
        u, v = (
            np.repeat(rows[..., start::4].astype(np.int32) - _MIDDLE, 2, axis=-1)
            for start in (1 - first_y, 3 - first_y)
        )
        sums = [luma_sums(rows) + u * of_u + v * of_v for of_u, of_v in values.colours]
        return _limited(np.stack(sums, axis=-1))

    return PixelFormat(2, 2, 3, to_rgb888, lambda rows: _limited(luma_sums(rows)))


def _limited(sums):
    return np.clip(sums >> _FACTOR_BITS, 0, 255).astype(np.uint8)


def _rgb888(order):
    return _of_colours(3, lambda rows: rows.reshape(*rows.shape[:-1], -1, 3)[..., order])


def _bayer(names):
    """names: colours of a cell from left to right, the upper line first, such as "rggb"."""
    red, blue = names.index("r"), names.index("b")
    greens = [place for place, name in enumerate(names) if name == "g"]

    def to_rgb888(rows):
        lines = rows.reshape(*rows.shape[:-1], 2, -1, 2).astype(np.int32)
        cells = np.concatenate([lines[..., 0, :, :], lines[..., 1, :, :]], axis=-1)
        green = cells[..., greens].sum(axis=-1) + 1 >> 1
        colours = (cells[..., red], green, cells[..., blue])
        return np.stack(colours, axis=-1).astype(np.uint8)

    return _of_colours(4, to_rgb888)


def _three_times(rows):
    return np.repeat(rows[..., np.newaxis], 3, axis=-1)


# By the name that follows `micronet_pixels_` in C.
FORMATS = {
    "rgb565_high_byte_first": _rgb565(0),
    "rgb565_low_byte_first": _rgb565(1),
    "yuyv": _yuv422(0, _FULL),
    "uyvy": _yuv422(1, _FULL),
    "yuyv_limited": _yuv422(0, _LIMITED),
    "uyvy_limited": _yuv422(1, _LIMITED),
    "rgb888": _rgb888([0, 1, 2]),
    "bgr888": _rgb888([2, 1, 0]),
    "gray8": PixelFormat(1, 1, 1, _three_times, lambda rows: rows),
    **{f"bayer_{names}": _bayer(names) for names in ("rggb", "bggr", "grbg", "gbrg")},
}
