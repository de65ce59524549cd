# SPDX-License-Identifier: Apache-2.0
"""What an epoch of a training measured, and the score that a task's trainings are judged by."""

import dataclasses
from typing import Any, ClassVar

from keras_micronet.grid_answers.tasks import SCORE_KEYS
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


ACCURACY = Score(SCORE_KEYS[CLASSIFY], "accuracy", decimals=2)
MEAN_F1 = Score(SCORE_KEYS[DETECT], "mean F1")
MEAN_IOU = Score(SCORE_KEYS[SEGMENT], "mean IoU")
CORRECT_KEYPOINTS = Score(SCORE_KEYS[KEYPOINTS], "PCK")


class _Record:
    """What one epoch measured, a dataclass a task; losses contain the label smoothing.

    `learning_rate` is the one reached at the end of the epoch, `seconds` includes the validation.
    """

    score: ClassVar[Score]

    @property
    def validation_score(self) -> float:
        """What the best epoch is chosen by, in [0, 1]."""
        value: float = getattr(self, f"validation_{self.score.key}")
        return value


@dataclasses.dataclass(frozen=True)
class EpochRecord(_Record):
    """Of a training of classes; accuracies are in [0, 1]."""

    score = ACCURACY
    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class DetectionRecord(_Record):
    """Of a training to detect, whose score is measured on validation images alone."""

    score = MEAN_F1
    epoch: int
    loss: float
    validation_loss: float
    validation_mean_f1: float
    learning_rate: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class SegmentationRecord(_Record):
    """Of a training to segment."""

    score = MEAN_IOU
    epoch: int
    loss: float
    validation_loss: float
    validation_mean_iou: float
    learning_rate: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class KeypointRecord(_Record):
    """Of a training to find joints."""

    score = CORRECT_KEYPOINTS
    epoch: int
    loss: float
    validation_loss: float
    validation_pck: float
    learning_rate: float
    seconds: float


AnyRecord = EpochRecord | DetectionRecord | SegmentationRecord | KeypointRecord
RECORD_TYPES: dict[str, type[AnyRecord]] = {
    CLASSIFY: EpochRecord,
    DETECT: DetectionRecord,
    SEGMENT: SegmentationRecord,
    KEYPOINTS: KeypointRecord,
}
SCORES: dict[str, Score] = {task: record.score for task, record in RECORD_TYPES.items()}


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
