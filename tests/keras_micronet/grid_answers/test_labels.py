# SPDX-License-Identifier: Apache-2.0
"""What cells are to answer to labelled images."""

import re

import numpy as np
import pytest

from keras_micronet.grid_answers import labels
from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT

NAN = float("nan")


def test_a_cell_answers_the_object_whose_centre_it_has():
    boxes = np.array([[1, 0, 8, 16, 24], [0, 17, 0, 23, 7], [-1, 0, 0, 0, 0]], np.float32)
    answers = labels.cell_answers(DETECT, boxes, (24, 32), 8, 2)
    assert answers.dtype == np.int32
    assert answers.tolist() == [[0, 0, 0, 0], [0, 0, 2, 0], [1, 0, 0, 0]]


def test_of_two_centres_in_a_cell_the_smaller_object_counts():
    small, large = [0, 2, 2, 6, 6], [1, 0, 0, 8, 8]
    for order in ([small, large], [large, small]):
        answers = labels.cell_answers(DETECT, np.array(order, np.float32), (8, 8), 8, 2)
        assert answers.tolist() == [[1]]


def test_the_centre_is_that_of_what_is_visible():
    # Most of the box lies left of the picture: its own centre is outside.
    boxes = np.array([[0, 0, -30, 8, 10]], np.float32)
    assert labels.cell_answers(DETECT, boxes, (8, 16), 8, 1).tolist() == [[1, 0]]
    edge = np.array([[0, 16, 16, 16.5, 16.5]], np.float32)  # a centre on the last edge
    assert labels.cell_answers(DETECT, edge, (16, 16), 8, 1).tolist() == [[0, 0], [0, 1]]


def test_a_cell_answers_the_class_of_most_of_its_pixels():
    mask = np.zeros((4, 6), np.uint8)
    mask[:2, :2] = [[1, 1], [2, 0]]
    mask[:2, 2:4] = [[2, labels.IGNORED], [labels.IGNORED, labels.IGNORED]]
    mask[2:, 4:] = labels.IGNORED
    answers = labels.cell_answers(SEGMENT, mask, (4, 6), 2, 2)
    assert answers.tolist() == [[1, 2, 0], [0, 0, labels.IGNORED]]


def test_cells_beyond_the_picture_answer_by_what_is_in_it():
    mask = np.ones((5, 5), np.uint8)
    assert labels.cell_answers(SEGMENT, mask, (5, 5), 4, 1).tolist() == [[1, 1], [1, 1]]


def test_each_map_has_its_joint():
    points = np.array([[0, 0], [15.9, 8.0], [NAN, NAN]], np.float32)
    answers = labels.cell_answers(KEYPOINTS, points, (16, 16), 8, 3)
    assert answers.shape == (2, 2, 3)
    assert np.argwhere(answers).tolist() == [[0, 0, 0], [1, 1, 1]]


def test_objects_spread_over_the_cells_around():
    # In the middle of a cell: others are one cell away, or at its corners the root of 2.
    boxes = np.array([[1, 8, 8, 16, 16]], np.float32)
    shares = labels.cell_answers(DETECT, boxes, (24, 24), 8, 2, spread=0.7)
    beside, corner = np.exp(-1 / 0.98), np.exp(-2 / 0.98)
    expected = [[corner, beside, corner], [beside, 1, beside], [corner, beside, corner]]
    np.testing.assert_allclose(shares[..., 2], expected, rtol=1e-6)
    np.testing.assert_allclose(shares[..., 1], 0)
    np.testing.assert_allclose(shares.sum(axis=-1), 1, rtol=1e-6)
    # What is hardly there is not there.
    narrow = labels.cell_answers(DETECT, boxes, (24, 24), 8, 2, spread=0.4)
    assert np.count_nonzero(narrow[..., 2]) == 1


def test_a_centre_between_cells_is_in_both():
    boxes = np.array([[0, 0, 4, 8, 12]], np.float32)
    shares = labels.cell_answers(DETECT, boxes, (8, 16), 8, 1, spread=0.5)
    np.testing.assert_allclose(shares, [[[0, 1], [0, 1]]])


