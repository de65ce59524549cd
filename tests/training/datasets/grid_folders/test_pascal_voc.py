# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from tests.training.datasets.grid_folders.conftest import HEIGHT, WIDTH, labels_of, sizes_of


def annotation(*objects, size=(HEIGHT, WIDTH), extra=""):
    """XML with objects, each a name and xmin, ymin, xmax, ymax."""
    texts = "".join(
        f"<object><name>{name}</name>{extra}<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
        f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
        for name, xmin, ymin, xmax, ymax in objects
    )
    height, width = size
    return (
        f"<annotation><size><width>{width}</width><height>{height}</height></size>{texts}"
        "</annotation>"
    )


CELL = ("cell", 11, 21, 30, 50)


@pytest.fixture
def make_folder(tmp_path, write_picture, write_text):
    """A folder of 10 pictures with a cell each, 6 for training, 2 for validation, 2 for testing."""

    def make(**annotations):
        for number in range(10):
            write_picture(tmp_path / "JPEGImages" / f"p{number}.jpg")
            text = annotations.get(f"p{number}", annotation(CELL, ("bead", 1, 1, 5, 5)))
            write_text(tmp_path / "Annotations" / f"p{number}.xml", text)
        for name, numbers in (("train", range(6)), ("val", (6, 7)), ("test", (8, 9))):
            lines = "".join(f"p{number}\n" for number in numbers)
            write_text(tmp_path / "ImageSets" / "Main" / f"{name}.txt", lines)
        return tmp_path

    return make


def test_boxes_count_from_one_and_include_their_ends(make_folder, load):
    dataset = load(make_folder())
    assert dataset.task == "detect" and dataset.class_names == ("bead", "cell")
    assert sizes_of(dataset) == (6, 2, 2)
    assert dataset.most_objects == 2
    for label in labels_of(dataset.train):
        assert label.dtype == np.float32
        assert label.tolist() == [[1, 20, 10, 50, 30], [0, 0, 0, 5, 5]]


def test_lists_tell_the_parts(make_folder, load, write_text):
    folder = make_folder()
    write_text(folder / "ImageSets/Main/val.txt", "p6\n")
    dataset = load(folder)
    assert sizes_of(dataset) == (6, 1, 2)
    assert any("pictures that are in no list (1): p7" in note for note in dataset.notes)
    (folder / "ImageSets/Main/train.txt").rename(folder / "ImageSets/Main/trainval.txt")
    dataset = load(folder)
    # The list of validation pictures is a part of that of both.
    assert sizes_of(dataset)[2] == 2 and sum(sizes_of(dataset)) == 8


def test_lists_of_nothing_there_and_of_two_parts_are_refused(make_folder, complaints, write_text):
    folder = make_folder()
    write_text(folder / "ImageSets/Main/test.txt", "p0\np8 1\nnowhere\n")
    text = " ".join(complaints(folder))
    assert "'nowhere' in ImageSets/Main/test.txt" in text
    assert "'p0' in train and test" in text and "p8" not in text


def test_without_lists_the_pictures_are_split(make_folder, load):
    folder = make_folder()
    for path in (folder / "ImageSets/Main").iterdir():
        path.unlink()
    first, second = load(folder), load(folder)
    assert sizes_of(first) == (7, 1, 2)
    assert first.pictures == second.pictures
    read = [
        split.read(index)[0].tobytes()
        for split in (first.train, first.validation, first.test)
        for index in range(split.size)
    ]
    assert len(set(read)) == 10
    assert any("Split off" in note for note in first.notes)


@pytest.mark.parametrize(
    ("pictures", "boxes"),
    [
        ("images", "annotations"),
        ("images/{part}", "annotations/{part}"),
        ("{part}/images", "{part}/annotations"),
    ],
)
def test_folders_may_have_other_names(tmp_path, load, write_picture, write_text, pictures, boxes):
    for number in range(6):
        part = ("train", "train", "train", "train", "val", "test")[number]
        write_picture(tmp_path / pictures.format(part=part) / f"{number}.png")
        write_text(tmp_path / boxes.format(part=part) / f"{number}.xml", annotation(CELL))
    assert sizes_of(load(tmp_path)) == (4, 1, 1)


def test_xml_may_stand_beside_pictures(tmp_path, load, write_picture, write_text):
    for part, count in (("train", 3), ("valid", 2), ("test", 1)):
        for number in range(count):
            write_picture(tmp_path / part / f"{number}.jpg")
            write_text(tmp_path / part / f"{number}.xml", annotation(CELL))
    dataset = load(tmp_path)
    assert sizes_of(dataset) == (3, 2, 1)
    loose = tmp_path / "train"
    assert sizes_of(load(loose)) == (1, 1, 1)


def test_pictures_without_annotation_show_nothing(make_folder, load):
    folder = make_folder(p1=annotation())
    (folder / "Annotations/p0.xml").unlink()
    dataset = load(folder)
    assert sorted(len(label) for label in labels_of(dataset.train)) == [0, 0, 2, 2, 2, 2]
    assert any(
        "Nothing is in pictures that have no annotation (1): JPEGImages/p0.jpg" in note
        for note in dataset.notes
    )


