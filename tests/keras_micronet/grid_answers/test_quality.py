# SPDX-License-Identifier: Apache-2.0
"""Thresholds and curves, by hand."""

import numpy as np

from keras_micronet.grid_answers.objects import CELL, Objects
from keras_micronet.grid_answers.quality import (
    PrecisionRecall,
    best_thresholds,
    joint_precision_recall,
    matched,
    matched_rows,
)


def objects_at(*rows):
    """Of class, x and y in cells, and score."""
    classes, x, y, scores = np.array(rows, np.int32).reshape(-1, 4).T
    size = np.full(len(classes), CELL, np.int32)
    return Objects(classes, x * CELL, y * CELL, size, size, scores)


def test_thresholds_are_no_lower_than_what_was_looked_at():
    curve = PrecisionRecall(np.array([900, 500]), np.array([1.0, 1.0]), np.array([0.5, 1.0]))
    (at_any,) = best_thresholds([curve])
    assert at_any == 250
    (at_known,) = best_thresholds([curve], lowest=400)
    assert at_known == 450
    first = PrecisionRecall(np.array([900, 500]), np.array([1.0, 0.5]), np.array([1.0, 1.0]))
    assert best_thresholds([first], lowest=400) == 700


def test_joints_that_are_not_there_are_found_wrongly():
    labels = np.array([[[8.0, 8.0]], [[np.nan, np.nan]], [[8.0, 24.0]]], np.float32)
    found = [objects_at((0, 1, 1, 900)), objects_at((0, 1, 1, 700)), objects_at((0, 1, 1, 500))]
    (curve,) = joint_precision_recall(found, labels, (32, 32), 8)
    np.testing.assert_array_equal(curve.thresholds, [900, 700, 500])
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 1 / 3])
    np.testing.assert_allclose(curve.recall, [1 / 2, 1 / 2, 1 / 2])


def test_each_found_object_is_one_of_the_label_or_none():
    """Cells of 8 pixels: the first is nearer to the second box's centre, the next has what is left,
    the third none; another class's box is no match."""
    label = np.array(
        [[0, 0, 0, 40, 40], [0, 0, 0, 20, 20], [1, 30, 30, 60, 60], [-1, 0, 0, 0, 0]], np.float32
    )
    objects = objects_at((0, 1, 1, 900), (0, 1, 2, 800), (0, 2, 2, 700), (1, 0, 0, 600))
    np.testing.assert_array_equal(matched_rows(objects, label, 8), [1, 0, -1, -1])
    np.testing.assert_array_equal(matched(objects, label, 8), [True, True, False, False])
