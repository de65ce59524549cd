# SPDX-License-Identifier: Apache-2.0
"""How good the answers of a grid are; expected values are counted by hand."""

import numpy as np
import pytest

from keras_micronet.grid_answers import quality
from keras_micronet.grid_answers.labels import IGNORED
from keras_micronet.grid_answers.objects import CELL, PROBABILITY_ONE, Objects

STRIDE = 8


def objects_at(*rows):
    """`Objects` of (class, x, y, score), places in pixels of a stride of 8."""
    values = np.array(rows, np.float64).reshape(-1, 4)
    cells = (values[:, 1:3] * CELL / STRIDE).astype(np.int32)
    size = np.full(len(values), CELL, np.int32)
    classes, scores = values[:, 0].astype(np.int32), values[:, 3].astype(np.int32)
    return Objects(classes, cells[:, 0], cells[:, 1], size, size, scores)


def label_of(*boxes, most=4):
    """Boxes (class, top, left, bottom, right), padded."""
    label = np.full((most, 5), -1.0, np.float32)
    label[: len(boxes)] = np.array(boxes, np.float32).reshape(-1, 5)
    return label


def test_an_object_is_right_inside_a_box_of_its_class():
    label = label_of((0, 10, 20, 20, 40))
    inside, outside, other = (0, 40, 20, 5), (0, 15, 30, 4), (1, 30, 15, 3)
    assert quality.matched(objects_at(inside, outside, other), label, STRIDE).tolist() == [
        True,
        False,
        False,
    ]


def test_a_box_is_found_once_and_the_most_probable_takes_the_nearest():
    near, far = (0, 0, 0, 20, 20), (0, 0, 5, 20, 60)
    label = label_of(far, near)
    # Both are in both boxes; the first takes the one whose centre is nearer, the second the other.
    two = objects_at((0, 10, 10, 9), (0, 12, 10, 8))
    assert quality.matched(two, label, STRIDE).tolist() == [True, True]
    three = objects_at((0, 10, 10, 9), (0, 12, 10, 8), (0, 11, 10, 7))
    assert quality.matched(three, label, STRIDE).tolist() == [True, True, False]
    only_near = objects_at((0, 10, 10, 9), (0, 2, 10, 8))
    assert quality.matched(only_near, label, STRIDE).tolist() == [True, False]


def test_counts_of_images_and_classes():
    found = [objects_at((0, 5, 5, 9), (1, 5, 5, 8)), objects_at()]
    labels = np.stack([label_of((0, 0, 0, 10, 10)), label_of((0, 0, 0, 9, 9), (1, 0, 0, 9, 9))])
    counts = quality.detection_counts(found, labels, STRIDE, 3)
    assert counts.there.tolist() == [[1, 0, 0], [1, 1, 0]]
    assert counts.found.tolist() == [[1, 1, 0], [0, 0, 0]]
    assert counts.right.tolist() == [[1, 0, 0], [0, 0, 0]]
    assert counts.precision.tolist() == [1.0, 0.0, 0.0]
    assert counts.recall.tolist() == [0.5, 0.0, 0.0]
    assert counts.f1 == pytest.approx([2 / 3, 0, 0])
    assert counts.mean_f1 == pytest.approx(1 / 3)  # nobody has asked for the third class
    assert counts.count_error.tolist() == [0.5, 1.0, 0.0]
    assert counts.subset(np.array([0, 0])).there.tolist() == [[1, 0, 0], [1, 0, 0]]


def test_precision_and_recall_over_the_threshold():
    # By falling scores: right, wrong, right; four are there.
    found = [objects_at((0, 5, 5, 900), (0, 60, 60, 800)), objects_at((0, 5, 5, 700))]
    box = (0, 0, 0, 10, 10)
    other = (0, 80, 80, 90, 90)
    labels = np.stack([label_of(box, other), label_of(box, other)])
    (curve,) = quality.precision_recall(found, labels, STRIDE, 1)
    assert curve.thresholds.tolist() == [900, 800, 700]
    assert curve.precision == pytest.approx([1, 1 / 2, 2 / 3])
    assert curve.recall == pytest.approx([1 / 4, 1 / 4, 2 / 4])
    assert curve.f1 == pytest.approx([2 / 5, 1 / 3, 4 / 7])
    # As it is with that threshold from the beginning.
    for threshold, precision in zip(curve.thresholds, curve.precision, strict=True):
        kept = [each.subset(each.scores >= threshold) for each in found]
        counts = quality.detection_counts(kept, labels, STRIDE, 1)
        assert counts.precision[0] == pytest.approx(precision)


