# SPDX-License-Identifier: Apache-2.0
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from training.datasets import load_dataset
from training.datasets.image_folder import ImageFolderError, load_image_folder

PARTS = ("train", "validation", "test")


def colours(split):
    """The set of the images' numbers, as `make_image_folder` wrote them, with their labels."""
    pairs = [
        (int(image[0, 0, 0]) + 256 * int(image[0, 0, 1]), int(label))
        for image, label in split.images().as_numpy_iterator()
    ]
    assert len(pairs) == split.size
    assert len(set(pairs)) == len(pairs)
    return set(pairs)


def test_splits_every_class_into_three_parts(make_image_folder):
    folder = make_image_folder({"cat": 30, "ant": 20})
    dataset = load_image_folder(folder, (16, 20))
    assert dataset.class_names == ("ant", "cat")
    assert dataset.name == "images"
    assert dataset.notes == ()
    parts = [colours(getattr(dataset, part)) for part in PARTS]
    assert [len(part) for part in parts] == [35, 5, 10]
    # Images 0 to 29 were written as cats, 30 to 49 as ants.
    assert set.union(*parts) == {(n, 1) for n in range(30)} | {(n, 0) for n in range(30, 50)}
    assert sum(label == 0 for _, label in parts[2]) == 4


def test_images_are_cropped_and_resized_bytes(make_image_folder):
    folder = make_image_folder({"a": 3, "b": 3}, size=(90, 40))
    dataset = load_image_folder(folder, (10, 14))
    for image, label in dataset.train.images().as_numpy_iterator():
        assert image.shape == (10, 14, 3)
        assert image.dtype == np.uint8
        assert label.dtype == np.int32
        assert np.all(image == image[0, 0])


