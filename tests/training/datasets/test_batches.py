# SPDX-License-Identifier: Apache-2.0
import dataclasses
import itertools
import os
import threading

import numpy as np
import pytest
import tensorflow as tf

from tests.training.conftest import TINY_SIZE, make_split
from training.datasets.batches import (
    LARGEST_CACHE_BYTES,
    Share,
    collect_balanced,
    collect_evenly,
    evaluation_batches,
    training_batches,
)
from training.datasets.image_dataset import KeptPictures

pytestmark = pytest.mark.slow


def numbered_split(labels):
    """Image number i has the value i everywhere."""
    images = np.arange(len(labels))[:, None, None, None] * np.ones((1, *TINY_SIZE, 3))
    return make_split(images, labels)


def numbers(images):
    return np.asarray(images)[:, 0, 0, 0].astype(int).tolist()


def read_epochs(batches, count, steps=4):
    """The numbers of the images of `count` epochs, batch by batch."""
    images = iter(numbers(images) for images, _ in batches.as_numpy_iterator())
    return [list(itertools.islice(images, steps)) for _ in range(count)]


@pytest.fixture(params=[LARGEST_CACHE_BYTES, 0], ids=["cached", "streamed"])
def cache_bytes(request):
    """Both ways of reading: decoded images kept in memory, and decoded anew in every epoch."""
    return request.param


def make_training_batches(split, seed=3, **options):
    return training_batches(split, TINY_SIZE, 2, batch_size=4, seed=seed, **options)


def test_an_epoch_gives_whole_batches_of_different_images(cache_bytes):
    batches = make_training_batches(numbered_split([0, 1] * 9), cache_bytes=cache_bytes)
    for epoch in read_epochs(batches, 3):
        assert [len(batch) for batch in epoch] == [4, 4, 4, 4]
        assert len(set(sum(epoch, []))) == 16


def test_epochs_differ_and_repeat_with_the_seed(cache_bytes):
    split = numbered_split([0, 1] * 9)

    def two_epochs(seed):
        return read_epochs(make_training_batches(split, seed, cache_bytes=cache_bytes), 2)

    first, second = two_epochs(3)
    assert first != second
    assert two_epochs(3) == [first, second]
    assert two_epochs(4)[0] != first


def test_any_epoch_can_be_the_first(cache_bytes):
    split = numbered_split([0, 1] * 9)
    epochs = read_epochs(make_training_batches(split, cache_bytes=cache_bytes), 4)
    batches = make_training_batches(split, first_epoch=2, cache_bytes=cache_bytes)
    assert read_epochs(batches, 2) == epochs[2:]


def test_workers_together_read_the_batches_of_one(cache_bytes):
    split = numbered_split([0, 1] * 9)

    def two_epochs(**options):
        return read_epochs(make_training_batches(split, cache_bytes=cache_bytes, **options), 2)

    epochs = two_epochs()
    shares = [two_epochs(share=Share(worker, 2)) for worker in range(2)]
    together = [
        [first + second for first, second in zip(*epochs_of_workers, strict=True)]
        for epochs_of_workers in zip(*shares, strict=True)
    ]
    assert together == epochs


def test_training_batches_have_the_model_s_format(cache_bytes):
    split = numbered_split([0, 1, 1, 0, 1])
    batches = make_training_batches(split, cache_bytes=cache_bytes)
    images, labels = next(batches.as_numpy_iterator())
    assert images.shape == (4, *TINY_SIZE, 3)
    assert images.dtype == labels.dtype == np.float32
    expected = np.eye(2)[np.array([0, 1, 1, 0, 1])[numbers(images)]]
    assert np.array_equal(labels, expected)


def counting(function, calls):
    """`function`, which appends to the list `calls` when it runs."""

    def counted(*arguments):
        tf.py_function(lambda: calls.append(1), [], [])
        return function(*arguments)

    return counted


def test_images_are_decoded_once_if_they_fit_in_memory(cache_bytes):
    decoded = []
    split = numbered_split([0, 1] * 4)
    counted = dataclasses.replace(split, decode=counting(split.decode, decoded))
    read_epochs(make_training_batches(counted, cache_bytes=cache_bytes), 3, steps=2)
    # Who decodes anew reads a little ahead.
    assert len(decoded) == 8 if cache_bytes else len(decoded) >= 24


