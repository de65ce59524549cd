# SPDX-License-Identifier: Apache-2.0
"""What a device answers to images, in words, and how good that is."""

import dataclasses
import typing
from collections.abc import Sequence

import numpy as np

from keras_micronet.grid_answers import labels as grid_labels
from keras_micronet.grid_answers.labels import cell_answers, label_misfit
from keras_micronet.grid_answers.objects import CELL, PROBABILITY_ONE, Objects
from keras_micronet.grid_answers.quality import (
    cell_counts,
    detection_counts,
    joint_counts,
    matched,
)
from keras_micronet.grid_answers.tasks import DETECT, SEGMENT
from tflm.firmware.link.grid_results import ClassMap, FoundObjects
from tflm.firmware.link.serial_packets import ModelInformation, Recognition


class LabelsMisfitError(ValueError):
    """Labels that are not of the task of a device's model."""


def check_labels(
    grid_task: str | None,
    images: np.ndarray,
    labels: np.ndarray,
    class_count: int | None = None,
) -> None:
    """Raises `LabelsMisfitError` unless labels are those of a task.

    Args:
        grid_task: one of `keras_micronet.grid_answers.tasks.TASKS`; `None` for a class an image.
        images: `(count, height, width, channels)`.
        labels: of them.
        class_count: how many classes or joints there are; of a grid.
    """
    if grid_task is None:
        if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise LabelsMisfitError(
                f"The labels must be one integer for each of {len(images)} images. "
                f"Received: {labels.dtype} of shape {labels.shape}"
            )
        return
    assert class_count is not None
    misfit = label_misfit(grid_task, labels, len(images), images.shape[1:3], class_count)
    if misfit is not None:
        raise LabelsMisfitError(f"{misfit[0].upper()}{misfit[1:]}")


class Answers(typing.Protocol):
    """The answers to images with labels, of one task."""

    def line(self, result: typing.Any, label: typing.Any) -> str:
        """One image's answer beside its label."""
        ...

    def summary(self, results: Sequence[typing.Any], labels: np.ndarray) -> str:
        """How good all are."""
        ...


def answers_of(
    information: ModelInformation, names: Sequence[str], image_size: tuple[int, int]
) -> Answers:
    """How a device's answers are shown.

    Args:
        information: what the device says of its model.
        names: of the classes that labels name, if they are known; a grid's device tells them.
        image_size: height and width of the images that are sent.
    """
    if information.grid is None:
        return _Classes(tuple(names))
    if information.grid.task == SEGMENT:
        return _Areas(information, image_size)
    if information.grid.task == DETECT:
        return _FoundObjects(information.grid.names)
    return _Joints(information.grid.names, image_size)


@dataclasses.dataclass(frozen=True)
class _Classes:
    """See `Answers`."""

    names: tuple[str, ...]

    def line(self, result: Recognition, label: int) -> str:
        true_name = self.names[label] if 0 <= label < len(self.names) else f"class {label}"
        verdict = "right" if result.class_index == label else f"wrong, it is {true_name}"
        return f"{result.name} ({verdict}), score {result.score:.3f}"

    def summary(self, results: Sequence[Recognition], labels: np.ndarray) -> str:
        right = sum(each.class_index == label for each, label in zip(results, labels, strict=True))
        return f"accuracy on {len(labels)} images: {right / len(labels):.2%}"


@dataclasses.dataclass(frozen=True)
class _FoundObjects:
    """See `Answers`."""

    names: tuple[str, ...]

    def line(self, result: FoundObjects, label: np.ndarray) -> str:
        is_right = matched(_in_pixels(result), label, 1)
        there = np.count_nonzero(label[:, 0] != grid_labels.NO_OBJECT)
        return f"{_listed(result, self.names, 'object', is_right)}; there: {there}"

    def summary(self, results: Sequence[FoundObjects], labels: np.ndarray) -> str:
        counts = detection_counts(list(map(_in_pixels, results)), labels, 1, len(self.names))
        there, found, right = (
            int(each.sum()) for each in (counts.there, counts.found, counts.right)
        )
        return (
            f"mean F1 of the classes on {len(labels)} images: {counts.mean_f1:.2%}, "
            f"{right} of {there} objects found, {found - right} invented"
        )


@dataclasses.dataclass(frozen=True)
class _Joints:
    """See `Answers`."""

    names: tuple[str, ...]
    image_size: tuple[int, int]

    def line(self, result: FoundObjects, label: np.ndarray) -> str:
        is_right = self._counts([result], label[np.newaxis]).right[0]
        return _listed(
            result, self.names, "joint", [is_right[each.class_index] for each in result.objects]
        )

    def summary(self, results: Sequence[FoundObjects], labels: np.ndarray) -> str:
        correct = self._counts(results, labels).correct
        return f"joints near their places (PCK) on {len(labels)} images: {correct:.2%}"

    def _counts(self, results, labels):
        return joint_counts(list(map(_in_pixels, results)), labels, self.image_size, 1)


@dataclasses.dataclass(frozen=True)
class _Areas:
    """See `Answers`."""

    information: ModelInformation
    image_size: tuple[int, int]

    def line(self, result: ClassMap, label: np.ndarray) -> str:
        assert self.information.grid is not None
        names = ("background", *self.information.grid.names)
        seen = [
            f"{name} {count} of {len(result.classes)} cells"
            for name, count in zip(names, result.counts, strict=True)
            if count
        ]
        return ", ".join(seen)

    def summary(self, results: Sequence[ClassMap], labels: np.ndarray) -> str:
        there = [self._there(result, label) for result, label in zip(results, labels, strict=True)]
        answers = [
            np.frombuffer(result.classes, np.uint8).reshape(each.shape)
            for result, each in zip(results, there, strict=True)
        ]
        counts = cell_counts(np.stack(answers), np.stack(there), self.information.classes)
        return f"mean IoU of cells on {len(labels)} images: {counts.mean_iou:.2%}"

    def _there(self, result, label):
        """What the cells are to answer, of the part of the image that they cover."""
        information = self.information
        size = (information.height, information.width)
        starts, sides = (result.top, result.left), (result.height, result.width)
        rows, columns = (
            np.minimum(start + (2 * np.arange(count) + 1) * side // (2 * count), last - 1)
            for start, side, count, last in zip(starts, sides, size, self.image_size, strict=True)
        )
        grid_size = (information.grid.rows, information.grid.columns)
        stride = grid_labels.output_stride(size, grid_size)
        return cell_answers(
            SEGMENT, label[np.ix_(rows, columns)], size, stride, information.classes
        )


def _in_pixels(result):
    """As `Objects` whose cells are pixels."""
    columns = [
        [getattr(each, name) for each in result.objects]
        for name in ("class_index", "x", "y", "width", "height", "score")
    ]
    classes, x, y, width, height, scores = np.array(columns, np.int32).reshape(6, -1)
    return Objects(classes, x * CELL, y * CELL, width * CELL, height * CELL, scores)


def _listed(result, names, what, is_right):
    count = len(result.objects)
    words = [
        f"{names[each.class_index]} at {each.x},{each.y} "
        f"({each.score / PROBABILITY_ONE:.0%}{'' if right else ', wrong'})"
        for each, right in zip(result.objects, is_right, strict=True)
    ]
    ending = "" if count == 1 else "s"
    return f"{count} {what}{ending}{': ' if words else ''}{'; '.join(words)}"
