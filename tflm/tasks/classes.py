# SPDX-License-Identifier: Apache-2.0
"""One class an image."""

import collections.abc
import dataclasses
import typing

import numpy as np

from keras_micronet.grid_answers.tasks import CLASSIFY
from tflm.recognition import thresholds
from tflm.recognition.constants import recognition_constants
from tflm.recognition.thresholds import ThresholdChoice
from tflm.report.pictures import Picture, pictures_png
from tflm.report.verdict import loss, percent
from tflm.settings import KEEP_RIGHT
from tflm.sources import c_arrays
from tflm.sources.model_settings import ABOUT_SCORES
from tflm.sources.test_vectors import test_vectors
from tflm.tasks import none_of_these
from tflm.tasks.spread import mistakes_first
from tflm.tasks.task import Models, Run, TaskFiles
from tflm.verification import accuracy_cost
from tflm.verification.accuracy_cost import CLEAR_MARGIN, AccuracyCost
from tflm.verification.paired_interval import CONFIDENCE

_MOST_TEST_VECTORS = 10
_EXAMPLES = 16
_MOST_MISTAKES = 4
_EXAMPLES_IN_A_ROW = 8
_README = """\
## After the scores

```c
#include "library_recognition.h"

int32_t answer = micronet_recognize(scores, LIBRARY_CLASS_COUNT, library_exponentials,
                                    LIBRARY_THRESHOLD, NULL);
const char *name = answer == MICRONET_NONE_OF_THESE ? NULL : library_class_names[answer];
```

`micronet_scores.h` has the best classes and probabilities, too, `micronet_smoothing.h` one steady
answer to frame after frame; all of it integers. `report.md` says how the threshold was chosen, and
what it keeps and rejects.
"""
_ARDUINO = """\
  const int32_t answer = micronet_recognize(scores, LIBRARY_CLASS_COUNT, library_exponentials,
                                            LIBRARY_THRESHOLD, nullptr);
  const bool is_none = answer == MICRONET_NONE_OF_THESE;
  Serial.println(is_none ? "none of these" : library_class_names[answer]);
"""


@dataclasses.dataclass(frozen=True)
class Example:
    """A test image and what the exported model says to it.

    Attributes:
        image: uint8 array (height, width, channels), raw RGB or gray.
        class_name: what it shows.
        prediction: the class that the exported model names.
    """

    image: np.ndarray
    class_name: str
    prediction: str


