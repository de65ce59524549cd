# SPDX-License-Identifier: Apache-2.0
"""What devices answer, in words, beside what the labels say."""

import numpy as np
import pytest

from tests.tflm.firmware.reference_device import ReferenceDevice
from tflm.firmware import command_line, shown_answers
from tflm.firmware.link.grid_results import ClassMap, FoundObject, FoundObjects
from tflm.firmware.link.serial_packets import GridInformation, ModelInformation, Recognition
from tflm.firmware.link.serial_port import SerialPort
from tflm.firmware.shown_answers import LabelsMisfitError

NAMES = ("cat", "dog")
BOX = (8, 10, 20, 30)  # top, left, bottom, right


def information(task, rows=2, columns=3, stride=8):
    grid = GridInformation(task, rows, columns, NAMES)
    return ModelInformation(
        True, 1, columns * stride, rows * stride, 3, len(NAMES), 1, "static", grid
    )


def found(task, *objects):
    listed = (FoundObject(each, x, y, 8, 8, score) for each, x, y, score in objects)
    return FoundObjects(task, tuple(listed), 5, 1)


def test_classes_are_named_right_or_wrong():
    model = ModelInformation(True, 1, 8, 8, 3, 2, 1, "static")
    answers = shown_answers.answers_of(model, NAMES, (8, 8))
    result = Recognition(1, "dog", 2.5, 5, 1, (1, 2))
    assert answers.line(result, 1) == "dog (right), score 2.500"
    assert answers.line(result, 0) == "dog (wrong, it is cat), score 2.500"
    assert answers.line(result, 7) == "dog (wrong, it is class 7), score 2.500"
    assert answers.summary([result, result], np.array([1, 0])) == "accuracy on 2 images: 50.00%"


def test_objects_are_matched_with_boxes_in_pixels():
    """The first is in the box, the second is of another class, the third a pixel beyond it."""
    answers = shown_answers.answers_of(information("detect"), (), (64, 64))
    labels = np.full((2, 2, 5), -1, np.float32)
    labels[0, 1] = (1, *BOX)
    results = [
        found("detect", (1, 30, 20, 32768), (0, 20, 10, 16384), (1, 31, 20, 8192)),
        found("detect"),
    ]
    assert answers.line(results[0], labels[0]) == (
        "3 objects: dog at 30,20 (100%); cat at 20,10 (50%, wrong); dog at 31,20 (25%, wrong); "
        "there: 1"
    )
    assert answers.line(results[1], labels[1]) == "0 objects; there: 0"
    assert answers.line(found("detect", (1, 10, 8, 32768)), labels[0]).startswith("1 object: dog")
    # Of dogs one was there, two were found, one of them right; cats were found, and not there.
    assert answers.summary(results, labels) == (
        "mean F1 of the classes on 2 images: 33.33%, 1 of 1 objects found, 2 invented"
    )


def test_joints_are_near_their_places_or_not():
    """A tenth of the longer side is near."""
    answers = shown_answers.answers_of(information("keypoints"), (), (60, 100))
    labels = np.array([[[30, 50], [10, 10]], [[np.nan, np.nan], [10, 10]]], np.float32)
    near, far = (0, 60, 30, 30000), (1, 10, 21, 30000)
    results = [found("keypoints", near, far), found("keypoints", near)]
    assert answers.line(results[0], labels[0]) == (
        "2 joints: cat at 60,30 (92%); dog at 10,21 (92%, wrong)"
    )
    assert answers.summary(results, labels) == (
        "joints near their places (PCK) on 2 images: 33.33%"
    )


def test_areas_are_counted_and_compared_where_the_cells_are():
    """The middle of the picture is seen, doubled in size: its left half is a cat, and the device
    sees one cell more as a cat."""
    answers = shown_answers.answers_of(information("segment", 2, 4), (), (8, 40))
    label = np.full((8, 40), 1, np.uint8)  # cats at both sides, which the device does not see
    label[:, 12:28] = 0
    label[:, 12:20] = 1
    seen = ClassMap(12, 0, 16, 8, (3, 5, 0), bytes([1, 1, 1, 0, 1, 1, 0, 0]), 5, 1)
    assert answers.line(seen, label) == "background 3 of 8 cells, cat 5 of 8 cells"
    # Background: 3 of 4; cats: 4 of 5.
    assert answers.summary([seen], label[np.newaxis]) == "mean IoU of cells on 1 images: 77.50%"


@pytest.mark.parametrize(
    ("task", "labels", "words"),
    [
        (None, np.zeros((2, 3, 5), np.float32), "one integer for each of 2 images"),
        (None, np.zeros(2, np.float32), "one integer for each of 2 images"),
        ("detect", np.zeros(2, np.int64), "floats of shape .* for the task detect"),
        ("segment", np.zeros((2, 8, 9), np.uint8), r"of shape \(2, 8, 8\) for the task segment"),
        ("keypoints", np.zeros((2, 5, 2), np.float32), r"of shape \(2, 2, 2\)"),
    ],
)
def test_labels_must_be_those_of_the_task(task, labels, words):
    with pytest.raises(LabelsMisfitError, match=words):
        shown_answers.check_labels(task, np.zeros((2, 8, 8, 3), np.uint8), labels, 2)


class Port(SerialPort):
    """A device with a model of a grid behind a port."""

    task = "detect"

    def __init__(self, name, bits_per_second):
        self._received = b""
        self._device = ReferenceDevice(
            16,
            24,
            lambda image: "task=detect objects=1 cycles=1234 arena=99 list=1,12,9,8,8,32768",
            NAMES,
            grid=f"task={self.task} grid=3x2 names=cat%00dog",
        )

    def write(self, data):
        self._received += "".join(f"{line}\n" for line in self._device.take(data)).encode()

    def read(self, seconds):
        data, self._received = self._received, b""
        return data

    def close(self):
        pass


def run_command(tmp_path, monkeypatch, labels):
    monkeypatch.setattr(command_line, "SerialPort", Port)
    np.savez(tmp_path / "test.npz", images=np.zeros((1, 16, 24, 3), np.uint8), labels=labels)
    words = ["--port", "none", "--images", str(tmp_path / "test.npz"), "--count", "1"]
    return command_line.main(words)


def test_the_command_shows_what_a_board_has_found(tmp_path, monkeypatch, capsys):
    labels = np.array([[[1, 8, 10, 20, 30]]], np.float32)
    assert run_command(tmp_path, monkeypatch, labels) == 0
    first, line, summary = capsys.readouterr().out.splitlines()
    assert first.endswith("input 24x16, 2 classes in 2x3 cells, task detect, runtime static")
    assert line == "image 0: 1 object: dog at 12,9 (100%); there: 1, 1,234 cycles"
    assert summary == (
        "mean F1 of the classes on 1 images: 100.00%, 1 of 1 objects found, 0 invented, "
        "1,234 cycles per image, arena 99 bytes"
    )


def test_the_command_refuses_labels_of_another_task(tmp_path, monkeypatch, capsys):
    assert run_command(tmp_path, monkeypatch, np.zeros(1, np.int64)) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "for the task detect" in message
