# SPDX-License-Identifier: Apache-2.0
"""One whole run: dataset and model in, run folder out."""

import dataclasses
import functools
import importlib.util
import platform
from collections.abc import Callable, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

import keras_micronet
from keras_micronet.run_folders import SUMMARY_FORMAT, TASK
from training.datasets import GridDataset, ImageDataset
from training.fitting.checkpoints import PICTURES, CheckpointFolder
from training.fitting.companions import Partner, Teacher
from training.fitting.epoch_record import RECORD_TYPES
from training.fitting.objectives import TEST, VALIDATION, categorical_loss
from training.fitting.precision import layers_compute_in
from training.fitting.progress import ProgressLines, format_duration
from training.fitting.strategies import check_workers_agree, is_chief, make_strategy, workers_answer
from training.fitting.trainer import (
    TrainingResult,
    check_batch_size,
    make_reproducible,
    train,
)
from training.models import build_partner, check_blocks, check_request, load_teacher
from training.recipes.options import format_field
from training.recipes.recipes import CLASSIFY, RECIPES, RGB, QuantizeAwareRecipe
from training.runs import plots, run_folder
from training.runs.run_folder import RunFolder
from training.settings import FLOAT32, RunSettings
from training.tasks import TASKS, Task
from training.tasks.task import Source

# Enough for the ranges of a post-training quantization and to compare two models on.
CALIBRATION_IMAGES = 300
TEST_IMAGES = 1000
VALIDATION_IMAGES = 1000  # to choose a threshold on
_FEW_STEPS = 200  # of a training from random weights, which has hardly begun to learn by then


@dataclasses.dataclass(frozen=True)
class PreparedRun:
    """A run of which everything that the user can get wrong has been checked.

    Attributes:
        settings: what to do.
        dataset: the images to do it with.
        model: the model to train.
        cost: a `keras_micronet.ModelSummary` of the model.
        folder: where to write; begun already, unless it is a dry run.
        strategy: `tf.distribute.Strategy` to train with.
        companion: `None`, or the `companions.Partner` or `companions.Teacher` of the model.
        callbacks: Keras callbacks that belong to the way of training.
        kept_model: `None`, or the float32 model that gets the weights of `model`, which computes in
            half precision, and is written.
        notes: sentences for the user, said before the training.
        sections: further sections of `run.json`.
    """

    settings: RunSettings
    dataset: ImageDataset | GridDataset
    model: keras.Model
    cost: keras_micronet.ModelSummary
    folder: RunFolder
    strategy: tf.distribute.Strategy
    companion: keras.layers.Layer | None = None
    callbacks: tuple[keras.callbacks.Callback, ...] = ()
    kept_model: keras.Model | None = None
    notes: tuple[str, ...] = ()
    sections: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def task(self) -> Task:
        """What the model is to answer."""
        return TASKS[self.settings.recipe.task]


def prepare(settings: RunSettings) -> PreparedRun:
    """Loads the dataset, builds the model and, unless it is a dry run, makes the run folder.

    Args:
        settings: a `RunSettings`.

    Returns:
        A `PreparedRun` for `execute`.

    Raises:
        ValueError, OSError, ImportError: if the settings cannot be met; the message is one for the
            user.
    """
    # What takes no time first: a large folder of images takes minutes to check.
    check_request(settings.model, settings.weights)
    check_blocks(settings.model, settings.recipe)
    if settings.tensorboard:
        _check_tensorboard()
    # At once, also to a file or a pipe: a worker then waits for the others.
    strategy = make_strategy(settings.strategy, announce=functools.partial(print, flush=True))
    # Only the first worker writes, and may be ahead of this one.
    folder = RunFolder(
        settings.output, settings.overwrite, settings.resume, writes=is_chief(strategy)
    )
    make_reproducible(settings.seed)
    recipe, task = settings.recipe, TASKS[settings.recipe.task]
    source = Source(settings.dataset, settings.skip_unreadable, settings.most_pixels)
    dataset = task.load_dataset(source, recipe)
    check_batch_size(recipe, dataset, strategy.num_replicas_in_sync)
    check_workers_agree(strategy, _identity(settings, dataset, strategy, {}) | _versions())
    class_count = len(dataset.class_names)
    kept_model = None
    with strategy.scope():
        with layers_compute_in(settings.precision):
            model = task.build_model(settings.model, recipe, class_count, settings.weights)
            companion = _make_companion(settings, class_count)
        if settings.precision != FLOAT32:
            kept_model = task.build_model(settings.model, recipe, class_count, None)
    cost = keras_micronet.summarize(kept_model or model)
    if is_chief(strategy) and not settings.dry_run:
        folder.begin()
    return PreparedRun(
        settings, dataset, model, cost, folder, strategy, companion, kept_model=kept_model
    )


def _check_tensorboard():
    if importlib.util.find_spec("tensorboard") is None:
        raise ValueError(
            "for its logs, TensorBoard must be installed: python -m pip install tensorboard. "
            "Received: --tensorboard without it"
        )


