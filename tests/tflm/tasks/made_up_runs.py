# SPDX-License-Identifier: Apache-2.0
"""Runs whose models are tables of answers, so that every figure is known."""

import dataclasses

import numpy as np

from tflm.graph.graph import Quantization

# Probabilities of scores that are this far apart are 0 and 1 to the last bit.
SURE = 100


@dataclasses.dataclass(frozen=True)
class Images:
    """See `task.Images`."""

    images: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Run:
    """See `task.Run`."""

    class_names: tuple[str, ...]
    test: Images
    validation: Images | None = None
    float_test_value: float | None = None


class Models:
    """See `task.Models`: what is found by an image's first pixel, its number in the tables.

    Args:
        floats: probabilities of each image.
        outputs: int8 of each.
        scale: of the outputs.
        own: probabilities of a model that has learned with rounding, or `None`.
    """

    def __init__(self, floats, outputs, scale=1.0, own=None):
        self.output = Quantization.per_tensor(scale, 0)
        self._floats, self._outputs = np.asarray(floats), np.asarray(outputs, np.int8)
        self.is_aware = own is not None
        self._own = self._floats if own is None else np.asarray(own)

    def float_probabilities(self, images):
        return self._floats[_numbers(images)]

    def own_probabilities(self, images):
        return self._own[_numbers(images)]

    def outputs(self, images):
        return self._outputs[_numbers(images)]


def _numbers(images):
    return images[:, 0, 0, 0].astype(int)


def numbered_images(numbers, size):
    """Images of these numbers, uint8 `(count, *size, 3)`."""
    images = np.zeros((len(numbers), *size, 3), np.uint8)
    images[:, 0, 0, 0] = numbers
    return images


def maps(cells, shape, answers):
    """Answers of grids: `SURE` where `cells` says, 0 elsewhere, int8 `(images, *shape, answers)`.

    Args:
        cells: for each image a dictionary from (row, column) to the answer.
        shape: rows and columns.
        answers: how many a cell has.
    """
    result = np.zeros((len(cells), *shape, answers), np.int8)
    for image, its_cells in enumerate(cells):
        for cell, answer in its_cells.items():
            result[(image, *cell, answer)] = SURE
    return result


def probabilities(outputs):
    """The softmax of outputs of scale 1."""
    terms = np.exp(outputs.astype(np.float64) - outputs.max(axis=-1, keepdims=True))
    return (terms / terms.sum(axis=-1, keepdims=True)).astype(np.float32)
