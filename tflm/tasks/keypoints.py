# SPDX-License-Identifier: Apache-2.0
"""Joints, each where its heatmap is highest."""

import dataclasses
import typing

import numpy as np

from keras_micronet.grid_answers.objects import find_keypoints
from keras_micronet.grid_answers.quality import (
    KEYPOINT_TOLERANCE,
    DetectionCounts,
    joint_counts,
    joint_precision_recall,
)
from keras_micronet.grid_answers.tasks import KEYPOINTS, SCORE_KEYS
from tflm.graph.graph import Quantization
from tflm.recognition.objects import Grid, sigmoids
from tflm.report.tables import table
from tflm.report.verdict import percent
from tflm.tasks.found_answers import FoundAnswers, FoundTask, Judge, ModelFound
from tflm.tasks.grid_answers import ABOUT_CELLS

_README = """\
## After the scores

```c
#include "library_recognition.h"

static micronet_object joints[LIBRARY_GRID_ANSWERS];

/* Where the image is in the camera's frame: left, top, width, height in its pixels. */
const micronet_view view = {0, 0, LIBRARY_INPUT_WIDTH, LIBRARY_INPUT_HEIGHT};
const int32_t count = library_find_keypoints(scores, &view, joints);
for (int32_t i = 0; i < count; ++i) {
  const char *name = library_class_names[joints[i].class_index]; /* at joints[i].x, .y */
}
```

Joints that are not probable enough are left out. `micronet_objects.h` tells more; all of it is
integers, without a heap. `report.md` says how the thresholds were chosen, and how many joints they
find.
"""
_ARDUINO = """\
  static micronet_object joints[LIBRARY_GRID_ANSWERS];
  const micronet_image_resizer *part = camera_example_resizer();
  const micronet_view view = {part->left, part->top, part->part_width, part->part_height};
  const int32_t count = library_find_keypoints(scores, &view, joints);
  for (int32_t i = 0; i < count; ++i) {
    Serial.print(library_class_names[joints[i].class_index]);
    Serial.print(" at ");
    Serial.print(joints[i].x);
    Serial.print(", ");
    Serial.println(joints[i].y);
  }
"""
_HELPER = """\
/* The joints that this model's scores show, in pixels of the camera's frame:
 * micronet_find_keypoints with what belongs to the model.
 *
 * scores: the model's output.
 * view: where the input is in the frame.
 * joints: LIBRARY_GRID_ANSWERS of them.
 * Returns how many were found. */
static inline int32_t library_find_keypoints(
    const int8_t *scores, const micronet_view *view, micronet_object *joints) {
  return micronet_find_keypoints(
      scores, &library_grid, library_sigmoids, library_thresholds, view, joints);
}
"""


@dataclasses.dataclass(frozen=True)
class KeypointAnswers(FoundAnswers):
    """See `FoundAnswers`."""

    measure = "PCK"
    key = SCORE_KEYS[KEYPOINTS]
    questions = "joints"
    marks = "rings are joints near their places, crosses others, plus signs missed ones"
    thing, a_thing, class_word = "joint", "a joint", "joint"

    @property
    def about(self) -> str:
        """See `TaskAnswers`."""
        joints = "1 joint" if self.classes == 1 else f"{self.classes} joints"
        return f"{joints} by heatmaps of {self.cells}"

    def class_table(self) -> str:
        """See `GridAnswers`."""
        heads = ("joint", "there", "PCK, float", "PCK, int8")
        both = self.float_found.test, self.int8_found.test
        rows: list[tuple[str | int, ...]] = [
            (
                name,
                int(both[0].there[:, index].sum()),
                *(percent(counts.recall[index]) for counts in both),
            )
            for index, name in enumerate(self.class_names)
        ]
        return f"""{table(heads, rows, heads[2:])}

PCK is the part of the joints there that are found at most {KEYPOINT_TOLERANCE:.0%} of the image's
longer side from their places."""

    def _figures_of(self, found: ModelFound, index: int) -> dict[str, typing.Any]:
        return {
            "pck": float(found.test.recall[index]),
            "precision": float(found.test.precision[index]),
        }


class Keypoints(FoundTask):
    """See `task.Task`."""

    name = KEYPOINTS
    measure = KeypointAnswers.measure
    about_output = ABOUT_CELLS.format(activation="sigmoid", names="those of the joints")
    readme, arduino, helper = _README, _ARDUINO, _HELPER
    answers = KeypointAnswers

    def questions(self, outputs: np.ndarray) -> np.ndarray:
        """See `Task`: in which cell is the joint?"""
        images, *_, joints = outputs.shape
        return outputs.reshape(images, -1, joints).swapaxes(1, 2)

    def is_there(self, labels: np.ndarray, class_count: int) -> np.ndarray:
        """See `GridTask`."""
        return np.isfinite(labels).all(axis=-1)

    def read(self, outputs: np.ndarray, quantization: Quantization) -> np.ndarray:
        """See `FoundTask`."""
        scale, zero_point = float(quantization.scale[0]), int(quantization.zero_point[0])
        return sigmoids(scale, zero_point)[outputs.astype(np.int64) - np.iinfo(np.int8).min]

    def judge(self, grid: Grid) -> Judge:
        """See `FoundTask`."""
        return _KeypointJudge(grid)

    def places_there(self, label: np.ndarray) -> list[tuple[float, float, float, float]]:
        """See `FoundTask`."""
        return [(y, x, y, x) for y, x in label[np.isfinite(label).all(axis=-1)].tolist()]


@dataclasses.dataclass(frozen=True)
class _KeypointJudge:
    """See `Judge`."""

    grid: Grid

    @property
    def _place(self):
        return (self.grid.input_height, self.grid.input_width), self.grid.output_stride

    def find(self, probabilities, thresholds):
        return [find_keypoints(each, thresholds) for each in probabilities]

    def curves(self, found, labels):
        return joint_precision_recall(found, labels, *self._place)

    def compared(self, found, labels):
        return joint_counts(found, labels, *self._place)

    def counts(self, found, labels):
        joints = self.compared(found, labels)
        are_found = np.zeros(joints.there.shape, np.int64)
        for row, objects in zip(are_found, found, strict=True):
            row[objects.classes] = 1
        return DetectionCounts(
            joints.there.astype(np.int64), are_found, joints.right.astype(np.int64)
        )

    def value(self, counts):
        return counts.correct

    def matches(self, objects, label):
        (right,) = self.compared([objects], label[np.newaxis]).right
        return right[objects.classes], right[np.isfinite(label).all(axis=-1)]
