# SPDX-License-Identifier: Apache-2.0
"""Boards that run the firmware, its build, and the command that feeds them."""

import os
import socket
import subprocess
import sys
import threading
import types

import numpy as np
import pytest

from tests.tflm.firmware.conftest import CLASS_NAMES, HEIGHT, WIDTH, random_images
from tests.tflm.firmware.reference_device import ReferenceDevice
from tflm.firmware import build, command_line
from tflm.firmware.boards.emulated_board import EmulatedBoard
from tflm.firmware.boards.host_board import HostBoard
from tflm.firmware.link.descriptor_stream import DescriptorStream
from tflm.firmware.link.serial_client import SerialClient
from tflm.toolchains import emulator

pytestmark = pytest.mark.emulator

EMULATED = "mps2-an386"
COUNT = 5


# Boards


def test_unknown_board_is_refused(firmware):
    with EmulatedBoard(firmware(EMULATED), "mps2") as board:
        with pytest.raises(emulator.ProgramFailed, match="(?s)exit status 1.*machine"):
            board.read(30.0)


def test_missing_emulator_names_its_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(emulator.ToolMissingError, match="apt-get install qemu-system-arm"):
        EmulatedBoard(tmp_path / "firmware.elf", EMULATED)


def test_reset_begins_anew(firmware, small_model):
    image = random_images(1)[0]
    with EmulatedBoard(firmware(EMULATED), EMULATED) as board:
        client = SerialClient(board)
        for _ in range(3):
            assert client.wait_for_start().identifier == small_model.identifier
            assert client.recognize(image).scores == small_model.scores(image)
            board.reset()


def test_board_is_off_at_the_end(firmware):
    with EmulatedBoard(firmware(EMULATED), EMULATED) as board:
        process = board._process
        assert process.poll() is None
    assert process.returncode is not None
    with HostBoard(firmware(build.HOST)) as board:
        process = board._process
        assert process.poll() is None
    assert process.returncode is not None


@pytest.fixture
def echo(tmp_path):
    """Starts a board with a program that sends everything back, and does `code` on an x."""

    def start(code):
        source = tmp_path / "echo.c"
        source.write_text(f"""#include "host.h"
#include "serial_port.h"
int main(void) {{
  serial_port_start();
  for (;;) {{
    const int byte = serial_port_read();
    if (byte == 'x') {{ {code} }}
    if (byte >= 0) serial_port_write((uint8_t)byte);
  }}
}}
""")
        drivers = [emulator.EMULATED_FOLDER / "serial_port.c"]
        program = emulator.build(
            emulator.Core.CORTEX_M4,
            [source, *drivers],
            tmp_path / "cache",
            defines={"SERIAL_PORT_ADDRESS": "0x40004000u"},
        )
        return EmulatedBoard(program, EMULATED)

    return start


def read_all(stream, count):
    data = b""
    while len(data) < count:
        part = stream.read(30.0)
        assert part, f"{count} bytes must come. Received: {len(data)}"
        data += part
    return data


def test_all_bytes_go_both_ways(echo):
    data = bytes(value for value in range(256) if value != ord("x")) * 4
    with echo("") as board:
        board.write(data)
        assert read_all(board, len(data)) == data


@pytest.mark.parametrize(
    ("code", "failure", "message"),
    [
        ('host_print("no more"); return 3;', emulator.ProgramFailed, "(?s)status 3.*no more"),
        ("*(volatile int *)0x1F000004u = 1;", emulator.ProgramFault, "without permission"),
        ("return 0;", emulator.ProgramFailed, "Firmware must not end.*exit status 0"),
    ],
)
def test_end_of_a_program_is_an_error(echo, code, failure, message):
    with echo(code) as board:
        board.write(b"x")
        with pytest.raises(failure, match=message):
            board.read(30.0)
        with pytest.raises(failure, match=message):
            board.reset()


def test_end_of_a_host_program_is_an_error(tmp_path):
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('out of order')\n")
    program.chmod(0o755)
    with HostBoard(program) as board:
        with pytest.raises(emulator.ProgramFailed, match="(?s)exit status 1.*out of order"):
            board.read(30.0)


