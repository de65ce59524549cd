# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from tests.training.datasets.grid_folders.conftest import HEIGHT, WIDTH, labels_of, sizes_of


@pytest.fixture
def make_folder(tmp_path, write_picture, write_text):
    """Six pictures with masks, in folders for all or for each part."""

    def make(arrangement="images/{part}", classes="road\nsky\n", values=(1, 2), mode="L"):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[:20], mask[40:] = values
        for number in range(6):
            part = ("train", "train", "train", "train", "val", "test")[number]
            pictures = arrangement.format(part=part)
            write_picture(tmp_path / pictures / f"p{number}.jpg")
            path = tmp_path / pictures.replace("images", "masks") / f"p{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).convert(mode).save(path)
        if classes:
            write_text(tmp_path / "classes.txt", classes)
        return tmp_path

    return make


@pytest.mark.parametrize("arrangement", ["images/{part}", "{part}/images"])
def test_masks_have_the_names_of_pictures(make_folder, load, arrangement):
    dataset = load(make_folder(arrangement), "segment")
    assert dataset.class_names == ("road", "sky")
    assert sizes_of(dataset) == (4, 1, 1)
    label = labels_of(dataset.train)[0]
    assert (label[:20] == 1).all() and (label[20:40] == 0).all() and (label[40:] == 2).all()


def test_without_parts_the_pictures_are_split(make_folder, load):
    assert sizes_of(load(make_folder("images"), "segment")) == (4, 1, 1)


def test_black_and_white_is_one_class(make_folder, load):
    dataset = load(make_folder(classes="road", values=(255, 0)), "segment")
    assert (labels_of(dataset.train)[0][:20] == 1).all()
    assert any("255" in note and "masks" in note for note in dataset.notes)
    dataset = load(make_folder(classes="road", values=(255, 0), mode="1"), "segment")
    assert (labels_of(dataset.train)[0][:20] == 1).all()
    # With another value, 255 is what counts as neither.
    dataset = load(make_folder(classes="road", values=(255, 1)), "segment")
    assert (labels_of(dataset.train)[0][:20] == 255).all()


def test_unused_classes_are_left_out(make_folder, load):
    dataset = load(make_folder(classes="road\nsea\nsky\n", values=(1, 3)), "segment")
    assert dataset.class_names == ("road", "sky")
    label = labels_of(dataset.train)[0]
    assert (label[:20] == 1).all() and (label[40:] == 2).all()


def test_what_does_not_fit_is_refused(make_folder, complaints, load, write_picture):
    assert any("classes.txt" in line for line in complaints(make_folder(classes=""), "segment"))
    assert any("253" in line for line in complaints(make_folder(classes="a\n" * 254), "segment"))
    folder = make_folder()
    write_picture(folder / "images/train/p0.jpg", (HEIGHT, WIDTH + 2))
    assert any(
        "masks/train/p0.png: 80 x 60 for 82 x 60" in line for line in complaints(folder, "segment")
    )
    folder = make_folder(values=(1, 9))
    assert any("with the value 9" in line for line in complaints(folder, "segment"))
    folder = make_folder(values=(0, 0))
    assert any("nothing but background" in line for line in complaints(folder, "segment"))
    folder = make_folder()
    (folder / "masks/train/p1.png").unlink()
    dataset = load(folder, "segment")
    assert sizes_of(dataset) == (3, 1, 1)
    assert any("have no mask (1): images/train/p1.jpg" in note for note in dataset.notes)


def test_sixteen_bits_are_read_as_far_as_they_are_numbers_of_classes(make_folder, load, complaints):
    folder = make_folder()
    path = folder / "masks/train/p0.png"
    mask = np.zeros((HEIGHT, WIDTH), np.uint16)
    mask[:20] = 2
    Image.fromarray(mask).save(path)
    assert (labels_of(load(folder, "segment").train)[0][:20] == 2).all()
    Image.fromarray(mask * 200).save(path)
    assert any("at most 255" in line for line in complaints(folder, "segment"))
