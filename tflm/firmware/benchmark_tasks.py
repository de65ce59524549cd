# SPDX-License-Identifier: Apache-2.0
"""The tasks of MLPerf Tiny that firmware does, and which of them an exported model can do."""

import dataclasses
import os

from tflm.firmware.exported_model import ModelEnds, ends_of, grid_task_of


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
        ValueError: it is no model of classes, or its input or its classes are those of no task; the
            message says what to do.
    """
    grid_task = grid_task_of(model)
    if grid_task is not None:
        raise ValueError(
            "For the application mlperf-tiny the model must name a class for each image: the "
            "benchmark has no task with places in images. "
            f"Received: {os.fspath(model)} with the task {grid_task}. Run it with "
            "--application camera, or train one without --task"
        )
    ends = ends_of(model)
    for task in TASKS:
        if ends == ModelEnds(task.size, task.size, 3, task.classes):
            return task
    choices = ", or ".join(map(str, TASKS))
    raise ValueError(
        f"For the application mlperf-tiny the model must take {choices}. "
        f"Received: {ends.height}x{ends.width}x{ends.channels} and {ends.classes} classes. Train "
        "one with `python -m training --image-size 32` or `--image-size 96`, on pictures in as "
        "many classes, and export it"
    )
