# SPDX-License-Identifier: Apache-2.0
import os

import numpy as np
import pytest

from tests.training.datasets.grid_folders.conftest import labels_of, sizes_of
from training.datasets.grid_batches import grid_evaluation_batches, grid_training_batches


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("detect", ("Pascal VOC", "YOLO", "COCO")),
        ("segment", ("Pascal VOC", "masks", "YOLO", "COCO")),
        ("keypoints", ("COCO",)),
    ],
)
def test_a_folder_that_fits_nothing_learns_what_would(tmp_path, complaints, task, names):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "list.csv").touch()
    (line,) = complaints(tmp_path, task)
    assert all(f"{name}:" in line for name in names)
    assert line.count(": ") == len(names) + 2  # and of the rule and what was received
    assert "with list.csv; pictures/" in line


def test_folders_of_one_task_do_not_fit_another(tmp_path, complaints, write_picture, write_text):
    write_picture(tmp_path / "images/a.jpg")
    write_text(tmp_path / "labels/a.txt", "0 0.5 0.5 1 1")
    write_text(tmp_path / "classes.txt", "a")
    assert "must have one of these layouts: COCO" in complaints(tmp_path, "keypoints")[0]


@pytest.fixture
def make_yolo(tmp_path, write_picture, write_text):
    """A folder with so many pictures of each of two classes."""

    def make(*counts):
        write_text(tmp_path / "classes.txt", "often\nrare\n")
        for number, count in enumerate(counts):
            for place in range(count):
                name = f"{number}-{place}"
                write_picture(tmp_path / f"images/{name}.png")
                write_text(tmp_path / f"labels/{name}.txt", f"{number} 0.5 0.5 0.5 0.5\n" * 2)
        return tmp_path

    return make


def test_every_part_gets_rare_classes(make_yolo, load):
    dataset = load(make_yolo(40, 4))
    for split in (dataset.train, dataset.validation, dataset.test):
        assert {int(label[0, 0]) for label in labels_of(split)} == {0, 1}
    assert sum(sizes_of(dataset)) == 44
    assert sizes_of(dataset)[1:] == (4 + 1, 8 + 1)


def test_what_is_too_rare_to_split_is_trained_with(make_yolo, load):
    dataset = load(make_yolo(20, 2))
    assert [int((label[:, 0] == 1).any()) for label in labels_of(dataset.train)].count(1) == 2
    assert any("No picture of validation shows 'rare'" in note for note in dataset.notes)
    assert any("No picture of test shows 'rare'" in note for note in dataset.notes)


def test_too_few_pictures_are_refused(make_yolo, complaints, load):
    assert "at least 3 pictures" in complaints(make_yolo(2))[0]
    assert sizes_of(load(make_yolo(3))) == (1, 1, 1)


def test_nothing_annotated_is_refused(tmp_path, complaints, write_picture, write_text):
    write_text(tmp_path / "classes.txt", "a")
    (tmp_path / "labels").mkdir()
    for number in range(4):
        write_picture(tmp_path / f"images/{number}.png")
    assert "nothing but background" in complaints(tmp_path)[0]
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    assert "annotated pictures: annotate some. Received: none" in complaints(tmp_path)[0]


def test_parts_without_training_pictures_are_refused(
    tmp_path, complaints, write_picture, write_text
):
    write_text(tmp_path / "classes.txt", "a")
    write_picture(tmp_path / "images/test/a.png")
    write_text(tmp_path / "labels/test/a.txt", "0 0.5 0.5 1 1")
    assert "pictures to train with" in " ".join(complaints(tmp_path))


@pytest.mark.slow
def test_folders_become_batches(make_yolo, load):
    """Of pictures that are read smaller than they are, too."""
    dataset = load(make_yolo(8, 8), image_size=(24, 32), channels=1)
    batches = grid_training_batches(dataset, 8, 4, 1, smallest_crop=0.5, horizontal_flip=True)
    images, answers = next(batches.as_numpy_iterator())
    assert images.shape == (4, 24, 32, 1) and answers.shape == (4, 3, 4)
    assert (answers > 0).any(axis=(1, 2)).all()
    for _, answers, labels in grid_evaluation_batches(
        dataset, dataset.test, 8, 2
    ).as_numpy_iterator():
        assert labels.shape[1:] == (2, 5)
        # In the middle of the picture, as large as its half.
        np.testing.assert_allclose(
            labels[:, :, 1:], np.broadcast_to([6, 8, 18, 24], (len(labels), 2, 4))
        )
        assert (answers[:, 1, 2] > 0).all() and np.count_nonzero(answers) == len(labels)


def test_the_name_of_the_folder_is_that_of_the_dataset(make_yolo, load):
    folder = make_yolo(3)
    dataset = load(folder)
    assert dataset.name == folder.name
    assert dataset.notes[0].startswith("YOLO: 1 of train, 1 of validation, 1 of test")
    assert len(dataset.pictures) == 32 and load(folder).pictures == dataset.pictures


@pytest.mark.parametrize("layout", ["yolo", "coco"])
def test_pipes_are_never_read(make_yolo, load, write_text, layout):
    """Reading one would wait for ever for somebody who writes to it."""
    folder = make_yolo(3)
    for name in ("pipe.jpg", "pipe", "pipe.txt"):
        os.mkfifo(folder / "images" / name)
    os.mkfifo(folder / "labels/0-pipe.txt")
    if layout == "coco":
        images = [{"id": number, "file_name": f"0-{number}.png"} for number in range(3)]
        boxes = [
            {"id": number, "image_id": number, "category_id": 1, "bbox": [1, 1, 5, 5]}
            for number in range(3)
        ]
        content = {
            "images": images,
            "annotations": boxes,
            "categories": [{"id": 1, "name": "a"}],
        }
        write_text(folder / "a.json", content)
        (folder / "classes.txt").unlink()
        for path in (folder / "labels").iterdir():
            path.unlink()
        (folder / "labels").rmdir()
        os.mkfifo(folder / "b.json")
    assert sizes_of(load(folder)) == (1, 1, 1)
