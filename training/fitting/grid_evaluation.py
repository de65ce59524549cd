# SPDX-License-Identifier: Apache-2.0
"""What a network that answers for the cells of a grid knows about a part of a dataset.

Its probabilities are read as devices read them, in Q15 by `keras_micronet.grid_answers.objects`.
"""

import abc
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from keras_micronet.grid_answers.objects import (
    Objects,
    find_in_images,
    find_keypoints,
    quantized_probabilities,
)
from keras_micronet.grid_answers.quality import (
    LOWEST_THRESHOLD,
    CellCounts,
    DetectionCounts,
    JointCounts,
    PrecisionRecall,
    best_thresholds,
    cell_counts,
    detection_counts,
    joint_counts,
    joint_precision_recall,
    precision_recall,
)
from training.recipes.recipes import DETECT, KEYPOINTS, SEGMENT


@dataclasses.dataclass(frozen=True)
class FoundEvaluation:
    """What was found in one part of a dataset.

    Attributes:
        loss: mean loss of a cell.
        counts: what was there and right in each image at the thresholds.
        curves: precision and recall of each class or joint over its threshold.
        thresholds: of each class or joint, integers in Q15 `(classes,)`.
        found: the `Objects` of each image at the thresholds.
    """

    loss: float
    counts: Any
    curves: tuple[PrecisionRecall, ...]
    thresholds: np.ndarray
    found: tuple[Objects, ...]

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.counts.there)


class DetectionEvaluation(FoundEvaluation):
    """See `FoundEvaluation`; of objects by their classes."""

    counts: DetectionCounts

    @property
    def score(self) -> float:
        """What a training is judged by: the mean F1 of the classes."""
        return self.counts.mean_f1


class KeypointEvaluation(FoundEvaluation):
    """See `FoundEvaluation`; of joints."""

    counts: JointCounts

    @property
    def score(self) -> float:
        """What a training is judged by: the part of the joints that is found, PCK."""
        return self.counts.correct


@dataclasses.dataclass(frozen=True)
class SegmentationEvaluation:
    """Which classes the cells of one part of a dataset were taken for.

    Attributes:
        loss: mean loss of a cell.
        counts: cells of each image by their classes.
        answers: the class of each cell, uint8 `(images, rows, columns)`, 0 for background.
        thresholds: none, as the most probable class of each cell is taken.
    """

    loss: float
    counts: CellCounts
    answers: np.ndarray
    thresholds: None = None

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.counts.confusion)

    @property
    def score(self) -> float:
        """What a training is judged by: the mean IoU of background and classes."""
        return self.counts.mean_iou


GridEvaluation = DetectionEvaluation | SegmentationEvaluation | KeypointEvaluation


class Judge(Protocol):
    """Gathers what a network answered, batch by batch, and judges it in the end."""

    def add(self, probabilities: np.ndarray, answers: np.ndarray, labels: np.ndarray) -> None:
        """Adds images.

        Args:
            probabilities: floats `(batch, rows, columns, answers)`.
            answers: what cells are to answer, as the losses take it.
            labels: what is there, as `keras_micronet.grid_answers.labels` has it.
        """

    def evaluation(self, loss: float) -> GridEvaluation:
        """The judgement of all images."""


class _FoundJudge(abc.ABC):
    """Finds at low thresholds first, from which all higher ones follow.

    Arguments are those of `GridEvaluator` and its `evaluate`.
    """

    def __init__(self, class_count, image_size, output_stride, thresholds):
        self._class_count, self._image_size = class_count, image_size
        self._output_stride, self._thresholds = output_stride, thresholds
        lowest = np.full(class_count, LOWEST_THRESHOLD)
        self._lowest = lowest if thresholds is None else np.minimum(lowest, thresholds)
        self._found, self._labels = [], []

    def add(self, probabilities, answers, labels):
        self._found += self._find(quantized_probabilities(probabilities), self._lowest)
        self._labels += list(labels)

    def evaluation(self, loss):
        labels = np.stack(self._labels)
        curves = self._curves(labels)
        thresholds = self._thresholds
        if thresholds is None:
            thresholds = best_thresholds(curves, LOWEST_THRESHOLD)
        # Sizes are of the cells with a lower threshold; neither right nor wrong depends on them.
        found = tuple(each.subset(each.scores >= thresholds[each.classes]) for each in self._found)
        counts = self._count(found, labels)
        return self._evaluation_type(loss, counts, curves, thresholds, found)

    _evaluation_type: type[FoundEvaluation]

    @abc.abstractmethod
    def _find(self, probabilities, thresholds):
        """The `Objects` of each image."""

    @abc.abstractmethod
    def _curves(self, labels):
        """The `PrecisionRecall` of each class or joint."""

    @abc.abstractmethod
    def _count(self, found, labels):
        """What was there and right in each image."""


