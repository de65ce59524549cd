# SPDX-License-Identifier: Apache-2.0
"""The task of telling which class an image is of."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from training.datasets import ImageDataset, load_dataset
from training.datasets.batches import collect_balanced, collect_evenly
from training.fitting.epoch_record import ACCURACY
from training.fitting.evaluation import Evaluation
from training.models import build_model
from training.recipes.recipes import Recipe
from training.runs import plots, run_folder
from training.runs.saved_run import SavedRun
from training.tasks.task import Source, View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FEW_TEST_IMAGES = 100
_TOP = 3  # classes that are named where nobody says how many


class ClassTask:
    """See `task.Task`."""

    score = ACCURACY

    def load_dataset(self, source: Source, recipe: Recipe) -> ImageDataset:
        return load_dataset(
            source.name,
            recipe.image_size,
            source.skip_unreadable,
            recipe.evaluation_crop,
            source.most_pixels,
            recipe.channels,
        )

    def build_model(
        self, variant: str, recipe: Recipe, class_count: int, weights: str | None
    ) -> keras.Model:
        return build_model(variant, recipe.image_size, class_count, weights, recipe.channels)

    def introduction(self, dataset: ImageDataset) -> Iterator[str]:
        yield (
            f"{dataset.name}: {len(dataset.class_names)} classes; {dataset.train.size} images to "
            f"train on, {dataset.validation.size} to validate, {dataset.test.size} to test."
        )
        if dataset.test.size < _FEW_TEST_IMAGES:
            yield (
                f"{dataset.test.size} test images tell an accuracy to "
                f"{_certainty(dataset.test.size)} points, here and in an export's report; "
                f"{_FEW_TEST_IMAGES} tell it to {_certainty(_FEW_TEST_IMAGES)}, 1000 to "
                f"{_certainty(1000)}."
            )

    def calibration(self, dataset: ImageDataset, count: int) -> tuple[np.ndarray, np.ndarray]:
        """About equally many of each class."""
        return collect_balanced(dataset.train, count, len(dataset.class_names))

    def examples(
        self, dataset: ImageDataset, part: str, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        return collect_evenly(getattr(dataset, part), count)

    def sections(
        self, evaluation: Evaluation | None, class_names: tuple[str, ...]
    ) -> Mapping[str, Any]:
        return {}

    def results(
        self, evaluation: Evaluation | None, class_names: tuple[str, ...]
    ) -> Mapping[str, Any]:
        return {"test_top_5_accuracy": evaluation.top_5 if evaluation else None}

    def figures(self, evaluation: Evaluation, class_names: tuple[str, ...]) -> Mapping[str, Any]:
        accuracies = evaluation.class_accuracies.tolist()
        return {
            "top_1_accuracy": evaluation.accuracy,
            "top_5_accuracy": evaluation.top_5,
            "classes": [
                {"name": name, "images": count, "accuracy": None if math.isnan(each) else each}
                for name, count, each in zip(
                    class_names, evaluation.confusion.sum(axis=1).tolist(), accuracies, strict=True
                )
            ],
            "confusion": evaluation.confusion.tolist(),
        }

    def report(self, evaluation: Evaluation, class_names: tuple[str, ...]) -> Iterator[str]:
        yield f"Top-1 accuracy {evaluation.accuracy:.2%}"
        if evaluation.top_5 is not None:
            yield f"Top-5 accuracy {evaluation.top_5:.2%}"
        yield "Accuracy of each class:"
        counts = evaluation.confusion.sum(axis=1)
        for name, accuracy, count in zip(
            class_names, evaluation.class_accuracies, counts, strict=True
        ):
            share = "no images" if count == 0 else f"{accuracy:.2%} of {count:,}"
            yield f"  {name}: {share}"

    def describe(
        self, probabilities: np.ndarray, run: SavedRun, view: View, most: int | None
    ) -> Iterator[str]:
        """The most probable classes in one line."""
        best = np.argsort(-probabilities, kind="stable")[: _TOP if most is None else most]
        yield ", ".join(f"{run.class_names[index]} {probabilities[index]:.2%}" for index in best)

    def plots(
        self, evaluation: Evaluation, dataset: ImageDataset, part: str, recipe: Recipe
    ) -> "Mapping[str, Figure]":
        figure = plots.confusion_matrix(evaluation, dataset.class_names)
        return {run_folder.CONFUSION_MATRIX: figure}


def _certainty(images):
    """Half the 95% interval of an accuracy of one half, in points, which is the widest."""
    return f"±{100 * 1.96 * math.sqrt(0.25 / images):.0f}"
