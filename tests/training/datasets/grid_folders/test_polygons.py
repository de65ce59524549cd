# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from matplotlib.path import Path

from training.datasets.grid_folders import polygons
from training.datasets.grid_folders.polygons import fill_polygon

SIZE = (30, 40)


def filled(corners, size=SIZE):
    mask = np.zeros(size, np.uint8)
    fill_polygon(mask, np.array(corners, float), 7)
    assert set(np.unique(mask)) <= {0, 7}
    return mask == 7


def test_rectangles_are_exact():
    expected = np.zeros(SIZE, bool)
    expected[5:12, 10:20] = True
    for shift in (-0.4, 0.0, 0.4):
        corners = np.array([(10, 5), (20, 5), (20, 12), (10, 12)]) + shift
        np.testing.assert_array_equal(filled(corners), expected)
        np.testing.assert_array_equal(filled(corners[::-1]), expected)


@pytest.mark.parametrize("at_once", [2**20, 7])
def test_middles_inside_are_filled(monkeypatch, at_once):
    """As matplotlib tells which points are inside of a polygon, also of one beyond the picture."""
    monkeypatch.setattr(polygons, "_MOST_CROSSINGS", at_once)
    random = np.random.default_rng(0)
    rows, columns = np.indices(SIZE) + 0.5
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    for _ in range(40):
        angles = np.sort(random.uniform(0, 2 * np.pi, random.integers(3, 12)))
        radii = random.uniform(2, 25, len(angles))
        middle = random.uniform(0, 1, 2) * SIZE[::-1]
        corners = middle + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
        expected = Path(corners).contains_points(points).reshape(SIZE)
        if np.diff(angles, append=angles[0] + 2 * np.pi).max() < np.pi:  # else it crosses itself
            np.testing.assert_array_equal(filled(corners), expected)


@pytest.mark.parametrize(
    "corners",
    [
        [(1, 1), (1, 1), (1, 1)],
        [(1, 1), (9, 9), (1, 1)],
        [(-9, -9), (-1, -9), (-1, -1)],
        [(50, 1), (60, 1), (60, 9)],
        [(1, 3.1), (30, 3.1), (30, 3.2)],
    ],
)
def test_what_covers_no_middle_fills_nothing(corners):
    assert not filled(corners).any()


def test_what_is_enclosed_twice_is_outside():
    corners = [
        (0, 0),
        (20, 0),
        (20, 20),
        (0, 20),
        (0, 0),
        (5, 5),
        (15, 5),
        (15, 15),
        (5, 15),
        (5, 5),
    ]
    mask = filled(corners)
    assert mask[2, 2] and not mask[10, 10] and mask.sum() == 400 - 100
