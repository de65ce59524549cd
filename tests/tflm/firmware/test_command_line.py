# SPDX-License-Identifier: Apache-2.0
"""`python -m tflm.firmware`: what it refuses, and that it does so before it builds."""

import os
import re

import numpy as np
import pytest

from keras_micronet.files import locks
from tests.keras_micronet.files.test_archives import damage
from tflm.firmware import build, command_line
from tflm.firmware.link.serial_port import SerialPort

IMAGES = np.zeros((4, 6, 5, 3), np.uint8)
LABELS = np.array([0, 1, 0, 1])
STM32F405_EMULATION = build.Emulation(
    "netduinoplus2", {"PLATFORM_ARENA_SECTION": "", "EMULATED_HERTZ": "168000000"}
)


@pytest.fixture
def run(tmp_path):
    """A folder with images and the names of their classes."""
    folder = tmp_path / "run"
    folder.mkdir()
    np.savez(folder / "test.npz", images=IMAGES, labels=LABELS)
    (folder / "class_names.txt").write_text("cat\ndog\n")
    return folder


@pytest.fixture(autouse=True)
def nothing_is_built(monkeypatch):
    monkeypatch.setattr(build, "build", lambda *arguments, **options: pytest.fail("it builds"))


@pytest.fixture
def model(tmp_path):
    """A folder with the names of an export for the runtime static."""
    folder = tmp_path / "export"
    (folder / "src").mkdir(parents=True)
    for name in ("src/model_settings.h", "src/micronet_model.h"):
        (folder / name).write_text("")
    return folder


def refusal(capsys, *words, status=2):
    assert command_line.main([str(word) for word in words]) == status
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and message.startswith("python -m tflm.firmware: ")
    return message


@pytest.mark.parametrize("option", ["--answer-seconds", "--most-seconds", "--most-bytes"])
@pytest.mark.parametrize("limit", ["0", "-1"])
def test_limits_must_be_positive(run, capsys, option, limit):
    message = refusal(capsys, "--port", "none", "--images", run / "test.npz", f"{option}={limit}")
    assert f"{option[2:]} must be positive. Received: {option[2:]}={limit}" in message


def test_limits_reach_the_client(run, monkeypatch, capsys):
    class Endless(SerialPort):
        def __init__(self, name):
            pass

        def write(self, data):
            pass

        def read(self, seconds):
            return b"x" * 1000

        def close(self):
            pass

    monkeypatch.setattr(command_line, "SerialPort", Endless)
    words = ["--port", "none", "--images", run / "test.npz", "--count", "1", "--most-bytes", "5000"]
    message = refusal(capsys, *words, status=1)
    assert "at most 5,000 bytes for an image (--most-bytes raises it)" in message


@pytest.mark.parametrize(
    ("arrays", "rule"),
    [
        ({"images": IMAGES}, "arrays `images` and `labels`.*no arrays labels"),
        ({"images": IMAGES * 1.0, "labels": LABELS}, "must be raw RGB.*Received: float64"),
        ({"images": IMAGES, "labels": LABELS[:3]}, "one integer for each of 4 images"),
        ({"images": IMAGES[:1], "labels": LABELS[:1]}, "among the 1 images"),
        ({"images": np.array([{}], object), "labels": LABELS[:1]}, "allow_pickle=False"),
    ],
)
def test_other_images_are_refused(run, model, capsys, arrays, rule):
    np.savez(run / "test.npz", **arrays)
    words = [model, "--images", run / "test.npz", "--count", "2"]
    assert re.search(rule, refusal(capsys, *words))


def test_damaged_images_are_a_sentence(run):
    content = (run / "test.npz").read_bytes()
    refused = 0
    for number in range(200):
        (run / "test.npz").write_bytes(damage(content, number))
        try:
            command_line._read_images(run / "test.npz", 0, 2)
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 700
            refused += 1
    assert refused > 100


def test_class_names_are_those_of_a_terminal(run, model, capsys):
    (run / "class_names.txt").write_text("cat\n\x1b[2J\n")
    message = refusal(capsys, model, "--images", run / "test.npz", "--count", "2")
    assert "class names must be printable text" in message


