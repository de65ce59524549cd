# SPDX-License-Identifier: Apache-2.0
"""The tasks of MLPerf Tiny that firmware does, and which of them an exported model can do."""

import dataclasses
import os
import pathlib
import re

_CONSTANT = re.compile(
    r"^#define \w+_(INPUT_HEIGHT|INPUT_WIDTH|INPUT_CHANNELS|CLASS_COUNT) (\d{1,9})$", re.MULTILINE
)
_ENDS = ("INPUT_HEIGHT", "INPUT_WIDTH", "INPUT_CHANNELS", "CLASS_COUNT")


@dataclasses.dataclass(frozen=True)
class Task:
    """A task, as the benchmark poses it.

    Attributes:
        name: the benchmark's, which a device tells.
        title: what it is.
        size: height and width of an image in pixels, each three bytes: red, green, blue.
        classes: how many probabilities a device answers with.
    """

    name: str
    title: str
    size: int
    classes: int

    @property
    def input_bytes(self) -> int:
        """Of an image."""
        return self.size * self.size * 3

    def __str__(self) -> str:
        return f"{self.size}x{self.size}x3 and {self.classes} classes ({self.title})"


TASKS = (
    Task("ic01", "image classification", 32, 10),
    Task("vww01", "person detection", 96, 2),
)


def task_named(name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: there is none.
    """
    for task in TASKS:
        if task.name == name:
            return task
    names = " or ".join(task.name for task in TASKS)
    raise ValueError(f"The benchmark's task must be {names}. Received: {name}")


def task_of_model(model: os.PathLike[str] | str) -> Task:
    """The task that an exported model can do.

    Args:
        model: folder that `python -m tflm` has written.

    Raises:
        ValueError: its input or its classes are those of no task; the message says what to do.
    """
    height, width, channels, classes = _ends_of(pathlib.Path(model))
    for task in TASKS:
        if (height, width, channels, classes) == (task.size, task.size, 3, task.classes):
            return task
    choices = ", or ".join(map(str, TASKS))
    raise ValueError(
        f"For the application mlperf-tiny the model must take {choices}. "
        f"Received: {height}x{width}x{channels} and {classes} classes. Train one with "
        "`python -m training --image-size 32` or `--image-size 96`, on pictures in as many "
        "classes, and export it"
    )


def _ends_of(model):
    """The input's shape and the number of classes, from an export's headers."""
    headers = sorted((model / "src").glob("*.h"))
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in headers)
    found = {
        name: {int(value) for key, value in _CONSTANT.findall(text) if key == name}
        for name in _ENDS
    }
    unclear = [name for name, values in found.items() if len(values) != 1]
    if unclear:
        raise ValueError(
            "The headers of an exported model must say what it takes, once. "
            f"Received: {model / 'src'} without one {unclear[0]}"
        )
    return [found[name].pop() for name in _ENDS]
