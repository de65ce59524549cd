# SPDX-License-Identifier: Apache-2.0
import dataclasses
import itertools

import numpy as np
import pytest

from keras_micronet.grid_answers.labels import label_misfit
from training.datasets.batches import Share
from training.datasets.grid_batches import (
    collect_grid,
    grid_evaluation_batches,
    grid_training_batches,
    read_grid_example,
)
from training.datasets.grid_dataset import GridDataset, GridSplit

pytestmark = pytest.mark.slow

SIZE = (32, 48)  # height and width that the model takes
PICTURE = (64, 96)
STRIDE = 8
JOINTS = ("left", "right")


def read_marked(index):
    """A black picture with one white object of 16 x 16 pixels, whose place depends on the number;
    red, as a value, is the number."""
    random = np.random.RandomState(index)
    top, left = random.randint(0, 48), random.randint(0, 80)
    picture = np.zeros((*PICTURE, 3), np.uint8)
    picture[..., 0] = index
    picture[top : top + 16, left : left + 16, 1:] = 255
    return picture, (top, left)


def detect(index):
    picture, (top, left) = read_marked(index)
    return picture, np.array([[index % 2, top, left, top + 16, left + 16]], np.float32)


def segment(index):
    picture, _ = read_marked(index)
    return picture, (picture[..., 1] > 0).astype(np.uint8) * (1 + index % 2)


def keypoints(index):
    """Left is where the object's left edge is, right its right edge."""
    picture, (top, left) = read_marked(index)
    return picture, np.array([[top + 8, left + 1], [top + 8, left + 15]], np.float32)


READERS = {"detect": detect, "segment": segment, "keypoints": keypoints}


def make_dataset(task="detect", size=18, is_endless=False, read=None):
    split = GridSplit(size, read or READERS[task], is_endless=is_endless)
    names = JOINTS if task == "keypoints" else ("even", "odd")
    return GridDataset("marked", task, SIZE, names, split, split, split, most_objects=3)


def take(batches, count):
    return list(itertools.islice(batches.as_numpy_iterator(), count))


def numbers(images):
    return images[:, 0, 0, 0].astype(int).tolist()