def test_what_labels_go_through_is_told(make_folder, load):
    dataset = load(
        make_folder(
            p0=annotation(CELL, extra="<difficult>1</difficult>"),
            p1=annotation(CELL, ("cell", 10, 10, 9, 20)),
            p2=annotation(CELL, ("cell", 70, 50, 90, 70)),
            p3=annotation(CELL, size=(0, 0)),
        )
    )
    notes = " ".join(dataset.notes)
    assert "Kept as others: objects marked as difficult (1): Annotations/p0.xml: cell" in notes
    assert "Left out: boxes without area (1): Annotations/p1.xml: left=9, top=9, right=9" in notes
    assert "Clipped: boxes that reach beyond their picture (1): Annotations/p2.xml" in notes
    labels = labels_of(dataset.train)
    assert labels[0].tolist() == labels[1].tolist() == labels[3].tolist() == [[1, 20, 10, 50, 30]]
    assert labels[2][1].tolist() == [1, 49, 69, HEIGHT, WIDTH]


def test_everything_wrong_is_said_at_once(make_folder, complaints, write_picture, write_text):
    folder = make_folder(
        p0="<annotation><object>",
        p1=annotation(("cell", "ten", 1, 2, 3)),
        p2=annotation(CELL, size=(HEIGHT * 2, WIDTH * 2)),
        p3=annotation(("cell", 100, 100, 120, 120)),
        p4="<!DOCTYPE a [<!ENTITY x 'y'>]><annotation/>",
    )
    write_text(folder / "Annotations/lonely.xml", annotation(CELL))
    write_picture(folder / "JPEGImages/p5.png")
    (folder / "JPEGImages/p6.jpg").write_bytes(b"no picture")
    (folder / "JPEGImages/p7.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (folder / "JPEGImages/linked.jpg").symlink_to(folder / "JPEGImages/p8.jpg")
    lines = complaints(folder)
    expected = [
        ("every annotation must be readable XML", "Annotations/p0.xml (damaged"),
        ("every annotation must be readable XML", "p4.xml (a document type"),
        ("must have a <name>, and a <bndbox>", "Annotations/p1.xml: 'cell'"),
        ("must have its picture's size", "Annotations/p2.xml: 160 x 120 for 80 x 60"),
        ("every box must be inside", "Annotations/p3.xml: left=99, top=99, right=120"),
        ("must have its picture, a JPEG", "Annotations/lonely.xml without one"),
        ("every annotation must have one picture", "JPEGImages/p5.jpg, JPEGImages/p5.png"),
        ("every image must be readable", "JPEGImages/p6.jpg"),
        ("Left out: files that may be pictures", "magick mogrify"),
        ("Ignored: symbolic links (1)", "JPEGImages/linked.jpg"),
    ]
    for rule, received in expected:
        assert any(rule in line and received in line for line in lines), (rule, received, lines)


def test_unreadable_pictures_may_be_skipped(make_folder, load):
    folder = make_folder()
    (folder / "JPEGImages/p0.jpg").write_bytes(b"no picture")
    dataset = load(folder, skip_unreadable=True)
    assert sizes_of(dataset) == (5, 2, 2)
    assert any("Skipped 1 unreadable image" in note for note in dataset.notes)


def test_places_are_those_of_the_upright_picture(make_folder, load, complaints, write_text):
    folder = make_folder()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter: the picture is 60 wide and 80 high
    for path in (folder / "JPEGImages").iterdir():
        with Image.open(path) as image:
            image.save(path, exif=exif)
    lines = complaints(folder)
    assert any(
        "those of the upright picture" in line
        and "exiftool" in line
        and "80 x 60 for 60 x 80" in line
        for line in lines
    )
    for path in (folder / "Annotations").iterdir():
        write_text(path, annotation(("cell", 11, 21, 30, 50), size=(WIDTH, HEIGHT)))
    dataset = load(folder, image_size=(80, 60))
    picture, label = dataset.train.read(0)
    assert picture.shape == (WIDTH, HEIGHT, 3)
    assert label.tolist() == [[0, 20, 10, 50, 30]]


def test_large_photographs_are_read_smaller_with_their_labels(
    tmp_path, load, write_picture, write_text
):
    for number in range(3):
        write_picture(tmp_path / f"{number}.jpg", (1200, 1600))
        write_text(
            tmp_path / f"{number}.xml", annotation(("cell", 401, 201, 800, 600), size=(1200, 1600))
        )
    dataset = load(tmp_path, image_size=(30, 40))
    picture, label = dataset.train.read(0)
    assert picture.shape == (150, 200, 3)
    np.testing.assert_allclose(label, [[0, 25, 50, 75, 100]])
    # A tenth of the area may be three times as narrow, and is stretched besides.
    picture, label = dataset.train.read_for_crops(0.1)(0)
    assert picture.shape == (300, 400, 3)
    np.testing.assert_allclose(label, [[0, 50, 100, 150, 200]])


def test_a_class_without_pictures_to_train_with_is_refused(make_folder, complaints, load):
    folder = make_folder(p9=annotation(CELL, ("virus", 1, 1, 9, 9)))
    assert any("none of 'virus'" in line for line in complaints(folder))
    dataset = load(make_folder(p0=annotation(CELL, ("virus", 1, 1, 9, 9)), p9=annotation(CELL)))
    assert any("No picture of test shows 'virus'" in note for note in dataset.notes)


def test_other_labels_are_other_data(make_folder, load, write_text):
    folder = make_folder()
    texts = [load(folder).pictures]
    for other in (("bead", 1, 1, 5, 5), ("bead", 1, 1, 5, 6), ("cell", 1, 1, 5, 5)):
        write_text(folder / "Annotations/p3.xml", annotation(CELL, other))
        texts.append(load(folder).pictures)
    # The first is what was there before.
    assert texts[0] == texts[1] and len(set(texts)) == 3
    assert load(make_folder()).pictures not in texts  # other pictures of the same names


def write_mask(path, values, mode="P"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values.astype(np.uint8), "L")
    if mode == "P":
        image = Image.frombytes("P", image.size, image.tobytes())
        image.putpalette([level for index in range(256) for level in (index, 7, 255 - index)])
    image.save(path)


@pytest.fixture
def make_masks(tmp_path, write_picture, write_text):
    """Five pictures with masks, three of them of objects, and one without a mask."""

    def make(classes="cat\ndog\n", name="classes.txt", values=None):
        for number in range(6):
            write_picture(tmp_path / "JPEGImages" / f"p{number}.jpg")
            if number == 5:
                continue
            mask = np.zeros((HEIGHT, WIDTH))
            mask[:10, :20], mask[20:30], mask[40:, 50:] = values or (1, 2, 255)
            write_mask(tmp_path / "SegmentationClass" / f"p{number}.png", mask)
        if classes:
            write_text(tmp_path / name, classes)
        return tmp_path

    return make


def test_masks_hold_numbers_of_classes(make_masks, load, write_text):
    dataset = load(make_masks(), "segment")
    assert dataset.task == "segment" and dataset.class_names == ("cat", "dog")
    assert sum(sizes_of(dataset)) == 5
    assert any(
        "Left out: pictures that have no mask (1): JPEGImages/p5.jpg" in note
        for note in dataset.notes
    )
    for label in labels_of(dataset.train):
        assert label.dtype == np.uint8
        assert np.unique(label).tolist() == [0, 1, 2, 255]
        assert (label[:10, :20] == 1).all() and (label[20:30] == 2).all()
    write_text(dataset_folder := make_masks() / "ImageSets/Segmentation/train.txt", "p0\np1\np2\n")
    write_text(dataset_folder.with_name("val.txt"), "p3\n")
    write_text(dataset_folder.with_name("test.txt"), "p4\n")
    assert sizes_of(load(make_masks(), "segment")) == (3, 1, 1)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("class_names.txt", "__ignore__\n_background_\ncat\ndog\n"),
        ("classes.txt", "background\ncat\ndog\n"),
        (
            "labelmap.txt",
            "# name:colour\nbackground:0,7,255::\ncat:1,7,254::\ndog:2,7,253::\nignore:255,7,0::\n",
        ),
    ],
)
def test_lists_of_other_programs_name_the_classes(make_masks, load, name, classes):
    dataset = load(make_masks(classes, name), "segment")
    assert dataset.class_names == ("cat", "dog")
    label = labels_of(dataset.train)[0]
    assert (label[:10, :20] == 1).all() and (label[20:30] == 2).all()
    assert (label[40:, 50:] == 255).all() and (label[50:, :40] == 0).all()


def test_the_challenge_s_own_classes_are_known(make_masks, load, write_text):
    folder = make_masks("", values=(12, 15, 255))
    write_text(folder / "Annotations/p0.xml", annotation(("person", 1, 1, 5, 5)))
    dataset = load(folder, "segment")
    assert dataset.class_names == ("dog", "person")
    assert (labels_of(dataset.train)[0][:10, :20] == 1).all()
    assert any(
        "classes of which nothing is there (18): aeroplane" in note for note in dataset.notes
    )


def test_masks_that_fit_nothing_are_refused(make_masks, complaints):
    assert "classes.txt" in complaints(make_masks(""), "segment")[0]
    folder = make_masks("cat\n")
    write_mask(folder / "SegmentationClass/p1.png", np.zeros((HEIGHT, WIDTH + 1)))
    (folder / "SegmentationClass/p2.png").write_bytes(b"no picture")
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "SegmentationClass/p3.png")
    lines = complaints(folder, "segment")
    assert any("p0.png with the value 2" in line for line in lines)
    assert any("p1.png: 81 x 60 for 80 x 60" in line for line in lines)
    assert any("p2.png" in line and "p3.png" in line and "readable PNG" in line for line in lines)
