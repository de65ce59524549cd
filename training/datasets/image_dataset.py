# SPDX-License-Identifier: Apache-2.0
"""The type that every dataset is loaded as."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_micronet.run_folders import check_class_names


@dataclasses.dataclass(frozen=True)
class KeptPictures:
    """How whole pictures are kept in memory, decoded once, for random crops of every epoch.

    Attributes:
        fit: called as `fit(byte_limit)`, tells whether all of a split's pictures take no more.
        decode: turns a source into the uint8 picture to keep `(any_height, any_width, channels)`,
            RGB or gray in [0, 255]; runs inside `tf.data`.
        crop: called as `crop(picture, choose_crop)`, gives what `Split.decode_crop` gives.
    """

    fit: Callable
    decode: Callable
    crop: Callable


@dataclasses.dataclass(frozen=True)
class Split:
    """One part of a dataset, in a fixed order, decoded only when the images are wanted.

    Keeping the examples undecoded lets a dataset be shuffled cheaply and never asks for more
    memory than the batches in flight.

    Attributes:
        examples: yields pairs `(source, label)`; a source is whatever `decode` takes, such as a
            path, and a label is an int32 scalar.
        decode: turns a source into a uint8 image `(height, width, channels)`, RGB or gray in
            [0, 255]; runs inside `tf.data`.
        decode_crop: called as `decode_crop(source, choose_crop)`, gives a part of the whole picture
            in the same format; runs inside `tf.data`, too. It calls `choose_crop(height, width)`
            with the picture's sides in pixels, int32 scalars, for the part's top, left, height and
            width, int32 `(4,)`, and decodes no more than it has to.
        size: number of examples.
        shuffle_buffer: how many undecoded examples may be in memory at once for shuffling.
        keep_pictures: called as `keep_pictures(smallest_part)`, gives the `KeptPictures` for crops
            of at least that part of a picture's area; `None` where only the sources are kept.
    """

    examples: tf.data.Dataset
    decode: Callable
    decode_crop: Callable
    size: int
    shuffle_buffer: int
    keep_pictures: Callable | None = None

    def images(self) -> tf.data.Dataset:
        """The decoded examples in their fixed order.

        Returns:
            A `tf.data.Dataset` of pairs: a uint8 image `(height, width, channels)` and its int32
            label.
        """
        return self.decoded(self.decode)

    def decoded(self, decode: Callable[[Any], tf.Tensor]) -> tf.data.Dataset:
        """The examples in their fixed order, with `decode` applied to their sources."""
        return self.examples.map(
            lambda source, label: (decode(source), label), num_parallel_calls=tf.data.AUTOTUNE
        )


@dataclasses.dataclass(frozen=True)
class ImageDataset:
    """Labelled images in three parts.

    Training reads `train`; `validation` is only watched; `test` is touched once, at the end.

    Attributes:
        name: what the dataset is called in files and messages.
        image_size: height and width of every image, in pixels.
        class_names: the classes' names; a label is an index into them.
        train: the images to learn from.
        validation: images to watch the training with.
        test: images held out for the final measurement.
        notes: sentences about what was left out while loading.
        pictures: a text that is another one if a picture, a label or the split is another; empty if
            the dataset's name says it all.
    """

    name: str
    image_size: tuple[int, int]
    class_names: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    notes: tuple[str, ...] = ()
    pictures: str = ""

    def __post_init__(self):
        if len(self.class_names) < 2:
            raise ValueError(
                f"a dataset must have at least 2 classes. Received: {self.name} with "
                f"classes={list(self.class_names)}"
            )
        check_names_and_parts(self, "image")


def check_names_and_parts(dataset: Any, noun: str) -> None:
    """Raises `ValueError` unless a dataset's names are right and none of its parts is empty.

    Args:
        dataset: an `ImageDataset`, or a `grid_dataset.GridDataset`.
        noun: what its parts hold, such as "image".
    """
    try:
        check_class_names(dataset.class_names)
    except ValueError as error:
        raise ValueError(f"{error} in {dataset.name}") from None
    for part in ("train", "validation", "test"):
        if getattr(dataset, part).size < 1:
            raise ValueError(
                f"the {part} part of a dataset must hold at least 1 {noun}. "
                f"Received: 0 {noun}s in {dataset.name}"
            )
