# SPDX-License-Identifier: Apache-2.0
"""What detection and keypoints have in common: what is found has a threshold a class or joint."""

import abc
import collections.abc
import dataclasses
import typing

import numpy as np

from keras_micronet.grid_answers.objects import (
    CELL,
    PROBABILITY_ONE,
    Objects,
    quantized_probabilities,
)
from keras_micronet.grid_answers.quality import (
    LOWEST_THRESHOLD,
    DetectionCounts,
    JointCounts,
    PrecisionRecall,
    best_thresholds,
)
from tflm.graph.graph import Quantization
from tflm.recognition.grid_constants import MOST_OBJECTS, GridReading
from tflm.recognition.objects import Grid
from tflm.report.pictures import Mark, Picture
from tflm.report.style import ACCENT, RIGHT
from tflm.report.tables import table
from tflm.report.verdict import percent
from tflm.tasks.grid_answers import EXAMPLES, MOST_MISTAKES, GridAnswers, GridTask, grid_of
from tflm.tasks.spread import mistakes_first
from tflm.tasks.task import Models, Run
from tflm.verification.grid_cost import compare_grids

_DEFAULT_THRESHOLD = PROBABILITY_ONE // 2


@dataclasses.dataclass(frozen=True)
class ModelFound:
    """What one model finds.

    Attributes:
        thresholds: of each class or joint, integers in Q15.
        validation: `DetectionCounts` of the images that the thresholds were chosen on, of joints,
            too; `None` if there are none.
        test: the same of the test images.
        objects: `Objects` of each test image at the thresholds.
    """

    thresholds: np.ndarray
    validation: DetectionCounts | None
    test: DetectionCounts
    objects: list[Objects]


@dataclasses.dataclass(frozen=True)
class FoundAnswers(GridAnswers):
    """See `GridAnswers`.

    Attributes:
        float_found: `ModelFound` of the float model.
        int8_found: the same of the device.
    """

    float_found: ModelFound
    int8_found: ModelFound

    thing: typing.ClassVar[str]  # what is found
    a_thing: typing.ClassVar[str]
    class_word: typing.ClassVar[str]  # what has a threshold

    def warnings(self) -> collections.abc.Iterable[str]:
        """See `TaskAnswers`."""
        if self.int8_found.test.there.any() and not self.int8_found.test.found.any():
            yield f"the device finds no {self.thing} in any test image"

    def choices_section(self, is_own_model: bool) -> str:
        """See `TaskAnswers`."""
        return f"""## From which probability on it counts

{self._choice(is_own_model)}

{self._threshold_table()}

What is less probable than the threshold of its {self.class_word} is not {self.a_thing}: a higher
one invents less, and finds less. They are constants in `src/*_recognition.c`, in Q15. No test image
had a part in the choice.

"""

    def _choice(self, is_own_model):
        validation = self.int8_found.validation
        if validation is not None:
            return (
                f"For each {self.class_word} the threshold with the best F1 on "
                f"{len(validation.there):,} validation images, by the probabilities that the "
                "device computes of its int8 scores; for float, by its own."
            )
        text = (
            "No thresholds were chosen: the run has no validation images (`validation.npz`) to "
            f"choose them on. Until then they are {_DEFAULT_THRESHOLD / PROBABILITY_ONE:.0%}. "
        )
        if is_own_model:
            taken = "`validation=(images, labels)`"
            return f"{text}`keras_micronet.write_run_folder` takes some: {taken}."
        return f"{text}Give the command of the training again, with `--overwrite`."

    def _threshold_table(self):
        heads = (
            self.class_word,
            "threshold",
            "precision, validation",
            "recall, validation",
            "precision, test",
            "recall, test",
        )
        found = self.int8_found
        rows = [
            (
                name,
                f"{found.thresholds[index] / PROBABILITY_ONE:.1%}",
                *_precision_and_recall(found.validation, index),
                *_precision_and_recall(found.test, index),
            )
            for index, name in enumerate(self.class_names)
        ]
        return table(heads, rows, heads[1:])

    def class_figures(self) -> list[dict[str, typing.Any]]:
        """See `GridAnswers`."""
        return [
            {
                "name": name,
                "there": int(self.int8_found.test.there[:, index].sum()),
                "float": self._figures_of(self.float_found, index),
                "int8": self._figures_of(self.int8_found, index),
            }
            for index, name in enumerate(self.class_names)
        ]

    @abc.abstractmethod
    def _figures_of(self, found: ModelFound, index: int) -> dict[str, typing.Any]:
        """Of one model and one class."""

    def choices(self) -> dict[str, typing.Any]:
        """See `TaskAnswers`."""
        validation = self.int8_found.validation
        return {
            "thresholds": {
                "are_chosen": validation is not None,
                "validation_images": 0 if validation is None else len(validation.there),
                "by_class": [
                    {
                        "name": name,
                        "threshold_q15": int(self.int8_found.thresholds[index]),
                        "float_threshold_q15": int(self.float_found.thresholds[index]),
                        "validation": _quality(validation, index),
                        "test": _quality(self.int8_found.test, index),
                    }
                    for index, name in enumerate(self.class_names)
                ],
            }
        }


def _precision_and_recall(counts, index):
    if counts is None:
        return "", ""
    right = counts.right[:, index].sum()
    return tuple(
        f"{percent(part[index])} ({right:,} of {all_of_them[:, index].sum():,})"
        for part, all_of_them in (
            (counts.precision, counts.found),
            (counts.recall, counts.there),
        )
    )


