# SPDX-License-Identifier: Apache-2.0
"""Gray values are Pillow's and, within rounding, BT.601's, for all colours."""

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from keras_micronet import luma


@pytest.fixture(scope="module")
def colours():
    """All of them, uint8 `(4096, 4096, 3)`."""
    numbers = np.arange(1 << 24, dtype=np.uint32).reshape(4096, 4096)
    return np.stack([numbers >> 16, numbers >> 8, numbers], axis=-1).astype(np.uint8)


def test_values_are_those_of_pillow(colours):
    expected = np.asarray(PIL.Image.fromarray(colours).convert("L"))
    np.testing.assert_array_equal(luma.luma(colours), expected)


def test_values_are_within_rounding_of_the_definition(colours):
    some = colours[::7]
    exact = some @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma.luma(some) - exact).max() < 0.502


def test_tensorflow_differs_by_one_at_most(colours):
    some = colours[::64]
    theirs = tf.image.rgb_to_grayscale(some).numpy()[..., 0].astype(int)
    assert np.abs(luma.luma(some) - theirs).max() == 1


def test_gray_stays_as_it_is():
    grays = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(luma.luma(np.stack([grays] * 3, axis=-1)), grays)
