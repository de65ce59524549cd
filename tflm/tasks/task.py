# SPDX-License-Identifier: Apache-2.0
"""What an export asks of a task: to compare the models' answers, and to hand over what reads them.

`of_run.py` chooses the task of a run.
"""

import collections.abc
import dataclasses
import typing

import numpy as np

from tflm.graph.graph import Quantization
from tflm.report.task_answers import TaskAnswers

Files = collections.abc.Mapping[str, str]


class Images(typing.Protocol):
    """Raw images and what is to be answered to them, as `trained_run.LabelledImages`."""

    @property
    def images(self) -> np.ndarray: ...
    @property
    def labels(self) -> np.ndarray: ...


class Run(typing.Protocol):
    """What a task reads of a `trained_run.TrainedRun`."""

    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def test(self) -> Images: ...
    @property
    def validation(self) -> Images | None: ...
    @property
    def float_test_value(self) -> float | None: ...


class Models(typing.Protocol):
    """The models of one export.

    All take raw images, uint8 `(count, height, width, channels)`, and remember what they gave for
    the same array.
    """

    @property
    def output(self) -> Quantization:
        """Of the device's outputs."""
        ...

    @property
    def is_aware(self) -> bool:
        """Whether the run's model has learned with rounding."""
        ...

    def own_probabilities(self, images: np.ndarray) -> np.ndarray:
        """Of the run's model, with the rounding that it may have learned with."""
        ...

    def float_probabilities(self, images: np.ndarray) -> np.ndarray:
        """Of the same weights without rounding."""
        ...

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """What the device puts out, int8."""
        ...


@dataclasses.dataclass(frozen=True)
class TaskFiles:
    """What an export holds to read a model's answers.

    Attributes:
        task: one of `keras_micronet.grid_answers.tasks.EVERY_TASK`.
        recognition: what its functions need of the model, contents by file name.
        vectors: test vectors, contents by file name.
        test_vectors: how many images these are.
        headers: what a program includes to read answers, besides those of the model.
        readme: from scores to answers, a section of Markdown.
        arduino: lines of C++ that print what is answered to `scores`.
    """

    task: str
    recognition: Files
    vectors: Files
    test_vectors: int
    headers: tuple[str, ...]
    readme: str
    arduino: str


class Task(typing.Protocol):
    """One of what models answer.

    Attributes:
        name: one of `keras_micronet.grid_answers.tasks.EVERY_TASK`.
        measure: what is lost by points.
        about_output: C comment, what the output is.
    """

    @property
    def name(self) -> str: ...
    @property
    def measure(self) -> str: ...
    @property
    def about_output(self) -> str: ...

    def questions(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs as `(images, ..., alternatives)`: the answer is the highest of the last axis."""
        ...

    def compare(self, run: Run, models: Models) -> TaskAnswers:
        """Compares float with the device on the test images, and chooses thresholds.

        Args:
            run: with its images.
            models: of the export.
        """
        ...

    def files(self, run: Run, models: Models, answers: typing.Any, library: str) -> TaskFiles:
        """What reads the answers.

        Args:
            run, models: as for `compare`.
            answers: what `compare` has returned.
            library: prefix of files, functions and constants.
        """
        ...
