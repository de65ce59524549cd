# SPDX-License-Identifier: Apache-2.0
import copy
import json
from random import Random

import numpy as np
import pytest
from PIL import Image

from tests.training.datasets.grid_folders.conftest import HEIGHT, WIDTH, labels_of, sizes_of
from training.datasets.image_folder import ImageFolderError

CATEGORIES = [{"id": 7, "name": "hen"}, {"id": 3, "name": "egg"}]
SQUARE = [20, 15, 60, 15, 60, 45, 20, 45]


def hen(**values):
    return {
        "category_id": 7,
        "bbox": [20, 15, 40, 30],
        "segmentation": [SQUARE],
        "iscrowd": 0,
        **values,
    }


def egg(**values):
    return {
        "category_id": 3,
        "bbox": [1, 2, 4, 5],
        "segmentation": [[1, 2, 5, 2, 5, 7, 1, 7]],
        **values,
    }


def content(names, annotations, categories=CATEGORIES, size=(HEIGHT, WIDTH)):
    """COCO's JSON: images have the numbers 100, 101, ..., and each the same annotations, or those
    that `annotations` maps their place to."""
    images = [
        {"id": 100 + place, "file_name": name, "height": size[0], "width": size[1]}
        for place, name in enumerate(names)
    ]
    per_image = annotations if isinstance(annotations, dict) else {}
    entries = [
        {"id": 10 * place + number, "image_id": 100 + place, **each}
        for place in range(len(names))
        for number, each in enumerate(
            per_image.get(place, [hen(), egg()]) if per_image or not annotations else annotations
        )
    ]
    return {"images": images, "annotations": entries, "categories": categories}


@pytest.fixture
def make_folder(tmp_path, write_picture, write_text):
    """Six pictures in one folder with one file of annotations."""

    def make(annotations=(), pictures="images", file="annotations/instances.json", **options):
        names = [f"p{number}.jpg" for number in range(6)]
        for name in names:
            write_picture(tmp_path / pictures / name)
        write_text(tmp_path / file, content(names, annotations, **options))
        return tmp_path

    return make


ARRANGEMENTS = [
    ("annotations/instances_{part}2017.json", "{part}2017", ""),
    ("annotations/instances_{part}2017.json", "images/{part}2017", ""),
    ("annotations/{part}.json", "images/{part}", ""),
    ("annotations/{part}.json", "images/{part}", "images/{part}/"),
    ("{part}/_annotations.coco.json", "{part}", ""),
    ("{part}.json", "{part}/images", ""),
    ("{part}.json", "images", ""),
]


@pytest.mark.parametrize(("file", "pictures", "prefix"), ARRANGEMENTS)
def test_each_part_has_its_file(tmp_path, load, write_picture, write_text, file, pictures, prefix):
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        names = [f"{part}{number}.jpg" for number in range(count)]
        for name in names:
            write_picture(tmp_path / pictures.format(part=part) / name)
        names = [prefix.format(part=part) + name for name in names]
        write_text(tmp_path / file.format(part=part), content(names, ()))
    # What COCO has beside them is of no use.
    if file.startswith("annotations/instances"):
        write_text(tmp_path / "annotations/captions_train2017.json", {"images": []})
        write_text(tmp_path / "annotations/person_keypoints_train2017.json", {"images": []})
    dataset = load(tmp_path)
    assert sizes_of(dataset) == (3, 2, 1)
    assert dataset.class_names == ("egg", "hen")
    for label in labels_of(dataset.train):
        assert label.tolist() == [[1, 15, 20, 45, 60], [0, 2, 1, 7, 5]]


def test_one_file_is_split(make_folder, load):
    first, second = load(make_folder()), load(make_folder())
    assert sizes_of(first) == sizes_of(second) == (4, 1, 1)


def test_pictures_without_annotation_show_nothing(make_folder, load):
    dataset = load(make_folder({0: [], 1: []}))
    counts = [
        len(label)
        for part in (dataset.train, dataset.validation, dataset.test)
        for label in labels_of(part)
    ]
    assert sorted(counts) == [0, 0, 2, 2, 2, 2]
    assert any(
        "Nothing is in pictures that have no annotation (2)" in note and "p1.jpg" in note
        for note in dataset.notes
    )


