# SPDX-License-Identifier: Apache-2.0
"""Intervals of differences between two models' F1, IoU and PCK."""

import numpy as np
import pytest

from keras_micronet.grid_answers.quality import CellCounts, DetectionCounts, JointCounts
from tflm.verification.grid_cost import compare_grids


def detection(right, there=1):
    """One class: `there` objects an image, of which so many are found, all rightly."""
    right = np.asarray(right)[:, np.newaxis]
    return DetectionCounts(np.full_like(right, there), right, right)


def compared(first, second):
    answers = np.zeros((len(next(iter(vars(first).values()))), 2, 2), int)
    return compare_grids(first, second, answers, answers)


@pytest.mark.parametrize(
    ("images", "lost", "is_significant"),
    [
        (1, 1, False),  # a single image tells nothing
        (3, 3, False),
        (40, 2, False),
        (40, 12, True),
        (1000, 60, True),
        (12, 0, False),
    ],
)
def test_only_what_is_significant_lies_beyond_two_points(images, lost, is_significant):
    cost = compared(detection(np.ones(images, int)), detection(np.arange(images) >= lost))
    low, high = cost.points_lost_interval
    assert (low > 2.0) == is_significant
    assert low <= cost.points_lost <= high


@pytest.mark.parametrize("kind", ["detection", "segmentation", "keypoints"])
def test_equal_models_lose_nothing_more_surely_the_more_images_there_are(kind):
    generator = np.random.default_rng(0)

    def counts(images):
        if kind == "detection":
            return detection(generator.integers(0, 4, images), 4)
        if kind == "segmentation":
            return CellCounts(generator.integers(0, 20, (images, 3, 3)))
        there = generator.random((images, 4)) < 0.8
        return JointCounts(there, there & (generator.random((images, 4)) < 0.7))

    widths = []
    for images in (5, 50, 500):
        same = counts(images)
        cost = compared(same, same)
        low, high = cost.points_lost_interval
        assert cost.points_lost == 0 and low < 0 < high
        assert abs(low + high) < 0.1 * (high - low)  # neither model is favoured
        widths.append(high - low)
    assert widths[0] > 4 * widths[1] > 16 * widths[2]


def test_the_interval_is_as_wide_as_theory_has_it():
    """Of 400 single joints, float finds 320; the device misses every tenth of these and finds as
    many others: a difference whose standard error is sqrt(64 / 400 ** 2)."""
    first = (np.arange(400) < 320)[:, np.newaxis]
    second = first.copy()
    second[:32], second[320:352] = False, True
    there = np.ones_like(first)
    low, high = compared(JointCounts(there, first), JointCounts(there, second)).points_lost_interval
    expected = 100 * 1.96 * np.sqrt(64) / 400
    assert high == pytest.approx(expected, rel=0.1) and low == pytest.approx(-expected, rel=0.1)


def test_intervals_are_the_same_every_time():
    first, second = detection(np.ones(30, int)), detection(np.arange(30) > 4)
    assert compared(first, second) == compared(first, second)


def test_agreement_is_of_answers():
    mine, other = np.zeros((2, 3, 4), int), np.zeros((2, 3, 4), int)
    other[0, 0] = 1
    cost = compare_grids(detection([1, 1]), detection([1, 1]), mine, other)
    assert (cost.same_answers, cost.questions) == (20, 24)
    assert cost.agreement == 20 / 24
