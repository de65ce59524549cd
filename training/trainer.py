"""Training one model on one dataset by one recipe."""

import dataclasses
import math
import time

import keras
import numpy as np
import tensorflow as tf

from training.augmentation import add_augmentation
from training.input_pipeline import evaluation_batches, training_batches


class TrainingDivergedError(RuntimeError):
    """The loss became infinite or undefined."""


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


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a training measured.

    Attributes:
        history: one `EpochRecord` an epoch; none if the recipe has no epochs.
        validation_loss: loss on the validation images after the last epoch.
        validation_accuracy: top-1 accuracy on the validation images, in [0, 1].
        test_loss: loss on the test images, measured once, after the last epoch.
        test_accuracy: top-1 accuracy on the test images, in [0, 1].
        seconds: duration of training and validation together.
    """

    history: tuple[EpochRecord, ...]
    validation_loss: float
    validation_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float


def make_reproducible(seed):
    """Seeds Python, NumPy, Keras and TensorFlow, and keeps TensorFlow to deterministic kernels.

    Affects the whole process; to be called before the model is built.

    Args:
        seed: integer from 0 to 2**32 - 1.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def train(model, dataset, recipe, seed, callbacks=()):
    """Trains a model in place, and measures it on the test images when the training is over.

    The weights of the last epoch are kept: the cosine has brought the learning rate to 0 there, and
    no epoch is picked by its accuracy.

    The model itself stays uncompiled: optimizer and augmentation belong to the training.

    Args:
        model: Keras model from float images `(batch, height, width, 3)` in [0, 255] to
            probabilities `(batch, classes)`.
        dataset: an `ImageDataset`.
        recipe: a `Recipe`, with the dataset's image size. If it has no epochs, the model is only
            measured.
        seed: non-negative integer; decides the order and the augmentation of the images.
        callbacks: further Keras callbacks, such as `progress.ProgressLines`.

    Returns:
        A `TrainingResult`.

    Raises:
        ValueError: if the batch size exceeds the number of training images.
        TrainingDivergedError: if the loss becomes infinite or undefined.
    """
    check_batch_size(recipe, dataset)
    class_count = len(dataset.class_names)
    steps_per_epoch = dataset.train.size // recipe.batch_size
    training_model = add_augmentation(model, recipe, seed)
    training_model.compile(
        # A schedule has at least one step, even if no step is taken.
        optimizer=_make_optimizer(recipe, max(1, recipe.epochs * steps_per_epoch)),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        # XLA was two to three times slower on a CPU, and excludes deterministic kernels.
        jit_compile=False,
    )
    _create_training_variables(training_model, class_count)
    validation_batches = evaluation_batches(dataset.validation, class_count, recipe.batch_size)
    epochs = _EpochRecorder()
    start = time.monotonic()
    training_model.fit(
        training_batches(
            dataset.train,
            dataset.image_size,
            class_count,
            recipe.batch_size,
            seed,
        ),
        epochs=recipe.epochs,
        validation_data=validation_batches,
        callbacks=[_DivergenceStop(), epochs, *callbacks],
        shuffle=False,  # The batches are shuffled already.
        verbose=0,
    )
    if epochs.records:
        last = epochs.records[-1]
        validation = last.validation_loss, last.validation_accuracy
    else:
        validation = training_model.evaluate(validation_batches, verbose=0)
    seconds = time.monotonic() - start
    test = training_model.evaluate(
        evaluation_batches(dataset.test, class_count, recipe.batch_size), verbose=0
    )
    return TrainingResult(tuple(epochs.records), *validation, *test, seconds)


def check_batch_size(recipe, dataset):
    """Raises `ValueError` if there are too few training images for a single step."""
    if recipe.batch_size > dataset.train.size:
        raise ValueError(
            "batch_size must be at most the number of training images. "
            f"Received: batch_size={recipe.batch_size} with {dataset.train.size} images"
        )


def learning_rate_schedule(recipe, steps):
    """Linear warm-up from 0 and cosine decay to 0, one value a step.

    Args:
        recipe: a `Recipe`.
        steps: number of steps of the whole training.

    Returns:
        A Keras learning-rate schedule.
    """
    # At least the last step decays, however short the training is.
    warmup_steps = min(round(recipe.warmup * steps), steps - 1)
    decay_steps = steps - warmup_steps
    if warmup_steps == 0:
        return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, decay_steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=decay_steps,
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup_steps,
    )


def _make_optimizer(recipe, steps):
    schedule = learning_rate_schedule(recipe, steps)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _create_training_variables(model, class_count):
    """Makes the variables of optimizer and metrics, as the first step would.

    TensorFlow traces a step twice if the first trace creates variables, and tracing is what the
    first seconds of a training are spent on.
    """
    model.optimizer.build(model.trainable_variables)
    uniform = np.full((1, class_count), 1 / class_count, np.float32)
    model.compute_metrics(None, uniform, uniform)
    model.reset_metrics()


class _DivergenceStop(keras.callbacks.Callback):
    """Ends the training with an error when the loss is no number any more."""

    def on_train_batch_end(self, batch, logs=None):
        loss = logs["loss"]
        if not math.isfinite(loss):
            raise TrainingDivergedError(
                f"the loss became {loss} at step {batch + 1} of an epoch; "
                "a lower learning rate may help"
            )


class _EpochRecorder(keras.callbacks.Callback):
    """Keeps an `EpochRecord` of every epoch."""

    def __init__(self):
        super().__init__()
        self.records = []
        self._start = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.records.append(
            EpochRecord(
                epoch=epoch + 1,
                loss=logs["loss"],
                accuracy=logs["accuracy"],
                validation_loss=logs["val_loss"],
                validation_accuracy=logs["val_accuracy"],
                learning_rate=float(self.model.optimizer.learning_rate),
                seconds=time.monotonic() - self._start,
            )
        )
