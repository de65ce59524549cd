# SPDX-License-Identifier: Apache-2.0
"""Areas: the class of each cell."""

import dataclasses
import typing

import numpy as np

from keras_micronet.grid_answers.labels import IGNORED, cell_answers
from keras_micronet.grid_answers.quality import CellCounts, cell_counts
from keras_micronet.grid_answers.tasks import SCORE_KEYS, SEGMENT
from tflm.recognition.grid_constants import GridReading
from tflm.report.pictures import Mark, Picture
from tflm.report.style import ACCENT, cell_colors
from tflm.report.tables import table
from tflm.report.verdict import percent
from tflm.tasks.grid_answers import (
    ABOUT_CELLS,
    EXAMPLES,
    MOST_MISTAKES,
    GridAnswers,
    GridTask,
    grid_of,
)
from tflm.tasks.spread import mistakes_first
from tflm.tasks.task import Models, Run
from tflm.verification.grid_cost import compare_grids

_BACKGROUND = "background"
_README = """\
## After the scores

```c
#include "library_recognition.h"

static uint8_t classes[LIBRARY_GRID_ROWS * LIBRARY_GRID_COLUMNS];
static int32_t counts[LIBRARY_GRID_ANSWERS];

library_class_map(scores, classes, counts);
```

`classes` has the class of each cell, 0 for background, 1 for `library_class_names[0]` and so on;
`counts` how many cells each has, which tells areas. `micronet_objects.h` tells more.
"""
_ARDUINO = """\
  static uint8_t classes[LIBRARY_GRID_ROWS * LIBRARY_GRID_COLUMNS];
  static int32_t counts[LIBRARY_GRID_ANSWERS];
  library_class_map(scores, classes, counts);
  for (int32_t i = 1; i < LIBRARY_GRID_ANSWERS; ++i) {
    Serial.print(library_class_names[i - 1]);
    Serial.print(": cells ");
    Serial.println(counts[i]);
  }
"""
_HELPER = """\
/* The class of each cell of this model's output: micronet_class_map with what belongs to the model.
 *
 * scores: the model's output.
 * classes: LIBRARY_GRID_ROWS * LIBRARY_GRID_COLUMNS of them, row after row; 0 for background.
 * counts: LIBRARY_GRID_ANSWERS of them: how many cells each has. */
static inline void library_class_map(const int8_t *scores, uint8_t *classes, int32_t *counts) {
  micronet_class_map(scores, &library_grid, classes, counts);
}
"""


@dataclasses.dataclass(frozen=True)
class SegmentationAnswers(GridAnswers):
    """See `GridAnswers`.

    Attributes:
        float_cells: `CellCounts` of the float model on the test images.
        int8_cells: the same of the device.
    """

    float_cells: CellCounts
    int8_cells: CellCounts

    measure = "mean IoU"
    key = SCORE_KEYS[SEGMENT]
    questions = "cells"
    marks = "coloured cells are of a class, those with a cross are wrong"

    @property
    def about(self) -> str:
        """See `TaskAnswers`."""
        classes = "1 class" if self.classes == 1 else f"{self.classes} classes"
        return f"areas of {classes} in {self.cells}"

    def warnings(self) -> typing.Iterable[str]:
        """See `TaskAnswers`."""
        given = np.flatnonzero(self.int8_cells.confusion.sum(axis=(0, 1)))
        if len(given) == 1:
            name = (_BACKGROUND, *self.class_names)[given[0]]
            yield f"the device gives the class {name} to every cell of every test image"

    def class_table(self) -> str:
        """See `GridAnswers`."""
        heads = ("class", "cells", "IoU, float", "IoU, int8")
        both = self.float_cells, self.int8_cells
        there = both[0].confusion.sum(axis=(0, 2))
        rows = [
            (name, int(there[index]), *(_percent(counts.iou[index]) for counts in both))
            for index, name in enumerate((_BACKGROUND, *self.class_names))
        ]
        return f"""{table(heads, rows, heads[2:])}

IoU is the intersection of the cells of a class and of those that are taken for it, divided by their
union; a cell's class is that of most of its pixels."""

    def class_figures(self) -> list[dict[str, typing.Any]]:
        """See `GridAnswers`."""
        there = self.float_cells.confusion.sum(axis=(0, 2))
        return [
            {
                "name": name,
                "there": int(there[index]),
                "float": {"iou": _number(self.float_cells.iou[index])},
                "int8": {"iou": _number(self.int8_cells.iou[index])},
            }
            for index, name in enumerate((_BACKGROUND, *self.class_names))
        ]


def _percent(part):
    return "" if np.isnan(part) else percent(part)


def _number(part):
    return None if np.isnan(part) else float(part)


class Segmentation(GridTask):
    """See `task.Task`."""

    name = SEGMENT
    measure = SegmentationAnswers.measure
    about_output = ABOUT_CELLS.format(
        activation="softmax", names="those of the classes; answer 0 is the\n * background"
    )
    readme, arduino, helper = _README, _ARDUINO, _HELPER

    def is_there(self, labels: np.ndarray, class_count: int) -> np.ndarray:
        """See `GridTask`."""
        return np.stack(
            [(labels == number).any(axis=(1, 2)) for number in range(1, class_count + 1)], axis=1
        )

    def compare(self, run: Run, models: Models) -> SegmentationAnswers:
        """See `Task`."""
        images, class_count = run.test.images, len(run.class_names)
        outputs = models.outputs(images)
        grid = grid_of(images, outputs)
        there = np.stack(
            [
                cell_answers(SEGMENT, label, images.shape[1:3], grid.output_stride, class_count)
                for label in run.test.labels
            ]
        )
        float_answers = models.float_probabilities(images).argmax(axis=-1)
        int8_answers = outputs.argmax(axis=-1)
        own_answers = models.own_probabilities(images).argmax(axis=-1)
        float_cells, int8_cells, own_cells = (
            cell_counts(answers, there, class_count)
            for answers in (float_answers, int8_answers, own_answers)
        )
        return SegmentationAnswers(
            class_names=run.class_names,
            reading=GridReading(
                SEGMENT, grid, float(models.output.scale[0]), int(models.output.zero_point[0])
            ),
            cost=compare_grids(float_cells, int8_cells, float_answers, int8_answers),
            own_value=own_cells.mean_iou,
            float_run_value=run.float_test_value,
            examples=_examples(run, grid, there, (float_answers, int8_answers)),
            float_cells=float_cells,
            int8_cells=int8_cells,
        )


def _examples(run, grid, there, both):
    counted = there != IGNORED
    is_right = ((both[1] == there) | ~counted).all(axis=(1, 2))
    return tuple(
        _picture(run, grid, title, answers[index], there[index], index)
        for index in mistakes_first(is_right, EXAMPLES, MOST_MISTAKES)
        for title, answers in zip(("float", "int8"), both, strict=True)
    )


def _picture(run, grid, title, answers, there, index):
    counted = there != IGNORED
    is_wrong = (answers != there) & counted
    right = int((counted & ~is_wrong).sum())
    text = f"{title}: {right} of {counted.sum()} cells"
    return Picture(
        run.test.images[index],
        text,
        right == counted.sum(),
        marks=tuple(_cross(cell, grid.output_stride) for cell in np.argwhere(is_wrong)),
        cells=cell_colors(answers),
        cell_pixels=grid.output_stride,
    )


def _cross(cell, pixels):
    y, x = (cell + 0.5) * pixels
    return Mark(y, x, y, x, ACCENT, "x")
