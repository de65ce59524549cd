# SPDX-License-Identifier: Apache-2.0
"""How good the answers of a grid are, image by image, so that two models can be compared in pairs.

`keras_micronet.grid.metrics` watches a training by cells; here objects are matched with the boxes
of the labels, as they are found on a device, and classes have thresholds of their own.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_micronet.grid_answers.labels import IGNORED, NO_OBJECT
from keras_micronet.grid_answers.objects import CELL, PROBABILITY_ONE, Objects

# What thresholds are chosen from on: less probable objects are many, and hardly ever right.
LOWEST_THRESHOLD = PROBABILITY_ONE // 20
# Of a heatmap's joint: part of the image's longer side that it may be found away from its place.
KEYPOINT_TOLERANCE = 0.1


@dataclasses.dataclass(frozen=True)
class DetectionCounts:
    """Objects of each image and class: int64 arrays `(images, classes)`.

    Attributes:
        there: in the labels.
        found: by the model.
        right: found ones that were matched with one that is there.
    """

    there: np.ndarray
    found: np.ndarray
    right: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """Of each class, `(classes,)`: how many of the found are right; 0 if none was found."""
        return _quotient(self.right.sum(axis=0), self.found.sum(axis=0))

    @property
    def recall(self) -> np.ndarray:
        """Of each class, `(classes,)`: how many of those there were found; 0 if there is none."""
        return _quotient(self.right.sum(axis=0), self.there.sum(axis=0))

    @property
    def f1(self) -> np.ndarray:
        """Of each class, `(classes,)`: the harmonic mean of precision and recall."""
        both = self.there.sum(axis=0) + self.found.sum(axis=0)
        return _quotient(2 * self.right.sum(axis=0), both)

    @property
    def mean_f1(self) -> float:
        """The mean of the F1 of the classes of which any was there or found."""
        counted = self.there.sum(axis=0) + self.found.sum(axis=0) > 0
        return float(self.f1[counted].mean()) if counted.any() else 0.0

    @property
    def count_error(self) -> np.ndarray:
        """Of each class, `(classes,)`: by how many objects an image's count is wrong, the mean."""
        return np.abs(self.found - self.there).mean(axis=0)

    def subset(self, images: np.ndarray) -> "DetectionCounts":
        """Some of the images, by a mask or by indices, which may come twice."""
        return DetectionCounts(self.there[images], self.found[images], self.right[images])


def _quotient(part, whole):
    return np.where(whole > 0, part / np.maximum(whole, 1), 0.0)


def matched(objects: Objects, label: np.ndarray, output_stride: int) -> np.ndarray:
    """Which of the objects found in an image are right.

    Args:
        objects, label, output_stride: as for `matched_rows`.

    Returns:
        Booleans `(count,)`.
    """
    return matched_rows(objects, label, output_stride) >= 0


def matched_rows(objects: Objects, label: np.ndarray, output_stride: int) -> np.ndarray:
    """Which objects of the label the objects found in an image are.

    Each object, the most probable first, is matched with the box of its class that contains its
    centre and that no object before it has; of several, with that whose centre is nearest.

    Args:
        objects: as `find_objects` returns them.
        label: the image's objects, `(most objects, 5)`, see `keras_micronet.grid_answers.labels`.
        output_stride: side of a cell in pixels.

    Returns:
        Integers `(count,)`: rows of the label; -1 for what is wrong.
    """
    rows = np.full(len(objects), -1)
    classes, boxes = label[:, 0], np.asarray(label[:, 1:], np.float64)
    is_free = classes != NO_OBJECT
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    places = np.stack([objects.y, objects.x], axis=-1) * (output_stride / CELL)
    for index, (chosen, place) in enumerate(zip(objects.classes, places, strict=True)):
        contains = (boxes[:, :2] <= place).all(axis=-1) & (place <= boxes[:, 2:]).all(axis=-1)
        possible = np.flatnonzero(is_free & contains & (classes == chosen))
        if len(possible):
            distances = np.square(centres[possible] - place).sum(axis=-1)
            rows[index] = possible[distances.argmin()]
            is_free[rows[index]] = False
    return rows


