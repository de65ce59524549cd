# SPDX-License-Identifier: Apache-2.0
"""Firmware for MLPerf Tiny: its answers on this computer, with sanitizers, and on emulated boards.

The expected answers are those of a device that was written from the protocol alone.
"""

import functools
import random
import re
import string
import subprocess

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.tflm.firmware.conftest import random_images
from tests.tflm.firmware.reference_benchmark import START, ReferenceBenchmark, softmax
from tests.tflm.firmware.test_application import FLAGS, SANITIZERS, heap_symbols, refusal
from tflm.firmware import build, command_line
from tflm.firmware.benchmark_tasks import task_named, task_of_model
from tflm.firmware.boards.emulated_board import EmulatedBoard
from tflm.firmware.boards.host_board import HostBoard
from tflm.firmware.link.mlperf_tiny_runner import BenchmarkRunner
from tflm.firmware.link.serial_client import DeviceRefused

pytestmark = pytest.mark.emulator

EMULATED, CHIP = "mps2-an386", "stm32f405"
INSTRUCTION_NS = 64
TIMESTAMP = re.compile(r"(?<=m-lap-us-)\d+")
PROBABILITY_STEP = 0.00101  # three decimals, and integers of 15 bits before


@pytest.fixture(scope="module")
def models(classifier_model, person_model):
    """`SmallModel`s by the benchmark's names of their tasks."""
    return {"ic01": classifier_model, "vww01": person_model}


@pytest.fixture(scope="module")
def benchmark(models, tmp_path_factory):
    """Function of a task and a platform: a program, built when it is first asked for."""

    @functools.cache
    def program(task, platform):
        definitions = {"APPLICATION": build.MLPERF_TINY}
        if platform == build.HOST:
            definitions |= dict.fromkeys(FLAGS, SANITIZERS)
        elif build.emulation(platform):
            definitions |= build.emulation(platform).definitions
        folder = tmp_path_factory.mktemp(f"{task}-{platform}")
        model = models[task].folder
        return build.build(model, platform, build.STATIC, folder, definitions=definitions)

    return program


def board(program, platform):
    """A board that runs it."""
    if platform == build.HOST:
        return HostBoard(program)
    return EmulatedBoard(program, build.emulation(platform).machine)


def answers(program, data):
    """Lines of a program of this computer, which ends with its input; those of its start first."""
    finished = subprocess.run([program], input=data, capture_output=True, timeout=60)
    assert finished.returncode == 0, finished.stderr.decode()
    text = finished.stdout.decode("ascii")
    assert text.replace("\r\n", "").isprintable()  # every line ends so, and has nothing else
    return text.split("\r\n")[:-1]


def essence(lines):
    """Lines without what is free: words of errors, times, what `help` tells."""
    return [
        re.sub(r"^e-\[.+\]$", "e-[]", TIMESTAMP.sub("#", line))
        for line in lines
        if re.match(r"[em]-", line)
    ]


def image_commands(data, piece=31):
    """Commands that send an image."""
    pieces = (data[start : start + piece].hex() for start in range(0, len(data), piece))
    return "".join([f"db load {len(data)}%", *(f"db {each}%" for each in pieces)]).encode()


def images_of(model, count, seed=0):
    """Bytes of images of its size."""
    return [image.tobytes() for image in random_images(count, seed, 3, model.input_shape[:2])]


def reference(models, task):
    model = models[task]
    size = int(np.prod(model.input_shape))
    return ReferenceBenchmark(task, size, functools.partial(softmax, model))


def without_results(lines):
    return [line for line in lines if not line.startswith("m-results-")]


def results(lines):
    """Probabilities, a row for each line of them."""
    found = [line[len("m-results-[") : -1] for line in lines if line.startswith("m-results-")]
    assert all(re.fullmatch(r"[01]\.\d{3}(,[01]\.\d{3})*", line) for line in found)
    return np.array([[float(word) for word in line.split(",")] for line in found])


def assert_answers(lines, expected):
    assert without_results(essence(lines)) == without_results(expected)
    np.testing.assert_allclose(results(lines), results(expected), atol=PROBABILITY_STEP)