def _quality(counts, index):
    if counts is None:
        return None
    return {
        "there": int(counts.there[:, index].sum()),
        "found": int(counts.found[:, index].sum()),
        "right": int(counts.right[:, index].sum()),
        "precision": float(counts.precision[index]),
        "recall": float(counts.recall[index]),
    }


class FoundTask(GridTask):
    """See `task.Task`."""

    answers: typing.ClassVar[type[FoundAnswers]]

    @abc.abstractmethod
    def read(self, outputs: np.ndarray, quantization: Quantization) -> np.ndarray:
        """Probabilities in Q15 as the device computes them of its outputs."""

    @abc.abstractmethod
    def judge(self, grid: Grid) -> "Judge":
        """What says which of the found objects of such a grid are right."""

    @abc.abstractmethod
    def places_there(self, label: np.ndarray) -> list[tuple[float, float, float, float]]:
        """Top, left, bottom and right of what one image shows, in pixels, one a row of a label
        that is there; of a joint both sides are the same."""

    def compare(self, run: Run, models: Models) -> FoundAnswers:
        """See `Task`."""
        tested = run.test
        grid = grid_of(tested.images, models.outputs(tested.images))
        judge = self.judge(grid)

        def found(probabilities):
            return _found(run, judge, probabilities)

        def in_q15(probabilities):
            return lambda images: quantized_probabilities(probabilities(images))

        float_found = found(in_q15(models.float_probabilities))
        int8_found = found(lambda images: self.read(models.outputs(images), models.output))
        own_found = found(in_q15(models.own_probabilities)) if models.is_aware else float_found
        cost = compare_grids(
            judge.compared(float_found.objects, tested.labels),
            judge.compared(int8_found.objects, tested.labels),
            self.questions(models.float_probabilities(tested.images)).argmax(axis=-1),
            self.questions(models.outputs(tested.images)).argmax(axis=-1),
        )
        reading = GridReading(
            self.name,
            grid,
            float(models.output.scale[0]),
            int(models.output.zero_point[0]),
            tuple(map(int, int8_found.thresholds)),
            MOST_OBJECTS,
        )
        return self.answers(
            class_names=run.class_names,
            reading=reading,
            cost=cost,
            own_value=judge.value(judge.compared(own_found.objects, tested.labels)),
            float_run_value=run.float_test_value,
            examples=self._examples(run, grid, judge, (float_found, int8_found)),
            float_found=float_found,
            int8_found=int8_found,
        )

    def _examples(self, run, grid, judge, both):
        test = both[1].test
        is_right = (test.found == test.right).all(axis=1) & (test.there == test.right).all(axis=1)
        return tuple(
            self._picture(run, grid, judge, title, found.objects[index], index)
            for index in mistakes_first(is_right, EXAMPLES, MOST_MISTAKES)
            for title, found in zip(("float", "int8"), both, strict=True)
        )

    def _picture(self, run, grid, judge, title, objects, index):
        label = run.test.labels[index]
        is_right, is_found = judge.matches(objects, label)
        pixels = grid.output_stride / CELL
        marks = [
            Mark(y, x, y, x, *((RIGHT, "o") if right else (ACCENT, "x")), run.class_names[chosen])
            for y, x, right, chosen in zip(
                objects.y * pixels, objects.x * pixels, is_right, objects.classes, strict=True
            )
        ]
        places = self.places_there(label)
        marks += [
            Mark(*place, ACCENT, "--" if place[:2] != place[2:] else "+")
            for place, was_found in zip(places, is_found, strict=True)
            if not was_found
        ]
        right, invented = int(is_right.sum()), int((~is_right).sum())
        text = f"{title}: {right} of {len(places)}" + (f", {invented} wrong" if invented else "")
        return Picture(
            run.test.images[index], text, not invented and right == len(places), tuple(marks)
        )


class Judge(typing.Protocol):
    """Says which of what was found is right."""

    def find(self, probabilities: np.ndarray, thresholds: np.ndarray) -> list[Objects]:
        """What is found in images.

        Args:
            probabilities: integers `(images, rows, columns, answers)` in Q15.
            thresholds: of each class or joint, integers in Q15.
        """
        ...

    def curves(
        self, found: list[Objects], labels: np.ndarray
    ) -> collections.abc.Sequence[PrecisionRecall]:
        """Of each class or joint, of what was found at the lowest thresholds."""
        ...

    def counts(self, found: list[Objects], labels: np.ndarray) -> DetectionCounts:
        """How many are there, found and right."""
        ...

    def compared(self, found: list[Objects], labels: np.ndarray) -> DetectionCounts | JointCounts:
        """What the cost is computed of."""
        ...

    def value(self, counts: typing.Any) -> float:
        """What is lost by points, of `compared`."""
        ...

    def matches(self, objects: Objects, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Booleans: which objects of an image are right, and which of those that are there were
        found."""
        ...


def _found(run, judge, probabilities):
    """The `ModelFound` of a model, by its function from raw images to probabilities in Q15."""
    count = len(run.class_names)
    thresholds, watched = np.full(count, _DEFAULT_THRESHOLD), None
    if run.validation is not None:
        images, labels = run.validation.images, run.validation.labels
        of_validation = probabilities(images)
        likely = judge.find(of_validation, np.full(count, LOWEST_THRESHOLD))
        thresholds = best_thresholds(judge.curves(likely, labels), LOWEST_THRESHOLD)
        watched = judge.counts(judge.find(of_validation, thresholds), labels)
    objects = judge.find(probabilities(run.test.images), thresholds)
    return ModelFound(thresholds, watched, judge.counts(objects, run.test.labels), objects)
