# SPDX-License-Identifier: Apache-2.0
"""The firmware as a whole: builds, checks of the model at the start, images in and results out.

Damaged packets are the subject of test_wire.py.
"""

import re
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from tests.tflm.firmware.conftest import CLASS_NAMES, HEIGHT, LIBRARY, WIDTH, random_images
from tests.tflm.firmware.damaged_frames import frame_packets
from tflm.firmware import build
from tflm.firmware.link.serial_packets import Recognition, encode_packet, parse_line
from tflm.toolchains import emulator
from training.datasets.resizing import crop_and_resize

pytestmark = pytest.mark.emulator

SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all"
FLAGS = ("CMAKE_C_FLAGS", "CMAKE_CXX_FLAGS", "CMAKE_EXE_LINKER_FLAGS")
EMULATED = "mps2-an386"
LARGEST_SHRINK = 4  # by default
SETTINGS = f"src/{LIBRARY}_settings.h"
VECTORS = f"test/{LIBRARY}_test_vectors.c"
HEAP = re.compile(r"^(_?(malloc|calloc|realloc|free|sbrk)(_r)?|_Zn[wa].*|_Zd[la].*)$")


@pytest.fixture
def model(small_model, tmp_path):
    """The small model's folder, to be changed."""
    return shutil.copytree(small_model.folder, tmp_path / "model")


