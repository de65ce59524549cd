import dataclasses

import keras
import numpy as np
import pytest

from training.augmentation import random_changes
from training.recipes import SMALL_IMAGES

SIZE = (20, 30)


def recipe(**changes):
    nothing = {"rotation": 0.0, "translation": 0.0, "zoom": 0.0, "horizontal_flip": False}
    return dataclasses.replace(SMALL_IMAGES, image_size=SIZE, **nothing | changes)


def make_augmentation(recipe, seed):
    """What a training step does to a batch of images, before the model sees them."""
    changes = random_changes(recipe, seed)

    def change(images):
        for layer in changes:
            images = layer(images, training=True)
        return images

    return change


def blob(row=10.0, column=15.0, count=64):
    """Images with one round spot."""
    rows, columns = np.indices(SIZE)
    image = 255 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 8)
    return np.tile(image[..., np.newaxis], (count, 1, 1, 3)).astype(np.float32)


def centres(images):
    """Rows and columns of the spots' centres of mass."""
    weights = np.asarray(images)[..., 0]
    weights = weights / weights.sum((1, 2), keepdims=True)
    rows, columns = np.indices(SIZE)
    return (weights * rows).sum((1, 2)), (weights * columns).sum((1, 2))


def test_without_any_change_images_stay_the_same():
    images = blob()
    assert np.array_equal(make_augmentation(recipe(), seed=0)(images), images)


def test_translation_moves_each_image_on_its_own_within_the_limit():
    rows, columns = centres(make_augmentation(recipe(translation=0.1), seed=0)(blob()))
    moved_rows, moved_columns = rows - 10, columns - 15
    assert np.abs(moved_rows).max() <= 0.1 * SIZE[0] + 0.1
    assert np.abs(moved_columns).max() <= 0.1 * SIZE[1] + 0.1
    for moved, side in ((moved_rows, SIZE[0]), (moved_columns, SIZE[1])):
        assert moved.max() > 0.05 * side
        assert moved.min() < -0.05 * side


def test_rotation_turns_about_the_centre_within_the_limit():
    # The spot stands 10 columns right of the centre (9.5, 14.5).
    images = make_augmentation(recipe(rotation=0.05), seed=0)(blob(row=9.5, column=24.5))
    rows, columns = centres(images)
    radius = np.hypot(rows - 9.5, columns - 14.5)
    angle = np.arctan2(rows - 9.5, columns - 14.5) / (2 * np.pi)
    assert np.abs(radius - 10).max() < 0.7
    assert np.abs(angle).max() <= 0.055
    assert angle.max() > 0.025
    assert angle.min() < -0.025


def test_zoom_scales_both_axes_alike_within_the_limit():
    images = make_augmentation(recipe(zoom=0.2), seed=0)(blob(row=14.5, column=22.5))
    rows, columns = centres(images)
    row_scale, column_scale = (rows - 9.5) / 5, (columns - 14.5) / 8
    assert np.abs(row_scale - column_scale).max() < 0.12
    assert column_scale.min() > 1 / 1.25
    assert column_scale.max() < 1 / 0.75
    assert column_scale.max() - column_scale.min() > 0.15


def test_flip_mirrors_about_half_of_the_images_left_to_right():
    images = blob(row=5, column=4, count=200)
    images = np.asarray(make_augmentation(recipe(horizontal_flip=True), seed=0)(images))
    mirrored = np.isclose(images, blob(row=5, column=25, count=200)).all((1, 2, 3))
    unchanged = np.isclose(images, blob(row=5, column=4, count=200)).all((1, 2, 3))
    assert np.all(mirrored ^ unchanged)
    assert 60 < mirrored.sum() < 140


@pytest.mark.parametrize("value", [0.0, 255.0])
def test_uncovered_parts_look_like_the_border_and_the_range_stays(value):
    everything = recipe(rotation=0.1, translation=0.3, zoom=0.3, horizontal_flip=True)
    images = np.full((16, *SIZE, 3), value, np.float32)
    augmented = np.asarray(make_augmentation(everything, seed=0)(images))
    assert np.abs(augmented - value).max() < 1e-3


def test_batches_differ_and_the_sequence_repeats_with_the_seed():
    def two_batches(seed):
        augment = make_augmentation(SMALL_IMAGES, seed)
        return [np.asarray(augment(blob(count=4))) for _ in range(2)]

    first, second = two_batches(5)
    assert not np.allclose(first, second)
    repeated = two_batches(5)
    assert np.array_equal(first, repeated[0])
    assert np.array_equal(second, repeated[1])
    assert not np.allclose(first, two_batches(6)[0])


def test_is_independent_of_the_global_seed():
    keras.utils.set_random_seed(1)
    first = make_augmentation(SMALL_IMAGES, 5)(blob(count=4))
    keras.utils.set_random_seed(2)
    second = make_augmentation(SMALL_IMAGES, 5)(blob(count=4))
    assert np.array_equal(first, second)
