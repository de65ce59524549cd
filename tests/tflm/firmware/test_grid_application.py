# SPDX-License-Identifier: Apache-2.0
"""Firmware of models of grids: what is where in an image is what NumPy finds, to the last bit."""

import functools
import random
import re
import shutil
import subprocess
import urllib.parse

import numpy as np
import pytest

from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT, TASKS
from tests.tflm.firmware.conftest import CLASS_NAMES, HEIGHT, LIBRARY, WIDTH, random_images
from tests.tflm.firmware.damaged_frames import damaged_frame, frame_packets
from tests.tflm.firmware.reference_device import ReferenceDevice, with_checksum
from tests.tflm.firmware.test_application import (
    EMULATED,
    FLAGS,
    SANITIZERS,
    answers,
    heap_symbols,
    refusal,
    replace_in,
    smooth_image,
)
from tflm.firmware import build
from tflm.firmware.link import serial_packets
from tflm.firmware.link.serial_client import SerialClient
from tflm.firmware.link.serial_packets import Refusal, parse_line
from tflm.recognition import objects
from tflm.recognition.objects import View
from tflm.recognition.scores import exponentials
from tflm.toolchains import emulator

pytestmark = pytest.mark.emulator

VECTORS = f"test/{LIBRARY}_test_vectors.c"
LONGEST_PACKET = 1 + 2 + 4 * WIDTH * 3 + 4


@pytest.fixture(scope="module")
def programs(grid_models, tmp_path_factory):
    """A function of a task -> the program for this computer, which stops at every access outside of
    its memory."""

    @functools.cache
    def program(task):
        # Compiled in half of the time.
        flags = dict.fromkeys(FLAGS, f"{SANITIZERS} -DMICRONET_KEEP_OPTIMIZATION")
        flags["CMAKE_BUILD_TYPE"] = "Debug"
        folder = tmp_path_factory.mktemp(f"{task}_program")
        model = grid_models(task).folder
        return build.build(model, build.HOST, build.STATIC, folder, definitions=flags)

    return program


def found_text(model, cells, view=None):
    """What the device must say of an image's scores, but for cycles and memory."""
    reading = model.reading
    grid, thresholds = reading.grid, np.array(reading.thresholds)
    view = grid.view_of_input if view is None else view
    if reading.task == SEGMENT:
        classes = objects.class_map(cells)
        counts = np.bincount(classes.ravel(), minlength=grid.answers)
        part = f"left={view.left} top={view.top} width={view.part_width} height={view.part_height}"
        last = f"cells={','.join(map(str, counts))} map={classes.tobytes().hex()}"
        return f"task=segment {part}", last
    if reading.task == KEYPOINTS:
        table = objects.sigmoids(reading.scale, reading.zero_point)
        found = objects.find_keypoints(cells, grid, table, thresholds, view)
    else:
        table = exponentials(reading.scale)
        found = objects.find_objects(cells, grid, table, thresholds, view, reading.most_objects)
    columns = (found.classes, found.x, found.y, found.width, found.height, found.scores)
    listed = ";".join(",".join(map(str, each)) for each in zip(*columns, strict=True))
    return f"task={reading.task} objects={len(found)}", f"list={listed}"


def result_text(model, image):
    first, last = found_text(model, model.cells(image))
    return f"{first} cycles=1 arena={model.rows_arena_bytes} {last}"


def reference_of(model):
    names = "%00".join(urllib.parse.quote(name, safe="=,'\"\\") for name in CLASS_NAMES)
    names = re.sub("%..", lambda code: code[0].lower(), names)
    device = ReferenceDevice(
        HEIGHT,
        WIDTH,
        functools.partial(result_text, model),
        CLASS_NAMES,
        LONGEST_PACKET,
        grid=f"task={model.reading.task} grid={WIDTH // 2}x{HEIGHT // 2} names={names}",
    )
    device.take(serial_packets.END)
    return device


def without_cost(line):
    """A line but for what a model costs, which it is, and the checksum."""
    return re.sub(r"model=\w+ |cycles=\d+ |arena=\d+ | crc=\w+$", "", line)


@pytest.mark.parametrize("task", TASKS)
def test_what_is_found_is_what_numpy_finds(grid_models, programs, task):
    model, images = grid_models(task), random_images(40, seed=5)
    assert_images_differ(model, images)
    reference = reference_of(model)
    data = b"".join(packet for image in images for packet in frame_packets(image))
    data += serial_packets.information_request()
    ready, *lines = answers(programs(task), data)
    assert without_cost(ready) == without_cost(reference.restart())
    reference.take(serial_packets.END)
    assert list(map(without_cost, lines)) == list(map(without_cost, reference.take(data)))


def assert_images_differ(model, images):
    """Some show more, others less: the test would see what is forgotten."""
    texts = {found_text(model, model.cells(image)) for image in images}
    assert len(texts) > 30
    if model.reading.task != SEGMENT:
        counts = {first.split("objects=")[1] for first, _ in texts}
        assert len(counts) >= 3


def test_damaged_frames_leave_the_next_one_whole(grid_models, programs):
    model, images = grid_models(DETECT), random_images(8)
    reference, generator = reference_of(model), random.Random(7)
    data = b""
    for _ in range(300):
        data += damaged_frame(generator.choice(images), generator).data
        data += b"".join(frame_packets(generator.choice(images)))
    _, *lines = answers(programs(DETECT), data)
    expected = reference.take(data)
    assert sum(line.startswith("result") for line in expected) >= 300
    assert list(map(essence, lines)) == list(map(essence, expected))


