# SPDX-License-Identifier: Apache-2.0
"""The rehearsal's runner against devices that do, and do not do, their part."""

import re

import numpy as np
import pytest

from tests.tflm.firmware.reference_benchmark import START, ReferenceBenchmark
from tflm.firmware.benchmark_tasks import task_named
from tflm.firmware.link.mlperf_tiny_runner import (
    BenchmarkRunner,
    Window,
    complaints,
    median_rate,
)
from tflm.firmware.link.serial_client import (
    DeviceRefused,
    DeviceSilent,
    DeviceTalkative,
    SerialLineError,
)

PROBABILITIES = np.array([0.25, 0.75])
IMAGE = bytes(range(256)) * 108  # 96 * 96 * 3
LAP = 1_250  # microseconds from a timestamp to the next


class StandIn:
    """A stream to a `ReferenceBenchmark`, whose answers a function may change."""

    def __init__(self, change=lambda line: [line], task="vww01"):
        self._device = ReferenceBenchmark(task, len(IMAGE), lambda data: PROBABILITIES)
        self._change = change
        self._time = 0
        self.sent = b""
        self._received = self._lines(START)

    def _lines(self, lines):
        text = ""
        for line in lines:
            self._time += LAP if line.endswith("#") else 0
            for changed in self._change(line.replace("#", str(self._time))):
                text += f"{changed}\r\n"
        return text.encode("latin-1")

    def write(self, data):
        self.sent += data
        self._received += self._lines(self._device.take(data))

    def read(self, seconds):
        part, self._received = self._received[:7], self._received[7:]
        return part


def runner_of(stream, **limits):
    return BenchmarkRunner(stream, **{"answer_seconds": 0.05, **limits})


def test_session():
    stream = StandIn()
    runner = runner_of(stream)
    runner.wait_for_start()
    identity = runner.identity()
    assert identity.name == "keras_micronet" and identity.task == task_named("vww01")
    runner.load(IMAGE)
    assert runner.infer(7, 2) == Window(7, LAP, (0.25, 0.75))
    commands = stream.sent.decode().split("%")
    assert commands[:3] == ["name", "profile", f"db load {len(IMAGE)}"]
    pieces = [re.fullmatch("db ([0-9a-f]{2,62})", command)[1] for command in commands[3:-2]]
    assert bytes.fromhex("".join(pieces)) == IMAGE  # no more than 31 bytes a command
    assert commands[-2:] == ["infer 7 2", ""]


@pytest.mark.parametrize("has_started", [False, True])
@pytest.mark.parametrize("before", [b"", b"infer 1 1 ", b"db 0", b"nonsense", b"name%profile%"])
def test_what_was_on_the_line_before_is_passed_over(before, has_started):
    """A command that somebody has begun ends in an error, which is not the runner's."""
    stream = StandIn()
    stream.write(before)
    if not has_started:
        stream._received = b""
    runner = runner_of(stream)
    runner.synchronize()
    assert runner.identity().task.name == "vww01"


def replaced(pattern, *lines):
    """A change of the lines that match."""
    return lambda line: list(lines) if re.match(pattern, line) else [line]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced("m-name", "m-name-dut-[]"), "must tell its name once. Received: m-name-dut-"),
        (replaced("m-model", "m-model-[a]", "m-model-[b]"), "must tell its model once"),
        (replaced("m-model", "m-model-[kws01]"), "ic01 or vww01. Received: kws01"),
        (replaced("m-load-done"), "when 27648 bytes are there. Received: no line"),
        (replaced("m-lap-us-3750", "m-lap-us-0"), "two timestamps, the second later"),
        (replaced("m-lap-us-3750"), "two timestamps"),
        (replaced("m-lap-us-3750", "m-lap-us-5000.5"), "two timestamps"),
        (replaced("m-results"), "one line of results"),
        (replaced("m-results", "m-results-[0.1,0.2,0.7]"), "must be 2 probabilities"),
        (replaced("m-results", "m-results-[-0.5,1.5]"), "must be 2 probabilities"),
        (replaced("m-results", "m-results-[nan,1.0]"), "must be 2 probabilities"),
        (replaced("m-results", "m-results-[0.000,0.000]"), "must not all be 0"),
        (replaced("m-results", "e-[it is broken]"), "The device answers: .*it is broken"),
        (replaced("m-ready", "error fault exception=3"), "with m-ready at the end"),
    ],
)
def test_device_that_does_not_do_its_part_is_an_error(change, message):
    runner = runner_of(StandIn(change))
    with pytest.raises(SerialLineError, match=message):
        runner.wait_for_start()
        runner.identity()
        runner.load(IMAGE)
        runner.infer(1, 0)


def test_silent_device():
    with pytest.raises(DeviceSilent, match=r"in 0.05 s .*firmware of --application mlperf-tiny"):
        runner_of(StandIn(lambda line: [])).wait_for_start()


@pytest.mark.parametrize("endless", [b"x", b"m-lap-us-1\r\n", b"e-[no]\r\n", b"\xff\x00"])
def test_talkative_device_is_stopped(endless):
    class Endless:
        bytes_given = 0

        def write(self, data):
            pass

        def read(self, seconds):
            self.bytes_given += 100 * len(endless)
            return 100 * endless

    stream = Endless()
    with pytest.raises(DeviceTalkative, match="5,000 bytes"):
        runner_of(stream, most_bytes=5000).wait_for_start()
    assert stream.bytes_given < 10_000
    with pytest.raises(DeviceTalkative, match="in 0.05 s"):
        runner_of(Endless(), most_seconds=0.05, most_bytes=10**12).wait_for_start()


def test_device_that_cannot_work_says_why():
    class Stopped:
        text = b"e-[arena: needs 100 bytes, has 99]\r\n"

        def write(self, data):
            pass

        def read(self, seconds):
            text, self.text = self.text, b""
            return text

    with pytest.raises(DeviceRefused, match="arena: needs 100 bytes, has 99"):
        runner_of(Stopped()).wait_for_start()


def windows_of(*seconds, inferences=100):
    return [Window(inferences, int(each * 1e6), (1.0, 0.0)) for each in seconds]


def test_median_is_that_of_the_windows():
    assert median_rate(windows_of(10, 20, 25, 12.5, 40)) == 5.0


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((10, 11, 12, 13, 29.9), []),
        ((10, 10, 10, 10), ["There must be 5 downloads. Received: 4"]),
        # 100 inferences in 5 s are 20 a second: 10 s have 200 of them, and some to spare.
        ((5, 5.1, 5.2, 5.3, 5.4), ["must take at least 10 s: --inferences 211. Received: 5.000 s"]),
        ((10, 10, 10, 10, 30), ["must take less than 30 s"]),
    ],
)
def test_complaints_are_the_rules(seconds, expected):
    sentences = complaints(windows_of(*seconds))
    assert len(sentences) == len(expected)
    assert all(part in sentence for part, sentence in zip(expected, sentences, strict=True))