@pytest.mark.parametrize("task", READERS)
def test_labels_follow_random_crops_and_flips(task):
    dataset = make_dataset(task)
    batches = grid_training_batches(
        dataset, STRIDE, 6, seed=3, smallest_crop=0.3, horizontal_flip=True
    )
    spec = batches.element_spec
    assert spec[0].shape == (6, *SIZE, 3)
    assert spec[1].shape == (6, 4, 6, *([2] if task == "keypoints" else []))
    seen = 0
    for images, answers in take(batches, 9):
        assert images.dtype == np.float32
        for image, answer in zip(images, answers, strict=True):
            white = image[..., 2] > 128
            shown = answer if task != "keypoints" else answer.any(axis=-1)
            if task == "segment":
                # Cells that are white for the most part; edges between may be either.
                parts = white.reshape(4, 8, 6, 8).mean(axis=(1, 3))
                np.testing.assert_array_equal(shown[parts > 0.6] > 0, True)
                np.testing.assert_array_equal(shown[parts < 0.4], 0)
                seen += int((parts > 0.6).sum())
                continue
            for row, column in np.argwhere(shown):
                cell = white[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
                assert cell.any()
                seen += 1
            if task == "detect":
                assert np.count_nonzero(answer) <= 1
                assert (answer[answer > 0] == 1 + round(image[0, 0, 0]) % 2).all()
            if task == "keypoints" and answer.any(axis=(0, 1)).all():
                left, right = (np.argwhere(answer[..., joint])[0][1] for joint in range(2))
                assert left <= right
    assert seen > 30


def test_about_half_of_the_pictures_are_flipped():
    def read(index):
        """Dark at the left, bright at the right."""
        picture = np.zeros((*SIZE, 3), np.uint8)
        picture[:, 24:] = 255
        return picture, np.zeros((0, 5), np.float32)

    def flips(**options):
        batches = grid_training_batches(make_dataset(read=read), STRIDE, 18, 3, **options)
        return [(images[:, 0, 0, 0] > 0).tolist() for images, _ in take(batches, 4)]

    flipped = flips(horizontal_flip=True)
    assert all(4 <= sum(epoch) <= 14 for epoch in flipped)
    assert len(set(map(tuple, flipped))) == 4
    assert not np.any(flips())


def test_an_epoch_has_different_pictures_and_the_next_another_order():
    batches = grid_training_batches(make_dataset(), STRIDE, 4, seed=3)
    read = [numbers(images) for images, _ in take(batches, 8)]
    first, second = sum(read[:4], []), sum(read[4:], [])
    assert len(set(first)) == len(set(second)) == 16
    assert first != second


def test_any_epoch_can_be_the_first():
    def read(**options):
        return grid_training_batches(
            make_dataset(), STRIDE, 4, seed=3, smallest_crop=0.5, horizontal_flip=True, **options
        )

    everything = take(read(), 12)
    later = take(read(first_epoch=2), 4)
    for (images, answers), (others, other_answers) in zip(everything[8:], later, strict=True):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(answers, other_answers)
    assert not np.array_equal(everything[0][0], everything[8][0])


def test_workers_together_read_the_batches_of_one():
    def read(share):
        return grid_training_batches(
            make_dataset(), STRIDE, 6, seed=3, share=share, smallest_crop=0.5
        )

    whole = take(read(Share()), 5)
    shares = [take(read(Share(worker, 2)), 5) for worker in range(2)]
    for batch, *halves in zip(whole, *shares, strict=True):
        for array, *parts in zip(batch, *halves, strict=True):
            np.testing.assert_array_equal(array, np.concatenate(parts))


def test_an_endless_part_shows_no_picture_twice():
    dataset = make_dataset(size=8, is_endless=True)
    read = [numbers(images) for images, _ in take(grid_training_batches(dataset, 8, 4, 3), 6)]
    epochs = [sorted(sum(read[first : first + 2], [])) for first in (0, 2, 4)]
    assert epochs == [list(range(first, first + 8)) for first in (0, 8, 16)]


# Each picture has 18 KiB and a label of 20 bytes.
@pytest.mark.parametrize(
    ("cache_bytes", "kept"), [(10**8, 18), (0, 0), (10 * (18 * 1024 + 20), 10)]
)
def test_pictures_are_kept_as_far_as_they_fit(cache_bytes, kept):
    reads = []

    def read(index):
        reads.append(index)
        return detect(index)

    dataset = make_dataset(read=read)
    batches = grid_training_batches(
        dataset, STRIDE, 6, seed=3, smallest_crop=0.5, cache_bytes=cache_bytes
    )
    take(batches, 15)  # of five epochs; more are read ahead
    counts = np.bincount(reads, minlength=18)
    # Two threads may read one picture at once, where an epoch follows another.
    assert (counts <= 2).sum() == kept
    assert (counts >= 5).sum() == 18 - kept


def test_kept_pictures_are_those_that_are_read_anew():
    read = [
        take(
            grid_training_batches(
                make_dataset(), STRIDE, 6, 3, smallest_crop=0.5, cache_bytes=cache_bytes
            ),
            6,
        )
        for cache_bytes in (0, 10**8)
    ]
    for (images, answers), (others, other_answers) in zip(*read, strict=True):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(answers, other_answers)


def test_without_random_crops_training_sees_what_evaluation_sees():
    dataset = make_dataset()
    dataset = dataclasses.replace(dataset, image_size=(32, 32))
    expected = {
        numbers(images)[0]: (images[0], answers[0])
        for images, answers, _ in take(grid_evaluation_batches(dataset, dataset.test, 8, 1), 18)
    }
    assert len(expected) == 18
    for images, answers in take(grid_training_batches(dataset, STRIDE, 6, seed=3), 3):
        for number, image, answer in zip(numbers(images), images, answers, strict=True):
            np.testing.assert_array_equal(image, expected[number][0])
            np.testing.assert_array_equal(answer, expected[number][1])


def test_evaluation_sees_the_largest_centred_part():
    dataset = dataclasses.replace(make_dataset(), image_size=(32, 32))
    # Of 64 x 96 pixels the columns from 16 to 80, at half the size.
    for index in range(18):
        _, (top, left) = read_marked(index)
        image, label = read_grid_example(dataset, dataset.test, index)
        visible = min(left + 16, 80) - max(left, 16)
        if visible < 0.3 * 16:
            assert len(label) == 0
            continue
        right = (min(left + 16, 80) - 16) / 2
        expected = [index % 2, top / 2, (max(left, 16) - 16) / 2, top / 2 + 8, right]
        assert label.tolist() == [expected]
        white = np.argwhere(image[..., 2] > 128)
        assert np.abs(white.min(axis=0) - expected[1:3]).max() <= 1
        assert np.abs(white.max(axis=0) + 1 - expected[3:]).max() <= 1


@pytest.mark.parametrize("task", READERS)
def test_collected_examples_fit_run_folders(task):
    dataset = make_dataset(task)
    images, labels = collect_grid(dataset, dataset.test, 6)
    assert images.shape == (6, *SIZE, 3) and images.dtype == np.uint8
    assert numbers(images) == [0, 3, 6, 9, 12, 15]
    assert label_misfit(task, labels, 6, SIZE, 2) is None
    if task == "detect":
        assert labels.shape == (6, 3, 5)
    assert len(collect_grid(dataset, dataset.test, 100)[0]) == 18


@pytest.mark.parametrize("task", READERS)
def test_evaluation_reads_everything_once_in_order(task):
    dataset = make_dataset(task)
    for cache_bytes in (0, 10**8):
        batches = grid_evaluation_batches(dataset, dataset.test, STRIDE, 5, cache_bytes)
        for _ in range(2):
            read = list(batches.as_numpy_iterator())
            assert [len(images) for images, *_ in read] == [5, 5, 5, 3]
            assert sum((numbers(images) for images, *_ in read), []) == list(range(18))


def test_joints_without_counterparts_are_not_flipped():
    dataset = dataclasses.replace(make_dataset("keypoints"), class_names=("left eye", "nose"))
    with pytest.raises(ValueError, match="without horizontal flips"):
        grid_training_batches(dataset, STRIDE, 4, seed=3, horizontal_flip=True)


def test_gray_pictures_stay_gray():
    def read(index):
        picture, label = detect(index)
        return picture[..., :1], label

    dataset = dataclasses.replace(make_dataset(read=read), channels=1)
    batches = grid_training_batches(dataset, STRIDE, 4, seed=3, smallest_crop=0.5)
    assert take(batches, 1)[0][0].shape == (4, *SIZE, 1)
    assert collect_grid(dataset, dataset.test, 2)[0].shape == (2, *SIZE, 1)


@pytest.mark.parametrize(
    ("values", "received"),
    [
        ({"task": "classify"}, "task='classify'"),
        ({"class_names": ()}, "at least 1 class"),
        ({"class_names": ("a", "a")}, "a"),
        ({"test": GridSplit(0, detect)}, "the test part.*0 pictures"),
    ],
)
def test_datasets_are_checked(values, received):
    with pytest.raises(ValueError, match=received):
        dataclasses.replace(make_dataset(), **values)
