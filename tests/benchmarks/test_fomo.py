# SPDX-License-Identifier: Apache-2.0
"""FOMO as published, and its rule of merging cells by hand."""

import numpy as np

from benchmarks import fomo
from benchmarks.activation_peak import peak_bytes
from benchmarks.export_size import convert
from keras_micronet.grid_answers.objects import CELL

HALF = 2**14


def test_the_network_has_the_published_parts():
    model = fomo.build((96, 96, 3), 3)
    assert model.output_shape == (None, 12, 12, 4)
    # 17,584 of the backbone to the cut, 97 x 32 and 33 x 4 of the two convolutions.
    assert model.count_params() == 17_584 + 97 * 32 + 33 * 4
    momenta = {layer.momentum for layer in fomo.core(model).layers if hasattr(layer, "momentum")}
    assert momenta == {0.9}
    images = np.zeros((1, 96, 96, 3), np.float32)
    np.testing.assert_allclose(model.predict(images, verbose=0).sum(axis=-1), 1, rtol=1e-5)


def test_activations_are_counted_while_they_are_needed():
    core = fomo.core(fomo.build((96, 96, 3), 3))
    images = np.random.default_rng(0).uniform(-1, 1, (4, 96, 96, 3)).astype(np.float32)
    # The second block's expansion to 48 channels, and what its depthwise convolution leaves of it.
    assert peak_bytes(convert(core, images)) == 48 * 48 * 48 + 24 * 24 * 48


def test_touching_cells_of_a_class_are_one_object():
    grid = np.zeros((4, 6, 3), np.int32)
    grid[0, 0, 1], grid[1, 1, 1], grid[1, 2, 1] = HALF, HALF + 9, HALF + 1  # a chain
    grid[3, 5, 1] = HALF + 5  # alone
    grid[1, 3, 2] = HALF  # touches, but of another class
    grid[3, 0, 2] = HALF - 1  # too little
    found = fomo.merge_cells(grid, [HALF, HALF])
    assert found.scores.tolist() == [HALF + 9, HALF + 5, HALF]
    assert found.classes.tolist() == [0, 0, 1]
    assert found.x.tolist() == [1.5 * CELL, 5.5 * CELL, 3.5 * CELL]
    assert found.y.tolist() == [1.0 * CELL, 3.5 * CELL, 1.5 * CELL]
    assert found.width.tolist() == [3 * CELL, CELL, CELL]
    assert found.height.tolist() == [2 * CELL, CELL, CELL]


def test_nothing_is_found_where_nothing_is():
    assert len(fomo.merge_cells(np.zeros((2, 2, 2), np.int32), [1])) == 0