def _make_companion(settings, class_count):
    recipe = settings.recipe
    if settings.teacher is not None:
        teacher = load_teacher(settings.teacher, recipe.image_size, class_count, recipe.channels)
        return Teacher(teacher, recipe.distillation_weight, recipe.distillation_temperature)
    if recipe.mutual_weight > 0:
        partner = build_partner(settings.model, recipe.image_size, class_count, recipe.channels)
        return Partner(partner, categorical_loss(recipe), recipe.mutual_weight)
    return None


def execute(prepared: PreparedRun, report: Callable[[str], object] = print) -> TrainingResult:
    """Trains the model and writes the run folder.

    Args:
        prepared: a `PreparedRun`.
        report: function that takes a line of text for the user.

    Returns:
        The `trainer.TrainingResult`.

    Raises:
        TrainingDivergedError: if the loss becomes infinite or undefined.
        OtherRunError: if the folder holds checkpoints of a run with other settings.
        WorkersError: if another worker does not answer any more.
        OSError: if a file cannot be written.
        KeyboardInterrupt: if the user interrupts it; says how to go on.
    """
    writes = is_chief(prepared.strategy)
    report = report if writes else lambda line: None
    try:
        with workers_answer(prepared.strategy):
            return _execute(prepared, report, writes)
    finally:
        prepared.folder.release()


def _execute(prepared, report, writes):
    settings, dataset = prepared.settings, prepared.dataset
    for line in introduction(prepared):
        report(line)
    identity = _identity(settings, dataset, prepared.strategy, prepared.sections)
    checkpoints = CheckpointFolder(prepared.folder.checkpoints, identity, report)
    if checkpoints.last_epoch:
        report(f"Continues after epoch {checkpoints.last_epoch}, from {checkpoints.path}.")
    try:
        return _train_and_write(prepared, checkpoints, report, writes)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_how_to_go_on(settings, checkpoints)) from None


def _how_to_go_on(settings, checkpoints):
    """What a user who interrupts a training wants to know."""
    options = [
        option
        for option, is_given in (
            ("--overwrite", settings.overwrite),
            ("--no-resume", not settings.resume),
        )
        if is_given
    ]
    command = f"the same command{' without ' if options else ''}{' and '.join(options)}"
    epoch = checkpoints.last_epoch
    if not epoch:
        return (
            "interrupted before the first checkpoint, which the end of each epoch writes: "
            f"{command} begins anew"
        )
    return (
        f"interrupted; {checkpoints.path} has all of the first {epoch} of "
        f"{settings.recipe.epochs} epochs: {command} continues after them"
    )


def _train_and_write(prepared, checkpoints, report, writes):
    settings, dataset, model = prepared.settings, prepared.dataset, prepared.model
    record_type = RECORD_TYPES[settings.recipe.task]
    result = train(
        model,
        dataset,
        settings.recipe,
        settings.seed,
        callbacks=[*prepared.callbacks, *(_observers(prepared) if writes else [])],
        companion=prepared.companion,
        strategy=prepared.strategy,
        checkpoints=checkpoints,
        patience=settings.patience,
        precision=settings.precision,
        kept_model=prepared.kept_model,
        after_epoch=_HistoryWriter(prepared.folder, record_type, report),
    )
    if not writes:
        return result
    _write(prepared, result)
    checkpoints.remove()
    prepared.folder.complete()
    for line in _outcome(prepared, result):
        report(line)
    return result


def _write(prepared, result):
    """Writes all files of a finished run, `run.json` last."""
    dataset, task, folder = prepared.dataset, prepared.task, prepared.folder
    recipe = prepared.settings.recipe
    calibration = task.calibration(dataset, CALIBRATION_IMAGES)
    folder.write_model(prepared.kept_model or prepared.model)
    folder.write_class_names(dataset.class_names)
    folder.write_calibration(*calibration)
    folder.write_test(*task.examples(dataset, TEST, TEST_IMAGES))
    folder.write_validation(*task.examples(dataset, VALIDATION, VALIDATION_IMAGES))
    folder.write_history(RECORD_TYPES[recipe.task], result.history)
    if result.history:
        folder.write_learning_curve(plots.learning_curve(result, task.score))
    if result.test is not None:
        folder.write_plots(task.plots(result.test, dataset, TEST, recipe))
    folder.write_summary(_summary(prepared, result))


def _outcome(prepared, result):
    """Sentences on what the training came to."""
    settings, score = prepared.settings, prepared.task.score
    if settings.patience and result.history:
        yield (
            f"Kept the weights of epoch {result.kept_epoch}, the best of {len(result.history)} by "
            f"validation {score.title}."
        )
    duration = f", after {format_duration(result.seconds)} of training" if result.history else ""
    yield (
        f"Test {score.title} {score.text(result.test_score)} on {prepared.dataset.test.size} "
        f"held-out images{duration}."
    )
    yield f"Run folder: {prepared.folder.path}"


