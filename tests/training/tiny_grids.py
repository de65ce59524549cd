# SPDX-License-Identifier: Apache-2.0
"""Tiny pictures, models and trainings for the tasks of a grid: squares on noise.

Red and blue squares are objects to detect, and classes of a mask; a figure has a red and a blue
joint. A model of a few convolutions tells them apart after a few steps.
"""

import keras
import numpy as np

from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT
from training.datasets import GridDataset, GridSplit

SIZE = (24, 32)
STRIDE = 8
NAMES = ("red", "blue")
_SQUARE = 10


def draw(task, seed, index):
    """A picture of two squares, of which one or both may be missing, and its label."""
    random = np.random.default_rng([seed, index])
    picture = random.integers(90, 160, (*SIZE, 3)).astype(np.uint8)
    mask = np.zeros(SIZE, np.uint8)
    boxes, joints = [], np.full((2, 2), np.nan, np.float32)
    for number, left_half in enumerate(random.permutation(2)):
        if random.random() < 0.2:
            continue
        top = int(random.integers(0, SIZE[0] - _SQUARE))
        left = int(random.integers(0, SIZE[1] // 2 - _SQUARE)) + int(left_half) * SIZE[1] // 2
        place = slice(top, top + _SQUARE), slice(left, left + _SQUARE)
        shade = np.array(((90, 50, 50), (50, 50, 90))[number], np.uint8)
        picture[place] = picture[place] // 2 + shade
        mask[place] = number + 1
        boxes.append((number, top, left, top + _SQUARE, left + _SQUARE))
        joints[number] = top + _SQUARE / 2, left + _SQUARE / 2
    labels = {
        DETECT: np.array(boxes, np.float32).reshape(-1, 5),
        SEGMENT: mask,
        KEYPOINTS: joints,
    }
    return picture, labels[task]


def tiny_dataset(task, image_size=SIZE, name="squares"):
    """48 pictures to train on, 16 to validate and 12 to test."""

    def split(seed, size):
        return GridSplit(size, lambda index: draw(task, seed, index))

    return GridDataset(
        name,
        task,
        image_size,
        NAMES,
        split(1, 48),
        split(2, 16),
        split(3, 12),
        most_objects=2 if task == DETECT else 0,
        pictures=name,
    )


def build_tiny_model(task):
    """With batch normalization and dropout, which a training has to treat as such."""
    keras.utils.set_random_seed(0)
    answers = len(NAMES) + (task != KEYPOINTS)
    layers = [keras.layers.Input((*SIZE, 3)), keras.layers.Rescaling(1 / 127.5, offset=-1.0)]
    for _ in range(3):
        layers += [
            keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False),
            keras.layers.BatchNormalization(momentum=0.8),
            keras.layers.ReLU(6.0),
        ]
    layers += [
        keras.layers.Dropout(0.05),
        keras.layers.Conv2D(answers, 1),
        keras.layers.Activation("sigmoid" if task == KEYPOINTS else "softmax"),
    ]
    return keras.Sequential(layers, name="tiny_grid")
