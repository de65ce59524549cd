# SPDX-License-Identifier: Apache-2.0
"""What the C functions of `micronet_objects.h` compute, defined in NumPy.

What is found is defined in `keras_micronet.grid_answers.objects`; here are the tables that a device
has of its model, and the way from cells to pixels of the camera.
"""

import dataclasses
import math

import numpy as np

from keras_micronet.grid_answers import objects as grid_objects
from keras_micronet.grid_answers.objects import CELL, Objects
from tflm.recognition.scores import ONE, probabilities

SIGMOIDS = 256  # one for each int8 value
_LOWEST = -128


@dataclasses.dataclass(frozen=True)
class Grid:
    """The cells of a model, as `micronet_grid` describes them.

    Attributes:
        rows: of the model's output.
        columns: of it.
        answers: of a cell: background and classes, or joints.
        output_stride: side of a cell in pixels of the input.
        input_width: in pixels.
        input_height: in pixels.

    Raises:
        ValueError: if they do not belong together, or are beyond what the C functions take.
    """

    rows: int
    columns: int
    answers: int
    output_stride: int
    input_width: int
    input_height: int

    def __post_init__(self) -> None:
        cells = (self.rows, self.columns)
        sides = (self.input_height, self.input_width)
        fits = self.output_stride in _STRIDES and cells == tuple(
            math.ceil(side / self.output_stride) for side in sides
        )
        if not (fits and min(sides) >= 1 and max(sides) <= _MOST_SIDE):
            raise ValueError(
                f"A grid must have a cell for each of {', '.join(map(str, _STRIDES))} pixels of "
                f"both sides, which must have from 1 to {_MOST_SIDE}. Received: {self}"
            )
        if not 1 <= self.answers <= _MOST_ANSWERS:
            raise ValueError(
                f"A cell must have from 1 to {_MOST_ANSWERS} answers. Received: {self.answers}"
            )

    @property
    def view_of_input(self) -> "View":
        """For places in pixels of the input."""
        return View(0, 0, self.input_width, self.input_height)


_STRIDES = (1, 2, 4, 8, 16, 32)
_MOST_SIDE = 4096
_MOST_ANSWERS = 256


@dataclasses.dataclass(frozen=True)
class View:
    """The part of a camera's frame that became the input, in pixels of the frame.

    Attributes:
        left: how far it is from the frame's left edge.
        top: the same of the upper edge.
        part_width: its width.
        part_height: its height.
    """

    left: int
    top: int
    part_width: int
    part_height: int


def sigmoids(scale: float, zero_point: int) -> np.ndarray:
    """The table that the keypoints of one model need.

    Args:
        scale: of the model's int8 output: real value = scale * (integer - zero point).
        zero_point: of it.

    Returns:
        uint16 array (256,): the sigmoid of the real value of each integer from -128 to 127, in Q15,
        rounded.

    Raises:
        ValueError: if the scale is not positive and finite.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"An output's scale must be positive and finite. Received: scale={scale}")
    reals = float(scale) * (np.arange(_LOWEST, _LOWEST + SIGMOIDS) - zero_point)
    # 1 / (1 + exp(-real)) without overflow.
    return np.round((1 + np.tanh(reals / 2)) / 2 * ONE).astype(np.uint16)


def find_objects(
    scores: np.ndarray,
    grid: Grid,
    table: np.ndarray,
    thresholds: np.ndarray,
    view: View,
    most_objects: int,
) -> Objects:
    """What `micronet_find_objects` finds.

    Args:
        scores: int8 array (rows, columns, classes + 1), index 0 the background.
        grid: of the model.
        table: `scores.exponentials` of the output's scale.
        thresholds: integers (classes,) in Q15, at least 1.
        view: where the input is in the camera's frame.
        most_objects: how many are kept, the most probable ones.

    Returns:
        `Objects` whose places and sizes are in pixels of the camera's frame.
    """
    chances = probabilities(scores, table)
    return in_frame(grid_objects.find_objects(chances, thresholds, most_objects), grid, view)


def find_keypoints(
    scores: np.ndarray, grid: Grid, table: np.ndarray, thresholds: np.ndarray, view: View
) -> Objects:
    """What `micronet_find_keypoints` finds; arguments as for `find_objects`.

    Args:
        scores: int8 array (rows, columns, joints).
        grid: of the model.
        table: `sigmoids` of the output.
        thresholds: integers (joints,) in Q15, at least 1.
        view: where the input is in the camera's frame.
    """
    chances = table[scores.astype(np.int64) - _LOWEST]
    return in_frame(grid_objects.find_keypoints(chances, thresholds), grid, view)


def class_map(scores: np.ndarray) -> np.ndarray:
    """What `micronet_class_map` writes: the answer of each cell with the highest score.

    Args:
        scores: int8 array (rows, columns, classes + 1), index 0 the background.

    Returns:
        uint8 array (rows, columns); of equal answers the first.
    """
    return scores.argmax(axis=-1).astype(np.uint8)


def in_frame(objects: Objects, grid: Grid, view: View) -> Objects:
    """Objects with places and sizes in pixels of a camera's frame instead of cells in Q8.

    Rounded, halves up. A centre stays within the view, which the last cells may reach beyond.
    """

    def pixels(cells, part, side):
        side = side * CELL
        return (cells.astype(np.int64) * grid.output_stride * part + side // 2) // side

    def place(cells, start, part, side):
        return (start + np.minimum(pixels(cells, part, side), part)).astype(np.int32)

    across = (view.part_width, grid.input_width)
    down = (view.part_height, grid.input_height)
    return dataclasses.replace(
        objects,
        x=place(objects.x, view.left, *across),
        y=place(objects.y, view.top, *down),
        width=pixels(objects.width, *across).astype(np.int32),
        height=pixels(objects.height, *down).astype(np.int32),
    )