def detection_counts(
    found: Sequence[Objects], labels: np.ndarray, output_stride: int, class_count: int
) -> DetectionCounts:
    """Counts the objects of many images.

    Args:
        found: the `Objects` of each image.
        labels: `(images, most objects, 5)`, see `keras_micronet.grid_answers.labels`.
        output_stride: side of a cell in pixels.
        class_count: number of classes.
    """

    def count(classes):
        return np.bincount(np.asarray(classes, np.int64), minlength=class_count)

    rows = []
    for objects, label in zip(found, labels, strict=True):
        is_right = matched(objects, label, output_stride)
        there = label[label[:, 0] != NO_OBJECT, 0]
        rows.append((count(there), count(objects.classes), count(objects.classes[is_right])))
    return DetectionCounts(*np.asarray(rows, np.int64).reshape(-1, 3, class_count).swapaxes(0, 1))


@dataclasses.dataclass(frozen=True)
class PrecisionRecall:
    """What each threshold of one class gives: arrays with an entry for each, the highest first.

    Attributes:
        thresholds: integers in Q15.
        precision: from 0 to 1.
        recall: from 0 to 1.
    """

    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray

    @property
    def f1(self) -> np.ndarray:
        """The harmonic mean of precision and recall at each threshold."""
        both = self.precision + self.recall
        return np.where(both > 0, 2 * self.precision * self.recall / np.maximum(both, 1e-12), 0.0)


def precision_recall(
    found: Sequence[Objects],
    labels: np.ndarray,
    output_stride: int,
    class_count: int,
) -> tuple[PrecisionRecall, ...]:
    """Precision and recall of each class over its threshold.

    Args:
        found: the `Objects` of each image at the lowest thresholds of interest. As the most
            probable are matched first, those of a higher one are a part of them.
        labels, output_stride, class_count: as for `detection_counts`.
    """
    is_right = [
        matched(objects, label, output_stride) for objects, label in zip(found, labels, strict=True)
    ]
    there = [int((labels[..., 0] == chosen).sum()) for chosen in range(class_count)]
    return _curves(found, is_right, there)


def joint_precision_recall(
    found: Sequence[Objects],
    labels: np.ndarray,
    image_size: Sequence[int],
    output_stride: int,
    tolerance: float = KEYPOINT_TOLERANCE,
) -> tuple[PrecisionRecall, ...]:
    """Precision and recall of each joint over its threshold: what is found of joints that are not
    in the picture is wrong.

    Args:
        found: what `find_keypoints` returns for each image at the lowest thresholds of interest.
        labels, image_size, output_stride, tolerance: as for `joint_counts`.
    """
    counts = joint_counts(found, labels, image_size, output_stride, tolerance)
    is_right = [right[objects.classes] for right, objects in zip(counts.right, found, strict=True)]
    return _curves(found, is_right, counts.there.sum(axis=0))


def _curves(found, is_right, there):
    """Of what each image's objects are, which of them are right, and how many each class has."""
    right = np.concatenate([np.zeros(0, bool), *is_right])
    classes = np.concatenate([np.zeros(0, np.int32), *(each.classes for each in found)])
    scores = np.concatenate([np.zeros(0, np.int32), *(each.scores for each in found)])
    curves = []
    for chosen, count in enumerate(there):
        mine = classes == chosen
        order = np.argsort(-scores[mine], kind="stable")
        descending = scores[mine][order]
        # Equal scores come and go together.
        ends = np.flatnonzero(np.diff(descending, append=-1))
        hits = np.cumsum(right[mine][order])[ends]
        curves.append(
            PrecisionRecall(descending[ends], _quotient(hits, ends + 1), hits / max(int(count), 1))
        )
    return tuple(curves)


