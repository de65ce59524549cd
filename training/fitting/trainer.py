# SPDX-License-Identifier: Apache-2.0
"""Training one model on one dataset by one recipe."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterable

import keras
import tensorflow as tf

from keras_micronet.files.text import shorten
from training.datasets import GridDataset, ImageDataset
from training.datasets.batches import Share
from training.fitting.checkpoints import Checkpoint, CheckpointFolder, OtherRunError
from training.fitting.companions import Partner, Teacher
from training.fitting.early_stopping import EarlyStopping, best_record
from training.fitting.epoch_record import AnyRecord, make_record
from training.fitting.evaluation import Evaluation
from training.fitting.grid_evaluation import GridEvaluation
from training.fitting.objectives import VALIDATION, make_objective
from training.fitting.optimizers import make_optimizer
from training.fitting.precision import scale_losses
from training.fitting.strategies import is_chief, synchronized_batch_normalization
from training.fitting.training_model import TrainingModel
from training.fitting.validation import Validation
from training.fitting.weight_average import WeightAverage
from training.recipes.recipes import Recipe
from training.settings import FLOAT32


class TrainingDivergedError(RuntimeError):
    """The loss became infinite or undefined."""


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a training measured.

    Attributes:
        history: one record an epoch, see `epoch_record`; none if the recipe has no epochs.
        validation_loss: loss on the validation images after the epoch whose weights are kept.
        validation_score: the same of the task's score, in [0, 1], such as the top-1 accuracy.
        test_loss: loss on the test images, measured once, after the training.
        test_score: the score on the test images, in [0, 1].
        seconds: duration of training and validation together.
        kept_epoch: the epoch whose weights are kept, from 1; 0 if there were none.
        test: the evaluation of the test images.
    """

    history: tuple[AnyRecord, ...]
    validation_loss: float
    validation_score: float
    test_loss: float
    test_score: float
    seconds: float
    kept_epoch: int = 0
    test: Evaluation | GridEvaluation | None = None