def test_equal_scores_come_together():
    found = [objects_at((0, 5, 5, 900), (0, 60, 60, 900))]
    labels = label_of((0, 0, 0, 10, 10))[np.newaxis]
    (curve,) = quality.precision_recall(found, labels, STRIDE, 1)
    assert (curve.thresholds.tolist(), curve.precision.tolist()) == ([900], [0.5])


def test_the_best_threshold_has_the_highest_f1_and_room_below():
    curves = (
        quality.PrecisionRecall(
            np.array([900, 700, 500]), np.array([1, 1, 0.5]), np.array([0.4, 0.8, 0.8])
        ),
        quality.PrecisionRecall(np.array([900]), np.array([1.0]), np.array([1.0])),
        quality.PrecisionRecall(np.array([], int), np.array([]), np.array([])),
    )
    assert quality.best_thresholds(curves).tolist() == [600, 450, PROBABILITY_ONE // 2]


def test_intersection_over_union_of_cells():
    there = np.array([[[0, 1], [1, 2]], [[IGNORED, 1], [0, 0]]])
    answers = np.array([[[0, 1], [2, 2]], [[1, 1], [0, 1]]])
    counts = quality.cell_counts(answers, there, 3)
    assert counts.confusion.shape == (2, 4, 4)
    # Background: 2 right of 3; class 1: 2 right of 4; class 2: 1 of 2; class 3: nowhere.
    assert counts.iou[:3] == pytest.approx([2 / 3, 2 / 4, 1 / 2])
    assert np.isnan(counts.iou[3])
    assert counts.mean_iou == pytest.approx((2 / 3 + 1 / 2 + 1 / 2) / 3)
    assert counts.subset(np.array([True, False])).iou[1] == pytest.approx(1 / 2)


def test_joints_are_right_near_their_places():
    labels = np.array([[[10.0, 10.0], [50.0, 50.0], [np.nan, np.nan]]], np.float32)
    # Of 100 x 60 pixels a tenth is 10: 6 and 8 away are as far as it goes.
    found = [objects_at((0, 16, 18, 9), (1, 57, 58, 8), (2, 0, 0, 7))]
    counts = quality.joint_counts(found, labels, (60, 100), STRIDE)
    assert counts.there.tolist() == [[True, True, False]]
    assert counts.right.tolist() == [[True, False, False]]
    assert counts.correct == 0.5
    nothing = quality.joint_counts([objects_at()], labels, (60, 100), STRIDE)
    assert nothing.correct == 0.0


def objects_in_cells(*rows):
    """`Objects` of (class, x, y, score), places in cells."""
    return objects_at(*((chosen, x * STRIDE, y * STRIDE, score) for chosen, x, y, score in rows))


def test_thresholds_are_no_lower_than_what_was_looked_at():
    curve = quality.PrecisionRecall(
        np.array([900, 500]), np.array([1.0, 1.0]), np.array([0.5, 1.0])
    )
    (at_any,) = quality.best_thresholds([curve])
    assert at_any == 250
    (at_known,) = quality.best_thresholds([curve], lowest=400)
    assert at_known == 450
    first = quality.PrecisionRecall(
        np.array([900, 500]), np.array([1.0, 0.5]), np.array([1.0, 1.0])
    )
    assert quality.best_thresholds([first], lowest=400) == 700


def test_joints_that_are_not_there_are_found_wrongly():
    labels = np.array([[[8.0, 8.0]], [[np.nan, np.nan]], [[8.0, 24.0]]], np.float32)
    found = [
        objects_in_cells((0, 1, 1, 900)),
        objects_in_cells((0, 1, 1, 700)),
        objects_in_cells((0, 1, 1, 500)),
    ]
    (curve,) = quality.joint_precision_recall(found, labels, (32, 32), 8)
    np.testing.assert_array_equal(curve.thresholds, [900, 700, 500])
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 1 / 3])
    np.testing.assert_allclose(curve.recall, [1 / 2, 1 / 2, 1 / 2])


def test_each_object_is_matched_with_the_nearest_that_is_free():
    label = np.array(
        [[0, 0, 0, 16, 16], [0, 0, 4, 16, 20], [1, 0, 0, 16, 16], [-1, 0, 0, 0, 0]], np.float32
    )
    objects = objects_in_cells((0, 1, 1, 900), (0, 1, 1, 800), (0, 1, 1, 700), (1, 5, 1, 600))
    np.testing.assert_array_equal(quality.matched_rows(objects, label, 8), [0, 1, -1, -1])
    np.testing.assert_array_equal(quality.matched(objects, label, 8), [True, True, False, False])
