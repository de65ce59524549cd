"""Reading image files that nobody has checked: JPEG, PNG, BMP and WebP."""

import concurrent.futures
import os

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})

# Only these decoders may run, whatever a file's name says: some of Pillow's others start programs.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")

# A file of a few kilobytes can claim gigabytes of pixels. No camera's photograph is refused; the
# limit is below the one from which Pillow warns.
LARGEST_PIXEL_COUNT = 80_000_000

_SIXTEEN_BIT_MODES = ("I", "I;16", "I;16L", "I;16B")


def read_image(path, smallest_side=None):
    """Decodes an image file, upright, as RGB.

    Transparent parts are laid over white. 16-bit grey is scaled to 8 bits.

    Args:
        path: the file, of any of the four formats.
        smallest_side: if given, a JPEG may be decoded at a reduced size whose sides are at least
            this many pixels, which is many times faster for photographs.

    Returns:
        uint8 array `(height, width, 3)`, values in [0, 255].

    Raises:
        ValueError: if the image claims more than `LARGEST_PIXEL_COUNT` pixels.
        Exception: whatever Pillow raises for a file that is damaged or no image.
    """
    with Image.open(path, formats=_FORMATS) as image:
        width, height = image.size
        if width * height > LARGEST_PIXEL_COUNT:
            raise ValueError(
                f"an image must have at most {LARGEST_PIXEL_COUNT:,} pixels. "
                f"Received: {width} x {height}"
            )
        if smallest_side is not None:
            image.draft("RGB", (smallest_side, smallest_side))
        return np.array(_as_rgb(ImageOps.exif_transpose(image)))


def _as_rgb(image):
    if image.mode in _SIXTEEN_BIT_MODES:
        levels = np.asarray(image, np.uint32) // 257
        image = Image.fromarray(levels.astype(np.uint8))
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        image = Image.alpha_composite(white, picture)
    return image.convert("RGB")


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
