# SPDX-License-Identifier: Apache-2.0
"""What a network knows about a part of a dataset: loss, accuracies and the confusion of classes."""

import dataclasses
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

# Among five guesses of five classes the right one always is.
_TOP = 5


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Measurements over all images of one part of a dataset.

    Attributes:
        loss: mean loss of an image.
        top_5: fraction of the images whose class is among the five most probable ones; `None` if
            there are no more than five classes.
        confusion: int64 `(classes, classes)`: row i, column j counts images of class i that were
            taken for class j.
    """

    loss: float
    top_5: float | None
    confusion: np.ndarray

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Fraction of the images whose class is the most probable one."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def score(self) -> float:
        """What a training is judged by: the accuracy."""
        return self.accuracy

    @property
    def class_accuracies(self) -> np.ndarray:
        """Float `(classes,)`: the accuracy on the images of each class; NaN where it has none."""
        counts = self.confusion.sum(axis=1)
        return np.where(counts > 0, np.diag(self.confusion) / np.maximum(counts, 1), np.nan)


class Evaluator:
    """Measures a network, on one device: the first of a strategy's in each process.

    Args:
        network: Keras model from float images to probabilities `(batch, classes)`.
        loss: Keras loss of one-hot labels and probabilities.
    """

    def __init__(self, network: keras.Model, loss: keras.losses.Loss) -> None:
        self._network = network
        self._loss = loss
        self._measure_batch = tf.function(
            self._measure_images, autograph=False, reduce_retracing=True
        )

    def measure(self, batches: Iterable[tuple[tf.Tensor, tf.Tensor]]) -> tuple[float, float]:
        """The loss and the top-1 accuracy of `evaluate`, the latter in [0, 1]."""
        evaluation = self.evaluate(batches)
        return evaluation.loss, evaluation.accuracy

    def evaluate(self, batches: Iterable[tuple[tf.Tensor, tf.Tensor]]) -> Evaluation:
        """Measures over all images.

        Args:
            batches: such as `input_pipeline.evaluation_batches` gives.

        Returns:
            An `Evaluation`.
        """
        loss, in_top, images = 0.0, 0, 0
        confusion = np.zeros((0, 0), np.int64)
        for batch, one_hot in batches:
            batch_loss, probabilities = self._measure_batch(batch, one_hot)
            probabilities, labels = probabilities.numpy(), one_hot.numpy().argmax(axis=-1)
            classes = probabilities.shape[-1]
            if not images:
                confusion = np.zeros((classes, classes), np.int64)
            np.add.at(confusion, (labels, probabilities.argmax(axis=-1)), 1)
            own = np.take_along_axis(probabilities, labels[:, None], axis=-1)
            in_top += int(((probabilities > own).sum(axis=-1) < _TOP).sum())
            loss += float(batch_loss)
            images += len(labels)
        top_5 = in_top / images if len(confusion) > _TOP else None
        return Evaluation(loss / images, top_5, confusion)

    def _measure_images(self, images, labels):
        probabilities = tf.cast(self._network(images, training=False), tf.float32)
        # The values of each image: a loss as a whole would be divided among a strategy's replicas.
        return tf.reduce_sum(self._loss.call(labels, probabilities)), probabilities
