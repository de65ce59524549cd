# SPDX-License-Identifier: Apache-2.0
"""Reading image files that nobody has checked: JPEG, PNG, BMP and WebP."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import io
import math
import os
import re
import threading
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import ExifTags, Image, ImageOps

from keras_micronet.files.text import shorten
from training.datasets.picture_formats import HEAD_BYTES, FileKind, kind_of_content
from training.settings import MOST_PIXELS

# Only these decoders may run, whatever a file's name says: some of Pillow's others start programs.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")

# A progressive JPEG goes over all its pixels once a scan, of which programs write about ten; a file
# of half a megabyte can ask for thousands. The smaller the image, the more scans are harmless.
_MOST_PASSES = 20  # over as many pixels as an image may have
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # that ends a scan's own data

# No format takes more for a pixel, but for what does not compress and for descriptions.
_MOST_BYTES_A_PIXEL = 8
_MOST_OTHER_BYTES = 2**26

# Larger images are decoded one at a time, or the memory of all threads would add up.
_LARGE_PIXEL_COUNT = 16_000_000
_large_image = threading.Lock()

# Values of EXIF's orientation for which height and width change places.
_LYING = frozenset({5, 6, 7, 8})

_SIXTEEN_BIT_MODES = ("I", "I;16", "I;16L", "I;16B")


@contextlib.contextmanager
def _open_image(source, most_pixels):
    """Opens an image file of an allowed format and size, not decoded yet."""
    try:
        opened = Image.open(source, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"an image must have at most {most_pixels:,} pixels: make it smaller, or raise the "
            f"limit by --most-pixels if there is enough memory. Received: {error}"
        ) from error
    with opened as image:
        width, height = image.size
        if width * height > most_pixels:
            raise ValueError(
                f"an image must have at most {most_pixels:,} pixels: make it smaller, or raise the "
                f"limit by --most-pixels if there is enough memory. Received: {width} x {height}"
            )
        yield image


@contextlib.contextmanager
def _open_to_decode(content, most_pixels):
    """Opens an image, given as the bytes of its file, that takes no more work than its size."""
    with _open_image(io.BytesIO(content), most_pixels) as image:
        pixels = image.width * image.height
        most_scans = _MOST_PASSES * most_pixels // pixels
        # Counting all is quick, but includes those in thumbnails and in what cameras append.
        if image.format == "JPEG" and content.count(_START_OF_SCAN) > most_scans:
            scans = _count_scans(content)
            if scans > most_scans:
                raise ValueError(
                    f"a progressive JPEG must have at most {most_scans} scans at {image.width} x "
                    f"{image.height} pixels: save it anew, or raise the limit by --most-pixels. "
                    f"Received: {scans} scans"
                )
        with _large_image if pixels > _LARGE_PIXEL_COUNT else contextlib.nullcontext():
            yield image


def _count_scans(content):
    """Number of a JPEG's scans, by its markers: those of its thumbnails are none."""
    scans, position = 0, 2
    while match := _MARKER.search(content, position):
        marker, position = match.group(), match.end()
        if marker == _END_OF_IMAGE:
            break
        scans += marker == _START_OF_SCAN
        # The length counts its own two bytes. Behind a scan's header follow its data.
        position += int.from_bytes(content[position : position + 2])
    return scans


