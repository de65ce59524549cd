# SPDX-License-Identifier: Apache-2.0
"""From the answers of a grid's cells to objects: the definition that devices compute, too.

All of it is integers, so that training, exports and firmware find the same. Probabilities are in
Q15: `PROBABILITY_ONE` is 1. Places are in cells in Q8: `CELL` is the side of a cell, 0 the upper
or left edge of the first.
"""

import dataclasses
from typing import Self

import numpy as np

PROBABILITY_ONE = 2**15
CELL = 2**8
_NEIGHBOURS = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1))


@dataclasses.dataclass(frozen=True)
class Objects:
    """What was found in one image: arrays with an entry for each object, the most probable first.

    Attributes:
        classes: int32 `(count,)`, from 0 on; background has no number.
        x: int32 `(count,)`, centres from the left edge, in cells in Q8.
        y: the same from the upper edge.
        width: int32 `(count,)`, of the cells that were merged, in cells in Q8; not the object's.
        height: the same of their rows.
        scores: int32 `(count,)`, probabilities in Q15.
    """

    classes: np.ndarray
    x: np.ndarray
    y: np.ndarray
    width: np.ndarray
    height: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    def subset(self, which: np.ndarray) -> Self:
        """Some of them, by a mask or by indices."""
        values = (getattr(self, field.name)[which] for field in dataclasses.fields(self))
        return type(self)(*values)


def quantized_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Floats from 0 to 1 in Q15, rounded, as `find_objects` and `find_keypoints` take them."""
    return np.round(np.asarray(probabilities, np.float64) * PROBABILITY_ONE).astype(np.int32)


def find_objects(
    probabilities: np.ndarray, thresholds: np.ndarray, most_objects: int | None = None
) -> Objects:
    """The objects that a grid of classes shows.

    A cell shows an object if its most probable class, the background aside, has at least that
    class's threshold there, and more than in the neighbours before it (above, or at the left in the
    same row) and at least as much as in those behind it: of equal neighbours the first counts. The
    neighbours are merged: the object's centre is the mean of all nine cells' centres, weighted with
    the class's probability; its width and height are those of the cells with the threshold.

    Args:
        probabilities: integers `(rows, columns, classes + 1)` in Q15, index 0 the background.
        thresholds: integers `(classes,)` in Q15, at least 1.
        most_objects: how many are kept, the most probable ones; `None` for all.

    Returns:
        `Objects`; equally probable ones in the order of rows, then columns.
    """
    chances = np.asarray(probabilities, np.int64)[..., 1:]
    best = chances.argmax(axis=-1)  # the first of equal ones
    rows, columns = best.shape
    found = []
    for row, column in np.ndindex(rows, columns):
        chosen = int(best[row, column])
        threshold = int(thresholds[chosen])
        if is_peak(chances[..., chosen], row, column, threshold):
            found.append((chosen, *_merged(chances[..., chosen], row, column, threshold)))
    return _sorted(found, most_objects)


def find_in_images(probabilities: np.ndarray, thresholds: np.ndarray) -> list[Objects]:
    """What `find_objects` finds in each of many images, in a fraction of its time.

    Args:
        probabilities: integers `(images, rows, columns, classes + 1)` in Q15.
        thresholds: integers `(classes,)` in Q15, at least 1.
    """
    chances = np.asarray(probabilities, np.int64)[..., 1:]
    thresholds = np.asarray(thresholds, np.int64)
    best = chances.argmax(axis=-1)
    value = np.take_along_axis(chances, best[..., None], axis=-1)[..., 0]
    image, row, column = np.nonzero(value >= thresholds[best])
    chosen, value = best[image, row, column], value[image, row, column]
    # Below every threshold beyond the edges.
    padded = np.pad(chances, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-1)
    down, right = np.array(_NEIGHBOURS).T
    around = padded[
        image[:, None], row[:, None] + 1 + down, column[:, None] + 1 + right, chosen[:, None]
    ]
    middle = len(_NEIGHBOURS) // 2
    shown = (around[:, :middle] < value[:, None]).all(axis=1)
    shown &= (around[:, middle:] <= value[:, None]).all(axis=1)
    image, row, column, chosen, value, around = (
        each[shown] for each in (image, row, column, chosen, value, around)
    )
    weights = np.maximum(around, 0)
    total = weights.sum(axis=1)
    y, x = (
        place * CELL - CELL // 2 + (weights @ (direction + 1) * CELL + total // 2) // total
        for place, direction in ((row, down), (column, right))
    )
    with_threshold = around >= thresholds[chosen][:, None]
    height, width = (_extents(with_threshold, direction) for direction in (down, right))
    order = np.lexsort((-value, image))  # stable: equal ones in the order of rows, then columns
    values = np.stack([chosen, x, y, width, height, value], axis=-1).astype(np.int32)[order]
    ends = np.bincount(image, minlength=len(chances)).cumsum()
    return [Objects(*each.T) for each in np.split(values, ends[:-1])]


def _extents(cells, direction):
    """How far each row's chosen neighbours reach in a direction, in Q8."""
    first = np.where(cells, direction, 1).min(axis=1)
    last = np.where(cells, direction, -1).max(axis=1)
    return CELL * (1 + last - first)