@dataclasses.dataclass(frozen=True)
class ClassAnswers:
    """See `task_answers.TaskAnswers`.

    Attributes:
        classes: number of classes.
        own_accuracy: top-1 accuracy of the run's model on the test images, 0 to 1, a
            quantization-aware one's with the rounding that it has learned with.
        float_run_accuracy: of the float model that a quantization-aware one continues, on all
            test images of the dataset, if that is known.
        cost: `AccuracyCost`.
        only_class: name of the class that the device gives to every test image, or `None`.
        none_of_these: `ThresholdChoice`, from which probability on the best class is the answer.
        output_scale: of the int8 scores.
        examples: `Example`s to show, any number.
    """

    classes: int
    own_accuracy: float
    float_run_accuracy: float | None
    cost: AccuracyCost
    only_class: str | None
    none_of_these: ThresholdChoice
    output_scale: float = 1.0
    examples: tuple[Example, ...] = ()

    measure = "accuracy"

    @property
    def about(self) -> str:
        """See `TaskAnswers`."""
        return f"{self.classes} classes"

    @property
    def examples_png(self) -> bytes | None:
        """See `TaskAnswers`."""
        if not self.examples:
            return None
        pictures = [_picture(example) for example in self.examples]
        return pictures_png(self.examples_title(), pictures, _EXAMPLES_IN_A_ROW)

    def examples_title(self) -> str:
        """What stands above the examples."""
        wrong = sum(example.prediction != example.class_name for example in self.examples)
        right = len(self.examples) - wrong
        return (
            f"{wrong} {'mistake' if wrong == 1 else 'mistakes'} first, then {right} test images "
            f"that are recognised: of all, {self.cost.int8_accuracy:.2%} are"
        )

    def headline(self, title: str) -> str:
        """See `TaskAnswers`."""
        cost = self.cost
        return (
            f"accuracy on {cost.images:,} test images: float {percent(cost.float_accuracy)}, int8 "
            f"{title} {percent(cost.int8_accuracy)}, {loss(cost)}"
        )

    def agreement(self) -> str:
        """See `TaskAnswers`."""
        return f"same class as float: {self._agreement()}"

    def _agreement(self):
        """How many images get the class that float gives them, of all and of the clear ones."""
        text = percent(self.cost.agreement)
        if self.cost.clear_agreement is not None:
            text += f", {percent(self.cost.clear_agreement)} of the {self.cost.clear:,} clear ones"
        return text

    def warnings(self) -> collections.abc.Iterable[str]:
        """See `TaskAnswers`."""
        if self.only_class is not None:
            yield f"the device gives the class {self.only_class} to every test image"

    def on_device(self) -> str:
        """See `TaskAnswers`."""
        cost = self.cost
        return f"**{percent(cost.int8_accuracy)}** of {cost.images:,} test images, {loss(cost)}"

    def rows(self) -> collections.abc.Iterable[tuple[str, str]]:
        """See `TaskAnswers`."""
        yield "**accuracy on the device**", self.on_device()
        yield "accuracy without rounding", percent(self.cost.float_accuracy)
        yield "same class without rounding", self._agreement()

    def cost_text(self) -> str:
        """See `TaskAnswers`."""
        cost, low_and_high = self.cost, "{:.2f} to {:.2f}".format(*self.cost.points_lost_interval)
        clear = (
            "no image is clear to it"
            if cost.clear_agreement is None
            else f"{percent(cost.clear_agreement)}"
        )
        return f"""\
Float and int8 have seen the same {cost.images:,} test images: {cost.only_float_right:,} of them
only float recognises, {cost.only_int8_right:,} only int8, which makes {cost.points_lost:.2f} points
lost. On all images of the kind it is, with {CONFIDENCE:.0%} confidence, {low_and_high} points
(score interval of paired proportions, Tango 1998). Both give the same class to
{percent(cost.agreement)}; among the {cost.clear:,} images that are clear to float, whose best
class is at least {CLEAR_MARGIN:g} more probable than the second: {clear}."""

    def learned_remark(self) -> str:
        """See `TaskAnswers`."""
        text = (
            "Float is the same weights without rounding. With the rounding that they have learned "
            f"with, simulated, the accuracy is {percent(self.own_accuracy)}."
        )
        if self.float_run_accuracy is not None:
            text += (
                f" The float run that came before has {percent(self.float_run_accuracy)} of "
                "all test images of the dataset."
            )
        return text

    def remarks(self) -> collections.abc.Iterable[str]:
        """See `TaskAnswers`."""
        if self.only_class is not None:
            others = "" if self.cost.agreement == 1 else ", and float does not"
            yield (
                f"**The device gives the class {self.only_class} to every test image{others}.** It "
                "computes what it is defined to; but accuracy and agreement say nothing of such "
                "answers."
            )

    def outputs_note(self, library: str) -> str:
        """See `TaskAnswers`."""
        return f"of {library}_class_names"

    def examples_section(self) -> str:
        """See `TaskAnswers`."""
        if not self.examples:
            return ""
        return """
## What it sees

Mistakes first, if there are any: these are not in proportion to the accuracy.

![test images with the classes that the exported model names](report_predictions.png)
"""

    def choices_section(self, is_own_model: bool) -> str:
        """See `TaskAnswers`."""
        return none_of_these.section(self.none_of_these, self.classes, is_own_model)

    def values(self) -> dict[str, typing.Any]:
        """See `TaskAnswers`."""
        return {
            "keras_accuracy": self.own_accuracy,
            "float_run_accuracy": self.float_run_accuracy,
            "float_accuracy": self.cost.float_accuracy,
            "int8_accuracy": self.cost.int8_accuracy,
        }

    def details(self) -> dict[str, typing.Any]:
        """See `TaskAnswers`."""
        return {
            "only_float_right": self.cost.only_float_right,
            "only_int8_right": self.cost.only_int8_right,
            "agreement": self.cost.agreement,
            "clear_margin": CLEAR_MARGIN,
            "clear_images": self.cost.clear,
            "clear_agreement": self.cost.clear_agreement,
            "only_class": self.only_class,
        }

    def choices(self) -> dict[str, typing.Any]:
        """See `TaskAnswers`."""
        return {"none_of_these": none_of_these.figures(self.none_of_these)}


