# SPDX-License-Identifier: Apache-2.0
"""Folders with the benchmark's files: what is read, and what is refused, all of it at once."""

import numpy as np
import pytest

from tests.keras_micronet.files.test_archives import damage
from tflm.firmware.benchmark_tasks import task_named
from tflm.firmware.link import mlperf_tiny_inputs
from tflm.firmware.link.mlperf_tiny_inputs import LABELS, read_folder

BYTES = 32 * 32 * 3
CLASSIFICATION = task_named("ic01")


@pytest.fixture
def folder(tmp_path):
    """Five images; the lines have what the benchmark's have for other tasks, too."""
    for index in range(5):
        (tmp_path / f"image_{index}.bin").write_bytes(bytes([index]) * BYTES)
    write_labels(tmp_path, [f"image_{index}.bin,10,{index}" for index in range(5)])
    return tmp_path


def write_labels(folder, lines):
    (folder / LABELS).write_text("".join(f"{line}\n" for line in lines))


def test_folder_is_read(folder):
    inputs = read_folder(folder)
    assert inputs.task == CLASSIFICATION
    assert [sample.label for sample in inputs.samples] == list(range(5))
    assert [sample.data for sample in inputs.samples] == [bytes([i]) * BYTES for i in range(5)]
    assert [sample.name for sample in read_folder(folder, 1, 2).samples] == [
        "image_1.bin",
        "image_2.bin",
    ]


def test_task_is_told_by_the_size_of_the_files(tmp_path):
    (tmp_path / "a").write_bytes(bytes(96 * 96 * 3))
    write_labels(tmp_path, ["a,2,1"])
    assert read_folder(tmp_path).task == task_named("vww01")


@pytest.mark.parametrize(("first", "count"), [(5, None), (0, 6), (4, 2)])
def test_lines_that_are_not_there_cannot_be_chosen(folder, first, count):
    with pytest.raises(ValueError, match=f"among the 5 lines .* first={first}, count={count}"):
        read_folder(folder, first, count)


def test_all_that_is_wrong_is_told_at_once(folder):
    (folder / "short.bin").write_bytes(bytes(BYTES - 1))
    (folder / "long.bin").write_bytes(bytes(BYTES + 1))
    (folder / "folder.bin").mkdir()
    lines = ["image_0.bin,10,0", "short.bin,10,1", "long.bin,10,1", "missing.bin,10,1"]
    lines += ["folder.bin,10,1", "image_1.bin,2,1", "image_2.bin,10,10", "image_3.bin,10,-1"]
    lines += ["../image_4.bin,10,4", "image_4.bin,10,cat"]
    write_labels(folder, lines)
    with pytest.raises(ValueError) as error:
        read_folder(folder)
    message = str(error.value)
    assert message.startswith(f"Each line of {LABELS} must be of a file of 3,072 bytes, 10 classes")
    for wrong in (
        "short.bin has other than 3,072 bytes",
        "long.bin has other than",
        "missing.bin is no file",
        "folder.bin is no file",
        "image_1.bin has 2 classes",
        "image_2.bin has class 10",
        "image_3.bin has class -1",
        "../image_4.bin is not the name of a file",
        "image_4.bin has class cat",
    ):
        assert wrong in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "No such file"),
        (b"", "no lines"),
        (b"\n\n", "no lines"),
        (b"image_0.bin,10\n", "line 1 with fewer"),
        (b"image_0.bin,10,1\n\xff\xfe,10,1\n", "utf-8"),
        (b"," * (1 << 23), "more than"),
    ],
)
def test_labels_that_are_none_are_refused(folder, text, reason):
    (folder / LABELS).unlink()
    if text is not None:
        (folder / LABELS).write_bytes(text)
    with pytest.raises(ValueError, match=f"inputs must be a folder with {LABELS}.*{reason}"):
        read_folder(folder)


def test_files_that_are_missing_are_named(folder):
    (folder / "image_0.bin").unlink()
    with pytest.raises(ValueError, match="the benchmark's, which are not part of this package"):
        read_folder(folder)


def test_files_of_no_task_are_refused(folder):
    (folder / "image_0.bin").write_bytes(b"12345")
    with pytest.raises(ValueError, match=r"3,072 \(image .*27,648 \(person .*image_0.bin with 5"):
        read_folder(folder)


def test_damaged_labels_are_a_sentence(folder):
    content = (folder / LABELS).read_bytes()
    refused = 0
    for number in range(200):
        (folder / LABELS).write_bytes(damage(content, number))
        try:
            read_folder(folder)
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 5000
            refused += 1
    assert refused > 100


def test_arrays_are_of_a_task():
    images = np.arange(2 * BYTES, dtype=np.uint8).reshape(2, 32, 32, 3)
    inputs = mlperf_tiny_inputs.of_arrays(images, np.array([9, 0]), first=3)
    assert inputs.task == CLASSIFICATION
    assert [(each.name, each.label) for each in inputs.samples] == [("image 3", 9), ("image 4", 0)]
    # Row by row from the top, pixel by pixel from the left, red first.
    assert inputs.samples[0].data[:7] == bytes(
        [*images[0, 0, 0], *images[0, 0, 1], images[0, 0, 2, 0]]
    )
    assert inputs.samples[1].data[96:99] == images[1, 1, 0].tobytes()


@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [
        ((2, 64, 64, 3), [0, 1], "must be 32x32x3 or 96x96x3. Received: 64x64x3"),
        ((2, 32, 32, 1), [0, 1], "Received: 32x32x1"),
        ((2, 96, 96, 3), [0, 2], "from 0 to 1. Received: 0 to 2"),
        ((2, 32, 32, 3), [-1, 2], "from 0 to 9. Received: -1 to 2"),
    ],
)
def test_other_arrays_are_refused(shape, labels, message):
    with pytest.raises(ValueError, match=message):
        mlperf_tiny_inputs.of_arrays(np.zeros(shape, np.uint8), np.array(labels))
