# SPDX-License-Identifier: Apache-2.0
"""Handwritten digits scattered over made backgrounds, for detection and counting.

scikit-learn's digits of 8 x 8 pixels stand there in any size, brightness and contrast, among
letters, parts of digits and strokes, which are none. The validation and test pictures are made of
digits that training pictures never show, see `training.datasets.digits`.
"""

import dataclasses
import functools

import numpy as np
import sklearn.datasets
from PIL import Image, ImageDraw

from keras_micronet.grid_answers.tasks import DETECT
from training.datasets.grid_dataset import GridDataset
from training.datasets.made_pictures.backgrounds import draw_background, draw_stroke, lay_over
from training.datasets.made_pictures.made_dataset import PARTS, made_dataset
from training.datasets.stratified_split import (
    TEST_FRACTION,
    VALIDATION_FRACTION,
    stratified_split,
)

NAME = "scattered-digits"
_LARGEST_VALUE = 16

_MOST_DIGITS = 6
_MOST_DISTRACTORS = 3
_MOST_STROKES = 2
# Heights of digits as parts of the picture's shorter side, and of their own height by how much
# they may be stretched.
_SMALLEST, _LARGEST = 0.16, 0.34
_FEWEST_PIXELS = 10
_LARGEST_STRETCH = 1.2
_LARGEST_TURN = 12  # degrees
# Of the smaller of two boxes: how much of it the other one may cover.
_LARGEST_OVERLAP = 0.1
_TRIES = 12

# Strokes from (x, y) to (x, y) in a square of 4 x 4 around letters that resemble no digit.
_LETTERS = {
    "A": ((0, 4, 2, 0), (2, 0, 4, 4), (1, 2, 3, 2)),
    "E": ((0, 0, 0, 4), (0, 0, 3, 0), (0, 2, 3, 2), (0, 4, 3, 4)),
    "F": ((0, 0, 0, 4), (0, 0, 3, 0), (0, 2, 3, 2)),
    "H": ((0, 0, 0, 4), (3, 0, 3, 4), (0, 2, 3, 2)),
    "K": ((0, 0, 0, 4), (0, 2, 3, 0), (0, 2, 3, 4)),
    "L": ((0, 0, 0, 4), (0, 4, 3, 4)),
    "M": ((0, 4, 0, 0), (0, 0, 2, 2), (2, 2, 4, 0), (4, 0, 4, 4)),
    "N": ((0, 4, 0, 0), (0, 0, 3, 4), (3, 4, 3, 0)),
    "T": ((0, 0, 4, 0), (2, 0, 2, 4)),
    "V": ((0, 0, 2, 4), (2, 4, 4, 0)),
    "W": ((0, 0, 1, 4), (1, 4, 2, 1), (2, 1, 3, 4), (3, 4, 4, 0)),
    "X": ((0, 0, 4, 4), (0, 4, 4, 0)),
    "Y": ((0, 0, 2, 2), (2, 2, 4, 0), (2, 2, 2, 4)),
    "plus": ((2, 0, 2, 4), (0, 2, 4, 2)),
}
# Halves of digits that are no other digit: which rows and columns of eight they keep.
_UPPER, _LOWER = (slice(0, 4), slice(None)), (slice(4, 8), slice(None))
_LEFT, _RIGHT = (slice(None), slice(0, 4)), (slice(None), slice(4, 8))
_HALVES = {
    0: (_UPPER, _LOWER, _LEFT, _RIGHT),
    2: (_UPPER, _LOWER),
    3: (_UPPER, _LOWER),
    4: (_UPPER,),
    5: (_UPPER, _LOWER),
}


@dataclasses.dataclass(frozen=True)
class _Glyphs:
    """What one part's pictures are made of: masks, uint8 `(height, width)`, trimmed.

    Attributes:
        digits: of each class from 0 on, its masks.
        distractors: masks of what is no digit.
    """

    digits: tuple[tuple[np.ndarray, ...], ...]
    distractors: tuple[np.ndarray, ...]


def load_scattered_digits(image_size: tuple[int, int], channels: int = 3) -> GridDataset:
    """Pictures with up to six digits each, of which training has as many as it wants.

    Args:
        image_size: height and width of the pictures, in pixels, at least 32.
        channels: 1 for gray, 3 for RGB.

    Returns:
        A `GridDataset` for detection with 10 classes.

    Raises:
        ValueError: if the pictures are too small.
    """
    return made_dataset(
        NAME,
        DETECT,
        image_size,
        channels,
        tuple(str(digit) for digit in range(10)),
        _draw,
        _MOST_DIGITS,
    )