def _observers(prepared):
    """Callbacks that tell the user of the training, and change nothing of it."""
    batch_size = prepared.settings.recipe.batch_size
    yield ProgressLines(batch_size, prepared.dataset.validation.size, score=prepared.task.score)
    if prepared.settings.tensorboard:
        yield keras.callbacks.TensorBoard(prepared.folder.tensorboard, write_graph=False)


class _HistoryWriter:
    """Writes the history after each epoch; where that fails, the training goes on."""

    def __init__(self, folder, record_type, warn):
        self._folder = folder
        self._record_type = record_type
        self._warn = warn

    def __call__(self, records):
        try:
            self._folder.write_history(self._record_type, records)
        except OSError as error:
            self._warn(f"No {run_folder.HISTORY} after epoch {records[-1].epoch}: {error}.")


def _identity(settings, dataset, strategy, sections):
    """All that decides the training's course: what a checkpoint must have been made with."""
    recipe = dataclasses.asdict(settings.recipe)
    # Checkpoints of versions that knew nothing else go on.
    for name, only_one in (("channels", RGB), ("task", CLASSIFY)):
        if recipe[name] == only_one:
            del recipe[name]
    return {
        "model": settings.model,
        "weights": settings.weights,
        "teacher": settings.teacher,
        "seed": settings.seed,
        "patience": settings.patience,
        "precision": settings.precision,
        "recipe": recipe,
        "dataset": dataset.name,
        "class_names": dataset.class_names,
        "train_images": dataset.train.size,
        PICTURES: dataset.pictures,
        "replicas": strategy.num_replicas_in_sync,
        **sections,
    }


def introduction(prepared: PreparedRun) -> Iterator[str]:
    """Yields sentences for the user on model, dataset and recipe."""
    settings, dataset, cost = prepared.settings, prepared.dataset, prepared.cost
    recipe = settings.recipe
    height, width = recipe.image_size
    steps = dataset.train.size // recipe.batch_size
    yield (
        f"MicroNet{settings.model}: {cost.trainable_parameters:,} trainable parameters, "
        f"{cost.multiply_adds:,} multiply-adds an image of {height} x {width} pixels."
    )
    yield from prepared.task.introduction(dataset)
    yield from dataset.notes
    yield from prepared.notes
    yield from prepared.folder.notes
    yield (
        f"Recipe {recipe.name}, version {recipe.version}{_changes(recipe)}: "
        f"{counted(recipe.epochs, 'epoch')} of {counted(steps, 'step')} of "
        f"{counted(recipe.batch_size, 'image')}."
    )
    is_from_scratch = settings.weights is None and not isinstance(recipe, QuantizeAwareRecipe)
    if is_from_scratch and recipe.epochs * steps < _FEW_STEPS:
        yield (
            f"{counted(recipe.epochs * steps, 'step')} in all are few to learn from: a smaller "
            "--batch-size makes more of an epoch, or give more --epochs."
        )


def counted(count: int, noun: str) -> str:
    """A number of things in words for the user, such as "1 step"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _changes(recipe):
    """What differs from the recipe of this name, as a part of a sentence."""
    named = RECIPES.get(recipe.name)
    if named is None:
        return ""
    changes = [
        f"{field.name}={format_field(field, recipe)}"
        for field in dataclasses.fields(named)
        if getattr(recipe, field.name) != getattr(named, field.name)
    ]
    return f" with {', '.join(changes)}" if changes else ""


def _summary(prepared, result):
    settings, dataset, cost = prepared.settings, prepared.dataset, prepared.cost
    task, class_names = prepared.task, dataset.class_names
    return {
        "format": SUMMARY_FORMAT,
        TASK: settings.recipe.task,
        "model": {
            "variant": settings.model,
            "input_shape": list(settings.recipe.input_shape),
            "parameters": cost.parameters,
            "trainable_parameters": cost.trainable_parameters,
            "multiply_adds": cost.multiply_adds,
            "initial_weights": settings.weights,
        },
        "dataset": {
            "name": dataset.name,
            "source": settings.dataset,
            "skip_unreadable": settings.skip_unreadable,
            "classes": len(class_names),
            "train_images": dataset.train.size,
            "validation_images": dataset.validation.size,
            "test_images": dataset.test.size,
            "pictures": dataset.pictures,
            "notes": list(dataset.notes),
        },
        "recipe": dataclasses.asdict(settings.recipe),
        "seed": settings.seed,
        "patience": settings.patience,
        "precision": settings.precision,
        "results": {
            f"test_{task.score.key}": result.test_score,
            **task.results(result.test, class_names),
            "test_loss": result.test_loss,
            f"validation_{task.score.key}": result.validation_score,
            "validation_loss": result.validation_loss,
            "kept_epoch": result.kept_epoch,
            "training_seconds": result.seconds,
        },
        **task.sections(result.test, class_names),
        "versions": _versions(),
        **prepared.sections,
    }


def _versions():
    return {
        "python": platform.python_version(),
        "keras_micronet": keras_micronet.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }
