# SPDX-License-Identifier: Apache-2.0
"""What users give as representative data becomes small batches, or is refused."""

import numpy as np
import pytest
import tensorflow as tf

from keras_micronet.quantization.representative_data import representative_batches

SHAPE = (4, 3, 2)
IMAGES = np.arange(70 * 24, dtype=np.uint8).reshape(70, *SHAPE)


def generator(*sizes, labelled=False):
    for start, stop in zip(np.cumsum((0, *sizes)), np.cumsum(sizes), strict=False):
        batch = IMAGES[start:stop]
        yield (batch, np.zeros(len(batch))) if labelled else batch


@pytest.mark.parametrize(
    ("data", "sizes"),
    [
        (lambda: IMAGES, [32, 32, 6]),
        (lambda: tf.constant(IMAGES), [32, 32, 6]),
        (lambda: [IMAGES[:40], IMAGES[40:]], [32, 8, 30]),
        (lambda: generator(1, 64, 5), [1, 32, 32, 5]),
        (lambda: generator(35, 35, labelled=True), [32, 3, 32, 3]),
        (lambda: (list(pair) for pair in generator(70, labelled=True)), [32, 32, 6]),
        (lambda: tf.data.Dataset.from_tensor_slices(IMAGES).batch(20), [20, 20, 20, 10]),
        (
            lambda: tf.data.Dataset.from_tensor_slices((IMAGES, np.zeros(70))).batch(50),
            [32, 18, 20],
        ),
    ],
    ids=[
        "array",
        "tensor",
        "list",
        "generator",
        "labelled_generator",
        "labelled_lists",
        "dataset",
        "labelled_dataset",
    ],
)
def test_images_in_order_in_small_batches(data, sizes):
    batches = representative_batches(data(), SHAPE)
    assert [len(batch) for batch in batches] == sizes
    assert {batch.dtype for batch in batches} == {np.dtype("float32")}
    np.testing.assert_array_equal(np.concatenate(batches), IMAGES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (IMAGES[:0], "at least one image. Received: no image"),
        ([], "at least one image"),
        (iter(()), "at least one image"),
        ([IMAGES[:0]], "at least one image"),
        (IMAGES[0], r"images of shape \(4, 3, 2\). Received: an array of shape \(4, 3, 2\)"),
        (IMAGES[:, :3], r"Received: an array of shape \(70, 3, 3, 2\)"),
        ([IMAGES, IMAGES[..., :1]], r"Received: an array of shape \(70, 4, 3, 1\)"),
        (list(IMAGES), r"Received: an array of shape \(4, 3, 2\)"),
        ((IMAGES, np.zeros(70)), r"Received: an array of shape \(70,\)"),
        (5, "array of images or an iterable of such arrays. Received: int"),
        (None, "Received: NoneType"),
        ("images", r"Received: an array of shape \(\)"),
        (IMAGES > 3, "must be numbers. Received: dtype=bool"),
        (IMAGES.astype(str), "must be numbers"),
        (np.where(IMAGES == 9, np.nan, IMAGES), "must be finite. Received: NaN or infinity"),
        ([IMAGES, np.full((1, *SHAPE), np.inf)], "must be finite"),
    ],
)
def test_other_data_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        representative_batches(data, SHAPE)