@functools.cache
def _glyphs_of_parts():
    """The `_Glyphs` of each part."""
    digits = sklearn.datasets.load_digits()
    images = np.round(digits.images * (255 / _LARGEST_VALUE)).astype(np.uint8)
    letters = _letters()
    split = stratified_split(digits.target, (VALIDATION_FRACTION, TEST_FRACTION))
    return {
        part: _glyphs(images[indices], digits.target[indices], letters)
        for part, indices in zip(PARTS, split, strict=True)
    }


def _glyphs(images, labels, letters):
    halves = [
        _trimmed(image[half])
        for image, label in zip(images, labels, strict=True)
        for half in _HALVES.get(label, ())
    ]
    return _Glyphs(
        digits=tuple(
            tuple(_trimmed(image) for image in images[labels == digit]) for digit in range(10)
        ),
        # As many of either kind.
        distractors=(*halves, *(letters * (len(halves) // len(letters)))),
    )


def _trimmed(mask):
    """Without empty rows and columns around."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _letters():
    """Letters as coarse as the digits are."""
    scale = 8
    masks = []
    for strokes in _LETTERS.values():
        picture = Image.new("L", (8 * scale, 8 * scale))
        pen = ImageDraw.Draw(picture)
        for stroke in strokes:
            pen.line([scale * (1 + 1.5 * place) for place in stroke], 255, width=scale)
        masks.append(_trimmed(np.asarray(picture.resize((8, 8), Image.Resampling.BOX))))
    return masks


def _draw(random, part, image_size, channels):
    glyphs = _glyphs_of_parts()[part]
    picture = draw_background(random, image_size, channels)
    for _ in range(random.randint(_MOST_STROKES + 1)):
        draw_stroke(picture, random)
    taken: list[tuple[int, int, int, int]] = []
    labels = []
    for _ in range(random.randint(_MOST_DISTRACTORS + 1)):
        mask = glyphs.distractors[random.randint(len(glyphs.distractors))]
        _place(picture, mask, taken, random)
    for _ in range(random.randint(_MOST_DIGITS + 1)):
        digit = random.randint(10)
        masks = glyphs.digits[digit]
        box = _place(picture, masks[random.randint(len(masks))], taken, random)
        if box is not None:
            labels.append((digit, *box))
    return picture, np.array(labels, np.float32).reshape(-1, 5)


def _place(picture, mask, taken, random):
    """Lays a mask over a picture where little of anything is covered; its box, or `None`."""
    mask = _resized(mask, picture, random)
    height, width = mask.shape
    for _ in range(_TRIES):
        top = random.randint(picture.shape[0] - height + 1)
        left = random.randint(picture.shape[1] - width + 1)
        box = (top, left, top + height, left + width)
        if all(_overlap(box, other) <= _LARGEST_OVERLAP for other in taken):
            lay_over(picture, mask, top, left, random)
            taken.append(box)
            return box
    return None


def _resized(mask, picture, random):
    """The mask, trimmed, of a random size, stretched and turned a little; float32."""
    shorter = min(picture.shape[:2])
    smallest = max(_FEWEST_PIXELS, _SMALLEST * shorter)
    largest = max(smallest, _LARGEST * shorter)
    # A part of a digit has the strokes of the whole.
    scale = np.exp(random.uniform(np.log(smallest), np.log(largest))) / 8
    stretch = np.exp(random.uniform(-1, 1) * np.log(_LARGEST_STRETCH))
    height = max(1, round(mask.shape[0] * scale))
    width = max(1, min(picture.shape[1], round(mask.shape[1] * scale * stretch)))
    enlarged = Image.fromarray(mask).resize((width, height), Image.Resampling.BICUBIC)
    turned = enlarged.rotate(
        random.uniform(-_LARGEST_TURN, _LARGEST_TURN), Image.Resampling.BILINEAR, expand=True
    )
    levels = np.asarray(turned, np.float32) * np.float32(1 / 255)
    # What is hardly to be seen does not belong to the box.
    rows = np.flatnonzero(levels.max(axis=1) >= 0.25)
    columns = np.flatnonzero(levels.max(axis=0) >= 0.25)
    levels = levels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return levels[: picture.shape[0], : picture.shape[1]]


def _overlap(one, other):
    """Which part of the smaller of two boxes the other covers."""
    height = min(one[2], other[2]) - max(one[0], other[0])
    width = min(one[3], other[3]) - max(one[1], other[1])
    if height <= 0 or width <= 0:
        return 0.0
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return height * width / smaller