def find_keypoints(probabilities: np.ndarray, thresholds: np.ndarray) -> Objects:
    """The joints that heatmaps show, each at most once.

    A joint is in the cell where its map is highest, the first of several, if it has the joint's
    threshold there; place and size as in `find_objects`.

    Args:
        probabilities: integers `(rows, columns, joints)` in Q15.
        thresholds: integers `(joints,)` in Q15, at least 1.

    Returns:
        `Objects`, whose classes are joints, in the order of the joints.
    """
    chances = np.asarray(probabilities, np.int64)
    found = []
    for joint in range(chances.shape[-1]):
        heatmap, threshold = chances[..., joint], int(thresholds[joint])
        row, column = divmod(int(heatmap.argmax()), heatmap.shape[1])
        if heatmap[row, column] >= threshold:
            found.append((joint, *_merged(heatmap, row, column, threshold)))
    return _as_objects(found)


def is_peak(chances: np.ndarray, row: int, column: int, threshold: int) -> bool:
    """Whether a cell shows an object of the class whose probabilities `(rows, columns)` are."""
    value = chances[row, column]
    if value < threshold:
        return False
    for down, right in _NEIGHBOURS:
        if not _is_inside(chances, row + down, column + right):
            continue
        neighbour = chances[row + down, column + right]
        is_before = (down, right) < (0, 0)
        if neighbour > value or (is_before and neighbour == value):
            return False
    return True


def _merged(chances, row, column, threshold):
    """Centre, size and score of the object that a cell shows."""
    inside = [
        (down, right, int(chances[row + down, column + right]))
        for down, right in _NEIGHBOURS
        if _is_inside(chances, row + down, column + right)
    ]
    with_threshold = [(down, right) for down, right, value in inside if value >= threshold]
    total = sum(value for *_, value in inside)
    # From the centre of the neighbour before, so that no number is negative.
    y, x = (
        place * CELL
        - CELL // 2
        + (sum((cell[axis] + 1) * cell[2] for cell in inside) * CELL + total // 2) // total
        for axis, place in enumerate((row, column))
    )
    height, width = (
        CELL * (1 + max(cells) - min(cells)) for cells in zip(*with_threshold, strict=True)
    )
    return x, y, width, height, int(chances[row, column])


def _is_inside(chances, row, column):
    return 0 <= row < chances.shape[0] and 0 <= column < chances.shape[1]


def _sorted(found, most_objects):
    objects = _as_objects(found)
    order = np.argsort(-objects.scores, kind="stable")
    return objects.subset(order[:most_objects])


def _as_objects(found):
    values = np.asarray(found, np.int32).reshape(-1, 6)
    return Objects(*values.T)
