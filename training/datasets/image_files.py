"""Reading image files that nobody has checked: JPEG, PNG, BMP and WebP."""

import concurrent.futures
import contextlib
import math
import os

import numpy as np
from PIL import ExifTags, Image, ImageOps

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})

# Only these decoders may run, whatever a file's name says: some of Pillow's others start programs.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")

# A file of a few kilobytes can claim gigabytes of pixels. No camera's photograph is refused; the
# limit is below the one from which Pillow warns.
LARGEST_PIXEL_COUNT = 80_000_000

# Values of EXIF's orientation for which height and width change places.
_LYING = frozenset({5, 6, 7, 8})

_SIXTEEN_BIT_MODES = ("I", "I;16", "I;16L", "I;16B")


@contextlib.contextmanager
def _open_image(path):
    """Opens an image file of an allowed format and size, not decoded yet."""
    with Image.open(path, formats=_FORMATS) as image:
        width, height = image.size
        if width * height > LARGEST_PIXEL_COUNT:
            raise ValueError(
                f"an image must have at most {LARGEST_PIXEL_COUNT:,} pixels. "
                f"Received: {width} x {height}"
            )
        yield image


def read_image_size(path, smallest_side=None):
    """Reads how large an image is, upright, without decoding it.

    A PNG file that tells only behind its pixels that it is turned counts as upright.

    Args:
        path: the file, of any of the four formats.
        smallest_side: if given, the size is that of `read_image` with the same value.

    Returns:
        int32 array `(2,)`: height and width in pixels.

    Raises:
        ValueError: if the image claims more than `LARGEST_PIXEL_COUNT` pixels.
        Exception: whatever Pillow raises for a file that is damaged or no image.
    """
    with _open_image(path) as image:
        if smallest_side is not None:
            _reduce(image, smallest_side)
        width, height = image.size
        # Pillow decodes a PNG file to see whether an orientation follows its pixels.
        is_known = image.format != "PNG" or "exif" in image.info
        if is_known and image.getexif().get(ExifTags.Base.Orientation) in _LYING:
            width, height = height, width
        return np.array([height, width], np.int32)


def read_image(path, smallest_side=None, part=(0.0, 0.0, 1.0, 1.0), size=None):
    """Decodes an image file, or a part of it, upright, as RGB.

    Transparent parts are laid over white. 16-bit grey is scaled to 8 bits.

    Args:
        path: the file, of any of the four formats.
        smallest_side: if given, a JPEG may be decoded at a reduced size with which the result's
            sides are at least this many pixels; many times faster for photographs.
        part: top, left, bottom and right of the part, as fractions of the upright image's sides.
        size: height and width to resize the part to, by the same interpolation as
            `resizing.resize` and in a third of its time; `None` to leave it as it is.

    Returns:
        uint8 array `(height, width, 3)`, values in [0, 255].

    Raises:
        ValueError: if the image claims more than `LARGEST_PIXEL_COUNT` pixels.
        Exception: whatever Pillow raises for a file that is damaged or no image.
    """
    top, left, bottom, right = part
    with _open_image(path) as image:
        if smallest_side is not None:
            _reduce(image, math.ceil(smallest_side / min(bottom - top, right - left)))
        upright = ImageOps.exif_transpose(image)
        left, right = _pixels(left, right, upright.width)
        top, bottom = _pixels(top, bottom, upright.height)
        image = _as_rgb(upright.crop((left, top, right, bottom)))
        return np.array(image if size is None else _resize(image, size))


def resize_image(image, size):
    """Resizes a decoded image as `read_image` does.

    Args:
        image: uint8 array `(any_height, any_width, 3)`.
        size: height and width of the result.

    Returns:
        uint8 array `(height, width, 3)`.
    """
    return np.array(_resize(Image.fromarray(image), size))


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


def read_image_sizes(paths):
    """Reads how large images are, as `read_image_size` does.

    Args:
        paths: the files.

    Returns:
        int32 array `(n, 2)`: heights and widths in pixels, in the order of `paths`.
    """
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as executor:
        sizes = list(executor.map(read_image_size, paths))
    return np.array(sizes, np.int32).reshape(-1, 2)


def find_unreadable(paths):
    """Decodes every file to find those that are damaged, truncated or no images.

    Args:
        paths: the files.

    Returns:
        A list of pairs `(path, reason)`, in the order of `paths`.
    """
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as executor:
        reasons = executor.map(_reason_unreadable, paths)
        return [(path, reason) for path, reason in zip(paths, reasons) if reason is not None]


def _reason_unreadable(path):
    try:
        # The smallest size still reads a whole JPEG, but skips most of the arithmetic.
        read_image(path, smallest_side=1)
    except Exception as error:  # A decoder may raise anything for bytes that somebody made up.
        return str(error) or type(error).__name__
    return None