def test_crowds_have_no_centre_and_count_as_neither(make_folder, load):
    counts = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * 10, HEIGHT * (WIDTH - 10)]}
    crowd = hen(iscrowd=1, segmentation=counts)
    folder = make_folder([crowd, hen(), egg()])
    dataset = load(folder)
    assert all(len(label) == 2 for label in labels_of(dataset.train))
    assert any("crowds (`iscrowd`), which have no centre (6)" in note for note in dataset.notes)
    dataset = load(folder, "segment")
    assert any("neither class nor background" in note for note in dataset.notes)
    for label in labels_of(dataset.train):
        expected = np.zeros((HEIGHT, WIDTH), np.uint8)
        expected[:, :10] = 255
        expected[15:45, 20:60] = 2
        expected[2:7, 1:5] = 1
        np.testing.assert_array_equal(label, expected)


def test_what_is_annotated_wrongly_is_said_at_once(make_folder, complaints, write_picture):
    folder = make_folder(
        {
            0: [hen(bbox=None)],
            1: [hen(bbox=[1, 2, float(3), "4"])],
            2: [hen(category_id=99)],
            3: [hen(bbox=[300, 300, 10, 10])],
            4: [hen(image_id=5)],
        }
    )
    path = folder / "annotations/instances.json"
    value = json.loads(path.read_text())
    value["images"] += [
        {"id": 100, "file_name": "again.jpg"},
        {"id": 200, "file_name": "p1.jpg"},
        {"id": 201, "file_name": "../secret.jpg"},
        {"id": 202, "file_name": "missing.jpg"},
        {"id": 203},
        {"id": 204, "file_name": "linked.jpg"},
        {"id": 205, "file_name": "list.txt"},
    ]
    value["categories"] += [{"id": 7, "name": "cock"}, {"id": "8", "name": "x"}]
    path.write_text(json.dumps(value))
    write_picture(folder / "images/p5.jpg", (WIDTH, HEIGHT))
    write_picture(folder / "images/more.jpg")
    write_picture(folder.parent / "secret.jpg")
    (folder / "images/linked.jpg").symlink_to(folder.parent / "secret.jpg")
    (folder / "images/list.txt").write_text("a list")
    lines = complaints(folder)
    for rule, received in (
        ("a `bbox` of 4 numbers", "p0.jpg: None"),
        ("a `bbox` of 4 numbers", "p1.jpg: [1, 2, 3.0, '4']"),
        ("the `category_id` of a category", "p2.jpg: 99"),
        ("every box must be inside", "p3.jpg: left=300"),
        ("the `image_id` of an image", "of image 5"),
        ("there once", "image 100, again.jpg"),
        ("there once", "image 200, p1.jpg"),
        ("no symbolic link", "'../secret.jpg' leads out of the folder"),
        ("no symbolic link", "no file missing.jpg"),
        ("no symbolic link", "linked.jpg is a symbolic link"),
        ("no symbolic link", "list.txt is no JPEG"),
        ("a text `file_name`", "{'id': 203}"),
        ("one name", "id 7 is 'cock' and 'hen'"),
        ("a whole number `id`", "'8'"),
        ("upright picture", "p5.jpg: 80 x 60 for 60 x 80"),
        ("no annotations name", "images/more.jpg"),
    ):
        assert any(rule in line and received in line for line in lines), (rule, received, lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "damaged"),
        ("[]", "object was expected"),
        ("[" * 100_000, "deeply"),
        ('{"images": [], "annotations": []}', "no list 'categories'"),
        ('{"images": [1], "annotations": [], "categories": []}', "other entries than objects"),
        ('{"images": [], "annotations": [], "categories": [], "x": 1e999}', "finite"),
    ],
)
def test_files_that_are_no_annotations_are_refused(tmp_path, complaints, write_text, text, reason):
    write_text(tmp_path / "a.json", text)
    assert any(reason in line for line in complaints(tmp_path))


def test_two_files_of_one_part_are_refused(make_folder, complaints, write_text):
    folder = make_folder()
    write_text(folder / "annotations/more_instances.json", content([], ()))
    (line,) = complaints(folder)[:1]
    assert "one JSON file" in line and "more_instances.json" in line


def encode(mask):
    columns = np.concatenate([[0], mask.T.ravel().astype(int)])
    edges = np.flatnonzero(np.diff(columns))
    return np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()