def _read_file(path, most_pixels):
    most_bytes = _MOST_BYTES_A_PIXEL * most_pixels + _MOST_OTHER_BYTES
    with open(path, "rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"an image file must have at most {most_bytes:,} bytes")
    return content


def set_most_pixels(most_pixels: int) -> None:
    """Lets this process read larger images than `MOST_PIXELS`; Pillow has a limit of its own.

    Between that limit and twice as many pixels it only warns, of what is refused here anyway.
    """
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    if most_pixels > MOST_PIXELS:
        Image.MAX_IMAGE_PIXELS = most_pixels


def read_image_size(
    path: str | os.PathLike[str], smallest_side: int | None = None, most_pixels: int = MOST_PIXELS
) -> np.ndarray:
    """Reads how large an image is, upright, without decoding it.

    A PNG file that tells only behind its pixels that it is turned counts as upright.

    Args:
        path: the file, of any of the four formats.
        smallest_side: if given, the size is that of `read_image` with the same value.
        most_pixels: how many pixels the image may have.

    Returns:
        int32 array `(2,)`: height and width in pixels.

    Raises:
        ValueError: if the image claims more pixels.
        Exception: whatever Pillow raises for a file that is damaged or no image.
    """
    with _open_image(path, most_pixels) as image:
        if smallest_side is not None:
            _reduce(image, smallest_side)
        width, height = image.size
        # Pillow decodes a PNG file to see whether an orientation follows its pixels.
        is_known = image.format != "PNG" or "exif" in image.info
        if is_known and image.getexif().get(ExifTags.Base.Orientation) in _LYING:
            width, height = height, width
        return np.array([height, width], np.int32)


def read_image(
    path: str | os.PathLike[str],
    smallest_side: int | None = None,
    part: Sequence[float] = (0.0, 0.0, 1.0, 1.0),
    size: tuple[int, int] | None = None,
    most_pixels: int = MOST_PIXELS,
    channels: int = 3,
) -> np.ndarray:
    """Decodes an image file, or a part of it, upright, as RGB or gray.

    Transparent parts are laid over white. 16-bit grey is scaled to 8 bits.

    Args:
        path: the file, of any of the four formats.
        smallest_side: if given, a JPEG may be decoded at a reduced size with which the result's
            sides are at least this many pixels; many times faster for photographs.
        part: top, left, bottom and right of the part, as fractions of the upright image's sides.
        size: height and width to resize the part to, by the same interpolation as
            `resizing.resize` and in a third of its time; `None` to leave it as it is.
        most_pixels: how many pixels the image may have, and a twentieth of the pixels that a
            progressive JPEG's scans may go over.
        channels: 3 for RGB, 1 for gray, see `datasets.channels`.

    Returns:
        uint8 array `(height, width, channels)`, values in [0, 255].

    Raises:
        ValueError: if the image has more pixels, or more scans.
        Exception: whatever Pillow raises for a file that is damaged or no image.
    """
    content = _read_file(path, most_pixels)
    return _decode(content, smallest_side, part, size, most_pixels, channels)


def _decode(content, smallest_side, part, size, most_pixels, channels=3):
    """The same from the bytes of a file."""
    top, left, bottom, right = part
    with _open_to_decode(content, most_pixels) as image:
        if smallest_side is not None:
            _reduce(image, math.ceil(smallest_side / min(bottom - top, right - left)))
        ImageOps.exif_transpose(image, in_place=True)
        left, right = _pixels(left, right, image.width)
        top, bottom = _pixels(top, bottom, image.height)
        if (left, top, right, bottom) != (0, 0, image.width, image.height):
            image = image.crop((left, top, right, bottom))  # a copy
        image = _as_rgb(image)
        if channels == 1:
            image = image.convert("L")
        array = np.array(image if size is None else _resize(image, size))
        return array.reshape(*array.shape[:2], channels)


def read_mask(
    path: str | os.PathLike[str], most_pixels: int = MOST_PIXELS, in_colour: bool = False
) -> np.ndarray:
    """Decodes a PNG file whose values are numbers, as they are.

    Args:
        path: the file.
        most_pixels: how many pixels it may have.
        in_colour: whether its colours are wanted, those of a palette looked up.

    Returns:
        uint8 array `(height, width)` of gray values or of indices into the palette, or `(height,
        width, 3)` of colours.

    Raises:
        ValueError: if it has more pixels, is no PNG, or has colours where numbers are wanted.
        Exception: whatever Pillow raises for a file that is damaged or no image.
    """
    with _open_to_decode(_read_file(path, most_pixels), most_pixels) as image:
        if image.format != "PNG":
            raise ValueError(f"a mask must be a PNG file. Received: {image.format}")
        if in_colour:
            return np.array(image.convert("RGB"))
        if image.mode in _SIXTEEN_BIT_MODES:
            values = np.asarray(image, np.uint32)
            if values.max() > 255:
                raise ValueError(f"a mask's values must be at most 255. Received: {values.max()}")
            return values.astype(np.uint8)
        if image.mode not in ("1", "L", "P"):
            raise ValueError(
                "a mask must have one value a pixel, gray or an index of a palette. "
                f"Received: {image.mode}"
            )
        return np.array(image, np.uint8)


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a decoded image as `read_image` does.

    Args:
        image: uint8 array `(any_height, any_width, channels)`, RGB or gray.
        size: height and width of the result.

    Returns:
        uint8 array `(height, width, channels)`.
    """
    channels = image.shape[-1]
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    return np.array(_resize(picture, size)).reshape(*size, channels)


def _resize(image, size):
    return image.resize(size[::-1], Image.Resampling.BICUBIC)


def _reduce(image, smallest_side):
    """Lets a JPEG that is not decoded yet be decoded at a reduced size, of at least that side."""
    image.draft("RGB", (smallest_side, smallest_side))


def _pixels(start, end, side):
    """A stretch of a side, given in fractions, in whole pixels and at least one of them."""
    first = min(round(start * side), side - 1)
    return first, max(round(end * side), first + 1)


def _as_rgb(image):
    if image.mode in _SIXTEEN_BIT_MODES:
        levels = np.asarray(image, np.uint32) // 257
        image = Image.fromarray(levels.astype(np.uint8))
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        image = Image.alpha_composite(white, picture)
    return image.convert("RGB")


def read_image_sizes(
    paths: Iterable[str | os.PathLike[str]], most_pixels: int = MOST_PIXELS
) -> np.ndarray:
    """Reads how large images are, as `read_image_size` does.

    Args:
        paths: the files.
        most_pixels: as for `read_image_size`.

    Returns:
        int32 array `(n, 2)`: heights and widths in pixels, in the order of `paths`.
    """
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as executor:
        read = functools.partial(read_image_size, most_pixels=most_pixels)
        sizes = list(executor.map(read, paths))
    return np.array(sizes, np.int32).reshape(-1, 2)


@dataclasses.dataclass(frozen=True)
class FileCheck:
    """What decoding an image file once has shown.

    Attributes:
        digest: of the file's bytes, 16 bytes; empty if it cannot be read at all.
        reason: why it cannot be decoded, or `None`.
        kind: what the bytes say that it is, if it cannot be decoded and they say anything.
    """

    digest: bytes
    reason: str | None
    kind: FileKind | None = None


def check_images(
    paths: Iterable[str | os.PathLike[str]], most_pixels: int = MOST_PIXELS
) -> list[FileCheck]:
    """Decodes every file to find those that are damaged, truncated or no images.

    Args:
        paths: the files.
        most_pixels: as for `read_image`.

    Returns:
        A list of `FileCheck`, in the order of `paths`.
    """
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as executor:
        return list(executor.map(functools.partial(_check_image, most_pixels=most_pixels), paths))


def _check_image(path, most_pixels):
    digest = content = b""
    try:
        content = _read_file(path, most_pixels)
        digest = hashlib.blake2b(content, digest_size=16).digest()
        if not content:
            raise ValueError("an empty file")
        # The smallest size still reads a whole JPEG, but skips most of the arithmetic.
        _decode(content, 1, (0.0, 0.0, 1.0, 1.0), None, most_pixels)
    except Exception as error:  # A decoder may raise anything for bytes that somebody made up.
        kind = kind_of_content(content[:HEAD_BYTES])
        if kind is not None and not kind.is_read:
            return FileCheck(digest, f"{kind.name} inside", kind)
        return FileCheck(digest, reason_of(error), kind)
    return FileCheck(digest, None)


def reason_of(error: BaseException) -> str:
    """Why a file cannot be read, in one short line, of whatever was raised."""
    # Pillow says where in our memory the file is.
    text = re.sub(r" <_io\.BytesIO object at 0x[0-9a-f]+>", "", str(error))
    return shorten(text) or type(error).__name__
