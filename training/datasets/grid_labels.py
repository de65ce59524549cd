# SPDX-License-Identifier: Apache-2.0
"""How labels of what is where follow their picture when a part of it is cut out, resized, flipped.

Places are in pixels from the picture's upper left corner, so that a picture 8 pixels wide ends at
8; the middle of its first pixel is at one half.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from keras_micronet.grid_answers.labels import NO_OBJECT
from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT

# What is hardly to be seen any more cannot be learnt.
SMALLEST_VISIBLE_PART = 0.3

_SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}
# A whole word, or "left" and "right" anywhere, as in "leftEye".
_SIDE = re.compile(r"left|right|(?<![a-z])[lr](?![a-z])", re.IGNORECASE)


def cut_label(
    task: str, label: np.ndarray, part: Sequence[int], image_size: tuple[int, int]
) -> np.ndarray:
    """The label of a part of a picture that is cut out and resized.

    Objects of which less than `SMALLEST_VISIBLE_PART` of the area is inside are dropped, the boxes
    of others are clipped; joints outside are not there; masks take their nearest pixel.

    Args:
        task: one of `keras_micronet.grid_answers.tasks.TASKS`.
        label: of one picture, see `keras_micronet.grid_answers.labels`; without empty rows.
        part: top, left, height and width of the part, in whole pixels inside the picture.
        image_size: height and width of the result, in pixels.

    Returns:
        The label in pixels of the result, of the same type.
    """
    return _CUTS[task](label, [int(each) for each in part], image_size)


def _cut_boxes(label, part, image_size):
    top, left, height, width = part
    origin, sides = np.array([top, left] * 2), np.array([height, width] * 2)
    boxes = label[:, 1:].astype(np.float64)
    inside = np.clip(boxes, origin, origin + sides)
    is_visible = _areas(inside) >= SMALLEST_VISIBLE_PART * _areas(boxes)
    moved = (inside - origin) * (np.array([*image_size, *image_size]) / sides)
    kept = np.concatenate([label[:, :1], moved], axis=1)[is_visible & (_areas(moved) > 0)]
    return kept.astype(np.float32)


def _areas(boxes):
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)


def _cut_mask(label, part, image_size):
    top, left, height, width = part
    mask = label[top : top + height, left : left + width]
    if mask.shape == tuple(image_size):
        return mask
    resized = Image.fromarray(mask).resize(image_size[::-1], Image.Resampling.NEAREST)
    return np.array(resized)


def _cut_joints(label, part, image_size):
    top, left, height, width = part
    inside = ((label >= (top, left)) & (label <= (top + height, left + width))).all(axis=-1)
    moved = (label - (top, left)) * (np.array(image_size) / (height, width))
    return np.where(inside[:, np.newaxis], moved, np.nan).astype(np.float32)


def flip_label(
    task: str, label: np.ndarray, image_size: tuple[int, int], joint_order: Sequence[int]
) -> np.ndarray:
    """The label of an image whose left and right are exchanged.

    Args:
        task, label: as for `cut_label`.
        image_size: height and width of the image, in pixels.
        joint_order: what `mirrored_joints` returns, for keypoints.

    Returns:
        A label of the same type and shape.
    """
    return _FLIPS[task](label, image_size[1], joint_order)


def _flip_boxes(label, width, _):
    classes, top, left, bottom, right = label.T
    return np.stack([classes, top, width - right, bottom, width - left], axis=1).astype(np.float32)


def _flip_mask(label, *_):
    return label[:, ::-1]


def _flip_joints(label, width, joint_order):
    flipped = label[list(joint_order)]
    return np.stack([flipped[:, 0], width - flipped[:, 1]], axis=1).astype(np.float32)


_Cut = Callable[[np.ndarray, list[int], tuple[int, int]], np.ndarray]
_CUTS: dict[str, _Cut] = {DETECT: _cut_boxes, SEGMENT: _cut_mask, KEYPOINTS: _cut_joints}
_FLIPS = {DETECT: _flip_boxes, SEGMENT: _flip_mask, KEYPOINTS: _flip_joints}


def mirrored_joints(names: Sequence[str]) -> tuple[int, ...]:
    """Which joint each one is in a mirror: the left hand's place is then that of the right one.

    Args:
        names: of the joints. A name says a side by "left", "right", or the letter l or r alone:
            `left_hand`, `rightEye`, `hand-l`.

    Returns:
        For each joint the index of that whose name has the other side, or its own.

    Raises:
        ValueError: if a name says "left" or "right" and no other one is its counterpart.
    """
    numbers = {name.lower(): number for number, name in enumerate(names)}
    order, alone = [], []
    for number, name in enumerate(names):
        other = _SIDE.sub(lambda side: _SIDES[side[0].lower()], name.lower())
        order.append(numbers.get(other, number))
        if other not in numbers and re.search("left|right", name, re.IGNORECASE):
            alone.append(name)
    if alone:
        raise ValueError(
            "a joint whose name says left or right must have a counterpart to be flipped: rename "
            f"it, or train without horizontal flips. Received: {', '.join(alone)} without one"
        )
    return tuple(order)


def padded_labels(task: str, labels: Sequence[np.ndarray], most_objects: int) -> np.ndarray:
    """Labels of several images of one size as one array, see `keras_micronet.grid_answers.labels`.

    Args:
        task: one of `keras_micronet.grid_answers.tasks.TASKS`.
        labels: of each image, without empty rows.
        most_objects: rows of each image for detection.
    """
    if task != DETECT:
        return np.stack(labels)
    padded = np.zeros((len(labels), most_objects, 5), np.float32)
    padded[..., 0] = NO_OBJECT
    for image, label in zip(padded, labels, strict=True):
        image[: len(label)] = label
    return padded
