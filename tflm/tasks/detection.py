# SPDX-License-Identifier: Apache-2.0
"""Objects by their centres, and how many there are."""

import dataclasses
import typing

import numpy as np

from keras_micronet.grid_answers.labels import NO_OBJECT
from keras_micronet.grid_answers.objects import find_in_images
from keras_micronet.grid_answers.quality import detection_counts, matched_rows, precision_recall
from keras_micronet.grid_answers.tasks import DETECT, SCORE_KEYS
from tflm.graph.graph import Quantization
from tflm.recognition.grid_constants import MOST_OBJECTS
from tflm.recognition.objects import Grid
from tflm.recognition.scores import exponentials, probabilities
from tflm.report.tables import table
from tflm.report.verdict import percent
from tflm.tasks.found_answers import FoundAnswers, FoundTask, Judge, ModelFound
from tflm.tasks.grid_answers import ABOUT_CELLS

_README = """\
## After the scores

```c
#include "library_recognition.h"

static uint32_t memory[MICRONET_FIND_OBJECTS_BYTES(LIBRARY_GRID_COLUMNS) / 4];
static micronet_object objects[LIBRARY_MOST_OBJECTS];

/* Where the image is in the camera's frame: left, top, width, height in its pixels. */
const micronet_view view = {0, 0, LIBRARY_INPUT_WIDTH, LIBRARY_INPUT_HEIGHT};
const int32_t count = library_find_objects(scores, &view, memory, objects);
for (int32_t i = 0; i < count; ++i) {
  const char *name = library_class_names[objects[i].class_index]; /* at objects[i].x, .y */
}
```

The most probable object is the first; `count` is how many there are. `micronet_objects.h` tells
more; all of it is integers, without a heap. `report.md` says how the thresholds were chosen, and
how many objects they find and invent.
"""
_ARDUINO = """\
  static uint32_t memory[MICRONET_FIND_OBJECTS_BYTES(LIBRARY_GRID_COLUMNS) / 4];
  static micronet_object objects[LIBRARY_MOST_OBJECTS];
  const micronet_image_resizer *part = camera_example_resizer();
  const micronet_view view = {part->left, part->top, part->part_width, part->part_height};
  const int32_t count = library_find_objects(scores, &view, memory, objects);
  for (int32_t i = 0; i < count; ++i) {
    Serial.print(library_class_names[objects[i].class_index]);
    Serial.print(" at ");
    Serial.print(objects[i].x);
    Serial.print(", ");
    Serial.println(objects[i].y);
  }
"""
_HELPER = """\
/* The objects that this model's scores show, the most probable first, in pixels of the camera's
 * frame: micronet_find_objects with what belongs to the model.
 *
 * scores: the model's output.
 * view: where the input is in the frame.
 * memory: MICRONET_FIND_OBJECTS_BYTES(LIBRARY_GRID_COLUMNS), at a multiple of 4 bytes.
 * objects: LIBRARY_MOST_OBJECTS of them.
 * Returns how many were found. */
static inline int32_t library_find_objects(
    const int8_t *scores, const micronet_view *view, void *memory, micronet_object *objects) {
  return micronet_find_objects(
      scores, &library_grid, library_exponentials, library_thresholds, view, memory, objects,
      LIBRARY_MOST_OBJECTS);
}
"""


@dataclasses.dataclass(frozen=True)
class DetectionAnswers(FoundAnswers):
    """See `FoundAnswers`."""

    measure = "mean F1"
    key = SCORE_KEYS[DETECT]
    questions = "cells"
    marks = "rings are right objects, crosses invented ones, dashed boxes missed ones"
    thing, a_thing, class_word = "object", "an object", "class"

    @property
    def about(self) -> str:
        """See `TaskAnswers`."""
        return f"objects of {_classes(self.classes)} by their centres in {self.cells}"

    def class_table(self) -> str:
        """See `GridAnswers`."""
        heads = ("class", "objects", "F1, float", "F1, int8", "count error, float", "int8")
        both = self.float_found.test, self.int8_found.test
        rows: list[tuple[str | int, ...]] = [
            (
                name,
                int(both[0].there[:, index].sum()),
                *(percent(counts.f1[index]) for counts in both),
                *(f"{counts.count_error[index]:.2f}" for counts in both),
            )
            for index, name in enumerate(self.class_names)
        ]
        return f"""{table(heads, rows, heads[2:])}

The count error is by how many objects the count of an image is wrong, the mean of all images. Found
objects are matched one to one with the boxes that their centres are in."""

    def _figures_of(self, found: ModelFound, index: int) -> dict[str, typing.Any]:
        return {
            "f1": float(found.test.f1[index]),
            "precision": float(found.test.precision[index]),
            "recall": float(found.test.recall[index]),
            "count_error": float(found.test.count_error[index]),
        }


def _classes(count):
    return "1 class" if count == 1 else f"{count} classes"


class Detection(FoundTask):
    """See `task.Task`."""

    name = DETECT
    measure = DetectionAnswers.measure
    about_output = ABOUT_CELLS.format(
        activation="softmax", names="those of the classes; answer 0 is the\n * background"
    )
    readme, arduino, helper = _README, _ARDUINO, _HELPER
    answers = DetectionAnswers

    def is_there(self, labels: np.ndarray, class_count: int) -> np.ndarray:
        """See `GridTask`."""
        return (labels[..., :1] == np.arange(class_count)).any(axis=1)

    def read(self, outputs: np.ndarray, quantization: Quantization) -> np.ndarray:
        """See `FoundTask`."""
        return probabilities(outputs, exponentials(float(quantization.scale[0])))

    def judge(self, grid: Grid) -> Judge:
        """See `FoundTask`."""
        return _DetectionJudge(grid)

    def places_there(self, label: np.ndarray) -> list[tuple[float, float, float, float]]:
        """See `FoundTask`."""
        return [tuple(each) for each in label[label[:, 0] != NO_OBJECT, 1:].tolist()]


@dataclasses.dataclass(frozen=True)
class _DetectionJudge:
    """See `Judge`."""

    grid: Grid

    @property
    def _place(self):
        return self.grid.output_stride, self.grid.answers - 1

    def find(self, probabilities, thresholds):
        found = find_in_images(probabilities, thresholds)
        return [objects.subset(np.arange(len(objects)) < MOST_OBJECTS) for objects in found]

    def curves(self, found, labels):
        return precision_recall(found, labels, *self._place)

    def counts(self, found, labels):
        return detection_counts(found, labels, *self._place)

    compared = counts

    def value(self, counts):
        return counts.mean_f1

    def matches(self, objects, label):
        rows = matched_rows(objects, label, self.grid.output_stride)
        is_found = np.isin(np.flatnonzero(label[:, 0] != NO_OBJECT), rows)
        return rows >= 0, is_found
