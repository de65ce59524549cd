# SPDX-License-Identifier: Apache-2.0
"""`python -m training evaluate`: a finished run measured on a part of a dataset."""

import contextlib
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import keras

from keras_micronet.files import locks
from keras_micronet.files.atomic import remove_temporary_files, temporary_for, write_file
from keras_micronet.files.marks import list_files
from training.datasets import GridDataset, ImageDataset
from training.fitting.evaluation import Evaluation
from training.fitting.grid_evaluation import GridEvaluation
from training.fitting.objectives import make_objective
from training.runs.run_folder import make_writable_folder, write_figure
from training.runs.saved_run import SavedRun
from training.settings import EvaluateSettings
from training.tasks import TASKS, Task
from training.tasks.task import Source

EVALUATION = "evaluation.json"
EVALUATION_FORMAT = 1  # what "format" in it is; another number for other keys


@dataclasses.dataclass(frozen=True)
class PreparedEvaluation:
    """An evaluation of which everything that the user can get wrong has been checked.

    Attributes:
        settings: what to do.
        run: the finished run.
        model: its model.
        dataset: the images, of which the settings name the part to measure on.
        notes: sentences for the user.
        lock: `None`, or what keeps other commands out of the output folder until the end.
    """

    settings: EvaluateSettings
    run: SavedRun
    model: keras.Model
    dataset: ImageDataset | GridDataset
    notes: tuple[str, ...]
    lock: locks.Lock | None = None

    @property
    def task(self) -> Task:
        """What the model answers."""
        return TASKS[self.run.recipe.task]


def prepare(settings: EvaluateSettings) -> PreparedEvaluation:
    """Loads the run and the dataset, and makes the output folder if there is one.

    Args:
        settings: an `EvaluateSettings`.

    Returns:
        A `PreparedEvaluation` for `execute`.

    Raises:
        ValueError, OSError, ImportError: if the settings cannot be met; the message is one for the
            user.
    """
    run = SavedRun.read(settings.run)
    output = settings.output
    if output is not None and output.exists() and (not output.is_dir() or _holds_files(output)):
        raise ValueError(f"output must be a new or empty folder. Received: output={output}")
    source = Source(
        run.dataset if settings.dataset is None else settings.dataset,
        run.skip_unreadable or settings.skip_unreadable,
        settings.most_pixels,
    )
    dataset = TASKS[run.recipe.task].load_dataset(source, run.recipe)
    if dataset.class_names != run.class_names:
        raise ValueError(
            f"the dataset must have the run's classes {list(run.class_names)}, in this order. "
            f"Received: {list(dataset.class_names)} in {dataset.name}"
        )
    model = run.load_model()
    notes = list(dataset.notes)
    sizes = {part: getattr(dataset, part).size for part in run.part_sizes}
    if sizes != run.part_sizes:
        notes.append(
            f"The dataset has {_describe_sizes(sizes)} images; the run was trained with "
            f"{_describe_sizes(run.part_sizes)}. If it is the same dataset, changed since, it is "
            "split differently now, and the model may have learned from some of these images."
        )
    lock = None
    if output is not None:
        make_writable_folder(output)
        lock = locks.acquire(output / locks.LOCK_NAME, output)
        remove_temporary_files(output)
    return PreparedEvaluation(settings, run, model, dataset, tuple(notes), lock)


def _holds_files(folder):
    """Whether there is more in a folder than what a killed command has left half written."""
    return any(not temporary_for(name) for name in list_files(folder))


def _describe_sizes(sizes):
    return ", ".join(f"{size} {part}" for part, size in sizes.items())


def execute(
    prepared: PreparedEvaluation, report: Callable[[str], object] = print
) -> Evaluation | GridEvaluation:
    """Measures the model and tells the user; writes files only if there is an output folder.

    The loss is the training's, with its label smoothing; thresholds are the run's.

    Args:
        prepared: a `PreparedEvaluation`.
        report: function that takes a line of text for the user.

    Returns:
        The evaluation, of the type that the task has.

    Raises:
        OSError: if a file cannot be written.
    """
    with prepared.lock or contextlib.nullcontext():
        return _execute(prepared, report)


def _execute(prepared, report):
    settings, run = prepared.settings, prepared.run
    for note in prepared.notes:
        report(note)
    dataset, task, part = prepared.dataset, prepared.task, settings.part
    objective = make_objective(dataset, run.recipe)
    result: Any = objective.evaluate(prepared.model, part, run.thresholds)
    name = run.folder.resolve().name
    report(f"{name} on {result.images:,} images: {dataset.name}, {part} part.")
    report(f"Loss {result.loss:.4f}")
    for line in task.report(result, run.class_names):
        report(line)
    if settings.output is not None:
        text = json.dumps(_summary(prepared, result), ensure_ascii=False)
        write_file(settings.output / EVALUATION, text + "\n")
        for file_name, figure in task.plots(result, dataset, part, run.recipe).items():
            write_figure(settings.output / file_name, figure)
        report(f"Evaluation: {settings.output}")
    return result


def _summary(prepared, result):
    return {
        "format": EVALUATION_FORMAT,
        "run": prepared.run.folder.resolve().name,
        "dataset": prepared.dataset.name,
        "part": prepared.settings.part,
        "images": result.images,
        "loss": result.loss,
        **prepared.task.figures(result, prepared.run.class_names),
    }
