# SPDX-License-Identifier: Apache-2.0
"""What every task answers to the commands."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np

from training.fitting.epoch_record import Score
from training.runs.saved_run import SavedRun
from training.settings import MOST_PIXELS

if TYPE_CHECKING:  # who draws imports it
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a dataset is, and what may be in it.

    Attributes:
        name: as on the command line.
        skip_unreadable: whether image files that cannot be decoded are left out.
        most_pixels: how many pixels an image of a folder dataset may have.
    """

    name: str
    skip_unreadable: bool = False
    most_pixels: int = MOST_PIXELS


@dataclasses.dataclass(frozen=True)
class View:
    """The part of a picture that a model sees.

    Attributes:
        top, left: of the part, in pixels of the picture.
        height, width: of the part, in pixels of the picture.
        image_size: height and width in pixels of the image that becomes of it.
    """

    top: int
    left: int
    height: int
    width: int
    image_size: tuple[int, int]


class Task(Protocol):
    """A task; datasets, recipes and evaluations are of the types that its objective has.

    Attributes:
        score: what tells how good a model is.
    """

    score: Score

    def load_dataset(self, source: Source, recipe: Any) -> Any:
        """Loads a dataset for the recipe's images.

        Raises:
            ValueError: if there is no such dataset, or it cannot be trained on.
        """

    def build_model(
        self, variant: str, recipe: Any, class_count: int, weights: str | None
    ) -> keras.Model:
        """Builds the model of a variant, as the functions of `training.models` do."""

    def introduction(self, dataset: Any) -> Iterator[str]:
        """Sentences for the user on a dataset."""

    def calibration(self, dataset: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Training images, at most so many, and their labels, for a run folder."""

    def examples(self, dataset: Any, part: str, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Images of a part at even distances, at most so many, and their labels."""

    def sections(self, evaluation: Any, class_names: tuple[str, ...]) -> Mapping[str, Any]:
        """What `run.json` has among its sections besides those of all tasks."""

    def results(self, evaluation: Any, class_names: tuple[str, ...]) -> Mapping[str, Any]:
        """What `run.json` has among its results besides losses and scores, of the test images; the
        evaluation is `None` where nothing was measured."""

    def figures(self, evaluation: Any, class_names: tuple[str, ...]) -> Mapping[str, Any]:
        """What `evaluation.json` has besides the loss."""

    def report(self, evaluation: Any, class_names: tuple[str, ...]) -> Iterator[str]:
        """What was measured besides the loss, in lines for people."""

    def describe(
        self, probabilities: np.ndarray, run: SavedRun, view: View, most: int | None
    ) -> Iterator[str]:
        """What a run's model sees in a picture, in lines for people.

        Args:
            probabilities: what the model gives for the image.
            run: the run.
            view: the part of the picture that the image is of.
            most: how many answers to name; `None` for as many as suit the task.
        """

    def plots(
        self, evaluation: Any, dataset: Any, part: str, recipe: Any
    ) -> "Mapping[str, Figure]":
        """Matplotlib figures of an evaluation of a part, by the names of their files."""
