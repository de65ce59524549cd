# SPDX-License-Identifier: Apache-2.0
"""What differs between the tasks in all that commands do: data, model, what is said and kept."""

from training.recipes.recipes import CLASSIFY, DETECT, KEYPOINTS, SEGMENT
from training.tasks.classes import ClassTask
from training.tasks.detection import DetectionTask
from training.tasks.keypoints import KeypointTask
from training.tasks.segmentation import SegmentationTask
from training.tasks.task import Task

__all__ = ["TASKS", "Task"]

TASKS: dict[str, Task] = {
    CLASSIFY: ClassTask(),
    DETECT: DetectionTask(),
    SEGMENT: SegmentationTask(),
    KEYPOINTS: KeypointTask(),
}
