# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from training.datasets.grid_labels import cut_label, flip_label, mirrored_joints, padded_labels

# Of a picture 100 pixels high and 200 wide.
SIZE = (100, 200)


def cut_boxes(boxes, part, image_size):
    label = np.array([(0, *box) for box in boxes], np.float32).reshape(-1, 5)
    return cut_label("detect", label, part, image_size)[:, 1:].tolist()


def test_boxes_are_moved_scaled_and_clipped():
    # The part from row 20 and column 40, 50 x 100, becomes 25 x 200: half as high, twice as wide.
    part, image_size = (20, 40, 50, 100), (25, 200)
    assert cut_boxes([(30, 50, 40, 60)], part, image_size) == [[5, 20, 10, 40]]
    # A half is inside, above the middle and at the left.
    assert cut_boxes([(10, 50, 30, 60)], part, image_size) == [[0, 20, 5, 40]]
    assert cut_boxes([(30, 30, 40, 50)], part, image_size) == [[5, 0, 10, 20]]


@pytest.mark.parametrize(("visible", "is_kept"), [(2, False), (3, True), (4, True), (0, False)])
def test_objects_of_which_little_is_visible_are_dropped(visible, is_kept):
    """Of a box 10 pixels high so many rows are inside of the part."""
    top = 20 - 10 + visible
    kept = cut_boxes([(top, 50, top + 10, 60)], (20, 40, 50, 100), (50, 100))
    assert kept == ([[0, 10, visible, 20]] if is_kept else [])


def test_classes_stay_with_their_boxes():
    label = np.array([[3, 0, 0, 5, 5], [1, 30, 50, 40, 60], [2, 40, 60, 50, 70]], np.float32)
    assert cut_label("detect", label, (20, 40, 50, 100), (50, 100))[:, 0].tolist() == [1, 2]


def test_a_picture_without_objects_stays_one():
    empty = np.zeros((0, 5), np.float32)
    assert cut_label("detect", empty, (0, 0, 10, 10), (5, 5)).shape == (0, 5)
    assert flip_label("detect", empty, (5, 5), ()).shape == (0, 5)


def test_masks_take_their_nearest_pixel():
    mask = np.zeros(SIZE, np.uint8)
    mask[20:45, 40:90] = 1
    mask[45:70, 90:140] = 255
    cut = cut_label("segment", mask, (20, 40, 50, 100), (4, 6))
    assert cut.dtype == np.uint8
    assert cut.tolist() == [[1, 1, 1, 0, 0, 0]] * 2 + [[0, 0, 0, 255, 255, 255]] * 2


def test_joints_outside_are_not_there():
    joints = np.array([[30, 50], [10, 50], [np.nan, np.nan], [30, 141]], np.float32)
    cut = cut_label("keypoints", joints, (20, 40, 50, 100), (25, 200))
    assert cut[0].tolist() == [5, 20]
    assert np.isnan(cut[1:]).all()


def test_flips_exchange_left_and_right():
    boxes = np.array([[2, 10, 20, 30, 60]], np.float32)
    assert flip_label("detect", boxes, SIZE, ()).tolist() == [[2, 10, 140, 30, 180]]
    mask = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert flip_label("segment", mask, (2, 3), ()).tolist() == [[2, 1, 0], [5, 4, 3]]
    # head, left hand, right hand
    joints = np.array([[5, 100], [50, 150], [60, 20]], np.float32)
    flipped = flip_label("keypoints", joints, SIZE, (0, 2, 1))
    assert flipped.tolist() == [[5, 100], [60, 180], [50, 50]]


@pytest.mark.parametrize("task", ["detect", "segment", "keypoints"])
def test_two_flips_are_none(task):
    labels = {
        "detect": np.array([[2, 10, 20, 30, 60]], np.float32),
        "segment": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "keypoints": np.array([[5, 100], [50, 150], [60, 20]], np.float32),
    }
    label = labels[task]
    once = flip_label(task, label, SIZE, (0, 2, 1))
    assert not np.array_equal(once, label)
    np.testing.assert_array_equal(flip_label(task, once, SIZE, (0, 2, 1)), label)


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("nose", "left_eye", "right_eye"), (0, 2, 1)),
        (("RightEye", "nose", "LeftEye"), (2, 1, 0)),
        (("l_hand", "r_hand", "hand-L", "hand-R"), (1, 0, 3, 2)),
        # "l" and "r" within words say nothing.
        (("pelvis", "tail", "ear"), (0, 1, 2)),
        # Nor does a letter that has no counterpart.
        (("point l", "tip"), (0, 1)),
    ],
)
def test_names_tell_which_joints_change_sides(names, order):
    assert mirrored_joints(names) == order


def test_a_side_without_its_counterpart_is_refused():
    with pytest.raises(ValueError, match="counterpart.*Received: left_eye without one"):
        mirrored_joints(("nose", "left_eye", "left_ear", "right_ear"))


def test_labels_are_padded_with_rows_of_no_object():
    labels = [np.ones((1, 5), np.float32), np.zeros((0, 5), np.float32)]
    padded = padded_labels("detect", labels, 2)
    assert padded.dtype == np.float32
    assert padded.tolist() == [[[1] * 5, [-1, 0, 0, 0, 0]], [[-1, 0, 0, 0, 0]] * 2]