def test_classes_that_meet_share_their_cells():
    boxes = np.array([[0, 0, 0, 8, 8], [1, 0, 0, 8, 8]], np.float32)
    shares = labels.cell_answers(DETECT, boxes, (8, 8), 8, 2, spread=0.5)
    np.testing.assert_allclose(shares, [[[0, 0.5, 0.5]]])


def test_joints_spread_in_their_own_maps():
    points = np.array([[4, 4], [NAN, NAN]], np.float32)
    maps = labels.cell_answers(KEYPOINTS, points, (8, 16), 8, 2, spread=0.5)
    np.testing.assert_allclose(maps[..., 0], [[1, np.exp(-2)]], rtol=1e-6)
    np.testing.assert_allclose(maps[..., 1], 0)


def test_areas_do_not_spread():
    with pytest.raises(ValueError, match="Received: spread=0.5"):
        labels.cell_answers(SEGMENT, np.zeros((8, 8), np.uint8), (8, 8), 8, 1, spread=0.5)


@pytest.mark.parametrize(
    ("image_size", "grid_size", "stride"),
    [((96, 96), (12, 12), 8), ((100, 132), (13, 17), 8), ((120, 160), (8, 10), 16)],
)
def test_the_side_of_a_cell_follows_from_the_sizes(image_size, grid_size, stride):
    assert labels.output_stride(image_size, grid_size) == stride


def test_a_grid_of_no_stride_is_refused():
    with pytest.raises(ValueError, match=r"Received: \(12, 11\) cells for \(96, 96\) pixels"):
        labels.output_stride((96, 96), (12, 11))


RIGHT = {
    DETECT: np.array([[[0, 1, 1, 2, 2], [-1, 0, 0, 0, 0]]], np.float32),
    SEGMENT: np.array([[[0, 1, 2, 255]] * 3], np.uint8),
    KEYPOINTS: np.array([[[1, 1], [NAN, NAN]]], np.float32),
}


@pytest.mark.parametrize("task", RIGHT)
def test_right_labels_are_taken(task):
    assert labels.label_misfit(task, RIGHT[task], 1, (3, 4), 2) is None


@pytest.mark.parametrize(
    ("task", "wrong", "message"),
    [
        (DETECT, np.zeros((2, 1, 5), np.float32), r"Received: float32 of shape \(2, 1, 5\)"),
        (DETECT, np.zeros((1, 5), np.float32), r"Received: float32 of shape \(1, 5\)"),
        (DETECT, np.zeros((1, 1, 5), np.int32), "must be floats"),
        (DETECT, np.array([[[2, 0, 0, 1, 1]]], np.float32), "Received: class 2.0"),
        (DETECT, np.array([[[0.5, 0, 0, 1, 1]]], np.float32), "Received: class 0.5"),
        (DETECT, np.array([[[0, 1, 1, 1, 2]]], np.float32), "bottom below its top"),
        (DETECT, np.array([[[0, 0, 0, NAN, 1]]], np.float32), "boxes must be finite"),
        (SEGMENT, np.zeros((1, 3, 3), np.uint8), r"Received: uint8 of shape \(1, 3, 3\)"),
        (SEGMENT, np.zeros((1, 3, 4), np.int32), "must be uint8"),
        (SEGMENT, np.full((1, 3, 4), 3, np.uint8), "Received: 3"),
        (KEYPOINTS, np.zeros((1, 3, 2), np.float32), r"Received: float32 of shape \(1, 3, 2\)"),
        (KEYPOINTS, np.full((1, 2, 2), np.inf, np.float32), "Received: inf"),
    ],
)
def test_wrong_labels_are_told(task, wrong, message):
    misfit = labels.label_misfit(task, wrong, 1, (3, 4), 2)
    assert misfit is not None
    assert re.search(message, misfit)