@pytest.mark.parametrize("task", ["ic01", "vww01"])
def test_session_of_the_benchmark(models, benchmark, task):
    first, second = images_of(models[task], 2)
    data = b"name%profile%help%timestamp%"
    data += image_commands(first) + b"infer 2 1%results%" + image_commands(second) + b"infer%"
    device = reference(models, task)
    lines = answers(benchmark(task, build.HOST), data)
    assert essence(lines[:4]) == START
    assert_answers(lines[4:], device.take(data))
    probabilities = results(lines)
    assert len(probabilities) == 3 and (probabilities[0] == probabilities[1]).all()
    assert np.abs(probabilities[0] - probabilities[2]).max() > 0.05
    times = [int(time) for line in lines for time in TIMESTAMP.findall(line)]
    assert len(times) == 6 and times == sorted(times)


REFUSED = {
    "infer%": "there must be an image of 3072 bytes",
    "results%": "there must have been an inference",
    "db 00%": "bytes must be announced: db load 3072",
    "db%": "load, print, or hexadecimal digits. Received: nothing",
    "db load%": "a number of bytes from 1 to 3072",
    "db load 0%": "from 1 to 3072",
    "db load 3073%": "from 1 to 3072",
    "db load 99999999999999999999%": "from 1 to 3072",
    "db load -1%": "from 1 to 3072",
    "db load 5 5%": "from 1 to 3072",
    "db load 5%db 012%": "a byte must have two digits. Received: 3 digits",
    "db load 5%db 01 02%": "all digits must be one word. Received: 02",
    "db load 5%db 0g%": "hexadecimal digits. Received: 0g",
    "db load 1%db 0102%": "at most 1 more bytes, of 1. Received: 2",
    "db load 1%db 01%db 02%": "at most 0 more bytes, of 1. Received: 1",
    "db load 3%db 010203%db print 4%": "how many bytes, and the first, of 3",
    "db load 3%db 010203%db print 2 2%": "how many bytes, and the first, of 3",
    "infer 0%": "inferences, from 1 to 1000000",
    "infer 1000001%": "from 1 to 1000000",
    "infer 1 1 1%": "inferences, from 1",
    "infer x%": "inferences, from 1",
    "NAME%": "a command must be one of those that help tells. Received: NAME",
    "name please%": "this command must stand alone. Received: please",
    "\x1b[2J%": "Received: ?[2J",
    f"{'x' * 81}%": "a command must have at most 80 characters. Received: more",
}


@pytest.mark.parametrize("commands", REFUSED)
def test_what_cannot_be_is_refused(benchmark, commands):
    lines = answers(benchmark("ic01", build.HOST), commands.encode())[4:]
    assert lines[-1] == "m-ready" and lines.count("m-ready") == commands.count("%")
    errors = [line for line in lines if line.startswith("e-[")]
    assert errors == [lines[-2]] and lines[-2].endswith("]")
    assert REFUSED[commands] in lines[-2]


def test_command_of_80_characters_is_taken(benchmark):
    digits = "ab" * 38
    lines = answers(
        benchmark("ic01", build.HOST), f"db load 38%db  {digits}%db print 2 36%".encode()
    )
    assert len(f"db  {digits}") == 80
    assert "m-load-done" in lines and "m-buffer-ab-ab" in lines


def test_refused_bytes_change_nothing(benchmark):
    data = b"db load 3%db 0102%db 03zz%db 0304%db 03%db print%"
    lines = essence(answers(benchmark("ic01", build.HOST), data)[4:])
    assert lines[3:] == [
        *("e-[]", "m-ready"),
        *("e-[]", "m-ready"),
        *("m-load-done", "m-ready"),
        *("m-buffer-01-02-03", "m-ready"),
    ]


def random_session(generator, data):
    """Commands, right and wrong, damaged and whole, to their end."""
    digits = "".join(generator.choices(string.hexdigits, k=generator.randrange(0, 90)))
    noise = bytes(generator.choices(range(256), k=generator.randrange(0, 200)))
    number = generator.choice(["0", "1", "2", "3", "16", "3072", "3073", "-1", "1e3", "9" * 30, ""])
    short = image_commands(data[: generator.randrange(1, 100)], generator.randrange(1, 39))
    choices = [
        *(b"name%", b"profile%", b"timestamp%", b"results%", b"%", b"db%", b"help%", b"db print%"),
        f"db {digits}%".encode(),
        f"db load {number}%".encode(),
        f"db print {number} {generator.randrange(5)}%".encode(),
        f"infer 1 {generator.choice([number, '0'])[:2]}%".encode(),
        *(noise + b"%", short, image_commands(data) + b"infer 1 0%"),
    ]
    session = b"".join(generator.choices(choices, k=12))
    if generator.random() < 0.5:
        place = generator.randrange(len(session))
        session = session[:place] + bytes([generator.randrange(256)]) + session[place + 1 :]
    return session + b"%"


