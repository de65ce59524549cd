# SPDX-License-Identifier: Apache-2.0
"""What all tasks have in common whose models answer for the cells of a grid."""

import abc
import collections.abc
import dataclasses
import typing

import numpy as np

from keras_micronet.grid_answers.labels import output_stride
from tflm.recognition.grid_constants import GridReading, grid_constants
from tflm.recognition.grid_test_vectors import grid_test_vectors
from tflm.recognition.objects import Grid
from tflm.report.pictures import Picture, pictures_png
from tflm.report.verdict import loss, percent
from tflm.sources import c_arrays, generic_names
from tflm.tasks.spread import spread
from tflm.tasks.task import Models, Run, TaskFiles
from tflm.verification.grid_cost import GridCost
from tflm.verification.paired_bootstrap import RESAMPLES
from tflm.verification.paired_interval import CONFIDENCE

# Each is shown twice, without rounding and as the device sees it.
EXAMPLES = 9
MOST_MISTAKES = 6
_EXAMPLES_IN_A_ROW = 6
_EXAMPLE_INCHES, _TEXT_INCHES = 2.1, 0.35
_MOST_TEST_VECTORS, _FEW_TEST_VECTORS = 10, 3
ABOUT_CELLS = """\
The output has scores for each cell of a grid (rows, columns, answers), before any {activation}:
 * functions of micronet_objects.h read them. The names are {names}."""


@dataclasses.dataclass(frozen=True)
class GridAnswers(abc.ABC):
    """See `task_answers.TaskAnswers`; a class a task.

    Attributes:
        class_names: of the classes without background, or of the joints.
        reading: `GridReading` of the device's outputs.
        cost: `GridCost`.
        own_value: what `cost` compares, from 0 to 1, of the run's model with the rounding that it
            has learned with.
        float_run_value: the same of the float model that a quantization-aware one continues, on
            all test images of the dataset, if that is known.
        examples: `Picture`s in pairs, float and device.
    """

    class_names: tuple[str, ...]
    reading: GridReading
    cost: GridCost
    own_value: float
    float_run_value: float | None
    examples: tuple[Picture, ...]

    measure: typing.ClassVar[str]
    key: typing.ClassVar[str]  # of `measure` in report.json
    questions: typing.ClassVar[str]  # what the agreement counts
    marks: typing.ClassVar[str]  # what the pictures show

    @property
    def classes(self) -> int:
        """See `TaskAnswers`."""
        return len(self.class_names)

    @property
    @abc.abstractmethod
    def about(self) -> str:
        """See `TaskAnswers`."""

    @property
    def cells(self) -> str:
        """The grid in words."""
        grid = self.reading.grid
        return f"{grid.rows} x {grid.columns} cells of {grid.output_stride} pixels"

    @property
    def examples_png(self) -> bytes | None:
        """See `TaskAnswers`."""
        if not self.examples:
            return None
        title = f"test images, float beside int8; {self.marks}"
        grid = self.reading.grid
        height = _EXAMPLE_INCHES * min(2.0, grid.input_height / grid.input_width) + _TEXT_INCHES
        inches = _EXAMPLE_INCHES, height
        return pictures_png(title, self.examples, _EXAMPLES_IN_A_ROW, inches)

    def headline(self, title: str) -> str:
        """See `TaskAnswers`."""
        cost = self.cost
        return (
            f"{self.measure} on {cost.images:,} test images: float {percent(cost.float_value)}, "
            f"int8 {title} {percent(cost.int8_value)}, {loss(cost)}"
        )

    def agreement(self) -> str:
        """See `TaskAnswers`."""
        return f"{self.questions} answered as by float: {percent(self.cost.agreement)}"

    def warnings(self) -> collections.abc.Iterable[str]:
        """See `TaskAnswers`."""
        return ()

    def on_device(self) -> str:
        """See `TaskAnswers`."""
        cost = self.cost
        return f"**{percent(cost.int8_value)}** on {cost.images:,} test images, {loss(cost)}"

    def rows(self) -> collections.abc.Iterable[tuple[str, str]]:
        """See `TaskAnswers`."""
        yield f"**{self.measure} on the device**", self.on_device()
        yield f"{self.measure} without rounding", percent(self.cost.float_value)
        yield f"{self.questions} answered as without rounding", percent(self.cost.agreement)

    def cost_text(self) -> str:
        """See `TaskAnswers`."""
        cost, low_and_high = self.cost, "{:.2f} to {:.2f}".format(*self.cost.points_lost_interval)
        return f"""\
Float and int8 have seen the same {cost.images:,} test images: {self.measure} is
{percent(cost.float_value)} without rounding and {percent(cost.int8_value)} on the device, which
makes {cost.points_lost:.2f} points lost. On all images of the kind it is, with {CONFIDENCE:.0%}
confidence, {low_and_high} points (percentile bootstrap of images in pairs, {RESAMPLES:,} times).
Both answer {percent(cost.agreement)} of {cost.questions:,} {self.questions} in the same way.

{self.class_table()}"""

    @abc.abstractmethod
    def class_table(self) -> str:
        """How good both are for each class, in Markdown."""

    def learned_remark(self) -> str:
        """See `TaskAnswers`."""
        text = (
            "Float is the same weights without rounding. With the rounding that they have learned "
            f"with, simulated, {self.measure} is {percent(self.own_value)}."
        )
        if self.float_run_value is not None:
            text += (
                f" The float run that came before has {percent(self.float_run_value)} on all test "
                "images of the dataset."
            )
        return text

    def remarks(self) -> collections.abc.Iterable[str]:
        """See `TaskAnswers`."""
        for warning in self.warnings():
            yield (
                f"**{warning[0].upper()}{warning[1:]}.** It computes what it is defined to; but "
                "figures say little of such answers."
            )

    def outputs_note(self, library: str) -> str:
        """See `TaskAnswers`."""
        return f"of each cell, see {library}_recognition.h"

    def examples_section(self) -> str:
        """See `TaskAnswers`."""
        if not self.examples:
            return ""
        return f"""
## What it sees

Mistakes of the device first, if there are any: these are not in proportion. Float at the left, the
device at the right; {self.marks}.

![test images, marked with what float and device answer](report_predictions.png)
"""

    def choices_section(self, is_own_model: bool) -> str:
        """See `TaskAnswers`."""
        return ""

    def values(self) -> dict[str, typing.Any]:
        """See `TaskAnswers`."""
        grid = self.reading.grid
        return {
            "task": self.reading.task,
            "grid": {"rows": grid.rows, "columns": grid.columns, "stride": grid.output_stride},
            f"keras_{self.key}": self.own_value,
            f"float_run_{self.key}": self.float_run_value,
            f"float_{self.key}": self.cost.float_value,
            f"int8_{self.key}": self.cost.int8_value,
        }

    def details(self) -> dict[str, typing.Any]:
        """See `TaskAnswers`."""
        return {
            "agreement": self.cost.agreement,
            "by_class": self.class_figures(),
            "warnings": list(self.warnings()),
        }

    @abc.abstractmethod
    def class_figures(self) -> list[dict[str, typing.Any]]:
        """How good both are for each class."""

    def choices(self) -> dict[str, typing.Any]:
        """See `TaskAnswers`."""
        return {}