def test_areas_are_polygons_or_run_lengths(make_folder, load, complaints):
    mask = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.3
    encoded = {"size": [HEIGHT, WIDTH], "counts": encode(mask)}
    dataset = load(
        make_folder(
            [
                egg(segmentation=encoded),
                hen(segmentation=[SQUARE, [70, 50, 78, 50, 78, 58, 70, 58]]),
            ]
        ),
        "segment",
    )
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[mask] = 1
    # 1440 run pixels are more than the two squares' 1264, which lie over them.
    assert mask.sum() > 1264
    expected[15:45, 20:60] = 2
    expected[50:58, 70:78] = 2
    for label in labels_of(dataset.train):
        np.testing.assert_array_equal(label, expected)
    folder = make_folder(
        {
            0: [hen(segmentation=None)],
            1: [hen(segmentation=[[1, 2, 3, 4]])],
            2: [hen(segmentation={"size": [HEIGHT, WIDTH], "counts": [1, 2]})],
            3: [hen(segmentation={"size": [WIDTH, HEIGHT], "counts": encode(mask)})],
            4: [hen(segmentation=[[900, 900, 950, 900, 950, 950]])],
        }
    )
    lines = complaints(folder, "segment")
    for received in (
        "p0.jpg: none",
        "p1.jpg: a polygon of [1, 2, 3, 4]",
        "p2.jpg: run lengths must add up",
        "p3.jpg: run lengths of size [80, 60]",
        "p4.jpg in a picture of 80 x 60",
    ):
        assert any(received in line for line in lines), (received, lines)


PERSON = [{"id": 1, "name": "person", "keypoints": ["nose", "left_hand", "right_hand"]}]


def person(left, top, right, bottom, points=None):
    """An instance in a box, with its nose at the middle of the upper edge, and hands below."""
    middle = (left + right) // 2
    points = points or [middle, top, 2, right, bottom, 1, left, bottom, 0]
    return {
        "category_id": 1,
        "bbox": [left, top, right - left, bottom - top],
        "keypoints": points,
    }


def test_each_instance_is_an_example(make_folder, load):
    corner = person(0, 0, 8, 8, [4, 0, 2, 8, 8, 1, 0, 8, 1])
    persons = [person(30, 20, 50, 36), corner, person(1, 1, 2, 2, [0] * 9)]
    dataset = load(make_folder(persons, categories=PERSON), "keypoints")
    assert dataset.class_names == ("nose", "left_hand", "right_hand")
    assert any("Left out: instances without joints (6)" in note for note in dataset.notes)
    # Two of each of four pictures, which parts do not share.
    assert sizes_of(dataset) == (8, 2, 2)
    picture, label = dataset.train.read(0)
    # 20 x 16 pixels, a quarter more: 25 x 20 around the middle, then to the proportions 30 : 40.
    assert picture.shape == (20, 27, 3)
    # From row 18 and column 26 (or 27) on; a joint is in the middle of its pixel.
    assert label.shape == (3, 2) and label.dtype == np.float32
    assert label[0, 0] == 20.5 - 18 and label[1, 0] == 36.5 - 18
    assert label[1, 1] - label[0, 1] == 10
    assert 13 <= label[0, 1] <= 14.5
    assert np.isnan(label[2]).all()
    # A box at the edge: the part stays inside of the picture.
    picture, label = dataset.train.read(1)
    assert picture.shape[:2] == (10, 14)
    assert label[0].tolist() == [0.5, 4.5] and label[1].tolist() == [8.5, 8.5]


def test_pixels_follow_the_joints(tmp_path, load, write_text):
    """White where the nose is, in every example."""
    (tmp_path / "images").mkdir()
    names, annotations = [], {}
    for number in range(6):
        x, y = 10 + 10 * number, 5 + 9 * number
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        pixels[y, x] = 255
        names.append(f"{number}.png")
        Image.fromarray(pixels).save(tmp_path / "images" / names[-1])
        points = [x, y, 2, x + 3, y, 2, x, y + 3, 2]
        annotations[number] = [person(x - 4, y - 4, x + 8, y + 8, points)]
    write_text(tmp_path / "keypoints.json", content(names, annotations, PERSON))
    dataset = load(tmp_path, "keypoints")
    for split in (dataset.train, dataset.validation, dataset.test):
        for index in range(split.size):
            picture, label = split.read(index)
            (place,) = np.argwhere(picture[..., 0] == 255)
            np.testing.assert_array_equal(label[0], place + 0.5)