def test_any_bytes_are_answered_as_the_protocol_says(models, benchmark):
    generator = random.Random(0)
    images = images_of(models["ic01"], 4, seed=5)
    device = reference(models, "ic01")
    data = b"".join(random_session(generator, generator.choice(images)) for _ in range(150))
    lines = answers(benchmark("ic01", build.HOST), data)[4:]
    expected = device.take(data)
    assert_answers(lines, expected)
    assert expected.count("e-[]") > 300 and expected.count("m-load-done") > 60


def test_answers_are_shown_whatever_was_received(benchmark):
    """Bytes that a terminal would obey come back as question marks."""
    data = b"".join(bytes([value]) + b"x%" for value in range(256) if value not in b"%")
    lines = answers(benchmark("ic01", build.HOST), data)
    assert sum("Received: ?x]" in line for line in lines) == 256 - 95 - 3 + 1  # "?" itself, too


@pytest.mark.parametrize(
    ("task", "platform"), [("ic01", EMULATED), ("vww01", EMULATED), ("ic01", CHIP)]
)
def test_runner_measures_an_emulated_board(models, benchmark, task, platform):
    """The emulated time of inferences is their instructions', and their number counts."""
    program = benchmark(task, platform)
    data = images_of(models[task], 1)[0]
    with board(program, platform) as stream:
        runner = BenchmarkRunner(stream)
        runner.wait_for_start()
        identity = runner.identity()
        assert (identity.name, identity.task) == ("keras_micronet", task_named(task))
        with pytest.raises(DeviceRefused, match="there must be an image"):
            runner.infer(1, 0)
        runner.load(data)
        windows = [runner.infer(count, warmups) for count, warmups in ((1, 0), (1, 3), (5, 0))]
        stamps = [int(runner.command("timestamp")[0].split("-")[-1]) for _ in range(2)]
    for window in windows:
        np.testing.assert_allclose(
            window.probabilities, softmax(models[task], data), atol=PROBABILITY_STEP
        )
    once, warmed, five = (window.microseconds for window in windows)
    assert warmed == pytest.approx(once, abs=3)
    # What is not an inference, the writing of a line, is there once.
    assert 4.5 * once < five <= 5 * once + 5
    # A multiplication each, at least: 64 ns of the emulated time.
    multiply_adds = sum(
        each.options["integers"].multiply_adds for each in models[task].graph.operations
    )
    assert once > multiply_adds / 4 * INSTRUCTION_NS / 1000
    assert stamps[0] < stamps[1]  # by how much depends on how long the board has waited for us