class GridTask(abc.ABC):
    """What all `task.Task`s of grids have in common."""

    name: typing.ClassVar[str]
    measure: typing.ClassVar[str]
    readme: typing.ClassVar[str]  # for `c_arrays.of_library`, as all below
    arduino: typing.ClassVar[str]
    helper: typing.ClassVar[str]  # functions of this model, for its header

    def questions(self, outputs: np.ndarray) -> np.ndarray:
        """See `Task`."""
        return outputs

    @abc.abstractmethod
    def compare(self, run: Run, models: Models) -> GridAnswers:
        """See `Task`."""

    @abc.abstractmethod
    def is_there(self, labels: np.ndarray, class_count: int) -> np.ndarray:
        """Which class each image shows, booleans `(images, classes)`."""

    def files(self, run: Run, models: Models, answers: GridAnswers, library: str) -> TaskFiles:
        """See `Task`."""
        outputs = models.outputs(run.test.images)
        chosen = _one_of_each_class(self.is_there(run.test.labels, len(run.class_names)))
        vectors = grid_test_vectors(
            run.test.images[chosen], outputs[chosen], answers.reading, library
        )
        return TaskFiles(
            task=self.name,
            recognition={
                **_recognition(answers.reading, self.helper, library),
                **generic_names.recognition_header(library, self.name),
            },
            vectors=vectors,
            test_vectors=len(chosen),
            headers=(f"{library}_recognition.h",),
            readme=c_arrays.of_library(self.readme, library),
            arduino=c_arrays.of_library(self.arduino, library),
        )


def grid_of(images: np.ndarray, outputs: np.ndarray) -> Grid:
    """The `Grid` of raw images and of the outputs for them."""
    (height, width), (rows, columns, answers) = images.shape[1:3], outputs.shape[1:]
    stride = output_stride((height, width), (rows, columns))
    return Grid(rows, columns, answers, stride, width, height)


def _recognition(reading, helper, library):
    """What the functions that read the answers need of the model."""
    constants = grid_constants(library, reading)
    name = f"{library}_recognition"
    declarations = f"{constants.declarations}\n{c_arrays.of_library(helper, library)}"
    header = c_arrays.c_header(f"{name}.h", declarations, ['"micronet_objects.h"'])
    return {f"{name}.h": header, f"{name}.c": c_arrays.c_source(f"{name}.h", constants.definitions)}


def _one_of_each_class(is_there):
    """Indices of the first image of each class and of one without any, as many as make good test
    vectors; of others if these are few."""
    wanted = np.concatenate([is_there, ~is_there.any(axis=1, keepdims=True)], axis=1)
    first = [int(each.argmax()) for each in wanted.T if each.any()]
    others = np.setdiff1d(np.arange(len(is_there)), first)
    chosen = list(dict.fromkeys(first))[:_MOST_TEST_VECTORS]
    missing = max(0, _FEW_TEST_VECTORS - len(chosen))
    return np.sort([*chosen, *spread(others, missing)])
