# SPDX-License-Identifier: Apache-2.0
"""What a task's trainings learn and are judged by: all in which tasks differ to the trainer."""

from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from keras_micronet.grid import GridCrossentropy, HeatmapCrossentropy
from keras_micronet.grid_answers.labels import cell_answers
from training.datasets.batches import (
    LARGEST_CACHE_BYTES,
    Share,
    evaluation_batches,
    training_batches,
)
from training.datasets.grid_batches import grid_evaluation_batches, grid_training_batches
from training.datasets.grid_dataset import GridDataset
from training.datasets.image_dataset import ImageDataset
from training.fitting.augmentation import colour_changes, random_changes
from training.fitting.epoch_record import RECORD_TYPES, SCORES, AnyRecord, Score
from training.fitting.evaluation import Evaluation, Evaluator
from training.fitting.grid_evaluation import GridEvaluation, GridEvaluator
from training.recipes.recipes import CLASSIFY, DETECT, KEYPOINTS, SEGMENT, GridRecipe, Recipe

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

    def evaluate(
        self, network: keras.Model, part: str, thresholds: np.ndarray | None = None
    ) -> Any:
        """What a network knows about a part, at thresholds if its answers have some, or the best
        ones."""

    def test(self, evaluator: Any) -> Any:
        """What a finished network, by its evaluator, knows about the test images; thresholds are
        chosen on the validation images."""


class ClassObjective:
    """Which class an image is of.

    Args:
        dataset: an `ImageDataset`.
        recipe: a `Recipe`.
    """

    score = SCORES[CLASSIFY]
    record_type = RECORD_TYPES[CLASSIFY]

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

    def evaluate(
        self, network: keras.Model, part: str, thresholds: np.ndarray | None = None
    ) -> Evaluation:
        return self.evaluator(network).evaluate(self.evaluation_batches(part))

    def test(self, evaluator: Evaluator) -> Evaluation:
        return evaluator.evaluate(self.evaluation_batches(TEST))


def categorical_loss(recipe: Recipe) -> keras.losses.Loss:
    """The Keras loss of one-hot labels and probabilities."""
    return keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)


class GridObjective:
    """What is where in an image, cell by cell.

    The score is not measured while training: it is one of objects, at thresholds that validation
    images have chosen.

    Args:
        dataset: a `GridDataset`.
        recipe: a `GridRecipe` of its task.
    """

    def __init__(self, dataset: GridDataset, recipe: GridRecipe) -> None:
        self._dataset, self._recipe = dataset, recipe
        self._class_count = len(dataset.class_names)
        self.score, self.record_type = SCORES[dataset.task], RECORD_TYPES[dataset.task]
        self.loss = grid_loss(recipe)
        self.metrics: list[str] = []

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        """Of a picture that shows nothing."""
        task, image_size = self._dataset.task, self._dataset.image_size
        nothing: dict[str, np.ndarray] = {
            DETECT: np.zeros((0, 5), np.float32),
            SEGMENT: np.zeros(image_size, np.uint8),
            KEYPOINTS: np.full((self._class_count, 2), np.nan, np.float32),
        }
        stride = self._recipe.output_stride
        answers = cell_answers(task, nothing[task], image_size, stride, self._class_count)
        answer_count = self._class_count + (task != KEYPOINTS)
        probabilities = np.full((*answers.shape[:2], answer_count), 0.5, np.float32)
        return answers[None], probabilities[None]

    def changes(self, seed: int) -> list[keras.layers.Layer]:
        """Of colours alone: crops and flips are the batches', as labels have to follow."""
        return colour_changes(self._recipe, seed)

    def training_batches(self, seed: int, first_epoch: int, share: Share) -> tf.data.Dataset:
        return grid_training_batches(
            self._dataset,
            self._recipe.output_stride,
            self._recipe.batch_size,
            seed,
            first_epoch,
            share,
            smallest_crop=self._recipe.smallest_crop,
            horizontal_flip=self._recipe.horizontal_flip,
        )

    def evaluation_batches(self, part: str) -> tf.data.Dataset:
        # Validation images are read after each epoch, the others once.
        return grid_evaluation_batches(
            self._dataset,
            getattr(self._dataset, part),
            self._recipe.output_stride,
            self._recipe.batch_size,
            LARGEST_CACHE_BYTES if part == VALIDATION else 0,
        )

    def evaluator(self, network: keras.Model) -> GridEvaluator:
        return GridEvaluator(
            network,
            self._dataset.task,
            self.loss,
            self._class_count,
            self._dataset.image_size,
            self._recipe.output_stride,
        )

    def evaluate(
        self, network: keras.Model, part: str, thresholds: np.ndarray | None = None
    ) -> GridEvaluation:
        return self.evaluator(network).evaluate(self.evaluation_batches(part), thresholds)

    def test(self, evaluator: GridEvaluator) -> GridEvaluation:
        thresholds = None
        if self._dataset.task != SEGMENT:
            thresholds = evaluator.evaluate(self.evaluation_batches(VALIDATION)).thresholds
        return evaluator.evaluate(self.evaluation_batches(TEST), thresholds)


def grid_loss(recipe: GridRecipe) -> keras.losses.Loss:
    """The Keras loss of what cells are to answer, and of probabilities."""
    loss = HeatmapCrossentropy if recipe.task == KEYPOINTS else GridCrossentropy
    return loss(object_weight=recipe.object_weight, focal_gamma=recipe.focal_gamma)


def make_objective(
    dataset: ImageDataset | GridDataset, recipe: Recipe
) -> ClassObjective | GridObjective:
    """The objective of a dataset's task.

    Raises:
        ValueError: if the recipe is of another task.
    """
    task = getattr(dataset, "task", CLASSIFY)
    if recipe.task != task:
        raise ValueError(
            f"the recipe must be one of the dataset's task {task}. Received: {recipe.task}"
        )
    if isinstance(dataset, GridDataset):
        assert isinstance(recipe, GridRecipe)
        return GridObjective(dataset, recipe)
    return ClassObjective(dataset, recipe)