@pytest.mark.parametrize("platform", [build.HOST, EMULATED])
def test_command_tells_what_the_kernels_definitions_give(
    models, benchmark, platform, tmp_path, monkeypatch, capsys
):
    """From a run's images to the accuracy, by the firmware; half of the labels are the model's."""
    model, program = models["ic01"], benchmark("ic01", platform)
    images = random_images(20, 8, 3, (32, 32))
    probabilities = np.array([softmax(model, image.tobytes()) for image in images]).round(3)
    labels = np.where(np.arange(20) % 2, probabilities.argmax(axis=1), np.arange(20) // 2)
    assert len(set(labels)) == 10
    np.savez(tmp_path / "test.npz", images=images, labels=labels)
    monkeypatch.setattr(build, "build", lambda *choices, **more: program)
    words = [str(model.folder), "--platform", platform, "--images", str(tmp_path / "test.npz")]
    words += ["--application", "mlperf-tiny"]
    assert command_line.main([*words, "--mode", "accuracy"]) == 0
    output = capsys.readouterr().out
    right = 100 * np.mean(probabilities.argmax(axis=1) == labels)
    top_1, area = map(float, re.search(r"top-1 (\S+)% of 20 inputs, AUC (\S+)", output).groups())
    assert top_1 == pytest.approx(right) and 45 < right < 100
    sums = probabilities.sum(axis=1, keepdims=True)
    expected = roc_auc_score(labels, probabilities / sums, multi_class="ovr")
    assert area == pytest.approx(expected, abs=0.01)
    assert command_line.main([*words, "--inferences", "2", "--count", "3"]) == 0
    output = capsys.readouterr().out
    rates = [float(rate) for rate in re.findall(r"image \d: 2 .* ([\d.]+) a second", output)]
    assert f"median of 3 downloads: {np.median(rates):.3f} inferences a second" in output
    clock = "this computer's" if platform == build.HOST else "the emulator's, 64 ns an instruction"
    assert f"The time is {clock}" in output and "not a result" in output


def test_emulated_times_are_the_same_on_both_boards(models, benchmark):
    """One counts instructions, the other ticks of 168 MHz: 64 ns of the same time."""
    times = []
    for platform in (EMULATED, CHIP):
        with board(benchmark("ic01", platform), platform) as stream:
            runner = BenchmarkRunner(stream)
            runner.wait_for_start()
            runner.load(images_of(models["ic01"], 1)[0])
            times.append(runner.infer(10, 0).microseconds)
    assert times[0] == pytest.approx(times[1], rel=0.01)


@pytest.mark.parametrize("platform", ["nrf52840", "rp2350", "stm32h743"])
def test_chip_is_compiled(models, tmp_path, platform):
    program = build.build(
        models["vww01"].folder,
        platform,
        build.STATIC,
        tmp_path / "build",
        definitions={"APPLICATION": build.MLPERF_TINY, "BITS_PER_SECOND": "9600"},
    )
    assert heap_symbols(program) == []


def test_model_of_no_task_is_refused_before_anything_is_built(small_model, gray_model, tmp_path):
    for model, received in ((small_model, "10x8x3"), (gray_model, "10x8x1")):
        with pytest.raises(ValueError, match=f"Received: {received} and 7 classes. Train one"):
            build.build(
                model.folder,
                build.HOST,
                build.STATIC,
                tmp_path / "build",
                definitions={"APPLICATION": build.MLPERF_TINY},
            )
    assert not (tmp_path / "build").exists()


def test_tasks_are_told_by_the_headers(models):
    for name, model in models.items():
        assert task_of_model(model.folder) == task_named(name)


def test_unclear_headers_are_refused(tmp_path):
    (tmp_path / "src").mkdir()
    text = "#define A_INPUT_HEIGHT 32\n#define B_INPUT_HEIGHT 96\n#define A_INPUT_WIDTH x\n"
    (tmp_path / "src" / "a.h").write_text(text)
    with pytest.raises(ValueError, match="must say what it takes, once. .* one INPUT_HEIGHT"):
        task_of_model(tmp_path)


def test_other_model_does_not_compile(small_model, tmp_path):
    """By CMake alone, which has nobody to ask before."""
    definitions = {"MODEL": small_model.folder, "APPLICATION": build.MLPERF_TINY}
    definitions |= {"PLATFORM": build.HOST, "RUNTIME": build.STATIC}
    command = ["cmake", "-S", build.SOURCES_FOLDER, "-B", tmp_path / "build"]
    command += [f"-D{name}={value}" for name, value in definitions.items()]
    subprocess.run(command, check=True, capture_output=True)
    command = ["cmake", "--build", tmp_path / "build"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode != 0
    assert "the model must take 32x32 RGB pixels" in finished.stdout + finished.stderr


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ({"APPLICATION": "mlperf"}, "APPLICATION must be camera or mlperf-tiny. .*'mlperf'"),
        ({"BITS_PER_SECOND": "19200"}, "BITS_PER_SECOND must be 115200 or 9600. .*'19200'"),
        (
            {"APPLICATION": "mlperf-tiny", "PROVIDER": "test_vectors"},
            "PROVIDER must be serial for APPLICATION=mlperf-tiny.* Received: 'test_vectors'",
        ),
    ],
)
def test_wrong_choices_are_told(models, tmp_path, definitions, message):
    assert re.search(message, refusal(tmp_path, {"MODEL": models["ic01"].folder, **definitions}))


def test_small_arena_is_told(models, tmp_path):
    """At the start, before the benchmark could take it for a device."""
    needed = models["ic01"].rows_arena_bytes
    program = build.build(
        models["ic01"].folder,
        build.HOST,
        build.STATIC,
        tmp_path,
        definitions={"APPLICATION": build.MLPERF_TINY, "ARENA_BYTES": str(needed - 1)},
    )
    with HostBoard(program) as stream:
        with pytest.raises(DeviceRefused, match=f"arena: needs {needed} bytes, has {needed - 1}"):
            BenchmarkRunner(stream).wait_for_start()
