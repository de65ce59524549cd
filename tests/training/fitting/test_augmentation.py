# SPDX-License-Identifier: Apache-2.0
import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.resumable import EPOCHS, train_tiny_model
from training.fitting.augmentation import RandAugment, RandomFlip, random_changes
from training.recipes.recipes import SMALL_IMAGES

pytestmark = pytest.mark.slow

SIZE = (20, 30)


def recipe(**changes):
    nothing = {"rotation": 0.0, "translation": 0.0, "zoom": 0.0, "horizontal_flip": False}
    return dataclasses.replace(SMALL_IMAGES, image_size=SIZE, **nothing | changes)


EVERYTHING = recipe(
    rotation=0.1,
    translation=0.1,
    zoom=0.1,
    horizontal_flip=True,
    brightness=0.2,
    contrast=0.2,
    saturation=0.2,
    rand_augment=0.5,
    random_erasing=0.5,
    mixup=0.4,
    cutmix=0.8,
)


def make_augmentation(recipe, seed):
    """What a training step does to a batch of images, before the model sees them."""
    changes = random_changes(recipe, seed)

    def change(images, labels=None):
        if labels is None:
            labels = np.ones((len(images), 1), np.float32)
        changed = {"images": images, "labels": labels}
        for layer in changes:
            changed = layer(changed, training=True)
        return np.asarray(changed["images"]), np.asarray(changed["labels"])

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
    assert np.array_equal(make_augmentation(recipe(), seed=0)(images)[0], images)


def test_translation_moves_each_image_on_its_own_within_the_limit():
    rows, columns = centres(make_augmentation(recipe(translation=0.1), seed=0)(blob())[0])
    moved_rows, moved_columns = rows - 10, columns - 15
    assert np.abs(moved_rows).max() <= 0.1 * SIZE[0] + 0.1
    assert np.abs(moved_columns).max() <= 0.1 * SIZE[1] + 0.1
    for moved, side in ((moved_rows, SIZE[0]), (moved_columns, SIZE[1])):
        assert moved.max() > 0.05 * side
        assert moved.min() < -0.05 * side


def test_rotation_turns_about_the_centre_within_the_limit():
    # The spot stands 10 columns right of the centre (9.5, 14.5).
    images = make_augmentation(recipe(rotation=0.05), seed=0)(blob(row=9.5, column=24.5))[0]
    rows, columns = centres(images)
    radius = np.hypot(rows - 9.5, columns - 14.5)
    angle = np.arctan2(rows - 9.5, columns - 14.5) / (2 * np.pi)
    assert np.abs(radius - 10).max() < 0.7
    assert np.abs(angle).max() <= 0.055
    assert angle.max() > 0.025
    assert angle.min() < -0.025


def test_zoom_scales_both_axes_alike_within_the_limit():
    images = make_augmentation(recipe(zoom=0.2), seed=0)(blob(row=14.5, column=22.5))[0]
    rows, columns = centres(images)
    row_scale, column_scale = (rows - 9.5) / 5, (columns - 14.5) / 8
    assert np.abs(row_scale - column_scale).max() < 0.12
    assert column_scale.min() > 1 / 1.25
    assert column_scale.max() < 1 / 0.75
    assert column_scale.max() - column_scale.min() > 0.15


def test_flip_mirrors_about_half_of_the_images_left_to_right():
    images = blob(row=5, column=4, count=200)
    images = make_augmentation(recipe(horizontal_flip=True), seed=0)(images)[0]
    mirrored = np.isclose(images, blob(row=5, column=25, count=200)).all((1, 2, 3))
    unchanged = np.isclose(images, blob(row=5, column=4, count=200)).all((1, 2, 3))
    assert np.all(mirrored ^ unchanged)
    assert 60 < mirrored.sum() < 140


@pytest.mark.parametrize("size", [(5, 8, 3), (4, 7, 1)])
def test_flip_gives_what_keras_gives(size):
    images = np.random.default_rng(0).uniform(0, 255, (20, *size)).astype(np.float32)
    ours, keras_own = RandomFlip(seed=6), keras.layers.RandomFlip("horizontal", seed=6)
    for training in (True, False, True):
        flipped = ours(images, training=training)
        np.testing.assert_array_equal(flipped, keras_own(images, training=training))
        assert np.array_equal(flipped, images) == (not training)


