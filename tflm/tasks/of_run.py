# SPDX-License-Identifier: Apache-2.0
"""The task of a run."""

from keras_micronet.grid_answers.tasks import CLASSIFY, DETECT, KEYPOINTS, SEGMENT
from keras_micronet.layer_chain import SIGMOID, SOFTMAX
from tflm.settings import KEEP_RIGHT, check_keep_right
from tflm.tasks.classes import Classes
from tflm.tasks.detection import Detection
from tflm.tasks.keypoints import Keypoints
from tflm.tasks.segmentation import Segmentation
from tflm.tasks.task import Task

# What makes probabilities of a model's last values, if it makes some.
ACTIVATIONS = {CLASSIFY: SOFTMAX, DETECT: SOFTMAX, SEGMENT: SOFTMAX, KEYPOINTS: SIGMOID}
_GRIDS: dict[str, Task] = {
    DETECT: Detection(),
    SEGMENT: Segmentation(),
    KEYPOINTS: Keypoints(),
}


def task_of(name: str, keep_right: float | None = None) -> Task:
    """The task of a name.

    Args:
        name: one of `keras_micronet.grid_answers.tasks.EVERY_TASK`.
        keep_right: percent of the right answers to validation images that a threshold keeps, for
            classes; `None` for the default.

    Raises:
        ValueError: if `keep_right` is no percentage above 0, or the task knows no such thing.
    """
    if keep_right is not None:
        check_keep_right(keep_right)
    if name == CLASSIFY:
        return Classes(KEEP_RIGHT if keep_right is None else keep_right)
    if keep_right is not None:
        raise ValueError(
            "keep-right must be left out for models that answer for the cells of a grid: their "
            "thresholds are those with the best F1 on the validation images. "
            f"Received: keep-right={keep_right:g} for the task {name}"
        )
    return _GRIDS[name]


def check_end(name: str, activation: str | None) -> None:
    """Raises `ValueError` unless a model's end is one that its task reads.

    Args:
        name: of the task.
        activation: kind of the model's last step if it makes probabilities, else `None`.
    """
    wanted = ACTIVATIONS[name]
    if activation not in (None, wanted):
        raise ValueError(
            f"A model for the task {name} must end with a {wanted}, or with the values that go "
            f"into one, which exports leave out: build it so. Received: a {activation} at the end"
        )
