# SPDX-License-Identifier: Apache-2.0
"""What the tasks of a grid's cells have in common."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_micronet.grid_answers.objects import CELL, PROBABILITY_ONE, Objects
from training.datasets import TENSORFLOW_DATASETS_PREFIX, GridDataset, load_grid_dataset
from training.datasets.grid_batches import collect_grid, read_grid_example
from training.datasets.grid_labels import mirrored_joints
from training.fitting.epoch_record import SCORES
from training.models import build_grid_model
from training.recipes.recipes import KEYPOINTS, GridRecipe
from training.runs.marked_pictures import MOST_PICTURES
from training.runs.saved_run import THRESHOLDS, THRESHOLDS_Q15, SavedRun
from training.tasks.task import Source, View


class GridTask:
    """See `task.Task`.

    Args:
        name: one of `recipes.GRID_TASKS`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.score = SCORES[name]

    def load_dataset(self, source: Source, recipe: GridRecipe) -> GridDataset:
        if source.name.startswith(TENSORFLOW_DATASETS_PREFIX):
            raise ValueError(
                f"the dataset to {self.name} must be a made one or a folder of annotated pictures: "
                "write those of TensorFlow Datasets to a folder first. "
                f"Received: dataset={source.name}"
            )
        dataset = load_grid_dataset(
            self.name,
            source.name,
            recipe.image_size,
            recipe.channels,
            source.skip_unreadable,
            source.most_pixels,
        )
        if self.name == KEYPOINTS and recipe.horizontal_flip:
            mirrored_joints(dataset.class_names)  # refuses those that it cannot tell
        return dataset

    def build_model(
        self, variant: str, recipe: GridRecipe, class_count: int, weights: str | None
    ) -> keras.Model:
        return build_grid_model(variant, recipe, class_count, weights)

    def introduction(self, dataset: GridDataset) -> Iterator[str]:
        noun = "joint" if self.name == KEYPOINTS else "class"
        plural = noun + ("es" if noun == "class" else "s")
        count = len(dataset.class_names)
        yield (
            f"{dataset.name}: {count} {noun if count == 1 else plural}; {dataset.train.size} "
            f"pictures to train on, {dataset.validation.size} to validate and to choose with, "
            f"{dataset.test.size} to test."
        )

    def calibration(self, dataset: GridDataset, count: int) -> tuple[np.ndarray, np.ndarray]:
        """At even distances."""
        return collect_grid(dataset, dataset.train, count)

    def examples(
        self, dataset: GridDataset, part: str, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        return collect_grid(dataset, getattr(dataset, part), count)


def thresholds_and_stride(run: SavedRun) -> tuple[np.ndarray, int]:
    """What a run's answers are read with, whose task has thresholds."""
    assert run.thresholds is not None and isinstance(run.recipe, GridRecipe)
    return run.thresholds, run.recipe.output_stride


def describe_objects(
    objects: Objects, class_names: Sequence[str], output_stride: int, view: View
) -> Iterator[str]:
    """Yields a line for each object: its class, the centre and size of the cells that show it, in
    whole pixels of the picture, and how probable it is."""
    for chosen, x, y, width, height, score in zip(
        objects.classes,
        objects.x,
        objects.y,
        objects.width,
        objects.height,
        objects.scores,
        strict=True,
    ):
        x, width = (_to_picture(each, output_stride, view, axis=1) for each in (x, width))
        y, height = (_to_picture(each, output_stride, view, axis=0) for each in (y, height))
        yield (
            f"{class_names[chosen]} x={view.left + x} y={view.top + y} width={width} "
            f"height={height} score={score / PROBABILITY_ONE:.2%}"
        )


def _to_picture(cells, output_stride, view, axis):
    """A length in cells in Q8 as pixels of the picture, rounded."""
    whole = (view.height, view.width)[axis]
    return (2 * int(cells) * output_stride * whole + CELL * view.image_size[axis]) // (
        2 * CELL * view.image_size[axis]
    )


def threshold_section(thresholds: np.ndarray) -> Mapping[str, Any]:
    """The section of `run.json` with the thresholds of classes or joints."""
    return {THRESHOLDS: {THRESHOLDS_Q15: thresholds.tolist(), "real": real(thresholds)}}


def real(thresholds: np.ndarray) -> list[float]:
    """Thresholds in Q15 as probabilities."""
    return (thresholds / PROBABILITY_ONE).tolist()


def worst_examples(
    dataset: GridDataset, part: str, mistakes: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields the examples with the most mistakes, the worst first, as many as a figure shows.

    Args:
        dataset: a `GridDataset`.
        part: of it, `"test"` for example.
        mistakes: of each of its images, `(images,)`.

    Yields:
        The image's index, the image, uint8 `(height, width, channels)`, and its label.
    """
    split = getattr(dataset, part)
    for index in np.argsort(-mistakes, kind="stable")[:MOST_PICTURES].tolist():
        yield index, *read_grid_example(dataset, split, index)


def named(class_names: Sequence[str], **columns: np.ndarray) -> list[dict[str, Any]]:
    """A dict for each class, of its name and its values; `None` for what is not a number."""
    lists = {name: np.asarray(values).tolist() for name, values in columns.items()}
    return [
        {
            "name": class_name,
            **{
                name: None if values[index] != values[index] else values[index]
                for name, values in lists.items()
            },
        }
        for index, class_name in enumerate(class_names)
    ]