def make_reproducible(seed: int) -> None:
    """Seeds Python, NumPy, Keras and TensorFlow, and keeps TensorFlow to deterministic kernels.

    Affects the whole process; to be called before the model is built.

    Args:
        seed: integer from 0 to 2**32 - 1.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def train(
    model: keras.Model,
    dataset: ImageDataset | GridDataset,
    recipe: Recipe,
    seed: int,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    *,
    companion: Partner | Teacher | None = None,
    strategy: tf.distribute.Strategy | None = None,
    checkpoints: CheckpointFolder | None = None,
    patience: int = 0,
    precision: str = FLOAT32,
    kept_model: keras.Model | None = None,
    after_epoch: Callable[[list[AnyRecord]], object] | None = None,
) -> TrainingResult:
    """Trains a model in place, and measures it on the test images when the training is over.

    The weights of the last epoch are kept: the cosine has brought the learning rate to 0 there, and
    no epoch is picked by its score. With `patience` the best epoch's are, as the training may
    stop while the learning rate is high.

    The model itself stays uncompiled: optimizer and augmentation belong to the training.

    Args:
        model: Keras model from float images `(batch, height, width, channels)` in [0, 255] to
            probabilities `(batch, classes)`, or of a grid's cells `(batch, rows, columns,
            answers)`, made in the strategy's scope.
        dataset: an `ImageDataset`, or a `GridDataset`, which decides what is learned.
        recipe: a `Recipe`, of a grid a `GridRecipe`, with the dataset's image size. If it has no
            epochs, the model is only measured.
        seed: non-negative integer; decides the order and the augmentation of the images.
        callbacks: further Keras callbacks, such as `progress.ProgressLines`.
        companion: `None`, or a `companions.Partner` or `companions.Teacher`.
        strategy: `tf.distribute.Strategy`; TensorFlow's default one, which is one device.
        checkpoints: `None`, or the `CheckpointFolder` to continue from and to write to after each
            epoch. The weights after a training that was stopped and continued are, on a CPU, to
            the bit those of one that was not.
        patience: epochs without a better validation score after which to stop; 0 for never.
        precision: one of `settings.PRECISIONS`, that the model's layers were made for.
        kept_model: `None`, or a float32 model of the same weights, which gets those of `model`
            after the training and is measured in its place on the test images.
        after_epoch: `None`, or a function that takes the list of all records so far; called after
            each epoch by the process that writes files.

    Returns:
        A `TrainingResult`.

    Raises:
        ValueError: if the batch size exceeds the number of training images or cannot be divided
            among the strategy's replicas, or a checkpoint is of another training.
        TrainingDivergedError: if the loss becomes infinite or undefined.
    """
    strategy = strategy or tf.distribute.get_strategy()
    check_batch_size(recipe, dataset, strategy.num_replicas_in_sync)
    objective = make_objective(dataset, recipe)
    steps = dataset.train.size // recipe.batch_size
    training = _Training(
        model, objective, recipe, steps, seed, companion, strategy, patience, precision
    )
    first_epoch = training.resume(checkpoints) if checkpoints else 0
    observers = list(callbacks)
    if is_chief(strategy):  # who writes files
        observers = [*training.writers(checkpoints, after_epoch), *observers]
    training.fit(first_epoch, observers)
    return training.measure(kept_model)


class _Training:
    """One training: made ready with all of its variables, then fitted, then measured.

    Arguments are those of `train`, and the `Objective` and the steps of an epoch.
    """

    def __init__(
        self, model, objective, recipe, steps, seed, companion, strategy, patience, precision
    ):
        self._model, self._objective, self._recipe = model, objective, recipe
        self._seed, self._strategy = seed, strategy
        self._steps_per_epoch = steps
        self._seconds = 0.0
        self._epochs = _EpochRecorder(objective.record_type)
        self._training_model = TrainingModel(model, objective.changes(seed), companion)
        with strategy.scope():
            self._compile(precision)
            decay = recipe.average_decay
            self._average = WeightAverage(model, decay) if decay else None
            self._stopping = (
                EarlyStopping(model, patience, self._epochs, self._average) if patience else None
            )
        self._evaluator = objective.evaluator(model)
        self._validation_batches = objective.evaluation_batches(VALIDATION)

    def _compile(self, precision):
        # A schedule has at least one step, even if no step is taken.
        steps = max(1, self._recipe.epochs * self._steps_per_epoch)
        self._training_model.compile(
            optimizer=scale_losses(make_optimizer(self._recipe, steps), precision),
            loss=self._objective.loss,
            metrics=self._objective.metrics,
            # XLA was two to three times slower on a CPU, and excludes deterministic kernels.
            jit_compile=False,
        )
        _create_training_variables(
            self._training_model, self._recipe.input_shape, *self._objective.examples()
        )

    @property
    def _variables(self):
        """All that a checkpoint must hold."""
        variables = [*self._training_model.variables, *self._training_model.optimizer.variables]
        variables += self._average.state if self._average else []
        return variables + (self._stopping.variables if self._stopping else [])

    def resume(self, checkpoints):
        """Goes to the end of the newest checkpoint, and tells how many epochs are done then."""
        first_epoch = _resume(checkpoints, self._variables, self._epochs)
        if self._stopping and self._stopping.is_over:
            return self._recipe.epochs  # it was stopped already, but not completed
        return first_epoch

    def writers(self, checkpoints, after_epoch):
        """Callbacks that write files, or let others write them, after each epoch."""
        if checkpoints is not None:
            yield _CheckpointWriter(checkpoints, self._variables, self._epochs)
        if after_epoch is not None:
            yield _AfterEpoch(after_epoch, self._epochs)

    def fit(self, first_epoch, observers):
        """Takes all steps of the epochs from `first_epoch`, from 0, on."""
        recipe, strategy = self._recipe, self._strategy
        batches = _distributed_batches(strategy, self._objective, recipe, self._seed, first_epoch)
        start = time.monotonic()
        with strategy.scope(), synchronized_batch_normalization(self._training_model, strategy):
            self._training_model.fit(
                batches,
                epochs=recipe.epochs,
                initial_epoch=first_epoch,
                steps_per_epoch=self._steps_per_epoch,
                callbacks=[
                    _DivergenceStop(),
                    *([self._average] if self._average else []),
                    Validation(
                        self._evaluator,
                        self._validation_batches,
                        self._objective.score,
                        self._average,
                    ),
                    self._epochs,
                    *([self._stopping] if self._stopping else []),
                    *observers,
                ],
                shuffle=False,  # The batches are shuffled already.
                verbose=0,
            )
        self._seconds = self._epochs.seconds_before + time.monotonic() - start

    def measure(self, kept_model):
        """The `TrainingResult`; gives `kept_model`, unless it is `None`, the trained weights."""
        records, kept_epoch = self._epochs.records, 0
        if records:
            kept = best_record(records) if self._stopping else records[-1]
            validation = kept.validation_loss, kept.validation_score
            kept_epoch = kept.epoch
        else:
            validation = self._evaluator.measure(self._validation_batches)
        evaluator = self._evaluator
        if kept_model is not None:
            # As tensors: a strategy's own variables are no arrays.
            for weight, trained in zip(kept_model.weights, self._model.weights, strict=True):
                weight.assign(tf.convert_to_tensor(trained))
            evaluator = self._objective.evaluator(kept_model)
        test = self._objective.test(evaluator)
        return TrainingResult(
            tuple(records), *validation, test.loss, test.score, self._seconds, kept_epoch, test
        )


def check_batch_size(
    recipe: Recipe, dataset: ImageDataset | GridDataset, replicas: int = 1
) -> None:
    """Raises `ValueError` if there are too few images for a step or for each replica of it."""
    if recipe.batch_size > dataset.train.size:
        raise ValueError(
            "batch_size must be at most the number of training images: give a smaller "
            "--batch-size, or add images. "
            f"Received: batch_size={recipe.batch_size} with {dataset.train.size} images"
        )
    if recipe.batch_size % replicas or recipe.batch_size < 2 * replicas:
        raise ValueError(
            "batch_size must be a multiple of the number of devices, at least two images for each. "
            f"Received: batch_size={recipe.batch_size} with {replicas} devices"
        )


def _create_training_variables(model, input_shape, answers, probabilities):
    """Makes the variables of model, optimizer and metrics, as the first step would.

    TensorFlow traces a step twice if the first trace creates variables, and tracing is what the
    first seconds of a training are spent on.
    """
    model.build((None, *input_shape))
    model.optimizer.build(model.trainable_variables)
    model.compute_metrics(None, answers, probabilities)
    model.reset_metrics()


def _distributed_batches(strategy, objective, recipe, seed, first_epoch):
    """Training batches for `fit`.

    A strategy divides whole batches among the replicas of one process. Several processes each read
    their own share instead: TensorFlow would let all of them read everything.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return objective.training_batches(seed, first_epoch, Share())

    def read_share(context):
        share = Share(context.input_pipeline_id, context.num_input_pipelines)
        batches = objective.training_batches(seed, first_epoch, share)
        return batches.rebatch(recipe.batch_size // context.num_replicas_in_sync)

    return strategy.distribute_datasets_from_function(read_share)


def _resume(checkpoints, variables, epochs):
    """Gives all variables and records their values of the newest checkpoint.

    Returns:
        Number of epochs that are done.
    """
    checkpoint = checkpoints.latest(variables)
    if checkpoint is None:
        return 0
    for variable, array in zip(variables, checkpoint.arrays, strict=True):
        variable.assign(array)
    try:
        epochs.records = [epochs.record_type(**each) for each in checkpoint.state["history"]]
    except TypeError as error:
        raise OtherRunError(
            "a checkpoint's history must be of this version; begin anew with --overwrite or "
            f"another --output. Received: {shorten(error)}"
        ) from error
    epochs.seconds_before = sum(record.seconds for record in epochs.records)
    return checkpoint.epoch


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
    """Keeps a record of every epoch, of a type of `epoch_record`."""

    def __init__(self, record_type):
        super().__init__()
        self.record_type = record_type
        self.records = []
        self.seconds_before = 0.0  # of epochs that another process has trained
        self._start = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.records.append(
            make_record(
                self.record_type,
                logs,
                epoch=epoch + 1,
                learning_rate=float(self.model.optimizer.learning_rate),
                seconds=time.monotonic() - self._start,
            )
        )


class _CheckpointWriter(keras.callbacks.Callback):
    """Writes a checkpoint after every epoch."""

    def __init__(self, checkpoints, variables, epochs):
        super().__init__()
        self._checkpoints = checkpoints
        self._variables = variables
        self._epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        # As tensors: a strategy's own variables are no arrays.
        arrays = tuple(tf.convert_to_tensor(variable).numpy() for variable in self._variables)
        history = [dataclasses.asdict(record) for record in self._epochs.records]
        self._checkpoints.write(Checkpoint(epoch + 1, arrays, {"history": history}))


class _AfterEpoch(keras.callbacks.Callback):
    """Hands the records of all epochs so far to a function."""

    def __init__(self, function, epochs):
        super().__init__()
        self._function = function
        self._epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        self._function(list(self._epochs.records))
