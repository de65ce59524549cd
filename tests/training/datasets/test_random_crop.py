# SPDX-License-Identifier: Apache-2.0
"""Random crops against the definition of torchvision's RandomResizedCrop."""

import numpy as np
import pytest
import tensorflow as tf

from training.datasets.random_crop import narrowest_crop, random_crop


def draw(height, width, image_size, smallest_part, count=2000):
    """`count` crops `(count, 4)`: top, left, height, width."""

    @tf.function
    def crops():
        seeds = tf.stack([tf.fill([count], 7), tf.range(count)], axis=1)
        return tf.map_fn(
            lambda seed: random_crop(height, width, image_size, smallest_part, seed),
            seeds,
            fn_output_signature=tf.int32,
        )

    return crops().numpy()


def test_crops_lie_within_the_image_and_the_limits():
    top, left, height, width = draw(300, 400, (224, 224), 0.08).T
    assert min(top.min(), left.min()) == 0
    assert (top + height).max() == 300
    assert (left + width).max() <= 400
    # Rounding to whole pixels moves a side by at most half a pixel, of at least 80 here.
    assert (height * width).min() >= 0.08 * 300 * 400 * 0.98
    ratio = width / height
    assert ratio.min() >= 3 / 4 * 0.98
    assert ratio.max() <= 4 / 3 * 1.02


def test_area_ratio_and_place_are_spread_evenly():
    crops = draw(1000, 1000, (64, 64), 0.08, count=4000)
    # Parts below half of the area fit into the image, whatever their proportions: none is refused.
    top, left, height, width = crops[crops[:, 2] * crops[:, 3] < 0.5e6].T
    for values, lowest, highest in (
        (height * width / 1e6, 0.08, 0.5),
        (np.log(width / height), np.log(3 / 4), np.log(4 / 3)),
        (top / (1000 - height), 0, 1),
        (left / (1000 - width), 0, 1),
    ):
        counts, _ = np.histogram(values, bins=4, range=(lowest, highest))
        expected = len(top) / 4
        # Five standard deviations of a binomial count.
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected * 0.75)


def test_proportions_are_about_those_of_the_result():
    _, _, height, width = draw(1000, 1000, (48, 96), 0.1).T
    ratio = width / height
    assert 1.5 * 0.98 <= ratio.min() < 1.6
    assert 2.5 < ratio.max() <= 8 / 3 * 1.02


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        # No part of nearly all of so long an image has sensible proportions: the middle, 4 to 3.
        (90, 1000, (0, 440, 90, 120)),
        (1000, 90, (440, 0, 120, 90)),
        (1, 5, (0, 2, 1, 1)),
    ],
)
def test_an_image_of_extreme_proportions_gives_its_middle(height, width, expected):
    crops = draw(height, width, (32, 32), 0.99, count=10)
    assert crops.tolist() == [list(expected)] * 10


def test_an_image_of_one_pixel_is_kept():
    assert draw(1, 1, (32, 32), 0.08, count=20).tolist() == [[0, 0, 1, 1]] * 20


def test_the_seed_decides():
    def crop(*seed):
        return random_crop(300, 400, (224, 224), 0.08, tf.constant(seed, tf.int64)).numpy().tolist()

    assert crop(1, 2) == crop(1, 2)
    assert len({tuple(crop(*seed)) for seed in ((1, 2), (2, 1), (1, 3), (2, 2))}) == 4


@pytest.mark.parametrize("image_size", [(64, 64), (48, 96), (96, 48)])
@pytest.mark.parametrize(("height", "width"), [(1000, 1000), (600, 1500)])
def test_narrowest_crop_bounds_the_sides_of_all(height, width, image_size):
    crops = draw(height, width, image_size, 0.1)
    narrowest = narrowest_crop(height, width, image_size, 0.1)
    # Sides are whole pixels; two thousand draws come close to the bound.
    assert narrowest - 0.5 <= crops[:, 2:].min() < 1.1 * narrowest


def test_narrowest_crop_is_no_wider_than_the_image():
    assert narrowest_crop(10, 1000, (64, 64), 0.5) == 10
