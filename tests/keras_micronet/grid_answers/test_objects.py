# SPDX-License-Identifier: Apache-2.0
"""Objects in many images at once are those of the definition, image by image."""

import dataclasses

import numpy as np
import pytest

from keras_micronet.grid_answers.objects import PROBABILITY_ONE, find_in_images, find_objects


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
