# SPDX-License-Identifier: Apache-2.0
import concurrent.futures
import re

import numpy as np
import pytest
import sklearn.datasets

from keras_micronet.grid_answers.labels import label_misfit
from training.datasets import load_grid_dataset
from training.datasets.grid_labels import mirrored_joints, padded_labels
from training.datasets.made_pictures import scattered_digits

SOURCES = [("detect", "scattered-digits"), ("segment", "shapes"), ("keypoints", "shapes")]
PARTS = ("train", "validation", "test")


@pytest.mark.parametrize(("task", "source"), SOURCES)
@pytest.mark.parametrize(("image_size", "channels"), [((40, 72), 3), ((96, 64), 1)])
def test_pictures_and_labels_have_their_formats(task, source, image_size, channels):
    dataset = load_grid_dataset(task, source, image_size, channels)
    assert (dataset.task, dataset.image_size, dataset.channels) == (task, image_size, channels)
    labels = []
    for part in PARTS:
        for index in range(12):
            picture, label = getattr(dataset, part).read(index)
            assert picture.shape == (*image_size, channels) and picture.dtype == np.uint8
            labels.append(label)
    padded = padded_labels(task, labels, dataset.most_objects)
    assert label_misfit(task, padded, 36, image_size, len(dataset.class_names)) is None


@pytest.mark.parametrize(("task", "source"), SOURCES)
def test_each_number_has_one_picture_whoever_reads_it(task, source):
    first, second = (load_grid_dataset(task, source, (48, 48)) for _ in range(2))
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        read = list(threads.map(first.train.read, range(20)))
    for index in reversed(range(20)):
        for array, other in zip(second.train.read(index), read[index], strict=True):
            np.testing.assert_array_equal(array, other)
    pictures = {picture.tobytes() for picture, _ in read}
    # Other numbers, also beyond an epoch and 32 bits, and other parts have others.
    for index in (first.train.size, 2**32, 2**32 + 1):
        pictures.add(first.train.read(index)[0].tobytes())
    pictures |= {getattr(first, part).read(0)[0].tobytes() for part in PARTS}
    assert len(pictures) == 20 + 3 + 2
    assert first.train.is_endless
    assert not first.validation.is_endless and not first.test.is_endless


def test_digits_have_all_classes_many_sizes_and_little_overlap():
    dataset = load_grid_dataset("detect", "scattered-digits", (96, 96))
    classes, sides = [], []
    for index in range(60):
        _, label = dataset.test.read(index)
        classes += label[:, 0].tolist()
        heights, widths = label[:, 3] - label[:, 1], label[:, 4] - label[:, 2]
        sides += np.maximum(heights, widths).tolist()
        for row, box in enumerate(label[:, 1:]):
            for other in label[:row, 1:]:
                inside = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
                covered = max(0, inside[0]) * max(0, inside[1])
                assert covered <= 0.1 * min(
                    np.prod(box[2:] - box[:2]), np.prod(other[2:] - other[:2])
                )
    assert set(classes) == set(range(10))
    assert 8 <= min(sides) < 16 and 28 < max(sides) < 50


def test_validation_and_test_digits_are_never_trained_with():
    glyphs = scattered_digits._glyphs_of_parts()
    shown = [{mask.tobytes() for masks in glyphs[part].digits for mask in masks} for part in PARTS]
    counts = [sum(len(masks) for masks in glyphs[part].digits) for part in PARTS]
    assert sum(counts) == len(sklearn.datasets.load_digits().target)
    assert counts[1] > 150 and counts[2] > 300
    # Two digits among 1797 may be the same to the bit; none is.
    assert not shown[0] & (shown[1] | shown[2])
    halves = [{mask.tobytes() for mask in glyphs[part].distractors} for part in PARTS]
    assert min(map(len, halves)) > 100


def test_digits_stand_out():
    """The mean of a digit's strokes differs from what is around it."""
    dataset = load_grid_dataset("detect", "scattered-digits", (96, 96), channels=1)
    differences = []
    for index in range(40):
        picture, label = dataset.train.read(index)
        levels = picture[..., 0].astype(float)
        for _, top, left, bottom, right in label.astype(int).tolist():
            part = levels[top:bottom, left:right]
            differences.append(np.percentile(part, 95) - np.percentile(part, 5))
    assert len(differences) > 80
    assert np.percentile(differences, 5) > 40


def test_masks_cover_shapes_of_one_colour():
    dataset = load_grid_dataset("segment", "shapes", (96, 96))
    shares = np.zeros(5)
    for index in range(40):
        picture, mask = dataset.train.read(index)
        shares += np.bincount(mask.ravel(), minlength=5) / mask.size
        for number in set(np.unique(mask)) - {0}:
            levels = picture[mask == number].astype(float)
            if len(levels) > 3000:  # two shapes of a class have two colours
                continue
            # Noise is added before shapes are laid over: they are of one colour but for edges.
            middle = np.median(levels, axis=0)
            distances = np.abs(levels - middle).max(axis=1)
            assert np.percentile(distances, 40) < 20
    shares /= 40
    assert (shares > 0.01).all()
    assert 0.6 < shares[0] < 0.95


def test_joints_lie_on_figures():
    dataset = load_grid_dataset("keypoints", "shapes", (96, 128))
    assert mirrored_joints(dataset.class_names) == (0, 1, 3, 2, 5, 4)
    missing = 0
    for index in range(60):
        picture, joints = dataset.train.read(index)
        there = np.isfinite(joints).all(axis=1)
        missing += int((~there).sum())
        rows, columns = np.minimum(joints[there].astype(int), (95, 127)).T
        colours = picture[rows, columns].astype(float)
        # All joints have the figure's colour.
        assert np.abs(colours - np.median(colours, axis=0)).max() < 40
    assert 0 < missing < 60


@pytest.mark.parametrize(("task", "source"), SOURCES)
def test_tiny_pictures_are_refused(task, source):
    with pytest.raises(ValueError, match=r"at least 32 pixels a side. Received: .*\(31, 64\)"):
        load_grid_dataset(task, source, (31, 64))


@pytest.mark.parametrize(
    ("task", "source", "message"),
    [
        ("classify", "shapes", "`task` must be one of detect, segment, keypoints"),
        ("detect", "shapes", "must be 'scattered-digits', or an existing folder"),
        ("segment", "scattered-digits", "must be 'shapes', or an existing folder"),
        ("keypoints", "", "Received: dataset="),
        ("detect", "/nowhere", "Received: dataset=/nowhere"),
    ],
)
def test_unknown_datasets_are_refused(task, source, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        load_grid_dataset(task, source, (48, 48))