def _picture(example):
    is_right = example.prediction == example.class_name
    text = example.prediction if is_right else f"{example.prediction}\n(is {example.class_name})"
    return Picture(example.image, text, is_right)


@dataclasses.dataclass(frozen=True)
class Classes:
    """See `task.Task`.

    Attributes:
        keep_right: percent of the right answers to validation images that the threshold of "none
            of these" keeps.
    """

    keep_right: float = KEEP_RIGHT

    name = CLASSIFY
    measure = ClassAnswers.measure
    about_output = ABOUT_SCORES

    def questions(self, outputs: np.ndarray) -> np.ndarray:
        """See `Task`."""
        return outputs

    def compare(self, run: Run, models: Models) -> ClassAnswers:
        """See `Task`."""
        images, labels = run.test.images, run.test.labels
        outputs = models.outputs(images)
        cost = accuracy_cost.compare(models.float_probabilities(images), outputs, labels)
        validation = run.validation
        scored = None
        if validation is not None:
            scored = models.outputs(validation.images), validation.labels
        scale = float(models.output.scale[0])
        own_classes = models.own_probabilities(images).argmax(axis=-1)
        return ClassAnswers(
            classes=len(run.class_names),
            own_accuracy=float(np.mean(own_classes == labels)),
            float_run_accuracy=run.float_test_value,
            cost=cost,
            only_class=None if cost.only_class is None else run.class_names[cost.only_class],
            none_of_these=thresholds.choose(scale, scored, (outputs, labels), self.keep_right),
            output_scale=scale,
            examples=_examples(run, outputs.argmax(axis=-1)),
        )

    def files(self, run: Run, models: Models, answers: ClassAnswers, library: str) -> TaskFiles:
        """See `Task`."""
        outputs = models.outputs(run.test.images)
        chosen = _one_of_each_class(run.test.labels)
        images, labels = run.test.images[chosen], run.test.labels[chosen]
        return TaskFiles(
            task=CLASSIFY,
            recognition=_recognition(answers, library),
            vectors=test_vectors(images, outputs[chosen], labels, library),
            test_vectors=len(chosen),
            headers=(f"{library}_recognition.h", "micronet_smoothing.h"),
            readme=c_arrays.of_library(_README, library),
            arduino=c_arrays.of_library(_ARDUINO, library),
        )


def _recognition(answers, library):
    threshold = answers.none_of_these.threshold
    constants = recognition_constants(library, answers.output_scale, threshold)
    name = f"{library}_recognition"
    header = c_arrays.c_header(f"{name}.h", constants.declarations, ['"micronet_scores.h"'])
    return {f"{name}.h": header, f"{name}.c": c_arrays.c_source(f"{name}.h", constants.definitions)}


def _one_of_each_class(labels):
    """Indices of the first image of each class, of as many classes as make good test vectors."""
    _, first = np.unique(labels, return_index=True)
    return np.sort(first)[:_MOST_TEST_VECTORS]


def _examples(run, classes):
    chosen = mistakes_first(classes == run.test.labels, _EXAMPLES, _MOST_MISTAKES)
    return tuple(
        Example(
            run.test.images[index],
            run.class_names[run.test.labels[index]],
            run.class_names[classes[index]],
        )
        for index in chosen
    )