@pytest.mark.parametrize("value", [0.0, 255.0])
def test_uncovered_parts_look_like_the_border_and_the_range_stays(value):
    everything = recipe(rotation=0.1, translation=0.3, zoom=0.3, horizontal_flip=True)
    images = np.full((16, *SIZE, 3), value, np.float32)
    augmented = make_augmentation(everything, seed=0)(images)[0]
    assert np.abs(augmented - value).max() < 1e-3


def test_batches_differ_and_the_sequence_repeats_with_the_seed():
    def two_batches(seed):
        augment = make_augmentation(SMALL_IMAGES, seed)
        return [augment(blob(count=4))[0] for _ in range(2)]

    first, second = two_batches(5)
    assert not np.allclose(first, second)
    repeated = two_batches(5)
    assert np.array_equal(first, repeated[0])
    assert np.array_equal(second, repeated[1])
    assert not np.allclose(first, two_batches(6)[0])


def test_a_continued_training_goes_on_with_the_changes_it_would_have_made(tmp_path):
    changes = {"smallest_crop": 0.3, "rand_augment": 0.5, "random_erasing": 0.5}
    changes |= {"mixup": 0.4, "cutmix": 0.8, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2}

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == EPOCHS // 2:
                raise KeyboardInterrupt

    weights, history = train_tiny_model(tmp_path / "whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        train_tiny_model(tmp_path / "stopped", [Stop()], **changes)
    continued_weights, continued = train_tiny_model(tmp_path / "stopped", **changes)
    assert [record.loss for record in continued] == [record.loss for record in history]
    for weight, continued_weight in zip(weights, continued_weights, strict=True):
        np.testing.assert_array_equal(continued_weight, weight)


def test_is_independent_of_the_global_seed():
    keras.utils.set_random_seed(1)
    first = make_augmentation(SMALL_IMAGES, 5)(blob(count=4))[0]
    keras.utils.set_random_seed(2)
    second = make_augmentation(SMALL_IMAGES, 5)(blob(count=4))[0]
    assert np.array_equal(first, second)


def noise(count=8):
    return np.random.default_rng(0).uniform(0, 255, (count, *SIZE, 3)).astype(np.float32)


def test_what_is_zero_gives_no_layer():
    assert random_changes(recipe(), seed=0) == []
    kinds = [type(layer).__name__ for layer in random_changes(EVERYTHING, seed=0)]
    assert kinds == [
        "RandomRotation",
        "RandomTranslation",
        "RandomZoom",
        "RandomFlip",
        "RandomBrightness",
        "RandomContrast",
        "RandomSaturation",
        "RandAugment",
        "RandomErasing",
        "MixUp",
        "CutMix",
    ]


COLOURS = ["brightness", "contrast", "saturation"]


@pytest.mark.parametrize("name", [*COLOURS, "rand_augment", "random_erasing", "mixup", "cutmix"])
def test_an_option_gives_its_layer_alone(name):
    assert len(random_changes(recipe(**{name: 0.3}), seed=0)) == 1


def test_every_layer_draws_numbers_of_its_own():
    layers = random_changes(EVERYTHING, seed=9)
    assert len({layer.seed for layer in layers}) == len(layers)


def test_labels_stay_distributions_and_images_in_their_range():
    labels = np.eye(5, dtype=np.float32)[np.arange(16) % 5]
    augment = make_augmentation(EVERYTHING, seed=0)
    for _ in range(5):
        images, mixed = augment(noise(16), labels)
        assert images.shape == (16, *SIZE, 3)
        assert images.min() >= -1e-3 and images.max() <= 255 + 1e-3
        assert mixed.min() >= 0
        assert np.abs(mixed.sum(axis=1) - 1).max() < 1e-5


def test_everything_runs_in_a_graph_with_deterministic_kernels():
    tf.config.experimental.enable_op_determinism()

    def two_batches():
        augment = make_augmentation(EVERYTHING, seed=3)
        layers = random_changes(EVERYTHING, seed=3)

        @tf.function
        def change(images, labels):
            changed = {"images": images, "labels": labels}
            for layer in layers:
                changed = layer(changed, training=True)
            return changed

        labels = np.eye(8, dtype=np.float32)
        batches = [change(noise(), labels)["images"].numpy() for _ in range(2)]
        assert np.abs(batches[0] - augment(noise(), labels)[0]).max() < 0.1
        return batches

    first, second = two_batches()
    assert not np.allclose(first, second)
    assert np.array_equal(two_batches(), [first, second])


def coloured(count=64):
    """Images of red on green, half a side each, whose channels stay in the range if changed."""
    images = np.empty((count, *SIZE, 3), np.float32)
    images[:, :10], images[:, 10:] = (140, 100, 120), (90, 130, 120)
    return images


def test_brightness_adds_one_number_to_a_whole_image():
    images = coloured()
    added = make_augmentation(recipe(brightness=0.2), seed=0)(images)[0] - images
    assert np.ptp(added, axis=(1, 2, 3)).max() < 1e-3
    shifts = added[:, 0, 0, 0]
    assert np.abs(shifts).max() <= 0.2 * 255
    assert shifts.min() < -0.1 * 255 and shifts.max() > 0.1 * 255
    assert len(np.unique(shifts)) == len(images)


def test_contrast_scales_the_differences_from_the_mean():
    images = coloured()
    changed = make_augmentation(recipe(contrast=0.4), seed=0)(images)[0]
    means = images.mean((1, 2), keepdims=True)
    assert np.abs(changed.mean((1, 2), keepdims=True) - means).max() < 1e-2
    factors = (changed - means)[:, 0, 0, 0] / (images - means)[:, 0, 0, 0]
    assert np.abs(changed - means - factors[:, None, None, None] * (images - means)).max() < 1e-2
    assert 0.6 - 1e-3 <= factors.min() < 0.8 and 1.2 < factors.max() <= 1.4 + 1e-3


def test_saturation_scales_the_differences_from_grey_and_keeps_the_brightness():
    images = coloured()
    changed = make_augmentation(recipe(saturation=0.4), seed=0)(images)[0]
    brightness = images @ np.float32([0.299, 0.587, 0.114])
    assert np.abs(changed @ np.float32([0.299, 0.587, 0.114]) - brightness).max() < 1e-2
    grey = brightness[..., None]
    factors = (changed - grey)[:, 0, 0, 0] / (images - grey)[:, 0, 0, 0]
    assert np.abs(changed - grey - factors[:, None, None, None] * (images - grey)).max() < 1e-2
    assert 0.6 - 1e-3 <= factors.min() < 0.8 and 1.2 < factors.max() <= 1.4 + 1e-3


def test_strong_colours_stay_in_the_range():
    images = np.zeros((32, *SIZE, 3), np.float32)
    images[..., 0] = 255
    changed = make_augmentation(recipe(saturation=1.0), seed=0)(images)[0]
    assert changed.min() >= 0 and changed.max() <= 255
    # Towards grey they do change.
    assert changed[..., 1].max() > 30


def constant_images(values):
    return np.ones((len(values), *SIZE, 3), np.float32) * np.reshape(values, (-1, 1, 1, 1))


def test_mixup_blends_each_image_as_its_label():
    values = np.linspace(0, 250, 32, dtype=np.float32)
    labels = np.eye(32, dtype=np.float32)
    images, mixed = make_augmentation(recipe(mixup=1.0), seed=0)(constant_images(values), labels)
    # Images of one value each: the label's shares tell which value a blend must have.
    assert np.abs(images - constant_images(mixed @ values)).max() < 0.01
    shares = mixed[mixed > 0]
    # Drawn anew for each image, and evenly with this parameter.
    assert len(np.unique(shares.round(4))) > 32
    assert shares.min() < 0.2


def test_cutmix_swaps_a_piece_as_large_as_its_label_says():
    values = np.arange(16, dtype=np.float32) * 16
    labels = np.eye(16, dtype=np.float32)
    images, mixed = make_augmentation(recipe(cutmix=1.0), seed=0)(constant_images(values), labels)
    assert set(np.unique(images)) <= set(values)
    areas = np.array([[(image == value).mean() for value in values] for image in images])
    # The piece has whole pixels: its sides are off by up to one.
    assert np.abs(areas - mixed).max() <= 1 / SIZE[0] + 1 / SIZE[1]
    assert len(np.unique(mixed.max(axis=1).round(3))) > 10


@pytest.mark.parametrize("probability", [0.3, 1.0])
def test_erasing_covers_a_part_of_that_share_of_images(probability):
    images = constant_images(np.full(200, 100.0, np.float32))
    augmented, _ = make_augmentation(recipe(random_erasing=probability), seed=0)(images)
    parts = (augmented != 100).any(axis=3).mean(axis=(1, 2))
    erased = parts[parts > 0]
    # Five standard deviations of a binomial count.
    slack = 5 * np.sqrt(200 * probability * (1 - probability))
    assert abs(len(erased) - 200 * probability) <= slack
    assert erased.max() < 0.4
    assert len(np.unique(erased)) > 10


def rand_augment_with(operation, magnitude, images, seed=0):
    """What one operation of RandAugment, by name, does to images."""
    layer = RandAugment(magnitude, seed)
    labels = np.ones((len(images), 1), np.float32)
    drawn = layer.get_random_transformation({"images": tf.constant(images), "labels": labels})
    drawn["layer_idxes"] = tf.constant([list(drawn["transforms"]).index(operation)])
    return layer.transform_images(tf.constant(images), drawn).numpy()


OPERATIONS = list(
    RandAugment(0.5, 0).get_random_transformation({"images": tf.zeros((1, 8, 8, 3))})["transforms"]
)
STRENGTHLESS = {"auto_contrast", "equalization"}


def test_rand_augment_does_what_keras_does_with_these_operations():
    layer = RandAugment(0.7, 0)
    images = tf.constant(noise())
    drawn = layer.get_random_transformation({"images": images})
    for number in range(len(OPERATIONS)):
        drawn["layer_idxes"] = tf.constant([number, (3 * number + 1) % len(OPERATIONS)])
        expected = keras.layers.RandAugment.transform_images(layer, images, drawn)
        np.testing.assert_array_equal(layer.transform_images(images, drawn), expected)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_of_rand_augment_changes_images_on_their_own(operation):
    images = noise(4) / 2 + 60
    together = rand_augment_with(operation, 0.8, images)
    assert together.shape == images.shape
    assert not np.allclose(together, images)
    if operation in STRENGTHLESS:
        alone = [rand_augment_with(operation, 0.8, image[None])[0] for image in images]
        np.testing.assert_array_equal(together, alone)
    elif operation != "random_posterization":  # of five strengths, four images may share one
        copies = rand_augment_with(operation, 0.8, np.repeat(images[:1], 4, axis=0))
        assert not np.allclose(copies[0], copies[1])


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - STRENGTHLESS))
def test_small_magnitudes_change_little(operation):
    rows, columns = np.indices(SIZE)
    smooth = np.stack([rows * 12, columns * 8, 240 - rows * 6 - columns * 4], -1)
    images = np.tile(smooth[np.newaxis], (16, 1, 1, 1)).astype(np.float32)
    small = np.abs(rand_augment_with(operation, 0.02, images) - images).mean()
    large = np.abs(rand_augment_with(operation, 1.0, images) - images).mean()
    assert small < large / 5


def test_equalization_spreads_the_levels_of_each_channel():
    # Levels 100 to 103, a quarter of the pixels each: (cdf - first) / (all - first) of 255.
    levels = 100 + np.arange(8 * 8).reshape(8, 8) % 4
    images = np.stack([levels, levels * 0 + 7, levels], axis=-1)[np.newaxis].astype(np.float32)
    result = rand_augment_with("equalization", 0.5, images)
    expected = np.array([0, 85, 170, 255])[levels - 100]
    assert np.array_equal(result[0, ..., 0], expected)
    assert np.array_equal(result[0, ..., 2], expected)
    assert np.all(result[0, ..., 1] == 7)


def test_gray_images_are_changed_as_others_are():
    gray = dataclasses.replace(EVERYTHING, saturation=0.0, channels=1)
    images = blob(count=8)[..., :1]
    labels = np.eye(8, dtype=np.float32)
    changed, _ = make_augmentation(gray, 0)(images, labels)
    assert changed.shape == images.shape
    assert np.all(np.isfinite(changed)) and not np.array_equal(changed, images)