def gradient_folder(make_image_folder, suffix=".png", side=80, exif=b""):
    """Images whose red and green, as fractions of 256, tell a pixel's row and column."""
    folder = make_image_folder({"a": 3, "b": 3})
    rows, columns = (np.indices((side, side)) + 0.5) * 256 / side
    pixels = np.stack([rows, columns, 0 * rows + 128], axis=-1).astype(np.uint8)
    for path in folder.glob("*/*"):
        path.unlink()
        Image.fromarray(pixels).save(
            path.with_suffix(suffix), exif=exif, **({"quality": 95} if suffix == ".jpg" else {})
        )
    return folder


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("side", [80, 1280])
def test_a_chosen_part_is_cut_out(make_image_folder, suffix, side):
    folder = gradient_folder(make_image_folder, suffix, side)
    train = load_image_folder(folder, (8, 8)).train

    def choose_crop(height, width):
        return tf.stack([height // 4, width // 2, height // 2, width // 4])

    parts = train.examples.map(lambda path, label: train.decode_crop(path, choose_crop))
    for part in parts.as_numpy_iterator():
        assert part.shape == (8, 8, 3) and part.dtype == np.uint8
        # The middles of the eighths of that part.
        middles = (np.arange(8) + 0.5) / 8
        assert np.abs(part[..., 0].mean(1) - 256 * (0.25 + 0.5 * middles)).max() < 4
        assert np.abs(part[..., 1].mean(0) - 256 * (0.5 + 0.25 * middles)).max() < 4


def test_a_part_is_of_the_upright_picture(make_image_folder):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    train = load_image_folder(gradient_folder(make_image_folder, ".jpg", exif=exif), (8, 8)).train
    parts = train.examples.map(
        lambda path, label: train.decode_crop(path, lambda *_: tf.constant([0, 0, 8, 8]))
    )
    for part in parts.as_numpy_iterator():
        assert part[..., :2].min() > 220


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("side", [80, 1280])
def test_parts_of_kept_pictures_are_those_of_files(make_image_folder, suffix, side):
    train = load_image_folder(gradient_folder(make_image_folder, suffix, side), (8, 8)).train
    kept = train.keep_pictures(0.1)

    def choose_crop(height, width):
        return tf.stack([height // 4, width // 2, height // 2, width // 4])

    pictures = train.decoded(kept.decode)
    parts = pictures.map(lambda picture, label: kept.crop(picture, choose_crop))
    expected = train.examples.map(lambda path, label: train.decode_crop(path, choose_crop))
    for part, other in zip(parts.as_numpy_iterator(), expected.as_numpy_iterator(), strict=True):
        assert part.shape == (8, 8, 3) and part.dtype == np.uint8
        assert np.abs(part.astype(int) - other).max() <= (1 if side == 80 else 4)


@pytest.mark.parametrize(
    ("smallest_part", "suffix", "kept_side"),
    [
        # A crop of a quarter of the area, stretched by 4/3, has a side of 1280 / 2 * sqrt(3 / 4),
        # that is 554 pixels. A model of 64 pixels wants 128 of them: a quarter of the resolution.
        (0.25, ".jpg", 320),
        (0.04, ".jpg", 1280),
        (0.06, ".jpg", 640),
        (0.25, ".png", 1280),
    ],
)
def test_photographs_are_kept_as_large_as_their_smallest_crop_needs(
    make_image_folder, smallest_part, suffix, kept_side
):
    train = load_image_folder(gradient_folder(make_image_folder, suffix, 1280), (64, 64)).train
    kept = train.keep_pictures(smallest_part)
    pictures = list(train.decoded(kept.decode).as_numpy_iterator())
    assert {picture.shape for picture, _ in pictures} == {(kept_side, kept_side, 3)}
    assert kept_side * np.sqrt(smallest_part * 3 / 4) >= 2 * 64
    byte_count = sum(picture.nbytes for picture, _ in pictures)
    assert kept.fit(byte_count) and not kept.fit(byte_count - 1)


def test_evaluation_keeps_a_centred_part(make_image_folder):
    folder = gradient_folder(make_image_folder)
    dataset = load_dataset(str(folder), (8, 8), evaluation_crop=0.5)
    middles = 256 * (0.25 + 0.5 * (np.arange(8) + 0.5) / 8)
    for split in (dataset.train, dataset.validation, dataset.test):
        for image, _ in split.images().as_numpy_iterator():
            assert np.abs(image[..., 0].mean(1) - middles).max() < 2
            assert np.abs(image[..., 1].mean(0) - middles).max() < 2


def test_the_split_is_the_same_every_time(make_image_folder):
    folder = make_image_folder({"a": 12, "b": 12})
    first, second = (load_image_folder(folder, (8, 8)) for _ in range(2))
    for part in PARTS:
        first_images = list(getattr(first, part).images().as_numpy_iterator())
        second_images = list(getattr(second, part).images().as_numpy_iterator())
        assert all(
            np.array_equal(a[0], b[0]) and a[1] == b[1]
            for a, b in zip(first_images, second_images, strict=True)
        )


@pytest.mark.parametrize("validation_name", ["validation", "val"])
def test_honours_three_parts(make_image_folder, tmp_path, validation_name):
    folder = tmp_path / "images"
    for number, part in enumerate(("train", validation_name, "test")):
        make_image_folder({"a": 2, "b": 1}, folder / part, first_value=10 * number)
    dataset = load_image_folder(folder, (8, 8))
    assert colours(dataset.train) == {(0, 0), (1, 0), (2, 1)}
    assert colours(dataset.validation) == {(10, 0), (11, 0), (12, 1)}
    assert colours(dataset.test) == {(20, 0), (21, 0), (22, 1)}


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        (["train"], {"train": 14, "validation": 2, "test": 4}),
        (["train", "test"], {"train": 18, "validation": 2, "test": 20}),
        (["train", "val"], {"train": 16, "validation": 20, "test": 4}),
    ],
)
def test_splits_missing_parts_off_the_training_images(make_image_folder, tmp_path, given, sizes):
    folder = tmp_path / "images"
    for number, part in enumerate(given):
        make_image_folder({"a": 10, "b": 10}, folder / part, first_value=20 * number)
    dataset = load_image_folder(folder, (8, 8))
    parts = {part: colours(getattr(dataset, part)) for part in PARTS}
    assert {part: len(images) for part, images in parts.items()} == sizes
    assert len(set.union(*parts.values())) == 20 * len(given)


def test_folders_named_like_parts_are_classes_beside_others(make_image_folder):
    folder = make_image_folder({"train": 3, "plane": 3, "test": 3})
    assert load_image_folder(folder, (8, 8)).class_names == ("plane", "test", "train")


def test_hidden_files_other_formats_and_links_are_left_out(make_image_folder):
    folder = make_image_folder({"a": 3, "b": 3})
    (folder / ".cache").mkdir()
    (folder / "__MACOSX").mkdir()
    (folder / "readme.txt").write_text("about")
    (folder / "a" / ".hidden.png").write_bytes(b"no image")
    (folder / "a" / "labels.csv").write_text("no image")
    (folder / "a" / "link.png").symlink_to(folder / "b" / "0.png")
    (folder / "linked_class").symlink_to(folder / "b")
    dataset = load_image_folder(folder, (8, 8))
    assert dataset.class_names == ("a", "b")
    assert sum(getattr(dataset, part).size for part in PARTS) == 6
    assert dataset.notes == (
        f"Ignored in {folder}: 2 symbolic links.",
        f"Ignored in {folder}: 2 files of other formats: readme.txt; a/labels.csv.",
    )


def test_names_every_unreadable_image(make_image_folder):
    folder = make_image_folder({"a": 4, "b": 4})
    (folder / "a" / "broken.jpg").write_bytes(b"no image")
    whole = (folder / "b" / "0.png").read_bytes()
    (folder / "b" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="must be readable.*Received: 2 unreadable") as caught:
        load_image_folder(folder, (8, 8))
    assert "a/broken.jpg (" in str(caught.value)
    assert "b/cut.png (" in str(caught.value)
    assert "--skip-unreadable" in str(caught.value)


def test_goes_on_without_unreadable_images_on_request(make_image_folder):
    folder = make_image_folder({"a": 4, "b": 4})
    (folder / "a" / "broken.jpg").write_bytes(b"no image")
    dataset = load_image_folder(folder, (8, 8), skip_unreadable=True)
    assert sum(getattr(dataset, part).size for part in PARTS) == 8
    (note,) = dataset.notes
    assert note.startswith("Skipped 1 unreadable image in")
    assert "a/broken.jpg" in note


def test_a_class_of_unreadable_images_is_empty(make_image_folder):
    folder = make_image_folder({"a": 4, "b": 0})
    (folder / "b" / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"at least 1 readable.*empty classes=\['b'\]"):
        load_image_folder(folder, (8, 8), skip_unreadable=True)


def test_refuses_empty_class_folders(make_image_folder):
    folder = make_image_folder({"a": 4, "b": 0, "c": 0})
    with pytest.raises(ValueError, match=r"at least 1 readable.*empty classes=\['b'; 'c'\]"):
        load_image_folder(folder, (8, 8))


@pytest.mark.parametrize(
    ("counts", "received"), [({}, "none"), ({"only": 5}, r"\['only'\]")], ids=["none", "one"]
)
def test_refuses_fewer_than_two_classes(make_image_folder, tmp_path, counts, received):
    (tmp_path / "images").mkdir()
    folder = make_image_folder(counts)
    with pytest.raises(ValueError, match=f"at least 2 sub-folders.*Received: .* with {received}"):
        load_image_folder(folder, (8, 8))


def test_refuses_a_class_too_small_to_split(make_image_folder):
    folder = make_image_folder({"a": 9, "b": 2})
    with pytest.raises(ValueError, match=r"at least 3 images.*too few for classes=\['b'\]"):
        load_image_folder(folder, (8, 8))


def test_refuses_parts_with_different_classes(make_image_folder, tmp_path):
    make_image_folder({"a": 5, "b": 5}, tmp_path / "images" / "train")
    make_image_folder({"a": 5, "c": 5}, tmp_path / "images" / "test")
    with pytest.raises(ValueError, match=r"same classes.*test without \['b'\].*unknown \['c'\]"):
        load_image_folder(tmp_path / "images", (8, 8))


def test_refuses_two_validation_parts(make_image_folder, tmp_path):
    for part in ("train", "val", "validation"):
        make_image_folder({"a": 5, "b": 5}, tmp_path / "images" / part)
    with pytest.raises(ValueError, match="one validation part"):
        load_image_folder(tmp_path / "images", (8, 8))


def test_refuses_folders_inside_a_class(make_image_folder):
    folder = make_image_folder({"a": 5, "b": 5})
    (folder / "b" / "more").mkdir()
    with pytest.raises(ValueError, match="no further folders.*b/more"):
        load_image_folder(folder, (8, 8))


def test_refuses_a_class_name_with_a_line_break(make_image_folder):
    folder = make_image_folder({"a": 3, "b\nc": 3})
    with pytest.raises(ValueError, match=r"printable.*'b\\nc'"):
        load_image_folder(folder, (8, 8))


def test_class_and_file_names_may_be_of_any_script(make_image_folder):
    folder = make_image_folder({"naïve café": 3, "数字": 3}, suffix=" é.png")
    dataset = load_image_folder(folder, (8, 8))
    assert dataset.class_names == ("naïve café", "数字")
    assert len(colours(dataset.train)) == 2


def heic_bytes():
    """The beginning of a picture as telephones write it; no program reads more of it here."""
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def test_tells_all_that_is_wrong_at_once(make_image_folder):
    folder = make_image_folder({"a": 5, "b": 2, "c": 0, "d\ne": 4})
    (folder / "a" / "more").mkdir()
    (folder / "a" / "broken.jpg").write_bytes(b"no image")
    (folder / "a" / "phone.jpg").write_bytes(heic_bytes())
    (folder / "a" / "empty.png").touch()
    (folder / "c" / "phone.HEIC").write_bytes(heic_bytes())
    (folder / "loose.png").write_bytes((folder / "a" / "0.png").read_bytes())
    with pytest.raises(ImageFolderError) as caught:
        load_image_folder(folder, (8, 8))
    lines = caught.value.lines
    for found, expected in zip(
        lines,
        [
            "rename the folders of classes.*'d\\\\ne'",
            "no further folders: move their images up.*Received: a/more$",
            "replace or remove what is damaged; HEIC: .*magick mogrify.*3 unreadable images.*"
            r"a/broken.jpg \(cannot identify image file\); a/empty.png \(an empty file\); "
            r"a/phone.jpg \(HEIC inside\)$",
            r"at least 1 readable.*add some, or remove the folder.*empty classes=\['c'\]",
            r"at least 3 images.*too few for classes=\['b'\]",
            r"2 files that may be pictures: loose.png; c/phone.HEIC\. Move what stands beside the "
            r"class folders into them\. To use them: HEIC: `magick mogrify",
        ],
        strict=True,
    ):
        assert re.search(expected, found), found
    text = str(caught.value)
    assert text.startswith(f"5 things must be mended in {folder}: (1) rename")
    assert all(line in text for line in lines)


def test_pictures_of_other_formats_are_named_with_what_reads_them(make_image_folder):
    folder = make_image_folder({"a": 3, "b": 3})
    (folder / "a" / "phone.heic").write_bytes(heic_bytes())
    (folder / "a" / "scan.tif").write_bytes(b"II*\0" + bytes(20))
    (folder / "b" / "camera.nef").write_bytes(b"II*\0" + bytes(20))
    (folder / "b" / "clip.mov").write_bytes(b"\0\0\0\x14ftypqt  " + bytes(20))
    (folder / "b" / "nameless").write_bytes((folder / "b" / "0.png").read_bytes())
    (note,) = load_image_folder(folder, (8, 8)).notes
    assert (
        "5 files that may be pictures: a/phone.heic; a/scan.tif; b/camera.nef; b/clip.mov" in note
    )
    for advice in (
        "HEIC: `magick mogrify -format jpg *.heic`",
        "TIFF: `magick mogrify -format jpg *.tif`",
        "raw photo: export them as JPEG",
        "video: `ffmpeg",
        "PNG: give their names the ending .png",
    ):
        assert advice in note


def test_jpeg_files_as_browsers_name_them_are_read(make_image_folder):
    folder = make_image_folder({"a": 3, "b": 3}, suffix=".jpg")
    (folder / "a" / "0.jpg").rename(folder / "a" / "0.jfif")
    dataset = load_image_folder(folder, (8, 8))
    assert sum(getattr(dataset, part).size for part in PARTS) == 6
    assert dataset.notes == ()


def test_images_without_class_folders_get_the_next_step(make_image_folder, tmp_path):
    folder = make_image_folder({"images": 4}, tmp_path) / "images"
    with pytest.raises(ImageFolderError, match="move the 4 images there into one of each class"):
        load_image_folder(folder, (8, 8))


def test_complaints_are_bounded(make_image_folder):
    folder = make_image_folder({"a": 3, "b": 3})
    for number in range(500):
        (folder / "a" / f"{number:03}{'x' * 200}.jpg").write_bytes(b"no image")
        (folder / "b" / f"{number:03}{'x' * 200}.heic").write_bytes(b"no image")
        (folder / "b" / f"{number:03}{'x' * 200}").mkdir()
    with pytest.raises(ImageFolderError, match="and 480 more") as caught:
        load_image_folder(folder, (8, 8))
    assert len(str(caught.value)) < 8000


@pytest.mark.parametrize("name", ["no/such/folder", "mnist", ""])
def test_refuses_what_is_no_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"existing folder of images. Received: dataset={name}"):
        load_dataset(name, (8, 8))