@pytest.fixture(scope="module")
def run_vectors(tmp_path_factory):
    """Function of a model's folder -> the end of a program that computes its test vectors."""
    folder = tmp_path_factory.mktemp("vectors")
    shared = folder / "model"
    flags = dict.fromkeys(FLAGS, SANITIZERS)

    def run(model, **definitions):
        # The same folders every time: only what was changed is compiled.
        for path in model.rglob("*.*"):
            target = shared / path.relative_to(model)
            if not target.exists() or target.read_bytes() != path.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        definitions = {"PROVIDER": "test_vectors", "ARENA_BYTES": "", **flags, **definitions}
        program = build.build(
            shared, build.HOST, build.STATIC, folder / "build", definitions=definitions
        )
        return subprocess.run(
            [program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )

    return run


def replace_in(path, pattern, replacement):
    text, count = re.subn(pattern, replacement, path.read_text(), count=1)
    assert count == 1
    path.write_text(text)


# Test vectors


def test_right_test_vectors_end_with_success(model, run_vectors):
    finished = run_vectors(model)
    assert finished.returncode == 0, finished.stderr + finished.stdout
    lines = finished.stdout.splitlines()
    assert lines[0].startswith("ready ")
    assert len(lines) == 5
    assert all(isinstance(parse_line(line.encode()), Recognition) for line in lines[1:-1])
    assert lines[-1] == "ok vectors right=3 of=3"


def test_one_wrong_byte_of_an_expected_output_is_seen(model, run_vectors):
    def other(match):
        return f"{match[1]}{(int(match[2]) + 129) % 256 - 128}"

    replace_in(model / VECTORS, r"(test_outputs\[.*\n\{\n\{\n)(-?\d+)", other)
    finished = run_vectors(model)
    assert finished.returncode == 1, finished.stderr
    assert "error vector score 0 of test vector 0 must be " in finished.stdout
    assert finished.stdout.endswith("ok vectors right=2 of=3\n")


def test_one_wrong_byte_of_a_frame_is_seen(model, run_vectors):
    def other(match):
        return f"{match[1]}{int(match[2]) ^ 255}"

    replace_in(model / VECTORS, r"(test_frames\[.*\n\{\n\{\n)(\d+)", other)
    finished = run_vectors(model)
    assert finished.returncode == 1, finished.stderr
    assert finished.stdout.endswith("ok vectors right=2 of=3\n")


def assert_vectors_are_right(program, machine):
    """Runs a program of test vectors to its end on one of QEMU's machines."""
    finished = subprocess.run(
        [*emulator.machine_command(program, machine), "-serial", "stdio"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr + finished.stdout
    assert finished.stdout.endswith("ok vectors right=3 of=3\n")


def test_board_from_elsewhere_computes_the_test_vectors(small_model, tmp_path):
    """Its folder is outside of the repository; the emulated processor gives the same bytes."""
    board = shutil.copytree(
        build.SOURCES_FOLDER / "platforms" / EMULATED, tmp_path / "a board of one's own"
    )
    program = build.build(
        small_model.folder,
        board,
        build.STATIC,
        tmp_path / "build",
        definitions={"PROVIDER": "test_vectors"},
    )
    assert_vectors_are_right(program, EMULATED)
    assert heap_symbols(program) == []


# Start


def test_arena_of_the_needed_size_is_enough_and_one_byte_less_is_not(
    model, small_model, run_vectors
):
    needed = small_model.rows_arena_bytes
    assert run_vectors(model, ARENA_BYTES=needed).returncode == 0
    finished = run_vectors(model, ARENA_BYTES=needed - 1)
    assert finished.returncode == 1, finished.stderr
    assert finished.stdout == f"error arena needs {needed} bytes, has {needed - 1}\n"


def test_settings_of_another_model_are_refused_at_the_start(model, run_vectors):
    replace_in(model / SETTINGS, r"(_CRC32 0x)(?!0000)[0-9a-f]{4}", r"\g<1>0007")
    finished = run_vectors(model)
    assert finished.returncode == 1, finished.stderr
    (line,) = finished.stdout.splitlines()
    assert line.startswith("error model identifier must be that of model_settings.h, ")


def test_settings_with_another_number_of_classes_are_refused(model, run_vectors):
    count = len(CLASS_NAMES) + 1
    replace_in(model / SETTINGS, r"(_CLASS_COUNT )\d+", rf"\g<1>{count}")
    header = model / VECTORS.replace(".c", ".h")
    replace_in(header, r"(_TEST_OUTPUT_BYTES )\d+", rf"\g<1>{count}")
    finished = run_vectors(model)
    assert finished.returncode == 1, finished.stderr
    expected = f"error model scores must be as many as in model_settings.h, {count}, received "
    assert finished.stdout == f"{expected}{len(CLASS_NAMES)}\n"


# Serial line


def answers(program, data):
    """Lines of a program of this computer, which ends with its input."""
    finished = subprocess.run([program], input=data, capture_output=True, timeout=60)
    assert finished.returncode == 0, finished.stderr.decode()
    return finished.stdout.decode("ascii").splitlines()


def test_answers_to_frames_that_come_at_once(small_model, firmware):
    images = random_images(3)
    data = b"".join(packet for image in images for packet in frame_packets(image))
    ready, *lines = answers(firmware(build.HOST), data)
    arena = small_model.rows_arena_bytes
    fields = f"input={WIDTH}x{HEIGHT} channels=3 classes={len(CLASS_NAMES)} arena={arena} "
    fields += "runtime=static"
    assert ready == f"ready model={small_model.identifier:08x} {fields}"
    assert len(lines) == len(images) * (HEIGHT + 1)
    for index, image in enumerate(images):
        begin, *rows, result = lines[index * (HEIGHT + 1) : (index + 1) * (HEIGHT + 1)]
        assert begin == "ok begin"
        assert rows == [f"ok row {y}" for y in range(HEIGHT - 1)]
        recognition = parse_line(result.encode())
        scores = small_model.scores(image)
        best = int(np.argmax(scores))
        assert recognition.scores == scores
        assert (recognition.class_index, recognition.name) == (best, CLASS_NAMES[best])
        assert recognition.score == pytest.approx(small_model.score(scores[best]), abs=5e-4)
        assert recognition.arena_bytes == arena


@pytest.fixture(scope="module")
def gray_firmware(gray_model, tmp_path_factory):
    """The program of a model of gray images."""
    return build.build(
        gray_model.folder,
        build.HOST,
        build.STATIC,
        tmp_path_factory.mktemp("gray"),
        definitions=dict.fromkeys(FLAGS, SANITIZERS),
    )


def test_gray_models_take_gray_frames_of_any_size(gray_model, gray_firmware):
    same = random_images(1, channels=1)[0]
    large = smooth_image(20, 32)[..., :1]
    data = b"".join(packet for image in (same, large) for packet in frame_packets(image))
    ready, *lines = answers(gray_firmware, data)
    assert parse_line(ready.encode()).channels == 1
    first, second = (
        np.array(parse_line(line.encode()).scores) for line in lines if line.startswith("result")
    )
    assert tuple(first) == gray_model.scores(same)
    expected = gray_model.scores(crop_and_resize(tf.constant(large), (HEIGHT, WIDTH)).numpy())
    assert np.abs(second - expected).max() <= 3


def test_a_row_of_colours_is_refused_by_a_gray_model(gray_firmware):
    """Rather than read as three times as many pixels."""
    begin, row, *_ = frame_packets(random_images(1)[0])
    _, taken, refused = answers(gray_firmware, begin + row)
    assert taken == "ok begin"
    assert refused.startswith(f"error length the packet's body must have {2 + WIDTH} bytes")


def smooth_image(height, width):
    """That resizers, which may differ by 1, cannot give a class of its own by chance."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    return np.uint8(np.stack([255 * x, 255 * (1 - y), 255 * abs(x - y)], axis=-1))


@pytest.mark.parametrize(
    "size", [(1, 1), (5, 3), (20, 16), (LARGEST_SHRINK * HEIGHT, LARGEST_SHRINK * WIDTH), (13, 32)]
)
def test_frames_of_other_sizes_are_resized_as_in_training(small_model, firmware, size):
    image = smooth_image(*size)
    _, *lines = answers(firmware(build.HOST), b"".join(frame_packets(image)))
    assert lines[:-1] == ["ok begin", *(f"ok row {y}" for y in range(size[0] - 1))]
    scores = np.array(parse_line(lines[-1].encode()).scores)
    expected = small_model.scores(crop_and_resize(tf.constant(image), (HEIGHT, WIDTH)).numpy())
    assert np.ptp(scores) > 30
    assert np.abs(scores - expected).max() <= 3


@pytest.mark.parametrize(
    "size",
    [(0, 1), (1, 0), (LARGEST_SHRINK * HEIGHT + 1, 1), (1, LARGEST_SHRINK * WIDTH + 1)],
)
def test_frames_of_impossible_sizes_are_refused(firmware, size):
    height, width = size
    body = b"\x01" + width.to_bytes(2, "little") + height.to_bytes(2, "little")
    _, line = answers(firmware(build.HOST), encode_packet(b"B", body))
    largest = f"{LARGEST_SHRINK * WIDTH}x{LARGEST_SHRINK * HEIGHT}"
    rule = f"a frame must have from 1x1 to {largest} pixels"
    assert line == f"error size {rule}, received {width}x{height}"


# The program


def heap_symbols(program):
    command = ["arm-none-eabi-nm", "--format=posix", program]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    names = [line.split()[0] for line in lines]
    assert "main" in names
    return [name for name in names if HEAP.match(name)]


def test_program_has_no_heap(firmware):
    assert heap_symbols(firmware(EMULATED)) == []


# Arguments of CMake


@pytest.mark.parametrize(
    "definitions, message",
    [
        ({"RUNTIME": "fast"}, "RUNTIME must be static or tflm. Received: 'fast'"),
        ({"PROVIDER": "camera"}, "PROVIDER must be serial or test_vectors, .* Received: 'camera'"),
        ({"PLATFORM": "emulated"}, "PLATFORM must be one of host, mps2-an386, .*'emulated'"),
        ({"PLATFORM": "/nowhere"}, "or the absolute path of a folder .* Received: '/nowhere'"),
        ({"PLATFORM": ""}, "PLATFORM must be one of .* Received: ''"),
        ({"MODEL": "/nowhere"}, "MODEL must be a folder .*model_settings.h.* Received: '/nowhere'"),
        ({"MODEL": ""}, "MODEL must be a folder that python -m tflm has written.* Received: ''"),
        ({"ARENA_BYTES": "1e3"}, "ARENA_BYTES must be an integer from 1 to .* Received: '1e3'"),
        ({"LARGEST_SHRINK": "0"}, "LARGEST_SHRINK must be an integer from 1 to 16. Received: '0'"),
        ({"LARGEST_SHRINK": "17"}, "LARGEST_SHRINK must .* Received: '17'"),
    ],
)
def test_wrong_choices_are_told(model, tmp_path, definitions, message):
    assert re.search(message, refusal(tmp_path, {"MODEL": model, **definitions}))


@pytest.mark.parametrize(
    "missing, definitions, message",
    [
        ("src/micronet_model_rows.h", {}, "begin with a stem.* without src/micronet_model_rows.h"),
        ("src/micronet_model.h", {}, "exported with --runtime static .* without src/micro"),
        ("test/test_vectors.h", {"PROVIDER": "test_vectors"}, "must have test vectors"),
    ],
)
def test_missing_files_of_the_model_are_told(model, tmp_path, missing, definitions, message):
    (model / missing).unlink()
    assert re.search(message, refusal(tmp_path, {"MODEL": model, **definitions}))


def test_platform_of_a_build_folder_stays(model, tmp_path):
    """CMake would go on with the other platform's compiler."""
    copy = shutil.copytree(build.SOURCES_FOLDER / "platforms" / "host", tmp_path / "other")
    configure(tmp_path, {"MODEL": model, "PLATFORM": copy}, succeeds=True)
    message = refusal(tmp_path, {"MODEL": model, "PLATFORM": EMULATED})
    assert f"A build folder must keep its PLATFORM, '{copy}'. Received: '{EMULATED}'" in message


def refusal(folder, definitions):
    """What CMake says when it must stop, in one line."""
    return " ".join(configure(folder, definitions, succeeds=False).stderr.split())


def configure(folder, definitions, succeeds):
    definitions = {"PLATFORM": build.HOST, "RUNTIME": build.STATIC, **definitions}
    command = ["cmake", "-S", build.SOURCES_FOLDER, "-B", folder / "build"]
    command += [f"-D{name}={value}" for name, value in definitions.items()]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert (finished.returncode == 0) == succeeds, finished.stderr
    return finished