class _DetectionJudge(_FoundJudge):
    _evaluation_type = DetectionEvaluation

    def _find(self, probabilities, thresholds):
        return find_in_images(probabilities, thresholds)

    def _curves(self, labels):
        return precision_recall(self._found, labels, self._output_stride, self._class_count)

    def _count(self, found, labels):
        return detection_counts(found, labels, self._output_stride, self._class_count)


class _KeypointJudge(_FoundJudge):
    _evaluation_type = KeypointEvaluation

    def _find(self, probabilities, thresholds):
        return [find_keypoints(each, thresholds) for each in probabilities]

    def _curves(self, labels):
        return joint_precision_recall(self._found, labels, self._image_size, self._output_stride)

    def _count(self, found, labels):
        return joint_counts(found, labels, self._image_size, self._output_stride)


class _SegmentationJudge:
    def __init__(self, class_count, image_size, output_stride, thresholds):
        self._class_count = class_count
        self._answers, self._confusion = [], []

    def add(self, probabilities, answers, labels):
        taken_for = probabilities.argmax(axis=-1).astype(np.uint8)
        self._answers.append(taken_for)
        self._confusion.append(cell_counts(taken_for, answers, self._class_count).confusion)

    def evaluation(self, loss):
        counts = CellCounts(np.concatenate(self._confusion))
        return SegmentationEvaluation(loss, counts, np.concatenate(self._answers))


_JUDGES: dict[str, Callable[..., Judge]] = {
    DETECT: _DetectionJudge,
    SEGMENT: _SegmentationJudge,
    KEYPOINTS: _KeypointJudge,
}


class GridEvaluator:
    """Measures a network, on one device: the first of a strategy's in each process.

    Args:
        network: Keras model from float images to probabilities `(batch, rows, columns, answers)`.
        task: what the cells answer.
        loss: Keras loss of the cells' answers and probabilities.
        class_count: number of classes without the background, or of joints.
        image_size: height and width of the images in pixels.
        output_stride: side of a cell in pixels.
    """

    def __init__(
        self,
        network: keras.Model,
        task: str,
        loss: keras.losses.Loss,
        class_count: int,
        image_size: Sequence[int],
        output_stride: int,
    ) -> None:
        self._network = network
        self._loss = loss
        self._judge_arguments = class_count, image_size, output_stride
        self._judge_type = _JUDGES[task]
        self._measure_batch = tf.function(
            self._measure_images, autograph=False, reduce_retracing=True
        )

    def measure(
        self, batches: Iterable[tuple[tf.Tensor, tf.Tensor, np.ndarray]]
    ) -> tuple[float, float]:
        """The loss and the score of `evaluate`, the latter in [0, 1]."""
        evaluation = self.evaluate(batches)
        return evaluation.loss, evaluation.score

    def evaluate(
        self,
        batches: Iterable[tuple[tf.Tensor, tf.Tensor, np.ndarray]],
        thresholds: np.ndarray | None = None,
    ) -> GridEvaluation:
        """Measures over all images.

        Args:
            batches: of float images, of what their cells are to answer, and of their labels.
            thresholds: of each class or joint, integers in Q15 `(classes,)`; `None` for those that
                are best for these images. Segmentation has none.
        """
        judge = self._judge_type(*self._judge_arguments, thresholds)
        loss, images = 0.0, 0
        for batch, answers, labels in batches:
            batch_loss, probabilities = self._measure_batch(batch, answers)
            judge.add(probabilities.numpy(), np.asarray(answers), np.asarray(labels))
            loss += float(batch_loss)
            images += len(labels)
        return judge.evaluation(loss / images)

    def _measure_images(self, images, answers):
        probabilities = tf.cast(self._network(images, training=False), tf.float32)
        # The values of each cell: a loss as a whole would be divided among a strategy's replicas.
        cells = tf.reduce_mean(self._loss.call(answers, probabilities), axis=[1, 2])
        return tf.reduce_sum(cells), probabilities
