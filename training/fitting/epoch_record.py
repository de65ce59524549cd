# SPDX-License-Identifier: Apache-2.0
"""What an epoch of a training measured, and the score that a task's trainings are judged by."""

import dataclasses
from typing import Any

from training.recipes.recipes import CLASSIFY, DETECT, KEYPOINTS, SEGMENT


@dataclasses.dataclass(frozen=True)
class Score:
    """What tells how good a model is at its task, from 0 to 1; more is better.

    Attributes:
        key: its name in files, after "validation_" and "test_".
        title: its name for people.
        decimals: of a percentage, as which people read it; `None` for a plain number.
    """

    key: str
    title: str
    decimals: int | None = None

    def text(self, value: float) -> str:
        """A value for people, such as `"97.50%"` or `"0.788"`."""
        return f"{value:.3f}" if self.decimals is None else f"{value:.{self.decimals}%}"


ACCURACY = Score("accuracy", "accuracy", decimals=2)
MEAN_F1 = Score("mean_f1", "mean F1")
MEAN_IOU = Score("mean_iou", "mean IoU")
CORRECT_KEYPOINTS = Score("pck", "PCK")

SCORES = {CLASSIFY: ACCURACY, DETECT: MEAN_F1, SEGMENT: MEAN_IOU, KEYPOINTS: CORRECT_KEYPOINTS}


@dataclasses.dataclass(frozen=True)
class EpochRecord:
    """What one epoch measured; losses contain the label smoothing, accuracies are in [0, 1].

    `learning_rate` is the one reached at the end of the epoch, `seconds` includes the validation.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float

    @property
    def validation_score(self) -> float:
        """What the best epoch is chosen by."""
        return self.validation_accuracy


@dataclasses.dataclass(frozen=True)
class DetectionRecord:
    """The same of a training to detect, whose score is measured on validation images alone."""

    epoch: int
    loss: float
    validation_loss: float
    validation_mean_f1: float
    learning_rate: float
    seconds: float

    @property
    def validation_score(self) -> float:
        """What the best epoch is chosen by."""
        return self.validation_mean_f1


@dataclasses.dataclass(frozen=True)
class SegmentationRecord:
    """The same of a training to segment."""

    epoch: int
    loss: float
    validation_loss: float
    validation_mean_iou: float
    learning_rate: float
    seconds: float

    @property
    def validation_score(self) -> float:
        """What the best epoch is chosen by."""
        return self.validation_mean_iou


@dataclasses.dataclass(frozen=True)
class KeypointRecord:
    """The same of a training to find joints."""

    epoch: int
    loss: float
    validation_loss: float
    validation_pck: float
    learning_rate: float
    seconds: float

    @property
    def validation_score(self) -> float:
        """What the best epoch is chosen by."""
        return self.validation_pck


AnyRecord = EpochRecord | DetectionRecord | SegmentationRecord | KeypointRecord
RECORD_TYPES: dict[str, type[AnyRecord]] = {
    CLASSIFY: EpochRecord,
    DETECT: DetectionRecord,
    SEGMENT: SegmentationRecord,
    KEYPOINTS: KeypointRecord,
}


def make_record(record_type: type[AnyRecord], logs: dict[str, float], **others: Any) -> AnyRecord:
    """A record of Keras's logs, which call validation "val".

    Args:
        record_type: one of the types above.
        logs: values of the epoch by their names.
        **others: fields that are in no logs.
    """
    names = [field.name for field in dataclasses.fields(record_type)]
    values = {
        name: logs[name.replace("validation_", "val_")] for name in names if name not in others
    }
    return record_type(**values | others)