def test_streams_read_while_they_write():
    """Otherwise both sides would wait for the other to read."""
    ours, theirs = socket.socketpair()
    data = bytes(range(256)) * 8000

    def send_back():
        while part := theirs.recv(1 << 16):
            theirs.sendall(part)

    thread = threading.Thread(target=send_back, daemon=True)
    thread.start()
    with ours, theirs:
        stream = DescriptorStream(ours.fileno(), ours.fileno())
        stream.write(data)
        assert read_all(stream, len(data)) == data
        ours.shutdown(socket.SHUT_WR)
        thread.join()


def test_streams_give_up():
    ours, theirs = socket.socketpair()
    with ours:
        stream = DescriptorStream(ours.fileno(), ours.fileno())
        assert stream.read(0.0) == b""
        with theirs, pytest.raises(TimeoutError, match="must be taken in 0 s. Received: "):
            stream.write(bytes(1 << 22), seconds=0.0)
        while True:
            try:
                stream.write(bytes(1 << 16), seconds=30.0)
            except EOFError:
                break
        with pytest.raises(EOFError):
            stream.read(30.0)


# The build


def test_platforms_are_those_of_the_folder():
    emulated = {core.value.machine for core in emulator.Core}
    assert emulated | {build.HOST} <= set(build.platforms())
    for machine in emulated:
        assert build.emulation(machine) == build.Emulation(machine, {})
    assert build.emulation(build.HOST) is None


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"runtime": "onnx"}, "runtime must be one of tflm, static. Received: 'onnx'"),
        ({"platform": "mps2"}, "platform must be one of host, .* Received: 'mps2'"),
        ({"platform": "."}, "or a folder with platform.cmake. Received: '.'"),
        ({"model": "nowhere"}, "Received: nowhere without src/model_settings.h"),
        ({"runtime": "tflm"}, "--runtime tflm. has written. Received: .* without src/model_d"),
    ],
)
def test_wrong_choices_are_refused_before_anything_is_built(small_model, tmp_path, changes, rule):
    choices = {"model": small_model.folder, "platform": EMULATED, "runtime": "static", **changes}
    with pytest.raises(ValueError, match=rule):
        build.build(**choices, build_folder=tmp_path / "build")
    assert not (tmp_path / "build").exists()


def test_runtime_of_tensorflow_needs_its_sources(small_model, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "model_settings.h").write_text("")
    (tmp_path / "src" / "model_data.h").write_text("")
    with pytest.raises(ValueError, match="sources of TensorFlow Lite Micro. Received: none"):
        build.check(tmp_path, EMULATED, "tflm")


PACKAGES = {
    "cmake": "cmake",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "arm-none-eabi-g++": "gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib",
    "make": "make",
}


@pytest.mark.parametrize("tool", PACKAGES)
def test_missing_tool_names_its_package(small_model, tmp_path, monkeypatch, tool):
    """Without Ninja, make will do: it is the one that is asked for."""
    for name in {"cmake", "arm-none-eabi-gcc", "arm-none-eabi-g++"} - {tool}:
        (tmp_path / name).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(emulator.ToolMissingError) as error:
        build.build(small_model.folder, EMULATED, "static", tmp_path / "build")
    assert str(error.value).startswith(f"{tool} must be installed.")
    assert str(error.value).endswith(f"On Debian: apt-get install {PACKAGES[tool]}")


def test_refusals_of_cmake_are_quoted(small_model, tmp_path):
    message = "(?s)cmake .*PROVIDER must be serial or test_vectors.*Received: 'camera'"
    with pytest.raises(emulator.BuildError, match=message):
        build.build(
            small_model.folder,
            EMULATED,
            "static",
            tmp_path / "build",
            definitions={"PROVIDER": "camera"},
        )


# The command


@pytest.fixture(scope="module")
def images_file(tmp_path_factory, small_model):
    """As in a run's folder; every second image has the label that the model gives it."""
    folder = tmp_path_factory.mktemp("run")
    images = random_images(COUNT + 3)
    labels = np.array([int(np.argmax(small_model.scores(image))) for image in images])
    labels[::2] = (labels[::2] + 1) % len(CLASS_NAMES)
    np.savez(folder / "test.npz", images=images, labels=labels)
    (folder / "class_names.txt").write_text("".join(f"{name}\n" for name in CLASS_NAMES), "utf-8")
    return folder / "test.npz"


