# SPDX-License-Identifier: Apache-2.0
"""What is there, as people label it, and as the cells of a grid are to answer it.

Each task has one array of labels for its images, places in pixels of the image that the model
takes:

| task | labels |
|---|---|
| `detect` | float32 `(images, most objects, 5)`: class from 0 on, top, left, bottom, right; rows \
of an image that has fewer objects begin with -1 |
| `segment` | uint8 `(images, height, width)`: 0 for background, 1 to `classes` for classes, 255 \
for what counts as neither |
| `keypoints` | float32 `(images, joints, 2)`: y, x; not a number for a joint that is not there |
"""

import math
from collections.abc import Sequence

import numpy as np

from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT, TASKS

IGNORED = 255
NO_OBJECT = -1
_LEAST_SHARE = 0.05  # of a cell's answer: less tells nothing


def label_misfit(
    task: str,
    labels: np.ndarray,
    image_count: int,
    image_size: Sequence[int],
    class_count: int,
) -> str | None:
    """What is wrong with labels of so many images, as a sentence; `None` if they fit."""
    labels = np.asarray(labels)
    most_objects = labels.shape[1] if labels.ndim == 3 else "most objects"
    shape = (
        image_count,
        *{
            DETECT: (most_objects, 5),
            SEGMENT: tuple(image_size),
            KEYPOINTS: (class_count, 2),
        }[task],
    )
    kind = "uint8" if task == SEGMENT else "floats"
    type_fits = np.issubdtype(labels.dtype, np.uint8 if task == SEGMENT else np.floating)
    if labels.shape != shape or not type_fits:
        described = ", ".join(map(str, shape))
        return (
            f"the labels must be {kind} of shape ({described}) for the task {task}. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    return _CHECKS[task](labels, class_count)


def _detect_misfit(labels, class_count):
    classes, boxes = labels[..., 0], labels[..., 1:]
    there = classes != NO_OBJECT
    known = np.isin(classes, np.arange(NO_OBJECT, class_count))
    if not known.all():
        return (
            f"classes of objects must be whole numbers from 0 to {class_count - 1}, or "
            f"{NO_OBJECT} for no object. Received: class {classes[~known][0]}"
        )
    boxes = boxes[there]
    is_box = np.isfinite(boxes).all(axis=-1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=-1)
    if not is_box.all():
        return (
            "boxes must be finite, each bottom below its top and right beyond its left. "
            f"Received: {boxes[~is_box][0].tolist()}"
        )
    return None


def _segment_misfit(labels, class_count):
    unknown = labels[(labels > class_count) & (labels != IGNORED)]
    if len(unknown):
        return (
            f"masks must hold numbers from 0 to {class_count}, or {IGNORED}. Received: {unknown[0]}"
        )
    return None


def _keypoints_misfit(labels, class_count):
    if np.isinf(labels).any():
        return "joints must be finite, or not a number if they are not there. Received: inf"
    return None


_CHECKS = {DETECT: _detect_misfit, SEGMENT: _segment_misfit, KEYPOINTS: _keypoints_misfit}


def output_stride(image_size: Sequence[int], grid_size: Sequence[int]) -> int:
    """The side of a cell in pixels.

    Args:
        image_size: height and width of the images that a model takes, in pixels.
        grid_size: rows and columns of its answers.

    Raises:
        ValueError: if no power of two from 1 to 32 divides the images into such a grid.
    """
    for stride in (1, 2, 4, 8, 16, 32):
        if tuple(math.ceil(side / stride) for side in image_size) == tuple(grid_size):
            return stride
    raise ValueError(
        "a grid must have a cell for each 1, 2, 4, 8, 16 or 32 pixels of both sides. "
        f"Received: {tuple(grid_size)} cells for {tuple(image_size)} pixels"
    )


def empty_label(task: str, image_size: Sequence[int], class_count: int) -> np.ndarray:
    """The label of an image that shows nothing; arguments as for `cell_answers`."""
    labels: dict[str, np.ndarray] = {
        DETECT: np.zeros((0, 5), np.float32),
        SEGMENT: np.zeros(tuple(image_size), np.uint8),
        KEYPOINTS: np.full((class_count, 2), np.nan, np.float32),
    }
    return labels[task]


def cell_answers(
    task: str,
    label: np.ndarray,
    image_size: Sequence[int],
    output_stride: int,
    class_count: int,
    spread: float = 0.0,
) -> np.ndarray:
    """What the cells are to answer to one image, as the losses of this package take it.

    Args:
        task: one of `TASKS`.
        label: the image's entry of the labels.
        image_size: its height and width in pixels.
        output_stride: side of a cell in pixels.
        class_count: number of classes, or of joints.
        spread: of objects and joints over the cells around their own, a standard deviation in
            cells. With 0 the cell that a centre is in answers alone, although the one beside it may
            be a pixel away.

    Returns:
        For detection and segmentation int32 `(rows, columns)`: 0 for background, 1 to
        `class_count` for the class of the object whose centre is in the cell (of several, of the
        smallest), or of most of the cell's pixels that are not ignored, `IGNORED` if all are; for
        keypoints float32 `(rows, columns, joints)`, 1 in the cell of the joint.

        With a spread float32 `(rows, columns, class_count + 1)` for detection, shares of one, the
        background first: 1 in the cell whose middle is nearest to a centre, less in those around;
        for keypoints likewise.

    Raises:
        ValueError: if the task is none, or segmentation is to be spread.
    """
    if task not in TASKS:
        raise ValueError(f"`task` must be one of {', '.join(TASKS)}. Received: task={task!r}")
    if spread and task == SEGMENT:
        raise ValueError(f"`spread` must be 0 for the task {task}. Received: spread={spread}")
    label = np.asarray(label)
    shape = tuple(math.ceil(side / output_stride) for side in image_size)
    if spread and task == DETECT:
        return _spread_objects(label, shape, image_size, output_stride, class_count, spread)
    if spread:
        return _spread_joints(label, shape, output_stride, spread)
    return _ANSWERS[task](label, shape, image_size, output_stride, class_count)


def _spread_objects(label, shape, image_size, stride, class_count, spread):
    shares = np.zeros((*shape, class_count + 1), np.float32)
    for each in label[label[:, 0] != NO_OBJECT]:
        place = _visible_centre(each, image_size)
        if _cell(place, shape, stride) is not None:
            mine = shares[..., 1 + int(each[0])]
            np.maximum(mine, _bump(place, shape, stride, spread), out=mine)
    # Where objects of several classes meet, they share the cell.
    shares /= np.maximum(shares.sum(axis=-1, keepdims=True), 1.0)
    shares[..., 0] = 1.0 - shares[..., 1:].sum(axis=-1)
    return shares


def _spread_joints(label, shape, stride, spread):
    maps = [
        np.zeros(shape)
        if _cell(place, shape, stride) is None
        else _bump(place, shape, stride, spread)
        for place in label
    ]
    return np.stack(maps, axis=-1).astype(np.float32)


def _bump(place, shape, stride, spread):
    """A Gaussian around a place, 1 in the cell whose middle is nearest to it."""
    squares = [
        np.square(np.arange(cells) + 0.5 - side / stride)
        for cells, side in zip(shape, place, strict=True)
    ]
    distances = np.add.outer(*squares)
    bump = np.exp((distances.min() - distances) / (2 * spread**2))
    return np.where(bump < _LEAST_SHARE, 0.0, bump)


def _detect_answers(label, shape, image_size, stride, class_count):
    answers = np.zeros(shape, np.int32)
    objects = label[label[:, 0] != NO_OBJECT]
    # Largest first, so that the smallest stays where two have their centres in one cell.
    areas = (objects[:, 3] - objects[:, 1]) * (objects[:, 4] - objects[:, 2])
    for each in objects[np.argsort(-areas, kind="stable")]:
        cell = _cell(_visible_centre(each, image_size), shape, stride)
        if cell is not None:
            answers[cell] = int(each[0]) + 1
    return answers


def _visible_centre(each, image_size):
    """y and x of the middle of what is visible: a box may reach beyond the picture."""
    return (np.maximum(each[1:3], 0) + np.minimum(each[3:5], image_size)) / 2


def _segment_answers(label, shape, image_size, stride, class_count):
    (rows, columns), (height, width) = shape, image_size
    padded = np.full((rows * stride, columns * stride), IGNORED, np.uint8)
    padded[:height, :width] = label
    cells = padded.reshape(rows, stride, columns, stride).transpose(0, 2, 1, 3)
    cells = cells.reshape(rows, columns, -1)
    votes = np.stack([(cells == number).sum(axis=-1) for number in range(class_count + 1)], -1)
    return np.where(votes.any(axis=-1), votes.argmax(axis=-1), IGNORED).astype(np.int32)


def _keypoints_answers(label, shape, image_size, stride, class_count):
    answers = np.zeros((*shape, class_count), np.float32)
    for joint, place in enumerate(label):
        cell = _cell(place, shape, stride)
        if cell is not None:
            answers[(*cell, joint)] = 1.0
    return answers


def _cell(place, shape, stride):
    """Row and column of the cell that a place is in, or `None` outside of the picture."""
    y, x = place
    if not (0 <= y <= shape[0] * stride and 0 <= x <= shape[1] * stride):  # nor not a number
        return None
    return min(int(y // stride), shape[0] - 1), min(int(x // stride), shape[1] - 1)


_ANSWERS = {DETECT: _detect_answers, SEGMENT: _segment_answers, KEYPOINTS: _keypoints_answers}
