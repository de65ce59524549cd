# SPDX-License-Identifier: Apache-2.0
"""`python -m tflm.firmware`: what it refuses, and that it does so before it builds."""

import os
import re
import sys

import numpy as np
import pytest

from keras_micronet.files import locks
from tests.keras_micronet.files.test_archives import damage
from tests.tflm.firmware.reference_benchmark import ReferenceBenchmark
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
        def __init__(self, name, bits_per_second):
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
        ({"images": IMAGES, "labels": LABELS[:3]}, "a label for each of 4 images"),
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
    assert options["definitions"] == {"APPLICATION": "camera", "BITS_PER_SECOND": "115200"}


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


# The benchmark


@pytest.fixture
def inputs(tmp_path):
    """A folder with two of the benchmark's images."""
    folder = tmp_path / "ic01"
    folder.mkdir()
    for index in range(2):
        (folder / f"{index}.bin").write_bytes(bytes([index]) * (32 * 32 * 3))
    (folder / "y_labels.csv").write_text("0.bin,10,3\n1.bin,10,4\n")
    return folder


def sized(model, size, classes):
    """An export whose headers say so."""
    constants = {"INPUT_HEIGHT": size, "INPUT_WIDTH": size, "INPUT_CHANNELS": 3}
    lines = [f"#define X_MODEL_{name} {value}\n" for name, value in constants.items()]
    (model / "src" / "x_model.h").write_text(
        "".join([*lines, f"#define X_CLASS_COUNT {classes}\n"])
    )
    return model


BENCHMARK = ("--application", "mlperf-tiny")


@pytest.mark.parametrize(("size", "classes"), [(32, 2), (96, 10), (224, 1000)])
def test_model_of_no_task_is_refused(model, inputs, capsys, size, classes):
    words = [sized(model, size, classes), *BENCHMARK, "--inputs", inputs]
    message = refusal(capsys, *words)
    assert "32x32x3 and 10 classes (image classification), or 96x96x3 and 2 classes" in message
    assert f"Received: {size}x{size}x3 and {classes} classes. Train one with" in message


def test_inputs_of_another_task_are_refused(model, inputs, capsys):
    words = [sized(model, 96, 2), *BENCHMARK, "--inputs", inputs, "--count", "2"]
    message = refusal(capsys, *words)
    assert "of the model: 96x96x3 and 2 classes (person detection). Received: 32x32x3" in message


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ([], "There must be either a folder .* Received: inputs=None, images=None"),
        (["--inputs", "a", "--images", "b"], "Received: inputs=a, images=b"),
        (["--inputs", "nowhere"], "inputs must be a folder with y_labels.csv"),
        (["--inputs", "INPUTS"], "among the 2 lines .* first=0, count=5"),
        (["--inputs", "INPUTS", "--inferences", "0"], "inferences must be from 1 to 1,000,000"),
        (["--inputs", "INPUTS", "--inferences", "1000001"], "Received: inferences=1000001"),
        (["--inputs", "INPUTS", "--warmups", "-1"], "warmups must be from 0 .* warmups=-1"),
        (["--images", "IMAGES"], "must be 32x32x3 or 96x96x3. Received: 6x5x3"),
    ],
)
def test_wrong_words_for_the_benchmark_are_refused(model, inputs, run, capsys, words, rule):
    names = {"INPUTS": inputs, "IMAGES": run / "test.npz"}
    words = [names.get(word, word) for word in words]
    if "--images" in words:
        words += ["--mode", "accuracy"]  # all of them
    message = refusal(capsys, sized(model, 32, 10), *BENCHMARK, *words)
    assert re.search(rule, message)


def test_inputs_are_those_of_the_benchmark(model, inputs, capsys):
    message = refusal(capsys, model, "--images", "a.npz", "--inputs", inputs)
    assert "inputs must be those of --application mlperf-tiny; others are --images FILE." in message


def test_missing_scikit_learn_is_told_before_anything_is_built(model, inputs, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    words = [sized(model, 32, 10), *BENCHMARK, "--inputs", inputs, "--mode", "accuracy"]
    assert "scikit-learn must be installed for the area" in refusal(capsys, *words)


class BenchmarkPort(SerialPort):
    """A port with a device of the benchmark's image classification.

    The class of an image is the value of its first byte, and two more.
    """

    opened = []

    def __init__(self, name, bits_per_second):
        self.opened.append((name, bits_per_second))
        self._device = ReferenceBenchmark("ic01", 32 * 32 * 3, self._classify)
        self._lines = b""
        self._time = 0

    def _classify(self, data):
        return np.eye(10)[data[0] + 3] * 0.7 + 0.03

    def write(self, data):
        for line in self._device.take(data):
            self._time += 11_000_000
            self._lines += f"{line.replace('#', str(self._time))}\r\n".encode()

    def read(self, seconds):
        lines, self._lines = self._lines, b""
        return lines

    def close(self):
        pass


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(command_line, "SerialPort", BenchmarkPort)
    monkeypatch.setattr(BenchmarkPort, "opened", [])
    return ["--port", "/dev/board", *BENCHMARK]


def test_performance_of_a_board(port, inputs, capsys):
    words = [*port, "--inputs", inputs, "--count", "2", "--inferences", "110"]
    words += ["--bits-per-second", "9600"]
    assert command_line.main([str(word) for word in words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("keras_micronet, task ic01: 32x32x3 and 10 classes")
    assert lines[1:3] == [
        f"{i}.bin: 110 inferences in 11.000000 s, 10.000 a second" for i in (0, 1)
    ]
    assert lines[3] == "median of 2 downloads: 10.000 inferences a second"
    assert lines[4:] == ["The benchmark would not count it. There must be 5 downloads. Received: 2"]
    assert BenchmarkPort.opened == [("/dev/board", 9600)]


def test_accuracy_of_a_board(port, inputs, capsys):
    words = [*port, "--inputs", inputs, "--mode", "accuracy"]
    assert command_line.main([str(word) for word in words]) == 0
    output = capsys.readouterr().out
    assert output.endswith("top-1 100.0% of 2 inputs, AUC none, for a class has no inputs\n")
    (inputs / "y_labels.csv").write_text("0.bin,10,3\n1.bin,10,5\n")
    assert command_line.main([str(word) for word in words]) == 0
    assert "top-1 50.0% of 2 inputs" in capsys.readouterr().out


def test_board_of_another_task_is_told(port, tmp_path, capsys):
    (tmp_path / "a.bin").write_bytes(bytes(96 * 96 * 3))
    (tmp_path / "y_labels.csv").write_text("a.bin,2,1\n")
    message = refusal(capsys, *port, "--inputs", tmp_path, "--count", "1", status=1)
    assert "of the model: 32x32x3 and 10 classes (image classification). Received: 96x96" in message


def test_board_for_the_benchmark_is_only_built(model, own_board, tmp_path, monkeypatch, capsys):
    """For the speed of the line that is asked for."""
    calls = []

    def build_program(*arguments, **options):
        calls.append(options["definitions"])
        return tmp_path / "firmware.elf"

    monkeypatch.setattr(build, "build", build_program)
    monkeypatch.setattr(build, "program_size", lambda program: build.ProgramSize(1000, 2000))
    words = [sized(model, 96, 2), "--platform", own_board, "--build", tmp_path / "build"]
    words += [*BENCHMARK, "--bits-per-second", "9600"]
    assert command_line.main([str(word) for word in words]) == 0
    assert "--port PORT --application mlperf-tiny --inputs FOLDER" in capsys.readouterr().out
    assert calls == [{"APPLICATION": "mlperf-tiny", "BITS_PER_SECOND": "9600"}]
