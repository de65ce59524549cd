# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from training.datasets.resizing import crop_and_resize, crop_decoded, grey_decoders, resize


def test_an_image_of_the_right_size_is_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    assert np.array_equal(crop_and_resize(image, (7, 9)), image)


@pytest.mark.parametrize(
    ("shape", "size", "kept_rows", "kept_columns"),
    [
        ((10, 20), (10, 10), slice(0, 10), slice(5, 15)),
        ((20, 10), (10, 10), slice(5, 15), slice(0, 10)),
        ((12, 12), (6, 12), slice(3, 9), slice(0, 12)),
        ((12, 12), (12, 6), slice(0, 12), slice(3, 9)),
    ],
)
def test_keeps_the_largest_centred_part(shape, size, kept_rows, kept_columns):
    outside, inside = np.zeros((*shape, 3), np.uint8), 200
    outside[kept_rows, kept_columns] = inside
    result = crop_and_resize(outside, size)
    assert result.shape == (*size, 3)
    assert np.all(result == inside)


@pytest.mark.parametrize(
    ("shape", "size", "kept", "rows", "columns"),
    [
        ((256, 300), (7, 7), 224 / 256, slice(16, 240), slice(38, 262)),
        ((16, 16), (4, 4), 0.5, slice(4, 12), slice(4, 12)),
        ((16, 40), (4, 8), 0.75, slice(2, 14), slice(8, 32)),
    ],
)
def test_keeps_a_part_of_each_side_of_it(shape, size, kept, rows, columns):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    result = crop_and_resize(image, size, kept)
    assert np.array_equal(result, resize(image[rows, columns], size))


def test_a_part_has_at_least_one_pixel():
    image = np.arange(9, dtype=np.uint8).reshape(3, 3, 1)
    assert np.array_equal(crop_and_resize(image, (2, 2), 0.01), np.full((2, 2, 1), 4))


def test_cuts_out_the_chosen_part():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    asked = []

    def choose_crop(height, width):
        asked.append((int(height), int(width)))
        return np.array([3, 5, 8, 12], np.int32)

    assert np.array_equal(crop_decoded(image, (8, 12), choose_crop), image[3:11, 5:17])
    assert asked == [(20, 30)]


def test_grey_images_become_rgb_either_way():
    image = np.random.default_rng(0).integers(0, 256, (12, 12), np.uint8)
    decode, decode_crop = grey_decoders((6, 6), 0.5)
    part = decode_crop(image, lambda height, width: np.array([3, 3, 6, 6], np.int32))
    for result in (decode(image), part):
        assert np.array_equal(result, np.repeat(image[3:9, 3:9, np.newaxis], 3, axis=2))


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 50, 3), (50, 1, 3)])
def test_takes_images_of_a_single_row_or_column(shape):
    result = crop_and_resize(np.full(shape, 77, np.uint8), (4, 6))
    assert np.array_equal(result, np.full((4, 6, 3), 77, np.uint8))


def test_overshoot_is_clipped_not_wrapped():
    image = np.zeros((8, 8, 1), np.uint8)
    image[:, 4:] = 255
    result = np.asarray(crop_and_resize(image, (32, 32)))[..., 0]
    assert np.all(result[:, :8] == 0)
    assert np.all(result[:, 24:] == 255)
    assert np.all(np.diff(result.astype(int), axis=1) >= 0)


def test_shrinking_averages():
    # A checkerboard of single pixels is an even grey when eight pixels become one.
    image = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[..., np.newaxis]
    result = np.asarray(crop_and_resize(image, (8, 8))).astype(int)
    assert np.abs(result - 127.5).max() < 2
