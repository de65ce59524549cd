# SPDX-License-Identifier: Apache-2.0
import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from training.datasets import image_files
from training.datasets.image_files import (
    check_images,
    read_image,
    read_image_size,
    read_image_sizes,
    resize_image,
)
from training.datasets.resizing import resize
from training.settings import MOST_PIXELS

LEFT, RIGHT = (250, 10, 20), (10, 20, 240)


def two_colours(width=32, height=16):
    image = Image.new("RGB", (width, height), LEFT)
    image.paste(RIGHT, (width // 2, 0, width, height))
    return image


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.PNG", {}),
        ("a.bmp", {}),
        ("a.webp", {"lossless": True}),
        ("a.jpg", {"quality": 95, "subsampling": 0}),
        ("a.jpeg", {"quality": 95, "subsampling": 0, "progressive": True}),
    ],
)
def test_reads_every_format_as_rgb(tmp_path, name, options):
    two_colours().save(tmp_path / name, **options)
    pixels = read_image(tmp_path / name)
    assert pixels.shape == (16, 32, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels[:, :14].astype(int) - LEFT).max() <= 3
    assert np.abs(pixels[:, 18:].astype(int) - RIGHT).max() <= 3


def test_the_content_decides_not_the_suffix(tmp_path):
    two_colours().save(tmp_path / "a.jpg", format="PNG")
    assert np.array_equal(read_image(tmp_path / "a.jpg"), np.asarray(two_colours()))


@pytest.mark.parametrize("image_format", ["GIF", "TIFF", "EPS"])
def test_other_formats_are_refused_whatever_the_suffix(tmp_path, image_format):
    two_colours().save(tmp_path / "a.png", format=image_format)
    with pytest.raises(OSError, match="cannot identify"):
        read_image(tmp_path / "a.png")


def test_a_camera_held_upright_gives_an_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: the camera was turned; rotate by 90 degrees clockwise.
    two_colours().save(tmp_path / "a.jpg", quality=95, subsampling=0, exif=exif)
    pixels = read_image(tmp_path / "a.jpg").astype(int)
    assert pixels.shape == (32, 16, 3)
    assert np.abs(pixels[:14] - LEFT).max() <= 3
    assert np.abs(pixels[18:] - RIGHT).max() <= 3


def test_transparency_shows_white(tmp_path):
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (10, 20, 30, 255))
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[255, 255, 255], [10, 20, 30]]]


def test_a_palette_is_resolved(tmp_path):
    two_colours().quantize(2).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), np.asarray(two_colours()))


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    levels = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 1, 128, 255]


def test_a_reduced_jpeg_is_no_smaller_than_asked_and_the_same_picture(tmp_path):
    two_colours(800, 400).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    reduced = read_image(tmp_path / "a.jpg", smallest_side=64)
    assert reduced.shape == (100, 200, 3)
    assert np.abs(reduced[:, :95].astype(int) - LEFT).max() <= 3
    assert np.abs(reduced[:, 105:].astype(int) - RIGHT).max() <= 3


def test_a_part_of_a_reduced_jpeg_is_no_smaller_than_asked(tmp_path):
    two_colours(1600, 800).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    # All of it can be read at an eighth of its size, a quarter of its sides at half of it.
    part = read_image(tmp_path / "a.jpg", smallest_side=100, part=(0.25, 0.375, 0.5, 0.625))
    assert part.shape == (100, 200, 3)
    assert np.abs(part[:, :95].astype(int) - LEFT).max() <= 3
    assert np.abs(part[:, 105:].astype(int) - RIGHT).max() <= 3
    assert read_image(tmp_path / "a.jpg", smallest_side=100).shape == (100, 200, 3)
    smaller = read_image(tmp_path / "a.jpg", smallest_side=101, part=(0.25, 0.375, 0.5, 0.625))
    assert smaller.shape == (200, 400, 3)


