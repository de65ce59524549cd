# SPDX-License-Identifier: Apache-2.0
"""Small folders of pictures and annotations."""

import itertools
import json

import numpy as np
import pytest
from PIL import Image

from training.datasets import load_grid_dataset
from training.datasets.image_folder import ImageFolderError

HEIGHT, WIDTH = SIZE = (60, 80)
PARTS = ("train", "validation", "test")
_numbers = itertools.count()


@pytest.fixture
def write_picture():
    """Writes a picture of noise, another one each time."""

    def write(path, size=SIZE, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(next(_numbers))
        Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(path, **options)

    return write


@pytest.fixture
def write_text():
    """Writes a text, or what becomes JSON."""

    def write(path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    return write


@pytest.fixture
def load():
    """Loads a folder."""

    def load_folder(folder, task="detect", image_size=(30, 40), **options):
        return load_grid_dataset(task, str(folder), image_size, **options)

    return load_folder


@pytest.fixture
def complaints(load):
    """All that a folder is refused for, one text a complaint or note."""

    def load_and_fail(folder, task="detect", **options):
        with pytest.raises(ImageFolderError) as caught:
            load(folder, task, **options)
        return list(caught.value.lines)

    return load_and_fail


def labels_of(split):
    """The labels of a split."""
    return [split.read(index)[1] for index in range(split.size)]


def sizes_of(dataset):
    """How many pictures are in each part."""
    return tuple(getattr(dataset, part).size for part in PARTS)
