# SPDX-License-Identifier: Apache-2.0
"""The type that datasets for the cells of a grid are loaded as: pictures and what is where."""

import dataclasses
from collections.abc import Callable

import numpy as np

from keras_micronet.grid_answers.tasks import TASKS
from training.datasets.image_dataset import check_names_and_parts

# Reads one example: a picture and its label.
Read = Callable[[int], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class GridSplit:
    """One part of a dataset, in a fixed order, read only when it is wanted.

    Attributes:
        size: number of examples.
        read: called as `read(index)`, from 0 to `size - 1`; gives a uint8 picture `(any height, any
            width, channels)`, RGB or gray in [0, 255], and its label in pixels of that picture, as
            `keras_micronet.grid_answers.labels` has it for one image; of detection without rows
            that hold no object, `(objects, 5)`. Several threads may call it.
        read_for_crops: called as `read_for_crops(smallest_part)`, gives a function like `read`
            whose pictures are sharp enough for crops of that part of their area; `None` where those
            of `read` are.
        is_endless: whether indices beyond `size` give pictures, too, each another one. A training
            then never sees one twice.
    """

    size: int
    read: Read
    read_for_crops: Callable[[float], Read] | None = None
    is_endless: bool = False


@dataclasses.dataclass(frozen=True)
class GridDataset:
    """Labelled pictures in three parts.

    Training reads `train`; `validation` is watched and chooses thresholds; `test` is touched once,
    at the end.

    Attributes:
        name: what the dataset is called in files and messages.
        task: one of `keras_micronet.grid_answers.tasks.TASKS`.
        image_size: height and width, in pixels, of the images that a model is to take.
        class_names: the names of the classes, without the background, or of the joints.
        train: the pictures to learn from.
        validation: pictures to watch the training with.
        test: pictures held out for the final measurement.
        most_objects: how many objects a picture of the dataset has at most; 0 for other tasks than
            detection.
        notes: sentences about what was left out while loading.
        pictures: a text that is another one if a picture, a label or the split is another; empty if
            the dataset's name says it all.
        channels: of the pictures: 1 for gray, 3 for RGB.
    """

    name: str
    task: str
    image_size: tuple[int, int]
    class_names: tuple[str, ...]
    train: GridSplit
    validation: GridSplit
    test: GridSplit
    most_objects: int
    notes: tuple[str, ...] = ()
    pictures: str = ""
    channels: int = 3

    def __post_init__(self):
        if self.task not in TASKS:
            raise ValueError(
                f"the task must be one of {', '.join(TASKS)}. Received: task={self.task!r}"
            )
        if not self.class_names:
            noun = "joint" if self.task == "keypoints" else "class"
            raise ValueError(f"a dataset must have at least 1 {noun}. Received: {self.name}")
        check_names_and_parts(self, "picture")
