# SPDX-License-Identifier: Apache-2.0
"""Figures of a head, a body, two arms and two legs on made backgrounds, for keypoints.

They look at the viewer: their left hand is at the picture's right.
"""

import numpy as np
from PIL import Image, ImageDraw

from keras_micronet.grid_answers.tasks import KEYPOINTS
from training.datasets.grid_dataset import GridDataset
from training.datasets.made_pictures.backgrounds import draw_background, draw_stroke, lay_over
from training.datasets.made_pictures.made_dataset import made_dataset

_JOINTS = ("head", "hip", "left_hand", "right_hand", "left_foot", "right_foot")
_MOST_STROKES = 2
_SMALLEST, _LARGEST = 0.55, 0.85  # heights as parts of the picture's shorter side
_LARGEST_TURN = 20.0  # degrees
# How far the middle of a figure may be from that of the picture, in parts of the room around it;
# beyond 1 some of it is outside.
_LARGEST_SHIFT = 1.25
_BACKGROUND_CONTRAST = 60.0
_FINENESS = 2  # points a pixel's side of which edges are made

# In parts of the figure's height, from the middle of its body, down and to the right.
_HEAD, _NECK, _SHOULDER, _HIP = (-0.38, 0.0), (-0.28, 0.0), (-0.22, 0.0), (0.1, 0.0)
_HEAD_RADIUS, _ARM, _LEG, _THICKNESS, _END_RADIUS = 0.11, 0.34, 0.40, 0.06, 0.05
# Degrees from straight down, outwards.
_ARM_ANGLES, _LEG_ANGLES = (20.0, 150.0), (8.0, 45.0)


def load_figures(image_size: tuple[int, int], channels: int = 3) -> GridDataset:
    """Pictures with one figure each, of which training has as many as it wants.

    Args:
        image_size: height and width of the pictures, in pixels, at least 32.
        channels: 1 for gray, 3 for RGB.

    Returns:
        A `GridDataset` for keypoints with 6 joints; of some figures a part is outside of the
        picture.

    Raises:
        ValueError: if the pictures are too small.
    """
    return made_dataset("shapes", KEYPOINTS, image_size, channels, _JOINTS, _draw)


def _draw(random, part, image_size, channels):
    picture = draw_background(random, image_size, channels, _BACKGROUND_CONTRAST)
    for _ in range(random.randint(_MOST_STROKES + 1)):
        draw_stroke(picture, random)
    height = min(image_size) * random.uniform(_SMALLEST, _LARGEST)
    room = (np.array(image_size) - height) / 2
    middle = np.array(image_size) / 2 + room * random.uniform(-_LARGEST_SHIFT, _LARGEST_SHIFT, 2)
    places = middle + height * _turned(_pose(random), random)
    mask = _figure_mask(places, height, image_size)
    lay_over(picture, mask, 0, 0, random)
    joints = places[: len(_JOINTS)]
    inside = ((joints >= 0) & (joints <= image_size)).all(axis=1)
    return picture, np.where(inside[:, np.newaxis], joints, np.nan).astype(np.float32)


def _pose(random):
    """Places of the joints, then of neck and shoulder, down and to the right."""

    def end(start, length, angles, side):
        angle = np.radians(random.uniform(*angles))
        return start[0] + length * np.cos(angle), start[1] + side * length * np.sin(angle)

    hands = [end(_SHOULDER, _ARM, _ARM_ANGLES, side) for side in (1, -1)]
    feet = [end(_HIP, _LEG, _LEG_ANGLES, side) for side in (1, -1)]
    return np.array([_HEAD, _HIP, *hands, *feet, _NECK, _SHOULDER])


def _turned(places, random):
    angle = np.radians(random.uniform(-_LARGEST_TURN, _LARGEST_TURN))
    sine, cosine = np.sin(angle), np.cos(angle)
    return places @ np.array([[cosine, sine], [-sine, cosine]])


def _figure_mask(places, height, image_size):
    """How much of each pixel the figure covers, float32 of the size of the picture."""
    canvas = Image.new("L", (image_size[1] * _FINENESS, image_size[0] * _FINENESS))
    pen = ImageDraw.Draw(canvas)
    scale = height * _FINENESS
    head, hip, left_hand, right_hand, left_foot, right_foot, neck, shoulder = (
        (x * _FINENESS, y * _FINENESS) for y, x in places.tolist()
    )
    thickness = max(1, round(_THICKNESS * scale))
    for line in (
        (neck, hip),
        (shoulder, left_hand),
        (shoulder, right_hand),
        (hip, left_foot),
        (hip, right_foot),
    ):
        pen.line(line, 255, thickness)
    pen.circle(head, _HEAD_RADIUS * scale, 255)
    for place in (left_hand, right_hand, left_foot, right_foot, hip):
        pen.circle(place, _END_RADIUS * scale, 255)
    return np.asarray(canvas.reduce(_FINENESS), np.float32) / 255
