# SPDX-License-Identifier: Apache-2.0
"""`python -m training evaluate`: a finished run measured on a part of a dataset."""

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable

import keras

from keras_micronet.files import locks
from keras_micronet.files.atomic import remove_temporary_files, temporary_for, write_file
from keras_micronet.files.marks import list_files
from training.datasets import Split, load_dataset
from training.datasets.batches import evaluation_batches
from training.fitting.evaluation import Evaluation, Evaluator
from training.fitting.trainer import categorical_loss
from training.runs import plots, run_folder
from training.runs.run_folder import make_writable_folder, write_figure
from training.runs.saved_run import SavedRun
from training.settings import EvaluateSettings

EVALUATION = "evaluation.json"
EVALUATION_FORMAT = 1  # what "format" in it is; another number for other keys


@dataclasses.dataclass(frozen=True)
class PreparedEvaluation:
    """An evaluation of which everything that the user can get wrong has been checked.

    Attributes:
        settings: what to do.
        run: the finished run.
        model: its model.
        dataset: name of the dataset.
        images: the part of it to measure on.
        notes: sentences for the user.
        lock: `None`, or what keeps other commands out of the output folder until the end.
    """

    settings: EvaluateSettings
    run: SavedRun
    model: keras.Model
    dataset: str
    images: Split
    notes: tuple[str, ...]
    lock: locks.Lock | None = None


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
    dataset = load_dataset(
        run.dataset if settings.dataset is None else settings.dataset,
        run.recipe.image_size,
        run.skip_unreadable or settings.skip_unreadable,
        run.recipe.evaluation_crop,
        settings.most_pixels,
        run.recipe.channels,
    )
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
    return PreparedEvaluation(
        settings, run, model, dataset.name, getattr(dataset, settings.part), tuple(notes), lock
    )


def _holds_files(folder):
    """Whether there is more in a folder than what a killed command has left half written."""
    return any(not temporary_for(name) for name in list_files(folder))


def _describe_sizes(sizes):
    return ", ".join(f"{size} {part}" for part, size in sizes.items())


def execute(prepared: PreparedEvaluation, report: Callable[[str], object] = print) -> Evaluation:
    """Measures the model and tells the user; writes files only if there is an output folder.

    The loss is the training's, with its label smoothing.

    Args:
        prepared: a `PreparedEvaluation`.
        report: function that takes a line of text for the user.

    Returns:
        The `evaluation.Evaluation`.

    Raises:
        OSError: if a file cannot be written.
    """
    with prepared.lock or contextlib.nullcontext():
        return _execute(prepared, report)


def _execute(prepared, report):
    settings, run = prepared.settings, prepared.run
    for note in prepared.notes:
        report(note)
    evaluator = Evaluator(prepared.model, categorical_loss(run.recipe))
    result = evaluator.evaluate(
        evaluation_batches(prepared.images, len(run.class_names), run.recipe.batch_size)
    )
    name = run.folder.resolve().name
    report(f"{name} on {result.images:,} images: {prepared.dataset}, {settings.part} part.")
    report(f"Loss {result.loss:.4f}")
    report(f"Top-1 accuracy {result.accuracy:.2%}")
    if result.top_5 is not None:
        report(f"Top-5 accuracy {result.top_5:.2%}")
    report("Accuracy of each class:")
    counts = result.confusion.sum(axis=1)
    for name, accuracy, count in zip(run.class_names, result.class_accuracies, counts, strict=True):
        share = "no images" if count == 0 else f"{accuracy:.2%} of {count:,}"
        report(f"  {name}: {share}")
    if settings.output is not None:
        text = json.dumps(_summary(prepared, result), ensure_ascii=False)
        write_file(settings.output / EVALUATION, text + "\n")
        figure = plots.confusion_matrix(result, run.class_names)
        write_figure(settings.output / run_folder.CONFUSION_MATRIX, figure)
        report(f"Evaluation: {settings.output}")
    return result


def _summary(prepared, result):
    accuracies = [None if math.isnan(each) else each for each in result.class_accuracies.tolist()]
    counts = result.confusion.sum(axis=1).tolist()
    return {
        "format": EVALUATION_FORMAT,
        "run": prepared.run.folder.resolve().name,
        "dataset": prepared.dataset,
        "part": prepared.settings.part,
        "images": result.images,
        "loss": result.loss,
        "top_1_accuracy": result.accuracy,
        "top_5_accuracy": result.top_5,
        "classes": [
            {"name": name, "images": count, "accuracy": accuracy}
            for name, count, accuracy in zip(
                prepared.run.class_names, counts, accuracies, strict=True
            )
        ],
        "confusion": result.confusion.tolist(),
    }
