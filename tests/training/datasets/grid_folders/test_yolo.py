# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from tests.training.datasets.grid_folders.conftest import HEIGHT, WIDTH, labels_of, sizes_of

# Of 60 x 80 pixels: centre at column 20 and row 30, 8 wide and 30 high.
BOX = "1 0.25 0.5 0.1 0.5\n"
PLACED = [1, 15, 16, 45, 24]


@pytest.fixture
def make_folder(tmp_path, write_picture, write_text):
    """Six pictures with two objects each, in folders for all or for each part."""

    def make(arrangement="images/{part}", names="names: [hen, egg]\n", texts=None):
        for number in range(6):
            part = ("train", "train", "train", "train", "val", "test")[number]
            pictures = arrangement.format(part=part)
            labels = pictures.replace("images", "labels")
            write_picture(tmp_path / pictures / f"p{number}.png")
            text = (texts or {}).get(number, f"0 0.5 0.5 1 1\n{BOX}")
            write_text(tmp_path / labels / f"p{number}.txt", text)
        if names:
            write_text(tmp_path / "data.yaml", names)
        return tmp_path

    return make


@pytest.mark.parametrize(
    "names",
    [
        "names: [hen, egg]",
        "train: ../x\nnames:\n  - hen\n  - egg\n",
        "names:\n  1: egg\n  0: hen\nnc: 2",
    ],
)
@pytest.mark.parametrize("arrangement", ["images/{part}", "{part}/images"])
def test_boxes_are_fractions(make_folder, load, arrangement, names):
    dataset = load(make_folder(arrangement, names))
    assert dataset.class_names == ("hen", "egg")
    assert sizes_of(dataset) == (4, 1, 1)
    for label in labels_of(dataset.train):
        np.testing.assert_allclose(label, [[0, 0, 0, HEIGHT, WIDTH], PLACED], atol=1e-5)


def test_lists_may_tell_the_parts(make_folder, load, write_text, complaints):
    folder = make_folder("images")
    assert sizes_of(load(folder)) == (4, 1, 1)
    write_text(folder / "train.txt", "./images/p0.png\n/data/images/p1.png\n")
    write_text(folder / "val.txt", "images\\p2.png\nimages/p3.png\n")
    write_text(folder / "test.txt", "p4.png")
    dataset = load(folder)
    assert sizes_of(dataset) == (2, 2, 1)
    assert any("in no list (1): p5.png" in note for note in dataset.notes)
    write_text(folder / "test.txt", "p0.png\nnowhere.png")
    text = " ".join(complaints(folder))
    assert "'p0.png' in train and test" in text and "'nowhere.png' in test.txt" in text


def test_texts_may_stand_beside_pictures(tmp_path, load, write_picture, write_text):
    for number in range(4):
        write_picture(tmp_path / f"{number}.jpg")
        write_text(tmp_path / f"{number}.txt", BOX)
    write_text(tmp_path / "classes.txt", "hen\negg\n")
    dataset = load(tmp_path)
    assert dataset.class_names == ("egg",)
    assert labels_of(dataset.train)[0][:, 0].tolist() == [0]
    assert not any("classes.txt" in note for note in dataset.notes)
    assert any("Left out: classes of which nothing is there (1): hen" in n for n in dataset.notes)


POLYGON = "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"


def test_polygons_are_areas_or_boxes_around_them(make_folder, load):
    texts = dict.fromkeys(range(6), f"{POLYGON}1 0.5 0.5 1 0.5 0.75 1\n")
    folder = make_folder(texts=texts)
    label = labels_of(load(folder).train)[0]
    np.testing.assert_allclose(label, [[0, 15, 20, 45, 60], [1, 30, 40, 60, 80]], atol=1e-5)
    mask = labels_of(load(folder, "segment").train)[0]
    # The triangle is smaller, and lies over the square.
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[15:45, 20:60] = 1
    assert (mask == expected).mean() > 0.8
    assert mask[20, 30] == 1 and mask[35, 58] == 2 and mask[50, 60] == 2 and mask[50, 45] == 0
    # To the pixel, where nothing lies over it.
    np.testing.assert_array_equal(mask[:29] > 0, expected[:29] > 0)


def test_pictures_without_text_or_lines_show_nothing(make_folder, load):
    folder = make_folder(texts={0: "", 1: "\n\n"})
    (folder / "labels/train/p2.txt").unlink()
    dataset = load(folder)
    assert [len(label) for label in labels_of(dataset.train)] == [0, 0, 0, 2]
    assert any(
        "Nothing is in pictures that have no annotation (1)" in note for note in dataset.notes
    )


def test_everything_wrong_is_said_at_once(make_folder, complaints, write_text):
    folder = make_folder(
        texts={
            0: "0 0.5 0.5 1\n",
            1: "hen 0.5 0.5 1 1\n",
            2: "0 40 30 8 30\n",
            3: "2 0.5 0.5 1 1\n0.5 0.5 0.5 1 1",
            4: "0 0.5 nan 1 1\n",
            5: "0 0.5 0.5 0 1\n0 0.5 0.5 1 1\n1 0.1 0.1 0.1 0.1",
        }
    )
    write_text(folder / "labels/val/lonely.txt", BOX)
    (folder / "labels/train/p0.txt").write_bytes(b"\xff\xfe")
    lines = complaints(folder)
    for rule, received in (
        ("must be a readable text", "labels/train/p0.txt ("),
        ("a class and 4 numbers", "labels/train/p1.txt, line 1: hen 0.5 0.5 1 1"),
        ("fractions of the picture's sides", "labels/train/p2.txt, line 1: 0 40 30 8 30"),
        ("from 0 to 1", "labels/train/p3.txt, line 1: 2 0.5"),
        ("from 0 to 1", "labels/train/p3.txt, line 2: 0.5 0.5"),
        ("a class and 4 numbers", "labels/val/p4.txt, line 1: 0 0.5 nan"),
        ("must have its picture", "labels/val/lonely.txt without one"),
        ("Left out: boxes without area (1)", "labels/test/p5.txt"),
    ):
        assert any(rule in line and received in line for line in lines), (rule, received, lines)


@pytest.mark.parametrize(
    ("names", "received"),
    [
        ("", "names of their classes"),
        ("names: {0: hen, 2: egg}", "not 0, 1"),
        ("names: hen", "no list"),
        ("names: []", "no list"),
        ("names: [[a], b]", "no text"),
        ("names: [hen, hen]", "twice|different"),
        ("names: [hen", "damaged"),
        ("a: &a [hen, egg]\nnames: *a", "aliases"),
    ],
)
def test_names_are_checked(make_folder, complaints, names, received):
    import re

    assert re.search(received, " ".join(complaints(make_folder(names=names))))


def test_segmentation_needs_outlines(make_folder, complaints):
    assert "--task detect" in " ".join(complaints(make_folder(), "segment"))
