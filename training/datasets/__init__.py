# SPDX-License-Identifier: Apache-2.0
"""Datasets of labelled images: of classes as `image_dataset.ImageDataset`, and of what is where in
a picture as `grid_dataset.GridDataset`."""

import pathlib

from keras_micronet.grid_answers.tasks import TASKS
from training.datasets import digits, fashion_mnist, image_folder, tensorflow_datasets
from training.datasets.grid_dataset import GridDataset, GridSplit
from training.datasets.grid_folders import layouts
from training.datasets.image_dataset import ImageDataset, Split
from training.datasets.made_pictures import MADE_DATASETS
from training.settings import MOST_PIXELS

__all__ = [
    "GridDataset",
    "GridSplit",
    "ImageDataset",
    "Split",
    "load_dataset",
    "load_grid_dataset",
]

TENSORFLOW_DATASETS_PREFIX = "tfds:"


def load_dataset(
    name: str,
    image_size: tuple[int, int],
    skip_unreadable: bool = False,
    evaluation_crop: float = 1.0,
    most_pixels: int = MOST_PIXELS,
    channels: int = 3,
) -> ImageDataset:
    """Loads a dataset by the name it has on the command line.

    Args:
        name: `"digits"`, `"fashion-mnist"`, the path of a folder of images, or `"tfds:NAME"`.
        image_size: height and width, in pixels, of the images to produce.
        skip_unreadable: whether image files that cannot be decoded are left out of a folder
            dataset, rather than refused.
        evaluation_crop: part of each side of the largest centred crop that is kept where crops are
            not random, above 0 and at most 1.
        most_pixels: how many pixels an image of a folder dataset may have.
        channels: of the images: 1 for gray, 3 for RGB.

    Returns:
        An `ImageDataset`.

    Raises:
        ValueError: if there is no such dataset, or it cannot be trained on.
    """
    if name == digits.NAME:
        return digits.load_digits(image_size, evaluation_crop, channels)
    if name == fashion_mnist.NAME:
        return fashion_mnist.load_fashion_mnist(image_size, evaluation_crop, channels)
    if name.startswith(TENSORFLOW_DATASETS_PREFIX):
        return tensorflow_datasets.load_tensorflow_dataset(
            name.removeprefix(TENSORFLOW_DATASETS_PREFIX),
            image_size,
            evaluation_crop=evaluation_crop,
            channels=channels,
        )
    folder = pathlib.Path(name)
    if not name or not folder.is_dir():
        raise ValueError(
            f"dataset must be '{digits.NAME}', '{fashion_mnist.NAME}', "
            f"'{TENSORFLOW_DATASETS_PREFIX}NAME' or an existing folder of images. "
            f"Received: dataset={name}"
        )
    return image_folder.load_image_folder(
        folder, image_size, skip_unreadable, evaluation_crop, most_pixels, channels
    )


def load_grid_dataset(
    task: str,
    source: str,
    image_size: tuple[int, int],
    channels: int = 3,
    skip_unreadable: bool = False,
    most_pixels: int = MOST_PIXELS,
) -> GridDataset:
    """Loads a dataset for the cells of a grid by the name it has on the command line.

    Args:
        task: one of `keras_micronet.grid_answers.tasks.TASKS`.
        source: `"scattered-digits"` (detection), `"shapes"` (segmentation and keypoints), or the
            path of a folder of images and annotations.
        image_size: height and width, in pixels, of the images that the model takes.
        channels: of the images: 1 for gray, 3 for RGB.
        skip_unreadable: whether image files that cannot be decoded are left out of a folder
            dataset, rather than refused.
        most_pixels: how many pixels an image of a folder dataset may have.

    Returns:
        A `GridDataset`.

    Raises:
        ValueError: if there is no such dataset, or it cannot be trained on.
    """
    if task not in TASKS:
        raise ValueError(f"`task` must be one of {', '.join(TASKS)}. Received: task={task!r}")
    made = MADE_DATASETS.get(source, {})
    if task in made:
        return made[task](image_size, channels)
    if made or not source or not pathlib.Path(source).is_dir():
        names = [f"'{name}'" for name, loaders in MADE_DATASETS.items() if task in loaders]
        raise ValueError(
            f"dataset must be {', '.join([*names, 'or an existing folder'])} of images and "
            f"annotations for the task {task}. Received: dataset={source}"
        )
    return layouts.load_grid_folder(
        task, pathlib.Path(source), image_size, channels, skip_unreadable, most_pixels
    )
