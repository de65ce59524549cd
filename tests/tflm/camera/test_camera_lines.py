# SPDX-License-Identifier: Apache-2.0
"""Lines of a simulated camera become scores: those of whole frames, whatever the program's pace."""

import ctypes
import pathlib
import struct
import subprocess

import numpy as np
import pytest

from tests.tflm.camera.c_checks import INCLUDES, SANITIZERS
from tests.tflm.firmware.conftest import CLASS_NAMES, HEIGHT, LIBRARY, WIDTH
from tflm.camera.camera_sources import EXAMPLE_FOLDER, SOURCE_FOLDER
from tflm.camera.pixel_rows import FORMATS
from tflm.toolchains import host_compiler
from training.datasets.resizing import crop_and_resize

FOLDER = pathlib.Path(__file__).parent
CAMERA_HEIGHT, CAMERA_WIDTH = 24, 34  # of simulated_format.h
BUFFERS = (2, 4)
FRAMES = 12
LINE_GAP, FRAME_GAP = 6, 80
LINE_TIME = CAMERA_WIDTH + LINE_GAP
FRAME_TIME = CAMERA_HEIGHT * LINE_TIME + FRAME_GAP
# Of a program in no hurry: a row of the input for 2.4 lines takes less than one of them.
QUICK = {"conversion_time": 4, "push_time": 10, "run_time": 20}
NO_SHORT_FRAME = {"short_frame": -1, "short_lines": CAMERA_HEIGHT}
BLOCK = 4  # pixels of a side of what has one colour


