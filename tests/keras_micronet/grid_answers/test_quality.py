# SPDX-License-Identifier: Apache-2.0
"""Thresholds and curves, by hand."""

import numpy as np

from keras_micronet.grid_answers.objects import CELL, Objects
from keras_micronet.grid_answers.quality import (
    PrecisionRecall,
    best_thresholds,
    joint_precision_recall,
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