def essence(line):
    """The words of an error are free, but for those that name a row."""
    answer = parse_line(line.encode())
    if isinstance(answer, Refusal):
        return answer.code, answer.sentence.startswith("frame ended") and answer.sentence
    return without_cost(line)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("size", [(10, 31), (33, 8), (20, 32)])
def test_places_are_those_of_the_frame_as_it_came(grid_models, programs, task, size):
    """Of a frame of other proportions the middle counts; what is found lies there, where it lay in
    the resized image."""
    model, (height, width) = grid_models(task), size
    frames = [smooth_image(height, width), *random_images(5, size=size)]
    data = b"".join(packet for frame in frames for packet in frame_packets(frame))
    _, *lines = answers(programs(task), data)
    results = [line for line in lines if line.startswith("result")]
    assert len(results) == len(frames)
    part_width, part_height = (
        min(width, height * WIDTH // HEIGHT),
        min(height, width * HEIGHT // WIDTH),
    )
    view = View((width - part_width) // 2, (height - part_height) // 2, part_width, part_height)
    is_same = []
    for frame, line in zip(frames, results, strict=True):
        part = frame[view.top :][: view.part_height, view.left :][:, : view.part_width]
        cells = model.cells(resized(part))
        first, last = found_text(model, cells, view)
        assert parse_line(line.encode())
        is_same.append(without_cost(line) == f"result {first} {last}")
    # Where it has something to do, the resizer may be off by 1, and a score with it.
    is_exact = (part_width, part_height) == (WIDTH, HEIGHT)
    assert sum(is_same) >= (len(frames) if is_exact else len(frames) // 2), results


def resized(part):
    import tensorflow as tf

    from training.datasets.resizing import crop_and_resize

    return crop_and_resize(tf.constant(part), (HEIGHT, WIDTH)).numpy()


# Test vectors


def changed(model, pattern):
    """The file of test vectors with another number behind `pattern`; returns what it was."""
    before = (model / VECTORS).read_text()
    replace_in(model / VECTORS, pattern, lambda match: f"{match[1]}{int(match[2]) ^ 1}")
    return before


def run(model, folder, platform):
    program = build.build(
        model, platform, build.STATIC, folder, definitions={"PROVIDER": "test_vectors"}
    )
    command = [program]
    if platform == EMULATED:
        command = [*emulator.machine_command(program, EMULATED), "-serial", "stdio"]
    finished = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    right = int(re.search(r"ok vectors right=(\d) of=3\n$", finished.stdout)[1])
    assert finished.returncode == (right < 3), finished.stderr
    return program, right, finished.stdout


@pytest.mark.parametrize(
    ("task", "platform", "changes"),
    [
        (
            DETECT,
            EMULATED,
            {
                r"(test_objects\[\d+\] = \{\n\{\d+, \d+, )(\d+)": "object 0 of test vector 0 must",
                r"(test_object_counts\[\w+\] = \{\n)(\d+)": "objects of test vector 0 must be ",
            },
        ),
        (
            SEGMENT,
            build.HOST,
            {r"(test_class_maps\[\w+\]\[\d+\] =\n\{\n\{\n)(\d+)": "cell 0 of test vector 0 must"},
        ),
    ],
)
def test_test_vectors_hold_what_must_be_found(grid_models, tmp_path, task, platform, changes):
    """On a Cortex-M4, too, where nothing is taken from a heap; what differs is told."""
    model = shutil.copytree(grid_models(task).folder, tmp_path / "model")
    program, right, printed = run(model, tmp_path / "build", platform)
    assert right == 3, printed
    if platform == EMULATED:
        assert heap_symbols(program) == []
    for pattern, message in changes.items():
        before = changed(model, pattern)
        _, right, printed = run(model, tmp_path / "build", platform)
        assert right < 3 and f"error vector {message}" in printed
        (model / VECTORS).write_text(before)


# Choices


def test_a_benchmark_of_classes_has_no_use_for_places(grid_models, tmp_path):
    model = grid_models(DETECT).folder
    with pytest.raises(ValueError, match="must name a class for each image.*task detect"):
        build.check(model, build.HOST, build.STATIC, application=build.MLPERF_TINY)
    message = refusal(tmp_path, {"MODEL": model, "APPLICATION": "mlperf-tiny"})
    assert "MODEL must be one of classes for APPLICATION=mlperf-tiny." in message
    assert "whose task is detect" in message


# The client


class OneLine:
    """A line to a `ReferenceDevice` that damages some of the device's bytes."""

    def __init__(self, device, damage):
        self._device, self._damage, self._received = device, damage, b""

    def write(self, data):
        for text in self._device.take(data):
            self._received += self._damage(f"{text}\n".encode())

    def read(self, seconds):
        data, self._received = self._received, b""
        return data


@pytest.mark.parametrize("task", TASKS)
def test_results_with_a_wrong_byte_are_asked_for_again(grid_models, task):
    """A digit for another digit would be another place; the checksum tells."""
    model, image = grid_models(task), random_images(1)[0]
    generator, damaged = random.Random(3), 0

    def damage(line):
        nonlocal damaged
        if not line.startswith(b"result") or generator.random() < 0.5:
            return line
        damaged += 1
        index = generator.randrange(len(line) - 1)
        return (
            line[:index]
            + generator.choice(b"0123456789abcdef").to_bytes(1, "little")
            + line[index + 1 :]
        )

    client = SerialClient(OneLine(reference_of(model), damage), attempts=20)
    expected = parse_line(with_checksum(f"result {result_text(model, image)}").encode())
    for _ in range(60):
        assert client.recognize(image) == expected
    assert damaged > 20
