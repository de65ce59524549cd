# SPDX-License-Identifier: Apache-2.0
"""Which objects the cells of a grid show; expected values are worked out by hand."""

import dataclasses

import numpy as np
import pytest

from keras_micronet.grid_answers.objects import (
    CELL,
    PROBABILITY_ONE,
    find_in_images,
    find_keypoints,
    find_objects,
    quantized_probabilities,
)

HALF = PROBABILITY_ONE // 2


def grid_of(rows, columns, classes, cells):
    """Probabilities in Q15 with some cells set: `{(row, column, class from 0): value}`."""
    grid = np.zeros((rows, columns, classes + 1), np.int32)
    for (row, column, chosen), value in cells.items():
        grid[row, column, 1 + chosen] = value
    return grid


def test_a_lone_cell_is_an_object_at_its_centre_and_of_its_size():
    grid = grid_of(4, 5, 2, {(2, 3, 1): 20000})
    found = find_objects(grid, np.array([HALF, HALF]))
    assert found.classes.tolist() == [1]
    assert (found.x.tolist(), found.y.tolist()) == ([3.5 * CELL], [2.5 * CELL])
    assert (found.width.tolist(), found.height.tolist()) == ([CELL], [CELL])
    assert found.scores.tolist() == [20000]


def test_the_background_shows_nothing_however_probable():
    grid = np.zeros((3, 3, 2), np.int32)
    grid[..., 0] = PROBABILITY_ONE
    assert len(find_objects(grid, np.array([1]))) == 0


@pytest.mark.parametrize(("value", "count"), [(HALF, 1), (HALF - 1, 0)])
def test_a_cell_needs_the_threshold_of_its_class(value, count):
    grid = grid_of(3, 3, 2, {(1, 1, 1): value})
    assert len(find_objects(grid, np.array([1, HALF]))) == count


def test_neighbours_are_merged_to_a_weighted_centre_and_the_cells_with_the_threshold():
    # Weights 3 and 1 beside each other: a quarter of a cell to the right of the left one's centre.
    # The cell below has too little to count for the size, but 1 of 5 parts of the weight.
    grid = grid_of(5, 5, 1, {(2, 2, 0): 24000, (2, 3, 0): 8000})
    found = find_objects(grid, np.array([8000]))
    assert (found.x.tolist(), found.y.tolist()) == ([2.75 * CELL], [2.5 * CELL])
    assert (found.width.tolist(), found.height.tolist()) == ([2 * CELL], [CELL])
    below = grid_of(5, 5, 1, {(2, 2, 0): 24000, (3, 2, 0): 6000})
    found = find_objects(below, np.array([8000]))
    assert found.y.tolist() == [round(2.7 * CELL)]
    assert found.height.tolist() == [CELL]