def test_instances_of_a_picture_stay_together(tmp_path, load, write_text):
    (tmp_path / "images").mkdir()
    names = [f"{number}.png" for number in range(10)]
    for number, name in enumerate(names):
        Image.new("RGB", (WIDTH, HEIGHT), (number, 0, 0)).save(tmp_path / "images" / name)
    persons = [person(10 * x, 10, 10 * x + 8, 30, [10 * x, 12, 2] * 3) for x in range(5)]
    write_text(tmp_path / "keypoints.json", content(names, persons, PERSON))
    dataset = load(tmp_path, "keypoints")
    assert sizes_of(dataset) == (35, 5, 10)
    shown = [
        {int(split.read(index)[0][0, 0, 0]) for index in range(split.size)}
        for split in (dataset.train, dataset.validation, dataset.test)
    ]
    assert [len(numbers) for numbers in shown] == [7, 1, 2]
    assert len(set.union(*shown)) == 10


def test_joints_are_checked(make_folder, complaints, load):
    assert "one list of `keypoints`" in complaints(make_folder(), "keypoints")[0]
    two = [*PERSON, {"id": 2, "name": "dog", "keypoints": ["tail"]}]
    assert "one list of `keypoints`" in complaints(make_folder(categories=two), "keypoints")[0]
    folder = make_folder(
        {0: [person(1, 1, 9, 9, [1, 2, 2])], 1: [person(1, 1, 9, 9, None) | {"keypoints": None}]},
        categories=PERSON,
    )
    lines = complaints(folder, "keypoints")
    assert any(
        "3 `keypoints` of 3 numbers" in line and "p0.jpg: 3 numbers" in line for line in lines
    )
    assert any("p1.jpg: none" in line for line in lines)
    folder = make_folder(
        [person(10, 10, 30, 30, [10, 10, 2, 500, 10, 2, 12, 12, 2]), person(10, 10, 40, 40)],
        categories=PERSON,
    )
    dataset = load(folder, "keypoints")
    assert any("joints outside of their picture (6)" in note for note in dataset.notes)
    assert np.isnan(labels_of(dataset.train)[0][1]).all()


def test_one_category_among_others_may_have_joints(make_folder, load):
    categories = [*PERSON, {"id": 2, "name": "ball"}]
    folder = make_folder(
        [person(10, 10, 30, 30, [11, 11, 2] * 3), {"category_id": 2}], categories=categories
    )
    dataset = load(folder, "keypoints")
    assert sizes_of(dataset) == (4, 1, 1)
    assert any("objects of categories without joints (6)" in note for note in dataset.notes)


HOSTILE = (
    *(None, True, -1, 10**30, 1e300, -1e300, "", "../a", "\0", "\ud800", [], {}, [[]]),
    *([1e308] * 6, [-1e9, 5, 1e9, 5, 5, 1e9], {"size": [HEIGHT, WIDTH], "counts": "0"}),
)


def damaged(value, random):
    """Something is missing or replaced, wherever in it."""
    value = copy.deepcopy(value)
    node = value
    while True:
        key = random.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if isinstance(node[key], dict | list) and node[key] and random.random() < 0.8:
            node = node[key]
        elif random.random() < 0.2:
            del node[key]
            return value
        else:
            node[key] = random.choice(HOSTILE)
            return value


@pytest.mark.parametrize("task", ["detect", "segment", "keypoints"])
def test_damage_is_refused_or_harmless(make_folder, load, write_text, task):
    annotations = [person(10, 10, 30, 30, [11, 11, 2] * 3)] if task == "keypoints" else ()
    categories = PERSON if task == "keypoints" else CATEGORIES
    folder = make_folder(annotations, categories=categories)
    path = folder / "annotations/instances.json"
    whole = json.loads(path.read_text())
    random = Random(0)
    refused = 0
    for _ in range(40):
        write_text(path, damaged(whole, random))
        try:
            labels_of(load(folder, task).train)
        except ImageFolderError as error:
            assert str(error).isprintable()
            refused += 1
    assert refused > 10
