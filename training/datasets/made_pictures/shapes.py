# SPDX-License-Identifier: Apache-2.0
"""Discs, squares, triangles and crosses on made backgrounds, for segmentation."""

import numpy as np
from PIL import Image, ImageDraw

from keras_micronet.grid_answers.tasks import SEGMENT
from training.datasets.grid_dataset import GridDataset
from training.datasets.made_pictures.backgrounds import draw_background, draw_stroke, lay_over
from training.datasets.made_pictures.made_dataset import made_dataset

# Corners as angles, in parts of a turn, and distances from the centre, in parts of the radius.
_CORNERS = {
    "disc": tuple((step / 48, 1.0) for step in range(48)),
    "square": tuple((0.125 + step / 4, 1.0) for step in range(4)),
    "triangle": tuple((step / 3, 1.0) for step in range(3)),
    "cross": tuple(
        (step / 4 + angle, distance)
        for step in range(4)
        for angle, distance in ((-0.05, 1.0), (0.05, 1.0), (0.125, 0.44))
    ),
}
_MOST_SHAPES = 3
_MOST_STROKES = 2
_SMALLEST, _LARGEST = 0.17, 0.32  # radii as parts of the picture's shorter side
_FINENESS = 4  # points a pixel's side of which edges are made
_TRIES = 8


def load_shapes(image_size: tuple[int, int], channels: int = 3) -> GridDataset:
    """Pictures with up to three shapes, of which training has as many as it wants.

    Args:
        image_size: height and width of the pictures, in pixels, at least 32.
        channels: 1 for gray, 3 for RGB.

    Returns:
        A `GridDataset` for segmentation with 4 classes.

    Raises:
        ValueError: if the pictures are too small.
    """
    return made_dataset("shapes", SEGMENT, image_size, channels, tuple(_CORNERS), _draw)


def _draw(random, part, image_size, channels):
    picture = draw_background(random, image_size, channels)
    label = np.zeros(image_size, np.uint8)
    for _ in range(random.randint(_MOST_STROKES + 1)):
        draw_stroke(picture, random)
    for _ in range(random.randint(1, _MOST_SHAPES + 1)):
        number = random.randint(len(_CORNERS))
        radius = min(image_size) * random.uniform(_SMALLEST, _LARGEST)
        mask = _shape_mask(tuple(_CORNERS.values())[number], radius, random.uniform(0, 1))
        _place(picture, label, mask, number + 1, random)
    return picture, label


def _shape_mask(corners, radius, turn):
    """How much of each pixel a shape covers, float32, the shape in the middle."""
    side = 2 * int(np.ceil(radius)) + 1
    angles, distances = np.array(corners).T
    angles = (angles + turn) * 2 * np.pi
    offsets = np.stack([np.cos(angles), np.sin(angles)], axis=1) * distances[:, np.newaxis]
    points = (side / 2 + radius * offsets) * _FINENESS
    canvas = Image.new("L", (side * _FINENESS, side * _FINENESS))
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in points], 255)
    return np.asarray(canvas.reduce(_FINENESS), np.float32) / 255


def _place(picture, label, mask, number, random):
    """Lays a shape over a picture where none is, if there is room."""
    side = len(mask)
    for _ in range(_TRIES):
        top = random.randint(picture.shape[0] - side + 1)
        left = random.randint(picture.shape[1] - side + 1)
        part = label[top : top + side, left : left + side]
        if not part[mask > 0].any():
            lay_over(picture, mask, top, left, random)
            part[mask >= 0.5] = number
            return