def best_thresholds(curves: Sequence[PrecisionRecall], lowest: int = 1) -> np.ndarray:
    """The threshold of each class with the highest F1, integers in Q15.

    It lies half way to the next lower score, so that a slightly lower one than any that was seen
    counts, too. A class of which nothing was found gets one half.

    Args:
        curves: what `precision_recall` returns.
        lowest: the threshold that objects were found with for the curves, at least 1: what a lower
            one gives they do not tell.
    """
    thresholds = []
    for curve in curves:
        if not len(curve.thresholds) or not curve.f1.any():
            thresholds.append(PROBABILITY_ONE // 2)
            continue
        best = int(curve.f1.argmax())
        is_last = best + 1 == len(curve.thresholds)
        lower = lowest - 1 if is_last else curve.thresholds[best + 1]
        thresholds.append(max(lowest, int(curve.thresholds[best] + lower + 1) // 2))
    return np.asarray(thresholds, np.int32)


@dataclasses.dataclass(frozen=True)
class CellCounts:
    """Cells of each image by their classes.

    Attributes:
        confusion: int64 `(images, classes + 1, classes + 1)`: row i, column j counts cells of class
            i, 0 being the background, that were answered as j.
    """

    confusion: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of background and each class, `(classes + 1,)`; NaN where there
        is neither."""
        confusion = self.confusion.sum(axis=0)
        both = np.diag(confusion)
        union = confusion.sum(axis=0) + confusion.sum(axis=1) - both
        return np.where(union > 0, both / np.maximum(union, 1), np.nan)

    @property
    def mean_iou(self) -> float:
        """The mean over background and classes that are there or answered."""
        return float(np.nanmean(self.iou))

    def subset(self, images: np.ndarray) -> "CellCounts":
        """Some of the images, by a mask or by indices, which may come twice."""
        return CellCounts(self.confusion[images])


def cell_counts(answers: np.ndarray, there: np.ndarray, class_count: int) -> CellCounts:
    """Counts the cells of many images.

    Args:
        answers: integers `(images, rows, columns)`, 0 for background.
        there: what `labels.cell_answers` says, of the same shape; `IGNORED` cells do not count.
        class_count: number of classes without the background.
    """
    answered = class_count + 1
    confusion = np.zeros((len(answers), answered, answered), np.int64)
    for image, (mine, right) in enumerate(zip(answers, there, strict=True)):
        counted = right != IGNORED
        np.add.at(confusion[image], (right[counted], mine[counted]), 1)
    return CellCounts(confusion)


@dataclasses.dataclass(frozen=True)
class JointCounts:
    """Joints of each image: booleans `(images, joints)`.

    Attributes:
        there: in the labels.
        right: there, and found near its place.
    """

    there: np.ndarray
    right: np.ndarray

    @property
    def correct(self) -> float:
        """Part of the joints there that were found near their places (PCK)."""
        return float(self.right.sum() / max(1, self.there.sum()))

    def subset(self, images: np.ndarray) -> "JointCounts":
        """Some of the images, by a mask or by indices, which may come twice."""
        return JointCounts(self.there[images], self.right[images])


def joint_counts(
    found: Sequence[Objects],
    labels: np.ndarray,
    image_size: Sequence[int],
    output_stride: int,
    tolerance: float = KEYPOINT_TOLERANCE,
) -> JointCounts:
    """Which joints of many images were found.

    Args:
        found: what `find_keypoints` returns for each image.
        labels: `(images, joints, 2)`, see `keras_micronet.grid_answers.labels`.
        image_size: height and width of the images in pixels.
        output_stride: side of a cell in pixels.
        tolerance: distance that counts as near, as a part of the image's longer side.
    """
    there = np.isfinite(labels).all(axis=-1)
    right = np.zeros(there.shape, bool)
    for image, objects in enumerate(found):
        places = np.stack([objects.y, objects.x], axis=-1) * (output_stride / CELL)
        distances = np.linalg.norm(labels[image][objects.classes] - places, axis=-1)
        # A comparison with what is not a number is false.
        right[image, objects.classes] = distances <= tolerance * max(image_size)
    return JointCounts(there, right & there)