@pytest.mark.skipif(os.cpu_count() == 1, reason="nothing runs in parallel")
@pytest.mark.parametrize("smallest_crop", [1.0, 0.5], ids=["whole", "crops"])
def test_images_are_decoded_in_parallel_though_training_is_repeatable(smallest_crop):
    tf.config.experimental.enable_op_determinism()
    two_at_once = threading.Barrier(2)

    def wait_for_another(image):
        # An error once that no other comes: in every later call at once.
        two_at_once.wait(timeout=20)
        return image

    def decode(image, choose_crop=None):
        decoded = tf.numpy_function(wait_for_another, [image], tf.uint8, stateful=False)
        return tf.ensure_shape(decoded, (*TINY_SIZE, 3))

    split = dataclasses.replace(numbered_split([0, 1] * 8), decode=decode, decode_crop=decode)
    batches = make_training_batches(split, cache_bytes=0, smallest_crop=smallest_crop)
    assert len(read_epochs(batches, 1)[0]) == 4


PICTURE_BYTES = 18 * 200 * 250 * 3
KEPT = 100


def place_split(size, decoded=None):
    """Each image tells which it is and where its crop is: its number, then the crop in pixels.

    If `PICTURE_BYTES` are to be had pictures are kept, and their numbers are greater by `KEPT`.
    `decoded` is a list that gets an item for each that is decoded for that.
    """
    split = numbered_split([0, 1] * (size // 2))

    def place(number, choose_crop):
        values = tf.concat([[tf.cast(number, tf.int32)], choose_crop(200, 250)], axis=0)
        return tf.cast(tf.tile(values[:, tf.newaxis, tf.newaxis], [1, 1, 3]), tf.uint8)

    def keep_pictures(smallest_part):
        assert smallest_part == 0.1
        return KeptPictures(
            fit=lambda byte_limit: byte_limit >= PICTURE_BYTES,
            decode=counting(lambda image: image + KEPT, [] if decoded is None else decoded),
            crop=lambda picture, choose_crop: place(picture[0, 0, 0], choose_crop),
        )

    return dataclasses.replace(
        split,
        decode_crop=lambda image, choose_crop: place(image[0, 0, 0], choose_crop),
        keep_pictures=keep_pictures,
    )


def read_crops(split, count, seed=3, steps=4, **options):
    """Lists of `count` epochs, step by step: number, top, left, height and width of each image."""
    batches = make_training_batches(split, seed, smallest_crop=0.1, **options)
    images = iter(images[:, :, 0, 0].tolist() for images, _ in batches.as_numpy_iterator())
    return [list(itertools.islice(images, steps)) for _ in range(count)]


def test_each_image_is_cropped_anew_in_every_epoch(cache_bytes):
    first, second = (
        sum(epoch, []) for epoch in read_crops(place_split(18), 2, cache_bytes=cache_bytes)
    )
    assert len({tuple(crop) for _, *crop in first + second}) == 32
    assert len({number for number, *_ in first}) == 16
    assert read_crops(place_split(18), 1, seed=4, cache_bytes=cache_bytes)[0] != first


def test_any_epoch_with_crops_can_be_the_first(cache_bytes):
    epochs = read_crops(place_split(18), 4, cache_bytes=cache_bytes)
    assert read_crops(place_split(18), 2, first_epoch=2, cache_bytes=cache_bytes) == epochs[2:]


def test_workers_together_see_the_crops_of_one(cache_bytes):
    epochs = read_crops(place_split(18), 2, cache_bytes=cache_bytes)
    shares = [
        read_crops(place_split(18), 2, share=Share(worker, 2), cache_bytes=cache_bytes)
        for worker in range(2)
    ]
    for epoch, *parts in zip(epochs, *shares, strict=True):
        assert [first + second for first, second in zip(*parts, strict=True)] == epoch


def test_pictures_that_fit_in_memory_are_decoded_once_and_cropped_as_others():
    decoded = []
    split = place_split(18, decoded)
    streamed = read_crops(split, 3, cache_bytes=PICTURE_BYTES - 1)
    assert decoded == []
    kept = read_crops(split, 3, cache_bytes=PICTURE_BYTES)
    assert len(decoded) == 18
    assert kept == [
        [[[number + KEPT, *crop] for number, *crop in batch] for batch in epoch]
        for epoch in streamed
    ]


def test_crops_are_of_the_whole_picture_and_have_the_model_s_format():
    split = numbered_split([0, 1, 1, 0, 1])
    batches = make_training_batches(split, smallest_crop=0.5)
    images, labels = next(batches.as_numpy_iterator())
    assert images.shape == (4, *TINY_SIZE, 3)
    assert images.dtype == labels.dtype == np.float32
    assert np.array_equal(labels, np.eye(2)[np.array([0, 1, 1, 0, 1])[numbers(images)]])


def test_without_random_crops_nothing_is_cropped():
    def refuse(source, choose_crop):
        raise AssertionError("cropped")

    split = dataclasses.replace(
        numbered_split([0, 1] * 9), decode_crop=refuse, keep_pictures=refuse
    )
    assert len(read_epochs(make_training_batches(split, smallest_crop=1.0), 1)[0]) == 4


def test_evaluation_reads_every_image_once_in_order():
    batches = evaluation_batches(numbered_split([0, 1, 2, 0, 1, 2, 0]), 3, batch_size=3)
    images, labels = zip(*batches.as_numpy_iterator(), strict=True)
    assert [numbers(batch) for batch in images] == [[0, 1, 2], [3, 4, 5], [6]]
    assert np.array_equal(np.concatenate(labels), np.eye(3)[[0, 1, 2, 0, 1, 2, 0]])
    assert images[0].dtype == np.float32


@pytest.mark.parametrize(("spare_bytes", "times"), [(0, 1), (-1, 2)])
def test_evaluation_decodes_what_fits_in_memory_once(spare_bytes, times):
    decoded = []
    split = numbered_split([0, 1, 0, 1, 0])
    counted = dataclasses.replace(split, decode=counting(split.decode, decoded))
    cache_bytes = 5 * TINY_SIZE[0] * TINY_SIZE[1] * 3 + spare_bytes
    batches = evaluation_batches(counted, 2, batch_size=3, cache_bytes=cache_bytes)
    first, second = ([numbers(images) for images, _ in batches] for _ in range(2))
    assert first == second == [[0, 1, 2], [3, 4]]
    assert len(decoded) == times * 5


def test_balanced_images_have_the_same_share_of_each_class():
    labels = np.array([0] * 50 + [1] * 10 + [2] * 20)
    images, taken = collect_balanced(numbered_split(labels), 12, 3)
    assert np.bincount(taken).tolist() == [4, 4, 4]
    assert images.dtype == np.uint8
    assert taken.dtype == np.int32
    assert np.array_equal(labels[numbers(images)], taken)


@pytest.mark.parametrize(
    ("labels", "count", "expected"),
    [
        # Five over three classes: the rest of the division goes to the first classes.
        ([0, 0, 0, 1, 1, 1, 2, 2, 2], 5, [2, 2, 1]),
        # A class without enough images leaves its places to the others.
        ([0, 0, 0, 0, 0, 0, 1, 2, 2], 6, [3, 1, 2]),
        # More than there is: everything.
        ([0, 1, 1, 2], 10, [1, 2, 1]),
        # Fewer images than classes.
        ([2, 1, 0], 2, [1, 1, 0]),
    ],
)
def test_balance_goes_as_far_as_the_images(labels, count, expected):
    images, taken = collect_balanced(numbered_split(labels), count, 3)
    assert np.bincount(taken, minlength=3).tolist() == expected
    assert numbers(images) == sorted(set(numbers(images)))


def test_balanced_reading_stops_when_it_has_enough():
    read = []
    split = numbered_split([0, 1] * 100)
    collect_balanced(dataclasses.replace(split, decode=counting(split.decode, read)), 4, 2)
    # The pipeline reads ahead a little.
    assert 4 <= len(read) < 100


@pytest.mark.parametrize(
    ("size", "count", "expected"),
    [(10, 5, [0, 2, 4, 6, 8]), (5, 5, [0, 1, 2, 3, 4]), (3, 10, [0, 1, 2]), (10, 3, [0, 3, 6])],
)
def test_even_images_are_spread_over_the_whole_split(size, count, expected):
    images, labels = collect_evenly(numbered_split(np.arange(size) % 2), count)
    assert numbers(images) == expected
    assert labels.tolist() == [number % 2 for number in expected]
