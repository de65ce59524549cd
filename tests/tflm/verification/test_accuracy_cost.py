# SPDX-License-Identifier: Apache-2.0
"""What is counted, on answers made by hand."""

import numpy as np
import pytest

from tflm.verification.accuracy_cost import compare
from tflm.verification.paired_interval import paired_interval


def int8_outputs(classes, count=3):
    outputs = np.full((len(classes), count), -128, np.int8)
    outputs[np.arange(len(classes)), classes] = 127
    return outputs


def probabilities(classes, margins):
    """Of three classes, the best and the second so far apart, the third impossible."""
    values = np.zeros((len(classes), 3))
    for row, best, margin in zip(values, classes, margins, strict=True):
        row[best], row[(best + 1) % 3] = (1 + margin) / 2, (1 - margin) / 2
    return values


def test_counts():
    labels = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    float_classes = np.array([0, 1, 2, 0, 2, 1, 1, 1])  # five right
    device_classes = np.array([0, 1, 0, 1, 1, 1, 2, 1])  # four right
    margins = np.array([0.9, 0.5, 0.05, 0.3, 0.01, 0.2, 0.02, 0.09])
    cost = compare(probabilities(float_classes, margins), int8_outputs(device_classes), labels)
    assert (cost.images, cost.both_right) == (8, 3)
    assert (cost.only_float_right, cost.only_int8_right) == (2, 1)
    assert (cost.float_accuracy, cost.int8_accuracy) == (5 / 8, 4 / 8)
    assert cost.points_lost == 12.5
    assert cost.points_lost_interval == pytest.approx(100 * np.array(paired_interval(2, 1, 8)))
    assert cost.agreement == 4 / 8
    assert (cost.clear, cost.clear_agreement) == (4, 3 / 4)
    assert cost.int8_class_counts == (2, 5, 1)
    assert cost.only_class is None


def lost(count, total):
    """A cost of `total` images of which only float recognises `count`."""
    labels = np.zeros(total, int)
    classes = (np.arange(total) < count).astype(int)
    return compare(probabilities(labels, np.full(total, 0.9)), int8_outputs(classes), labels)


@pytest.mark.parametrize(
    ("count", "total", "exceeds"),
    [
        (2, 40, False),  # 5 points of forty pictures: may be chance
        (12, 40, True),
        (25, 1000, False),  # 2.5 points of a thousand: may be 2
        (40, 1000, True),
        (250, 10000, True),
        (0, 12, False),
    ],
)
def test_only_what_is_significant_exceeds(count, total, exceeds):
    low, high = lost(count, total).points_lost_interval
    assert (low > 2.0) == exceeds
    assert low <= high <= 100.0


def test_model_of_one_output():
    cost = compare(np.ones((5, 1)), int8_outputs(np.zeros(5, int), 1), np.zeros(5, int))
    assert cost.clear == 5
    assert cost.only_class == 0
    assert cost.points_lost == 0


def test_no_image_is_clear():
    cost = compare(probabilities([0, 1], [0.01, 0.02]), int8_outputs([0, 1]), np.array([0, 1]))
    assert (cost.clear, cost.clear_agreement) == (0, None)


def test_one_class_for_everything():
    cost = compare(probabilities([0, 1], [0.5, 0.5]), int8_outputs([2, 2]), np.array([0, 1]))
    assert cost.only_class == 2


def test_first_of_equal_outputs_counts():
    """As firmware finds the class, from the first output on."""
    cost = compare(np.full((1, 3), 1 / 3), np.full((1, 3), 7, np.int8), np.zeros(1, int))
    assert (cost.both_right, cost.clear) == (1, 0)
