# SPDX-License-Identifier: Apache-2.0
"""What the functions of `micronet_objects.h` need of one model, as C text."""

import dataclasses

import numpy as np

from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT, TASKS
from tflm.recognition.constants import RecognitionConstants, check_name
from tflm.recognition.objects import Grid, sigmoids
from tflm.recognition.scores import ONE, exponentials
from tflm.sources import c_arrays

MOST_OBJECTS = 64


@dataclasses.dataclass(frozen=True)
class GridReading:
    """How the answers of a model's cells are read.

    Attributes:
        task: one of `keras_micronet.grid_answers.tasks.TASKS`.
        grid: the model's `Grid`.
        scale: of the model's int8 output.
        zero_point: of it.
        thresholds: in Q15, from 1 to 32768: one for each class or joint; none for segmentation.
        most_objects: how many are found at most, for detection; at least 1.

    Raises:
        ValueError: if one is outside of its range, or there are too few or too many thresholds.
    """

    task: str
    grid: Grid
    scale: float
    zero_point: int
    thresholds: tuple[int, ...] = ()
    most_objects: int = MOST_OBJECTS

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"A task must be one of {', '.join(TASKS)}. Received: {self.task!r}")
        answers = self.grid.answers
        if self.task != KEYPOINTS and answers < 2:
            raise ValueError(
                "A cell must have background and at least 1 class among its answers. "
                f"Received: {answers} answers"
            )
        count = {DETECT: answers - 1, SEGMENT: 0, KEYPOINTS: answers}[self.task]
        if len(self.thresholds) != count:
            raise ValueError(
                f"There must be {count} thresholds for the task {self.task} and {answers} answers. "
                f"Received: {len(self.thresholds)} thresholds"
            )
        if not all(1 <= threshold <= ONE for threshold in self.thresholds):
            raise ValueError(
                f"A threshold must be from 1 to {ONE}. Received: thresholds={self.thresholds}"
            )
        if self.most_objects < 1:
            raise ValueError(
                f"most_objects must be at least 1. Received: most_objects={self.most_objects}"
            )


def grid_constants(name: str, reading: GridReading) -> RecognitionConstants:
    """Writes down how a model's answers are read.

    Args:
        name: what all names of the model begin with, such as "person": then these are
            `PERSON_TASK_DETECT` (or `_SEGMENT`, `_KEYPOINTS`, which no other task defines),
            `PERSON_GRID_ROWS`, `_COLUMNS`, `_ANSWERS`, `person_grid`; for detection
            `person_exponentials`, `person_thresholds` and `PERSON_MOST_OBJECTS`; for keypoints
            `person_sigmoids`, `person_thresholds`.
        reading: `GridReading`.

    Returns:
        `RecognitionConstants`, whose declarations need `micronet_objects.h`.

    Raises:
        ValueError: if the name is none of C.
    """
    check_name(name)
    parts = [_cells(name, reading), *_PARTS[reading.task](name, reading)]
    return RecognitionConstants(*("\n".join(texts) for texts in zip(*parts, strict=True)))


def _cells(name, reading):
    grid, capitals = reading.grid, name.upper()
    sizes = dataclasses.astuple(grid)
    declarations = f"""\
/* What the cells of the output answer: int8 (rows, columns, answers). */
#define {capitals}_TASK_{reading.task.upper()} 1
#define {capitals}_GRID_ROWS {grid.rows}
#define {capitals}_GRID_COLUMNS {grid.columns}
#define {capitals}_GRID_ANSWERS {grid.answers}
extern const micronet_grid {name}_grid;
"""
    definitions = f"const micronet_grid {name}_grid = {{{', '.join(map(str, sizes))}}};\n"
    return declarations, definitions


def _of_detection(name, reading):
    array = f"const uint32_t {name}_exponentials[MICRONET_EXPONENTIALS]"
    table = exponentials(reading.scale).astype(np.int64)
    about = f"exp(-d * {c_arrays.number(reading.scale)}) in Q24 for differences d of two scores"
    yield f"/* {about}. */\nextern {array};\n", f"{array} = {c_arrays.array(table)};\n"
    yield _thresholds(name, reading, "class")
    yield (
        (
            "/* As many objects of an image are kept, the most probable ones. */\n"
            f"#define {name.upper()}_MOST_OBJECTS {reading.most_objects}\n"
        ),
        "",
    )


def _of_keypoints(name, reading):
    array = f"const uint16_t {name}_sigmoids[MICRONET_SIGMOIDS]"
    table = sigmoids(reading.scale, reading.zero_point)
    declaration = f"/* The probability in Q15 of each score, -128 first. */\nextern {array};\n"
    yield declaration, f"{array} = {c_arrays.array(table)};\n"
    yield _thresholds(name, reading, "joint")


def _thresholds(name, reading, what):
    array = f"const uint16_t {name}_thresholds[{len(reading.thresholds)}]"
    about = f"/* The probability in Q15 from which on a {what} counts as found. */"
    values = np.asarray(reading.thresholds, np.int64)
    return f"{about}\nextern {array};\n", f"{array} = {c_arrays.array(values)};\n"


_PARTS = {DETECT: _of_detection, SEGMENT: lambda name, reading: (), KEYPOINTS: _of_keypoints}