@pytest.mark.parametrize("size", [(16, 24), (96, 64), (300, 200)])
def test_a_part_is_resized_as_evaluation_resizes(tmp_path, size):
    rows, columns = np.indices((150, 200))
    waves = 127.5 + 120 * np.sin(rows[..., None] / 7 + columns[..., None] / np.array([5, 9, 14]))
    random = np.random.default_rng(0).uniform(-7, 7, waves.shape)
    Image.fromarray((waves + random).astype(np.uint8)).save(tmp_path / "a.png")
    part = (0.2, 0.1, 0.9, 0.7)
    resized = read_image(tmp_path / "a.png", part=part, size=size)
    expected = resize(read_image(tmp_path / "a.png", part=part), size)
    assert resized.shape == (*size, 3) and resized.dtype == np.uint8
    # Pillow rounds between the axes.
    assert np.abs(resized.astype(int) - np.asarray(expected)).max() <= 2


@pytest.mark.parametrize("start", [0.0, 0.5, 0.999])
def test_the_smallest_part_is_one_pixel(tmp_path, start):
    two_colours().save(tmp_path / "a.png")
    part = read_image(tmp_path / "a.png", part=(start, start, start + 0.001, start + 0.001))
    assert part.tolist() == [[list(RIGHT if start else LEFT)]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_size_and_part_are_of_the_upright_image(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    two_colours(80, 48).save(tmp_path / name, exif=exif)
    whole = read_image(tmp_path / name)
    height, width = whole.shape[:2]
    # EXIF 2.32: from 5 on, the stored rows are the picture's columns.
    assert (height, width) == ((80, 48) if orientation >= 5 else (48, 80))
    assert read_image_size(tmp_path / name).tolist() == [height, width]
    part = read_image(tmp_path / name, part=(0.25, 0.5, 0.75, 1.0))
    assert np.array_equal(part, whole[height // 4 : 3 * height // 4, width // 2 :])


def test_the_size_is_read_without_decoding(tmp_path, monkeypatch):
    for name in ("a.jpg", "a.png", "a.webp", "a.bmp"):
        two_colours().save(tmp_path / name)
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
    for path in tmp_path.iterdir():
        size = read_image_size(path)
        assert size.tolist() == [16, 32] and size.dtype == np.int32


def png_that_claims(width, height):
    """A PNG of a few bytes whose header is valid, for any size."""

    def chunk(kind, data):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_refuses_a_decompression_bomb_without_decoding_it(tmp_path, monkeypatch, side):
    (tmp_path / "bomb.png").write_bytes(png_that_claims(side, side))
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
    for read in (read_image, read_image_size):
        with pytest.raises(ValueError, match="at most 80,000,000 pixels: .*--most-pixels"):
            read(tmp_path / "bomb.png")


def test_a_refusal_is_all_that_is_said(tmp_path, recwarn):
    """Pillow warns of images that it takes and that are refused here."""
    image_files.set_most_pixels(MOST_PIXELS)
    (tmp_path / "large.png").write_bytes(png_that_claims(11_000, 10_000))
    with pytest.raises(ValueError, match="Received: 11000 x 10000"):
        read_image_size(tmp_path / "large.png")
    assert not list(recwarn)


def test_the_limit_is_below_the_size_from_which_pillow_warns():
    assert MOST_PIXELS < Image.MAX_IMAGE_PIXELS


def test_a_limit_that_is_raised_admits_what_was_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 160)  # Pillow refuses twice as many
    path = tmp_path / "a.png"
    two_colours(20, 16).save(path)
    with pytest.raises(ValueError, match=r"at most 300 pixels: .*--most-pixels.*Received: 20 x 16"):
        read_image(path, most_pixels=300)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    monkeypatch.setattr(image_files, "MOST_PIXELS", 100)
    image_files.set_most_pixels(320)
    assert read_image(path, most_pixels=320).shape == (16, 20, 3)
    assert Image.MAX_IMAGE_PIXELS == 320


def progressive_with_scans(scans, side=64):
    """A progressive JPEG whose last scan is there again and again."""
    file = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")
    head, scan = content[:last], content[last:-2]
    return head + scan * (scans - head.count(b"\xff\xda")) + b"\xff\xd9"


def test_refuses_more_scans_than_an_image_of_its_size_may_take(tmp_path, monkeypatch):
    (tmp_path / "few.jpg").write_bytes(progressive_with_scans(30))
    (tmp_path / "many.jpg").write_bytes(progressive_with_scans(3000))
    assert read_image(tmp_path / "few.jpg", most_pixels=64 * 64 * 2).shape == (64, 64, 3)
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
    with pytest.raises(ValueError, match="most 40 scans at 64 x 64.*Received: 3000 scans"):
        read_image(tmp_path / "many.jpg", most_pixels=64 * 64 * 2)
    ((check),) = check_images([tmp_path / "many.jpg"], most_pixels=64 * 64 * 2)
    assert "--most-pixels" in check.reason


def test_scans_of_thumbnails_and_of_what_cameras_append_do_not_count(tmp_path):
    content = progressive_with_scans(10)
    thumbnail = b"\xff\xe1" + (2 + 200).to_bytes(2) + 100 * b"\xff\xda"
    path = tmp_path / "a.jpg"
    path.write_bytes(content[:2] + thumbnail + content[2:] + 100 * b"\xff\xda")
    assert read_image(path, most_pixels=64 * 64).shape == (64, 64, 3)


def test_large_images_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    for number in range(4):
        two_colours(20, 16).save(tmp_path / f"{number}.png")
    monkeypatch.setattr(image_files, "_LARGE_PIXEL_COUNT", 100)
    together, most = [], []
    as_rgb = image_files._as_rgb

    def slow(image):
        together.append(image)
        most.append(len(together))
        time.sleep(0.02)
        together.pop()
        return as_rgb(image)

    monkeypatch.setattr(image_files, "_as_rgb", slow)
    assert [check.reason for check in check_images(sorted(tmp_path.iterdir()))] == [None] * 4
    assert most == [1] * 4


def test_a_file_has_the_digest_of_its_bytes(tmp_path):
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    for path in (first, second):
        two_colours().save(path)
    one, same = check_images([first, second])
    assert one.digest == same.digest and len(one.digest) == 16
    two_colours(30, 10).save(second)
    assert check_images([second])[0].digest != one.digest


def encoded(image_format):
    random = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(random).save(buffer, format=image_format)
    return buffer.getvalue()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "BMP", "WEBP"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_finds_truncated_images(tmp_path, image_format, kept):
    content = encoded(image_format)
    whole, cut = tmp_path / "whole.png", tmp_path / "cut.png"
    whole.write_bytes(content)
    cut.write_bytes(content[: int(kept * len(content))])
    of_whole, of_cut = check_images([whole, cut])
    assert of_whole.reason is None
    assert of_cut.reason


def test_finds_what_is_no_image_and_keeps_the_order(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        if number % 2:
            two_colours().save(path)
        else:
            path.write_bytes(b"" if number else b"not an image")
    readable = [check.reason is None for check in check_images(paths)]
    assert readable == [False, True, False, True, False]


def test_finds_files_that_cannot_be_opened(tmp_path):
    (check,) = check_images([tmp_path / "missing.png"])
    assert "No such file" in check.reason


def test_sizes_are_in_the_order_of_the_files(tmp_path):
    paths = [tmp_path / f"{width}.png" for width in (30, 10, 20)]
    for path in paths:
        two_colours(int(path.stem), 16).save(path)
    sizes = read_image_sizes(paths)
    assert sizes.tolist() == [[16, 30], [16, 10], [16, 20]] and sizes.dtype == np.int32
    assert read_image_sizes([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("smallest_side", "size"), [(100, (100, 140)), (101, (200, 280)), (401, (800, 1120))]
)
def test_size_of_a_photograph_that_is_read_reduced(tmp_path, smallest_side, size):
    """By 8, 4 or 2, as long as no side gets smaller than wanted."""
    path = tmp_path / "a.jpg"
    two_colours(1120, 800).save(path)
    assert tuple(read_image_size(path, smallest_side)) == size
    assert read_image(path, smallest_side).shape == (*size, 3)


def test_a_decoded_image_is_resized_as_one_that_is_read(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = read_image(tmp_path / "a.png", size=(12, 17))
    assert np.array_equal(resize_image(pixels, (12, 17)), expected)
