# SPDX-License-Identifier: Apache-2.0
"""A run that is only told of: what it would do and how long it would take; nothing is written."""

import contextlib
import math
import time
from collections.abc import Callable

import keras
import tensorflow as tf

from training.commands.train import PreparedRun, counted, introduction
from training.fitting.objectives import VALIDATION, make_objective
from training.fitting.progress import format_duration
from training.fitting.strategies import is_chief
from training.fitting.trainer import train
from training.recipes.options import format_field, recipe_fields

# The first step also builds the graph, so it is timed apart.
_STEPS_TIMED = 5


def execute(
    prepared: PreparedRun,
    report: Callable[[str], object] = print,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Tells what a run would do, and trains its model for a few steps to estimate the time.

    The model that is trained is in memory only, and lost with the process.

    Args:
        prepared: a `run.PreparedRun` of settings with `dry_run`.
        report: function that takes a line of text for the user.
        clock: function that gives seconds.

    Raises:
        TrainingDivergedError: if the loss becomes infinite or undefined.
    """
    report = report if is_chief(prepared.strategy) else lambda line: None
    for line in _description(prepared):
        report(line)
    seconds, pace = _estimate(prepared, clock)
    report(
        f"Estimated time: {format_duration(seconds)} at {pace:,.0f} images/s, measured on a few "
        "steps of a copy of the model that is thrown away."
    )
    report("Dry run: nothing was written.")


def _description(prepared):
    settings, strategy = prepared.settings, prepared.strategy
    recipe = settings.recipe
    yield from introduction(prepared)
    yield f"Parameters with those that are not trained: {prepared.cost.parameters:,}."
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = ", ".join(device.name for device in devices)
    yield (
        f"Strategy {settings.strategy}: {counted(strategy.num_replicas_in_sync, 'device')} in "
        f"step, of this process {names}; precision {settings.precision}."
    )
    steps = recipe.epochs * (prepared.dataset.train.size // recipe.batch_size)
    yield f"Steps: {steps:,} with a peak learning rate of {recipe.peak_learning_rate:g}."
    yield (
        f"Weights {settings.weights or 'random'}, teacher {settings.teacher or 'none'}, seed "
        f"{settings.seed}, patience {settings.patience}."
    )
    yield f"Output: {settings.output}"
    yield "Recipe:"
    for field in recipe_fields(recipe):
        yield f"  {field.name} = {format_field(field, recipe)}"


class _Measured(Exception):
    """Ends the training when enough of it has been timed."""


class _StepTimer(keras.callbacks.Callback):
    def __init__(self, clock):
        super().__init__()
        self._clock = clock
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(self._clock())
        if len(self.ends) > _STEPS_TIMED:
            raise _Measured


def _estimate(prepared, clock):
    """Estimates the whole run in seconds and its pace in images a second."""
    settings, dataset = prepared.settings, prepared.dataset
    recipe = settings.recipe
    timer = _StepTimer(clock)
    start = clock()
    with contextlib.suppress(_Measured):
        train(
            prepared.model,
            dataset,
            recipe,
            settings.seed,
            callbacks=[*prepared.callbacks, timer],
            companion=prepared.companion,
            strategy=prepared.strategy,
            precision=settings.precision,
        )
    first = timer.ends[0] - start
    # A training of a single step has no other.
    step = (timer.ends[-1] - timer.ends[0]) / (len(timer.ends) - 1) if timer.ends[1:] else first
    steps = recipe.epochs * (dataset.train.size // recipe.batch_size)
    objective = make_objective(dataset, recipe)
    evaluator = objective.evaluator(prepared.model)
    batch = next(iter(objective.evaluation_batches(VALIDATION)))
    times = [clock()]
    for _ in range(2):  # the first also builds the graph
        evaluator.evaluate([batch])
        times.append(clock())
    measurements = recipe.epochs * dataset.validation.size + dataset.test.size
    evaluation = times[1] - times[0]
    evaluation += (times[2] - times[1]) * math.ceil(measurements / len(batch[0]))
    return first + (steps - 1) * step + evaluation, recipe.batch_size / max(step, 1e-9)
