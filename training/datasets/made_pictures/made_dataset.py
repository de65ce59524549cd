# SPDX-License-Identifier: Apache-2.0
"""What datasets of made pictures have in common: their parts, and pictures that never change."""

import functools
from collections.abc import Callable

import numpy as np

from training.datasets.grid_dataset import GridDataset, GridSplit

TRAIN, VALIDATION, TEST = PARTS = ("train", "validation", "test")
_SIZES = {TRAIN: 4000, VALIDATION: 400, TEST: 800}
_SEED = 20110812
_SMALLEST_SIDE = 32

# Draws a picture, float32 `(height, width, channels)`, about [0, 255], and its label, of what is
# random, the part, the image size and the channels.
Draw = Callable[[np.random.RandomState, str, tuple[int, int], int], tuple[np.ndarray, np.ndarray]]


def made_dataset(
    name: str,
    task: str,
    image_size: tuple[int, int],
    channels: int,
    class_names: tuple[str, ...],
    draw: Draw,
    most_objects: int = 0,
) -> GridDataset:
    """A dataset whose pictures depend on the names of dataset and part and on their number alone.

    Args:
        name, task, image_size, channels, class_names, most_objects: as for `GridDataset`.
        draw: makes a picture.

    Returns:
        A `GridDataset` whose training part is endless.

    Raises:
        ValueError: if the pictures are too small to show anything.
    """
    if min(image_size) < _SMALLEST_SIDE:
        raise ValueError(
            f"the pictures of {name} must have at least {_SMALLEST_SIDE} pixels a side. "
            f"Received: image_size={tuple(image_size)}"
        )
    size = (image_size[0], image_size[1])

    def split(part):
        read = functools.partial(_read, draw, part, size, channels)
        return GridSplit(_SIZES[part], read, is_endless=part == TRAIN)

    return GridDataset(
        name=name,
        task=task,
        image_size=size,
        class_names=class_names,
        train=split(TRAIN),
        validation=split(VALIDATION),
        test=split(TEST),
        most_objects=most_objects,
        channels=channels,
    )


def _read(draw, part, image_size, channels, index):
    # RandomState's stream is frozen by NumPy; that of default_rng may change between versions.
    random = np.random.RandomState([_SEED, PARTS.index(part), index & 0xFFFFFFFF, index >> 32])
    levels, label = draw(random, part, image_size, channels)
    return np.clip(levels + np.float32(0.5), 0, 255).astype(np.uint8), label