@pytest.mark.parametrize("name", ["Makefile", "CMakeCache.txt", ".git"])
def test_folder_of_others_is_not_built_in(run, model, tmp_path, capsys, name):
    """CMake writes over files without a question."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / name).write_text("CMAKE_HOME_DIRECTORY:INTERNAL=/home/somebody/project\n")
    before = (folder / name).read_text()
    message = refusal(capsys, model, "--images", run / "test.npz", "--count=2", "--build", folder)
    assert f"build={folder}, which holds {name}" in message
    assert (folder / name).read_text() == before
    assert os.listdir(folder) == [name]


@pytest.mark.parametrize("before", ["nothing", "empty", "ours"])
def test_folder_that_may_be_built_in(tmp_path, before):
    folder = tmp_path / "deep" / "build"
    if before != "nothing":
        folder.mkdir(parents=True)
    if before == "ours":
        cache = f"# CMake\nCMAKE_HOME_DIRECTORY:INTERNAL={build.SOURCES_FOLDER}\n"
        (folder / "CMakeCache.txt").write_text(cache)
        (folder / "firmware").write_text("")
    build.check_folder(folder)
    with build.reserved_folder(folder):
        assert (folder / locks.LOCK_NAME).is_file()
        build.check_folder(folder)  # a lock is nobody's file
    assert not (folder / locks.LOCK_NAME).exists()


def test_folder_that_another_command_builds_in_is_refused(
    run, model, tmp_path, capsys, monkeypatch
):
    folder = tmp_path / "build"

    def in_use(path, given):
        raise locks.FolderInUseError("output must be a folder that no other command is writing to")

    monkeypatch.setattr(locks, "acquire", in_use)
    message = refusal(capsys, model, "--images", run / "test.npz", "--count=2", "--build", folder)
    assert "no other command is writing to" in message


@pytest.fixture
def own_board(tmp_path):
    """A platform outside of the repository, which QEMU does not emulate."""
    folder = tmp_path / "a board of one's own"
    folder.mkdir()
    (folder / "platform.cmake").write_text("set(PLATFORM_PROCESSOR cortex-m4)\n")
    return folder


def test_board_that_is_not_emulated_is_only_built(model, own_board, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "build"
    calls = []

    def build_program(*arguments, **options):
        calls.append((arguments, options))
        return folder / "firmware.elf"

    monkeypatch.setattr(build, "build", build_program)
    monkeypatch.setattr(build, "program_size", lambda program: build.ProgramSize(1000, 2000))
    words = [str(model), "--platform", str(own_board), "--build", str(folder)]
    assert command_line.main(words) == 0
    output = capsys.readouterr().out
    assert "flash 1,000 bytes, RAM 2,000 bytes" in output
    assert f"{folder / 'firmware.elf'} is for {own_board}, which QEMU does not emulate." in output
    assert "--port PORT --images FILE" in output
    [(arguments, options)] = calls
    assert arguments[:3] == (str(model), str(own_board), "static")
    assert options["definitions"] == {}


def test_board_that_is_not_emulated_needs_a_folder_to_keep(model, own_board, capsys):
    message = refusal(capsys, model, "--platform", own_board)
    assert "there must be a folder to keep the firmware in: --build FOLDER." in message


@pytest.mark.parametrize("platform", ["mps2", "/nowhere", "."])
def test_folder_without_a_platform_is_refused(model, capsys, platform):
    message = refusal(capsys, model, "--platform", platform, "--images", "test.npz")
    assert "stm32f405, stm32h743, or a folder with platform.cmake." in message
    assert f"Received: {platform!r}" in message


def test_emulated_board_needs_images(model, capsys):
    message = refusal(capsys, model, "--platform", "stm32f405")
    assert "There must be a file with images to send: --images FILE." in message


@pytest.mark.parametrize(
    "platform, expected",
    [
        ("host", None),
        ("mps3-an547", build.Emulation("mps3-an547", {})),
        ("stm32f405", STM32F405_EMULATION),
        ("rp2350", None),
    ],
)
def test_emulation_is_what_the_platform_says(platform, expected):
    assert build.emulation(platform) == expected
    assert build.is_for_this_computer(platform) == (platform == "host")


def test_interruption_is_a_sentence(run, model, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "_read_images", interrupt)
    words = [model, "--images", run / "test.npz"]
    assert refusal(capsys, *words, status=130) == "python -m tflm.firmware: interrupted\n"
