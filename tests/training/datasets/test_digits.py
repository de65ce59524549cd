# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import sklearn.datasets

from training.datasets import load_dataset
from training.datasets.digits import load_digits


def arrays(split):
    (batch,) = split.images().batch(split.size).as_numpy_iterator()
    return batch


@pytest.fixture(scope="module")
def native():
    """The digits at their own size, where enlarging changes nothing."""
    return load_digits((8, 8))


def test_parts_hold_every_image_once(native):
    parts = [arrays(split)[0] for split in (native.train, native.validation, native.test)]
    grey = np.concatenate(parts)[..., 0].reshape(-1, 64)
    originals = sklearn.datasets.load_digits().data.astype(int)
    # All 1797 originals differ, so equal sets mean that the parts do not overlap.
    expected = {tuple(image) for image in np.round(originals * 255 / 16).astype(int)}
    assert len(expected) == len(grey) == 1797
    assert {tuple(image) for image in grey} == expected
    assert [len(part) for part in parts] == [
        split.size for split in (native.train, native.validation, native.test)
    ]


def test_labels_belong_to_their_images(native):
    digits = sklearn.datasets.load_digits()
    label_of = {
        tuple(np.round(image * 255 / 16).astype(int)): label
        for image, label in zip(digits.data, digits.target, strict=True)
    }
    images, labels = arrays(native.test)
    assert [label_of[tuple(image[..., 0].reshape(-1))] for image in images] == labels.tolist()


@pytest.mark.parametrize(("part", "fraction"), [("train", 0.7), ("validation", 0.1), ("test", 0.2)])
def test_every_part_has_every_class_in_its_share(native, part, fraction):
    _, labels = arrays(getattr(native, part))
    totals = np.bincount(sklearn.datasets.load_digits().target)
    assert np.abs(np.bincount(labels, minlength=10) - fraction * totals).max() <= 1


def test_images_are_rgb_bytes_of_the_asked_size_with_the_whole_range():
    dataset = load_dataset("digits", (24, 40))
    images, labels = arrays(dataset.validation)
    assert images.shape == (dataset.validation.size, 24, 40, 3)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int32
    assert images.min() == 0
    assert images.max() == 255
    assert np.array_equal(images[..., 0], images[..., 1])
    assert np.array_equal(images[..., 0], images[..., 2])
    assert dataset.class_names == tuple("0123456789")


def test_loading_twice_gives_the_same_order(native):
    again = load_digits((8, 8))
    for part in ("train", "validation", "test"):
        first, second = arrays(getattr(native, part)), arrays(getattr(again, part))
        assert np.array_equal(first[0], second[0])
        assert np.array_equal(first[1], second[1])


def test_enlarging_is_smooth(native):
    small, _ = arrays(native.test)
    large, _ = arrays(load_digits((32, 32)).test)
    # Neighbouring pixels of a smooth picture differ less than those of the small one.
    small_step = np.abs(np.diff(small[..., 0].astype(int), axis=2)).max()
    large_step = np.abs(np.diff(large[..., 0].astype(int), axis=2)).max()
    assert large_step < small_step / 2
    # And it is still the same picture, neither turned nor shifted: averaged back, it is alike.
    averaged = large[..., 0].reshape(-1, 8, 4, 8, 4).mean((2, 4))
    assert np.corrcoef(averaged.ravel(), small[..., 0].ravel())[0, 1] > 0.95