def camera_frames(name, count, height=CAMERA_HEIGHT, width=CAMERA_WIDTH, seed=0):
    """Frames as a camera gives them, of blocks with random bytes: uint8 `(count, height, bytes)`.

    Two in a row have hardly a pixel in common.
    """
    definition = FORMATS[name]
    bytes_of_unit = definition.bytes_per_pixel * definition.width_multiple
    units = width // definition.width_multiple
    generator = np.random.default_rng(seed)
    shape = (count, -(-height // BLOCK), -(-units // BLOCK), bytes_of_unit)
    blocks = generator.integers(0, 256, shape).astype(np.uint8)
    frames = blocks.repeat(BLOCK, axis=1)[:, :height].repeat(BLOCK, axis=2)[:, :, :units]
    if name.startswith("bayer_"):  # the upper line of a row, and the lower one behind it
        frames = frames.reshape(count, height, width, 2, 2).swapaxes(2, 3)
    return frames.reshape(count, height, -1)


def training_images(name, frames):
    """What training would make of the frames for the small model."""
    return [
        crop_and_resize(FORMATS[name].to_rgb888(frame), (HEIGHT, WIDTH)).numpy() for frame in frames
    ]


class Settings(ctypes.Structure):
    """`micronet_camera_settings`."""

    _fields_ = [
        ("format", ctypes.c_void_p),
        ("frame_width", ctypes.c_int32),
        ("frame_height", ctypes.c_int32),
        ("line_buffers", ctypes.c_int32),
        ("input_width", ctypes.c_int32),
        ("input_height", ctypes.c_int32),
        ("input_channels", ctypes.c_int32),
        ("memory", ctypes.c_void_p),
        ("memory_bytes", ctypes.c_int32),
    ]


class Lines:
    """`micronet_camera_lines`, driven by calls."""

    BYTES = 2048  # more than the structure's size

    def __init__(self, library, name, size, input_shape, buffers=2, memory_bytes=1 << 16):
        height, width = size
        self.library, self.shape = library, input_shape
        self.lines = ctypes.create_string_buffer(self.BYTES)
        self.memory = np.zeros(memory_bytes // 4 + 1, np.uint32)
        address = ctypes.c_void_p.in_dll(library, f"micronet_pixels_{name}")
        input_height, input_width, channels = input_shape
        settings = Settings(
            ctypes.addressof(address),
            *(width, height, buffers, input_width, input_height, channels),
            self.memory.ctypes.data,
            memory_bytes,
        )
        library.micronet_camera_lines_init.restype = ctypes.c_char_p
        self.refusal = library.micronet_camera_lines_init(self.lines, ctypes.byref(settings))

    @property
    def counters(self):
        """Frames, overruns, short frames."""
        return struct.unpack_from("<3I", self.lines)

    def start(self):
        self.library.micronet_camera_lines_frame_start(self.lines)

    def ready(self, line):
        self.library.micronet_camera_lines_line_ready(self.lines, line.ctypes.data_as(POINTER))

    def restart(self):
        self.library.micronet_camera_lines_restart(self.lines)

    def take(self):
        """What comes next: its name, and the row or `None`."""
        row = ctypes.c_void_p()
        part = self.library.micronet_camera_lines_take(self.lines, ctypes.byref(row))
        if row.value is None:
            return PARTS[part], None
        count = self.shape[1] * self.shape[2]
        values = np.ctypeslib.as_array(ctypes.cast(row.value, POINTER), (count,)).copy()
        return PARTS[part], values.reshape(self.shape[1:])

    def take_all(self):
        taken = []
        while not taken or taken[-1][0] != "nothing":
            taken.append(self.take())
        return taken[:-1]


PARTS = ("nothing", "begin", "row", "last row")
POINTER = ctypes.POINTER(ctypes.c_uint8)


def image_of(lines, frame):
    """What a program takes that is never late."""
    lines.start()
    taken = []
    for line in frame:
        lines.ready(line)
        taken += lines.take_all()
    names = [name for name, _ in taken]
    assert names == ["begin", *["row"] * (lines.shape[0] - 1), "last row"]
    return np.stack([row for _, row in taken[1:]])


# Pixels


@pytest.mark.parametrize("size", [(24, 34), (40, 32), (10, 8), (7, 6), (10, 20), (33, 50)])
def test_rows_are_those_of_training_for_every_format(camera_library, size):
    """Shrunk, enlarged, cut at the sides or above and below, and as they are."""
    different = []
    for name, definition in FORMATS.items():
        frame = camera_frames(name, 1, *size)[0]
        for channels, convert in ((3, definition.to_rgb888), (1, definition.to_gray)):
            lines = Lines(camera_library, name, size, (HEIGHT, WIDTH, channels))
            assert lines.refusal is None
            pixels = convert(frame).reshape(*size, channels)
            expected = crop_and_resize(pixels, (HEIGHT, WIDTH)).numpy()
            for _ in range(2):  # the second frame has the weights of the first
                image = image_of(lines, frame)
                assert np.abs(image.astype(int) - expected).max() <= 1
                different.append(np.mean(image != expected))
            assert lines.counters == (2, 0, 0)
    # Only values close to a half may go the other way.
    assert np.mean(different) < 0.01


# Scores of a simulated sensor


@pytest.fixture(scope="module")
def sensors(small_model, tmp_path_factory):
    """Programs with the example, the small model and the sensor, by the number of buffers."""
    folder = tmp_path_factory.mktemp("sensor")
    sources = [
        FOLDER / "simulated_sensor.c",
        EXAMPLE_FOLDER / "camera_example.c",
        *SOURCE_FOLDER.glob("*.c"),
        *small_model.folder.glob("src/*.c"),
        *small_model.folder.glob("src/kernels/*.c"),
    ]
    flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", *SANITIZERS]
    for place in (FOLDER, EXAMPLE_FOLDER, small_model.folder / "src"):
        flags += ["-I", place]
    flags += INCLUDES
    wrapped = (f"-Wl,--wrap={LIBRARY}_rows_{name}" for name in ("push", "run"))
    flags += ["-include", FOLDER / "simulated_format.h", *wrapped]
    for buffers in BUFFERS:
        words = [*flags, f"-DSIMULATED_LINE_BUFFERS={buffers}", *sources]
        host_compiler.build(folder / str(buffers), words)
    return {buffers: folder / str(buffers) for buffers in BUFFERS}


@pytest.fixture(scope="module")
def frames_with_scores(small_model, camera_library):
    """Function of a format -> frames and the scores of each, int8 `(FRAMES, classes)`.

    Scores are those of the kernels' definitions for the pixels of training. The device's resizer
    may be off by 1 where a value is close to a half: frames in which it is are left out.
    """

    def choose(name):
        candidates = camera_frames(name, 16 * FRAMES)
        lines = Lines(camera_library, name, (CAMERA_HEIGHT, CAMERA_WIDTH), (HEIGHT, WIDTH, 3))
        images = training_images(name, candidates)
        chosen = [
            index
            for index, image in enumerate(images)
            if np.array_equal(image, image_of(lines, candidates[index]))
        ][:FRAMES]
        assert len(chosen) == FRAMES
        scores = [small_model.scores(images[index]) for index in chosen]
        assert len(set(scores)) == FRAMES
        return candidates[chosen], scores

    return choose


def run_sensor(program, name, frames, **settings):
    """Scores of each image that came out, and frames, overruns, short frames."""
    names = ("conversion_time", "push_time", "run_time", "is_irregular")
    values = {**QUICK, "is_irregular": False, **NO_SHORT_FRAME, **settings}
    head = [list(FORMATS).index(name), len(frames), LINE_GAP, FRAME_GAP]
    head += [values[each] for each in (*names, "short_frame", "short_lines")]
    question = struct.pack("<10i", *head) + frames.tobytes()
    finished = subprocess.run([program], input=question, capture_output=True, timeout=120)
    assert finished.returncode == 0, finished.stderr.decode()
    *images, counters = finished.stdout[:-12], finished.stdout[-12:]
    scores = np.frombuffer(b"".join(images), np.int8).reshape(-1, len(CLASS_NAMES))
    return [tuple(row) for row in scores.tolist()], struct.unpack("<3I", counters)


def frames_of(images, scores):
    """Index of the frame of each image; fails if one is of no frame as a whole."""
    return [scores.index(image) for image in images]


@pytest.mark.parametrize("name", FORMATS)
def test_a_quick_program_recognises_every_frame(sensors, frames_with_scores, name):
    frames, scores = frames_with_scores(name)
    images, counters = run_sensor(sensors[2], name, frames)
    assert images == scores
    assert counters == (FRAMES, 0, 0)


NAME = "rgb565_high_byte_first"


@pytest.fixture(scope="module")
def rgb565(frames_with_scores):
    return frames_with_scores(NAME)


@pytest.mark.parametrize("late", [1, 2, 3])
def test_a_slow_model_misses_whole_frames(sensors, rgb565, late):
    """What is behind the last row takes so many frames and a bit of one more, which is lost."""
    frames, scores = rgb565
    run_time = (late - 1) * FRAME_TIME + FRAME_GAP + 5 * LINE_TIME
    images, counters = run_sensor(sensors[2], NAME, frames, run_time=run_time)
    taken = frames_of(images, scores)
    assert taken == list(range(0, FRAMES, late + 1))
    assert counters == (len(taken), FRAMES - len(taken), 0)


def test_more_buffers_take_rows_that_are_slower_than_a_line(sensors, rgb565):
    """A row takes 1.75 lines, and 2.4 lines give one: too slow at once, not on average."""
    frames, scores = rgb565
    push_time = 7 * LINE_TIME // 4
    images, (whole, overruns, _) = run_sensor(sensors[2], NAME, frames, push_time=push_time)
    assert overruns > 0
    assert len(frames_of(images, scores)) == whole == FRAMES - overruns
    images, counters = run_sensor(sensors[4], NAME, frames, push_time=push_time)
    assert images == scores
    assert counters == (FRAMES, 0, 0)


@pytest.mark.parametrize("buffers", BUFFERS)
def test_lines_that_are_overwritten_while_they_are_read_make_no_image(sensors, rgb565, buffers):
    frames, _ = rgb565
    images, (_, overruns, _) = run_sensor(
        sensors[buffers], NAME, frames, conversion_time=buffers * LINE_TIME
    )
    assert images == []
    assert overruns >= FRAMES


@pytest.mark.parametrize(
    "buffers, conversion_time, push_time, run_time",
    [
        (2, 60, 4, 20),
        (2, 48, 30, 20),
        (2, 4, 120, 20),
        (2, 40, 40, 2 * FRAME_TIME),
        (4, 80, 4, 20),
        (4, 90, 40, 20),
        (4, 4, 120, 20),
        (4, 40, 40, 2 * FRAME_TIME),
        (4, 55, 60, FRAME_TIME // 3),
    ],
)
def test_no_image_is_torn_whatever_the_program_does_meanwhile(
    sensors, rgb565, buffers, conversion_time, push_time, run_time
):
    """Times up to these, irregularly; many times the frames, whose scores tell them."""
    frames, scores = rgb565
    images, (whole, overruns, short) = run_sensor(
        sensors[buffers],
        NAME,
        np.tile(frames, (40, 1, 1)),
        conversion_time=conversion_time,
        push_time=push_time,
        run_time=run_time,
        is_irregular=True,
    )
    frames_of(images, scores)
    assert whole == len(images) > 0
    assert overruns > 0 and short == 0
    assert whole + overruns >= 40 * FRAMES - 1  # the last may end within


def test_a_frame_that_ends_early_is_counted_and_gives_no_image(sensors, rgb565):
    frames, scores = rgb565
    images, counters = run_sensor(sensors[2], NAME, frames, short_frame=3, short_lines=20)
    assert images == scores[:3] + scores[4:]
    assert counters == (FRAMES - 1, 0, 1)


# Calls one by one


@pytest.fixture
def lines(camera_library):
    return Lines(camera_library, NAME, (CAMERA_HEIGHT, CAMERA_WIDTH), (HEIGHT, WIDTH, 3))


def test_lines_before_the_first_frame_starts_and_behind_the_last_line_are_passed_over(
    lines, rgb565
):
    frame, expected = rgb565[0][0], training_images(NAME, rgb565[0][:1])[0]
    for line in frame[:5]:
        lines.ready(line)
        assert lines.take_all() == []
    np.testing.assert_array_equal(image_of(lines, frame), expected)
    for line in frame[:5]:
        lines.ready(line)
        assert lines.take_all() == []
    np.testing.assert_array_equal(image_of(lines, frame), expected)
    assert lines.counters == (2, 0, 0)


def test_a_restart_gives_up_what_is_waiting(lines, rgb565):
    frame, expected = rgb565[0][0], training_images(NAME, rgb565[0][:1])[0]
    lines.start()
    lines.ready(frame[0])
    assert lines.take()[0] == "begin"
    lines.restart()
    lines.ready(frame[1])
    assert lines.take_all() == []
    np.testing.assert_array_equal(image_of(lines, frame), expected)
    assert lines.counters == (1, 1, 0)


REFUSALS = {
    "odd": (dict(name="yuyv", size=(24, 33)), "frame_width must be even"),
    "empty": (dict(size=(0, 32)), "frame_width and frame_height must be at least 1"),
    "one buffer": (dict(buffers=1), "line_buffers must be 2 to"),
    "many buffers": (dict(buffers=9), "line_buffers must be 2 to"),
    "channels": (dict(input_shape=(HEIGHT, WIDTH, 2)), "input_channels must be 1 or 3"),
    "no input": (dict(input_shape=(0, WIDTH, 3)), "input_width and input_height must be 1 to"),
    "large": (dict(size=(HEIGHT * 16 + 1, WIDTH * 16 + 1)), "must have at most"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_settings_that_cannot_be_are_refused_with_the_rule(camera_library, what):
    changed, words = REFUSALS[what]
    arguments = {"name": NAME, "size": (24, 32), "input_shape": (HEIGHT, WIDTH, 3), **changed}
    assert words in Lines(camera_library, **arguments).refusal.decode()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(24, 34), (10, 8), (5, 60), (160, 128)])
def test_memory_is_what_the_macro_says(camera_library, size, channels, tmp_path):
    shape = (HEIGHT, WIDTH, channels)
    program = tmp_path / "bytes.c"
    arguments = ", ".join(map(str, (size[1], size[0], WIDTH, HEIGHT, channels)))
    program.write_text(
        '#include <stdio.h>\n#include "micronet_camera_lines.h"\n'
        f'int main(void) {{ printf("%d", (int)MICRONET_CAMERA_LINES_BYTES({arguments})); }}\n'
    )
    host_compiler.build(tmp_path / "bytes", [*INCLUDES, program])
    needed = int(subprocess.run([tmp_path / "bytes"], capture_output=True, check=True).stdout)
    assert Lines(camera_library, NAME, size, shape, memory_bytes=needed).refusal is None
    refusal = Lines(camera_library, NAME, size, shape, memory_bytes=needed - 1).refusal
    assert b"memory must have" in refusal