@pytest.mark.parametrize("platform", [EMULATED, build.HOST])
def test_command_shows_what_the_firmware_recognizes(
    small_model, firmware, images_file, monkeypatch, capsys, platform
):
    program = firmware(platform)
    monkeypatch.setattr(build, "build", lambda *choices, **more: program)
    words = [str(small_model.folder), "--platform", platform, "--images", str(images_file)]
    assert command_line.main([*words, "--first", "2", "--count", str(COUNT)]) == 0
    lines = capsys.readouterr().out.splitlines()
    images, labels = (np.load(images_file)[name] for name in ("images", "labels"))
    shown = [line for line in lines if line.startswith("image ")]
    right = 0
    for index, line in zip(range(2, 2 + COUNT), shown, strict=True):
        scores = small_model.scores(images[index])
        answer = int(np.argmax(scores))
        is_right = answer == labels[index]
        right += is_right
        verdict = "right" if is_right else f"wrong, it is {CLASS_NAMES[labels[index]]}"
        begin = f"image {index}: {CLASS_NAMES[answer]} ({verdict}), "
        assert line.startswith(f"{begin}score {small_model.score(max(scores)):.3f}, ")
    (summary,) = [line for line in lines if line.startswith("accuracy")]
    assert summary.startswith(f"accuracy on {COUNT} images: {right / COUNT:.2%}, ")
    assert summary.endswith(f"arena {small_model.rows_arena_bytes:,} bytes")
    if platform == EMULATED:
        check_size(lines[-1], firmware(EMULATED))


def check_size(line, program):
    """Flash has all that is loaded, RAM all that may change."""
    command = ["arm-none-eabi-size", "--format=sysv", program]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [row.split() for row in table.splitlines() if row.startswith(".")]
    sizes = {name: int(size) for name, size, address in rows if int(address) or name == ".vectors"}
    flash = {".vectors", ".text", ".ARM.exidx", ".init_array", ".data"}
    ram = {".stack", ".data", ".bss", ".bulk"}
    assert {".text", ".stack", ".bss"} <= set(sizes) <= flash | ram
    flash_bytes, ram_bytes = (
        sum(size for name, size in sizes.items() if name in part) for part in (flash, ram)
    )
    assert line == f"program: flash {flash_bytes:,} bytes, RAM {ram_bytes:,} bytes with the stack"


WRONG_WORDS = {
    "--count 0": "count must be at least 1",
    "--first -1": "first at least 0",
    "--count 9": "must choose among the 8 images",
    "--images nowhere.npz": "must be an .npz file",
    "--runtime tflm": "without src/model_data.h",
    "--port /dev/null": "either the folder of a model or a port",
}


@pytest.mark.parametrize("words", WRONG_WORDS)
def test_wrong_words_fail_before_anything_is_built(
    small_model, images_file, monkeypatch, capsys, words
):
    monkeypatch.setattr(build, "build", lambda *choices, **more: pytest.fail("built"))
    given = [str(small_model.folder), "--images", str(images_file), *words.split()]
    assert command_line.main(given) == 2
    assert WRONG_WORDS[words] in capsys.readouterr().err


class StandInPort:
    """What pyserial opens, with a `ReferenceDevice` on it."""

    def __init__(self, name, bits_per_second, write_timeout):
        assert (name, bits_per_second) == ("/dev/board", 115_200)
        self._device = ReferenceDevice(HEIGHT, WIDTH, lambda image: (3, -8, 5), ("a", "b", "c d"))
        self._received = b""
        self.timeout = None

    @property
    def in_waiting(self):
        return len(self._received)

    def write(self, data):
        self._received += b"".join(f"{line}\n".encode() for line in self._device.take(data))

    def read(self, count):
        assert self.timeout > 0 and count > 0
        data, self._received = self._received[:count], self._received[count:]
        return data

    def close(self):
        self._device = None


def test_command_talks_to_a_port(images_file, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "serial", types.SimpleNamespace(Serial=StandInPort))
    words = ["--port", "/dev/board", "--images", str(images_file), "--count", "2"]
    assert command_line.main(words) == 0
    first, second, summary = capsys.readouterr().out.splitlines()[-3:]
    assert first.startswith("image 0: c d (") and second.startswith("image 1: c d (")
    assert summary.endswith("1 cycles per image, arena 1,000 bytes")


def test_missing_pyserial_is_told(images_file, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "serial", None)
    words = ["--port", "/dev/board", "--images", str(images_file), "--count", "1"]
    assert command_line.main(words) == 1
    message = capsys.readouterr().err
    assert "pyserial must be installed for a serial port. Received: no module" in message
