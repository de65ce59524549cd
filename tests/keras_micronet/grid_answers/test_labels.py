# SPDX-License-Identifier: Apache-2.0
"""What cells are to answer, by hand."""

import numpy as np

from keras_micronet.grid_answers.labels import IGNORED, cell_answers


def test_a_cell_is_of_the_class_of_most_of_its_pixels_that_count():
    mask = np.array(
        [
            [1, 1, 0, 0, IGNORED, IGNORED],
            [1, 0, 0, 2, IGNORED, IGNORED],
            [0, IGNORED, 2, 2, 1, 2],
            [IGNORED, IGNORED, 2, 0, 2, IGNORED],
        ],
        np.uint8,
    )
    answers = cell_answers("segment", mask, (4, 6), 2, 2)
    np.testing.assert_array_equal(answers, [[1, 0, IGNORED], [0, 2, 2]])


def test_cells_that_reach_beyond_the_picture_count_what_is_in_it():
    answers = cell_answers("segment", np.full((3, 3), 2, np.uint8), (3, 3), 2, 2)
    np.testing.assert_array_equal(answers, [[2, 2], [2, 2]])