def test_centres_at_the_border_stay_inside():
    grid = grid_of(2, 2, 1, {(0, 0, 0): HALF})
    found = find_objects(grid, np.array([HALF]))
    assert (found.x.tolist(), found.y.tolist()) == ([CELL // 2], [CELL // 2])


@pytest.mark.parametrize("other", [(0, 1), (1, 0), (1, 1), (1, -1)])
def test_of_equal_neighbours_the_first_counts(other):
    cells = {(1, 1, 0): 20000, (1 + other[0], 1 + other[1], 0): 20000}
    found = find_objects(grid_of(3, 3, 1, cells), np.array([HALF]))
    assert len(found) == 1
    centre_y, centre_x = 1.5 + other[0] / 2, 1.5 + other[1] / 2
    assert (found.y[0], found.x[0]) == (centre_y * CELL, centre_x * CELL)


def test_cells_two_apart_are_two_objects_the_most_probable_first():
    cells = {(0, 0, 0): 17000, (0, 2, 0): 30000, (2, 0, 0): 17000, (2, 2, 0): 20000}
    found = find_objects(grid_of(3, 3, 1, cells), np.array([HALF]))
    assert found.scores.tolist() == [30000, 20000, 17000, 17000]
    assert found.y[2:].tolist() == [CELL // 2, 2.5 * CELL]  # equal ones by rows
    assert find_objects(grid_of(3, 3, 1, cells), np.array([HALF]), 2).scores.tolist() == [
        30000,
        20000,
    ]


def test_a_cell_shows_its_most_probable_class_only():
    grid = grid_of(3, 3, 3, {(1, 1, 0): 9000, (1, 1, 2): 12000})
    found = find_objects(grid, np.array([1000, 1000, 1000]))
    assert found.classes.tolist() == [2]
    # Not the next one instead, where the most probable one has not got its threshold.
    assert len(find_objects(grid, np.array([1000, 1000, 13000]))) == 0


def test_a_neighbour_of_another_class_hinders_nothing():
    grid = grid_of(3, 3, 2, {(1, 1, 0): 17000, (1, 2, 1): 30000})
    assert find_objects(grid, np.array([HALF, HALF])).classes.tolist() == [1, 0]


def test_keypoints_are_the_highest_cell_of_each_map():
    maps = np.zeros((3, 4, 3), np.int32)
    maps[1, 2, 0] = 20000
    maps[2, 0, 0] = 19999  # lower: not there
    maps[0, 1, 1] = HALF - 1  # below the threshold: the joint is missing
    maps[2, 3, 2] = maps[0, 0, 2] = PROBABILITY_ONE  # of equal ones the first
    found = find_keypoints(maps, np.array([HALF] * 3))
    assert found.classes.tolist() == [0, 2]
    assert (found.x.tolist(), found.y.tolist()) == (
        [2.5 * CELL, CELL // 2],
        [1.5 * CELL, CELL // 2],
    )
    assert found.scores.tolist() == [20000, PROBABILITY_ONE]


def test_probabilities_are_rounded_to_q15():
    given = [0.0, 1.0, 0.5, 1.4 / PROBABILITY_ONE, 1.6 / PROBABILITY_ONE]
    assert quantized_probabilities(given).tolist() == [0, PROBABILITY_ONE, HALF, 1, 2]


def random_grids(levels, shape=(6, 7, 9, 4), seed=0):
    """Probabilities in Q15 of few levels, so that many neighbours are equal."""
    random = np.random.default_rng(seed)
    shares = random.integers(0, levels, shape) + (np.arange(shape[-1]) == 0)
    return (shares * PROBABILITY_ONE // shares.sum(axis=-1, keepdims=True)).astype(np.int32)


@pytest.mark.parametrize("levels", [2, 5, 1000])
@pytest.mark.parametrize("thresholds", [(1, 1, 1), (9000, 13000, 11000)])
def test_many_images_at_once(levels, thresholds):
    grids = random_grids(levels)
    found = find_in_images(grids, np.array(thresholds))
    assert sum(map(len, found)) > len(grids)
    for grid, objects in zip(grids, found, strict=True):
        for name, expected in dataclasses.asdict(find_objects(grid, np.array(thresholds))).items():
            np.testing.assert_array_equal(getattr(objects, name), expected)
            assert getattr(objects, name).dtype == expected.dtype


def test_nothing_is_found_where_nothing_is_probable():
    grids = np.zeros((2, 3, 3, 2), np.int32)
    grids[..., 0] = PROBABILITY_ONE
    assert [len(objects) for objects in find_in_images(grids, np.array([1]))] == [0, 0]


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1)])
def test_grids_of_a_single_row_or_column(size):
    grids = random_grids(50, (3, *size, 3))
    for grid, objects in zip(grids, find_in_images(grids, np.array([1, 1])), strict=True):
        expected = find_objects(grid, np.array([1, 1]))
        assert dataclasses.asdict(objects).keys() == dataclasses.asdict(expected).keys()
        np.testing.assert_array_equal(objects.x, expected.x)
        np.testing.assert_array_equal(objects.scores, expected.scores)
