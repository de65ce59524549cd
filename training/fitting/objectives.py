# SPDX-License-Identifier: Apache-2.0
"""What the trainings of a task learn and are judged by: all in which tasks differ to the trainer."""

from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from training.datasets.batches import (
    LARGEST_CACHE_BYTES,
    Share,
    evaluation_batches,
    training_batches,
)
from training.datasets.image_dataset import ImageDataset
from training.fitting.augmentation import random_changes
from training.fitting.epoch_record import ACCURACY, AnyRecord, EpochRecord, Score
from training.fitting.evaluation import Evaluation, Evaluator
from training.recipes.recipes import Recipe

TRAIN, VALIDATION, TEST = "train", "validation", "test"


class MeasuresParts(Protocol):
    """What an `Objective` judges a network by."""

    def measure(self, batches: Any) -> tuple[float, float]:
        """The loss and the score."""

    def evaluate(self, batches: Any) -> Any:
        """All that there is to know, with the attributes `loss` and `score`."""


class Objective(Protocol):
    """One task, for one dataset and recipe.

    Attributes:
        score: what tells how good a network is.
        record_type: the dataclass of an epoch's measurements.
        loss: Keras loss of answers and probabilities.
        metrics: what Keras measures while training, by its names.
    """

    score: Score
    record_type: type[AnyRecord]
    loss: keras.losses.Loss
    metrics: list[str]

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        """Answers and probabilities of one image, of the right shapes and dtypes."""

    def changes(self, seed: int) -> list[keras.layers.Layer]:
        """The random changes of images and answers that are part of the training's step."""

    def training_batches(self, seed: int, first_epoch: int, share: Share) -> tf.data.Dataset:
        """Endless batches of float images and answers from an epoch, from 0, on."""

    def evaluation_batches(self, part: str) -> Any:
        """The batches of `TRAIN`, `VALIDATION` or `TEST` as they are, for `evaluator`."""

    def evaluator(self, network: keras.Model) -> MeasuresParts:
        """What measures a network."""

    def test(self, network: keras.Model) -> Any:
        """What a finished network knows about the test images."""


class ClassObjective:
    """Which class an image is of.

    Args:
        dataset: an `ImageDataset`.
        recipe: a `Recipe`.
    """

    score = ACCURACY
    record_type: type[AnyRecord] = EpochRecord

    def __init__(self, dataset: ImageDataset, recipe: Recipe) -> None:
        self._dataset, self._recipe = dataset, recipe
        self._class_count = len(dataset.class_names)
        self.loss = categorical_loss(recipe)
        self.metrics = ["accuracy"]

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        uniform = np.full((1, self._class_count), 1 / self._class_count, np.float32)
        return uniform, uniform

    def changes(self, seed: int) -> list[keras.layers.Layer]:
        return random_changes(self._recipe, seed)

    def training_batches(self, seed: int, first_epoch: int, share: Share) -> tf.data.Dataset:
        return training_batches(
            self._dataset.train,
            self._dataset.image_size,
            self._class_count,
            self._recipe.batch_size,
            seed,
            first_epoch,
            share,
            smallest_crop=self._recipe.smallest_crop,
        )

    def evaluation_batches(self, part: str) -> tf.data.Dataset:
        # Validation images are read after each epoch, the others once.
        cache_bytes = LARGEST_CACHE_BYTES if part == VALIDATION else 0
        return evaluation_batches(
            getattr(self._dataset, part), self._class_count, self._recipe.batch_size, cache_bytes
        )

    def evaluator(self, network: keras.Model) -> Evaluator:
        return Evaluator(network, self.loss)

    def test(self, network: keras.Model) -> Evaluation:
        return self.evaluator(network).evaluate(self.evaluation_batches(TEST))


def categorical_loss(recipe: Recipe) -> keras.losses.Loss:
    """The Keras loss of one-hot labels and probabilities."""
    return keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
