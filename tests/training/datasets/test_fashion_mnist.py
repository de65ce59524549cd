# SPDX-License-Identifier: Apache-2.0
"""Fashion-MNIST is read from installed files, which may be missing or damaged."""

import gzip
import struct

import numpy as np
import pytest

from training.datasets import load_dataset
from training.datasets.fashion_mnist import CLASS_NAMES, FOLDER_VARIABLE, read_idx


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_part(folder, part, images, labels):
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        path = folder / f"{part}-{name}-ubyte.gz"
        path.write_bytes(gzip.compress(idx_bytes(array)))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Files with 40 and 20 images: every pixel of an image is 10 times its label."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    for part, count in (("train", 40), ("t10k", 20)):
        labels = np.arange(count) % 10
        write_part(tmp_path, part, np.tile(10 * labels[:, None, None], (1, 28, 28)), labels)
    return tmp_path


def test_parts_and_classes(folder):
    dataset = load_dataset("fashion-mnist", (32, 24))
    assert dataset.class_names == CLASS_NAMES
    # One of the four images of each class is to validate with.
    assert (dataset.train.size, dataset.validation.size, dataset.test.size) == (30, 10, 20)
    for split in (dataset.train, dataset.validation, dataset.test):
        for image, label in split.images().as_numpy_iterator():
            assert image.shape == (32, 24, 3) and image.dtype == np.uint8
            assert (image == 10 * label).all()


def test_missing_file_is_named(folder):
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ValueError, match="dataset-fashion-mnist.*no file .*t10k-labels"):
        load_dataset("fashion-mnist", (32, 32))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip", "must be a gzip file"),
        (gzip.compress(b"x" * 99)[:-9], "must be a gzip file"),
        (gzip.compress(idx_bytes(np.zeros((2, 3), int))), "IDX file of bytes with 3 axes"),
        (gzip.compress(idx_bytes(np.zeros((2, 3, 3), int))[:-1]), "whole. Received: 33 bytes"),
        (gzip.compress(b""), "whole. Received: 0 bytes"),
    ],
    ids=["foreign", "cut", "rank", "short", "empty"],
)
def test_damaged_file_is_refused(tmp_path, content, message):
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(path, rank=3)


@pytest.mark.parametrize("labels", [np.arange(19), np.full(20, 10)], ids=["few", "eleventh"])
def test_labels_must_fit_the_images(folder, labels):
    write_part(folder, "t10k", np.zeros((20, 28, 28), int), labels)
    with pytest.raises(ValueError, match="a label below 10 for each image. Received: 20 images"):
        load_dataset("fashion-mnist", (32, 32))
