# SPDX-License-Identifier: Apache-2.0
"""Pictures in colour become gray ones by one rule, whatever reads them."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_micronet.luma import luma
from training.datasets import load_dataset
from training.datasets.channels import with_channels
from training.datasets.image_files import read_image, resize_image
from training.datasets.image_folder import load_image_folder
from training.datasets.resizing import crop_and_resize, grey_decoders

COLOURS = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)


def test_colours_become_gray_as_pillow_has_it():
    gray = with_channels(tf.constant(COLOURS), 1).numpy()
    assert gray.shape == (90, 70, 1) and gray.dtype == np.uint8
    np.testing.assert_array_equal(gray[..., 0], Image.fromarray(COLOURS).convert("L"))
    np.testing.assert_array_equal(gray[..., 0], luma(COLOURS))
    exact = COLOURS @ np.array([0.299, 0.587, 0.114])
    assert np.abs(gray[..., 0] - exact).max() < 0.51


def test_gray_stays_as_it_is_and_becomes_rgb():
    gray = tf.constant(COLOURS[..., :1])
    np.testing.assert_array_equal(with_channels(gray, 1), gray)
    rgb = with_channels(gray, 3).numpy()
    np.testing.assert_array_equal(rgb, np.repeat(gray, 3, axis=-1))
    np.testing.assert_array_equal(with_channels(tf.constant(rgb), 1), gray)
    transparent = tf.constant(np.concatenate([COLOURS, COLOURS[..., :1]], axis=-1))
    np.testing.assert_array_equal(with_channels(transparent, 3), COLOURS)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_files_are_read_as_gray(tmp_path, suffix):
    Image.fromarray(COLOURS).save(tmp_path / f"a{suffix}")
    rgb = read_image(tmp_path / f"a{suffix}")
    gray = read_image(tmp_path / f"a{suffix}", channels=1)
    assert gray.shape == (90, 70, 1)
    np.testing.assert_array_equal(gray[..., 0], luma(rgb))
    part = read_image(tmp_path / f"a{suffix}", None, (0.5, 0.0, 1.0, 1.0), (30, 20), channels=1)
    assert part.shape == (30, 20, 1)
    np.testing.assert_array_equal(part, resize_image(gray[45:], (30, 20)))


def test_a_folder_is_gray_before_it_is_resized(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.fromarray(COLOURS).save(tmp_path / name / f"{number}.png")
    train = load_image_folder(tmp_path, (16, 12), channels=1).train
    gray = luma(COLOURS)[..., np.newaxis]
    for image, _ in train.images().as_numpy_iterator():
        np.testing.assert_array_equal(image, crop_and_resize(gray, (16, 12)))

    def choose_crop(height, width):
        return tf.stack([height // 2, 0 * width, height // 2, width])

    kept = train.keep_pictures(0.1)
    assert kept.fit(train.size * gray.nbytes) and not kept.fit(train.size * gray.nbytes - 1)
    parts = train.examples.map(lambda source, _: train.decode_crop(source, choose_crop))
    kept_parts = train.decoded(kept.decode).map(lambda picture, _: kept.crop(picture, choose_crop))
    for split in (parts, kept_parts):
        for part in split.as_numpy_iterator():
            np.testing.assert_array_equal(part, resize_image(gray[45:], (16, 12)))


def test_gray_images_in_memory_stay_gray():
    decode, decode_crop = grey_decoders((6, 6), 0.5, 1)
    image = COLOURS[:12, :12, 0]
    part = decode_crop(image, lambda height, width: np.array([3, 3, 6, 6], np.int32))
    for result in (decode(image), part):
        np.testing.assert_array_equal(result, image[3:9, 3:9, np.newaxis])


def test_digits_in_gray_are_those_in_rgb():
    for gray, rgb in zip(
        *(load_dataset("digits", (24, 40), channels=each).test.images() for each in (1, 3)),
        strict=True,
    ):
        np.testing.assert_array_equal(gray[0], rgb[0][..., :1])
        break
