# SPDX-License-Identifier: Apache-2.0
"""The other side of firmware for MLPerf Tiny: asks what the benchmark's runner asks.

Commands are text that ends with `%`; a device answers each with lines, the last of them
`m-ready`. Bytes of an image go in hexadecimal, 31 a command, as many as the runner of MLCommons
sends (github.com/mlcommons/tiny, `benchmark/runner`). Only that runner's results count; this one
rehearses them, and complains where that one would go on.
"""

import contextlib
import dataclasses
import re
import statistics
import time
from collections.abc import Sequence

from keras_micronet.files.text import shorten
from tflm.firmware.benchmark_tasks import Task, task_named
from tflm.firmware.link.serial_client import (
    DeviceRefused,
    DeviceSilent,
    DeviceTalkative,
    SerialLineError,
    Stream,
)
from tflm.firmware.link.serial_packets import Refusal
from tflm.firmware.settings import ANSWER_SECONDS, MOST_BYTES, MOST_SECONDS

BYTES_OF_A_COMMAND = 31
LEAST_WINDOW_SECONDS = 10.0  # of a submission
MOST_WINDOW_SECONDS = 30.0  # that the benchmark's runner waits for a line
_END = "%"
_READY = "m-ready"
_IDENTITIES = {
    "name": re.compile(r"m-name-dut-\[([^]]+)\]"),
    "profile": re.compile(r"m-profile-\[([^]]+)\]"),
    "model": re.compile(r"m-model-\[([^]]+)\]"),
}
_TIMESTAMP = re.compile(r"m-lap-us-([0-9]{1,18})")
_RESULTS = re.compile(r"m-results-\[([^]]+)\]")
_PROBABILITY = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_ERROR = re.compile(r"e-\[(.*)\]")
_SHOWN_CHARACTERS = 80
_SECONDS_OF_SILENCE = 0.3


@dataclasses.dataclass(frozen=True)
class Identity:
    """Who a device says that it is.

    Attributes:
        name: its own.
        profile: of its firmware.
        task: `Task` that its model does.
    """

    name: str
    profile: str
    task: Task


@dataclasses.dataclass(frozen=True)
class Window:
    """Inferences between two timestamps.

    Attributes:
        inferences: how many.
        microseconds: by the device's clock.
        probabilities: of the classes, by the last of them.
    """

    inferences: int
    microseconds: int
    probabilities: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """By the device's clock."""
        return self.microseconds / 1e6

    @property
    def rate(self) -> float:
        """Inferences a second."""
        return self.inferences / self.seconds


class BenchmarkRunner:
    """Talks to one device."""

    def __init__(
        self,
        stream: Stream,
        answer_seconds: float = ANSWER_SECONDS,
        most_seconds: float = MOST_SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Sends nothing yet.

        Args:
            stream: as for `SerialClient`.
            answer_seconds: of real time that the device may take for a line, which all inferences
                of a command lie before.
            most_seconds: of real time that a command may take.
            most_bytes: that the device may answer a command with.
        """
        self._stream = stream
        self._answer_seconds = answer_seconds
        self._most_seconds = most_seconds
        self._most_bytes = most_bytes
        self._received = bytearray()
        self._task: Task | None = None

    def wait_for_start(self) -> None:
        """Waits for the lines that a device begins with.

        Raises:
            DeviceRefused: it cannot work, and says why.
            DeviceSilent, DeviceTalkative: they did not come.
        """
        self._answer()

    def synchronize(self) -> None:
        """Ends whatever is on the line, so that the next answer is that to the next command.

        Raises:
            DeviceSilent, DeviceTalkative: there is no such device.
        """
        self._send("")
        with contextlib.suppress(DeviceRefused):  # the end of a command from before
            self._answer()
        # There may have been the end of another answer on the line, such as a start's.
        end = time.monotonic() + self._answer_seconds
        while data := self._received or self._stream.read(_SECONDS_OF_SILENCE):
            self._received.clear()
            if time.monotonic() > end:
                raise DeviceTalkative(
                    f"A device must be silent between commands. Received: {shorten(bytes(data))}"
                )

    def identity(self) -> Identity:
        """Asks who the device is.

        Raises:
            SerialLineError: it does not say so, or its task is unknown.
        """
        lines = [*self.command("name"), *self.command("profile")]
        found = {}
        for key, pattern in _IDENTITIES.items():
            matches = [match for match in map(pattern.fullmatch, lines) if match]
            if len(matches) != 1:
                raise SerialLineError(
                    f"A device must tell its {key} once. Received: {_shown(lines)}"
                )
            found[key] = matches[0][1]
        try:
            self._task = task_named(found["model"])
        except ValueError as error:
            raise SerialLineError(str(error)) from error
        return Identity(found["name"], found["profile"], self._task)

    def load(self, data: bytes) -> None:
        """Sends an image.

        Args:
            data: bytes of its pixels, red, green, blue, the one at the top left first.

        Raises:
            SerialLineError: the device does not take it.
        """
        self.command(f"db load {len(data)}")
        lines = []
        for start in range(0, len(data), BYTES_OF_A_COMMAND):
            lines = self.command(f"db {data[start : start + BYTES_OF_A_COMMAND].hex()}")
        if lines != ["m-load-done"]:
            raise SerialLineError(
                f"A device must say when {len(data)} bytes are there. Received: {_shown(lines)}"
            )

    def infer(self, inferences: int, warmups: int) -> Window:
        """Has the device compute the image that was sent last.

        Args:
            inferences: how many lie between the timestamps.
            warmups: how many come before.

        Raises:
            SerialLineError: the device does not answer with two timestamps, the second later, and
                probabilities.
        """
        lines = self.command(f"infer {inferences} {warmups}")
        times = [int(match[1]) for match in map(_TIMESTAMP.fullmatch, lines) if match]
        results = [match[1] for match in map(_RESULTS.fullmatch, lines) if match]
        if len(times) != 2 or times[1] <= times[0] or len(results) != 1:
            raise SerialLineError(
                "A device must answer with two timestamps, the second later, and one line of "
                f"results. Received: {_shown(lines)}"
            )
        return Window(inferences, times[1] - times[0], self._probabilities(results[0]))

    def command(self, text: str) -> list[str]:
        """Sends a command.

        Args:
            text: without the `%`.

        Returns:
            The lines of the answer, without their ends and without the last one.

        Raises:
            DeviceRefused: one of them is an error.
            DeviceSilent, DeviceTalkative: the answer does not end in time.
        """
        self._send(text)
        return self._answer()

    def _probabilities(self, text):
        """Numbers of a line of results, which the benchmark's runner divides by their sum."""
        words = text.split(",")
        count = self._task.classes if self._task else len(words)
        if len(words) != count or not all(map(_PROBABILITY.fullmatch, words)):
            raise SerialLineError(
                f"Results must be {count} probabilities. Received: {shorten(text)}"
            )
        probabilities = tuple(map(float, words))
        if not sum(probabilities) > 0:
            raise SerialLineError(f"Probabilities must not all be 0. Received: {shorten(text)}")
        return probabilities

    def _send(self, text):
        self._stream.write(f"{text}{_END}".encode("ascii"))

    def _answer(self):
        end = time.monotonic() + self._most_seconds
        bytes_left = self._most_bytes
        lines, errors = [], []
        while True:
            line = self._line(end, bytes_left)
            bytes_left -= len(line) + 1
            text = line.decode("ascii", errors="replace").strip("\r\0")
            if text == _READY:
                break
            error = _ERROR.fullmatch(text)
            if error:
                errors.append(error[1])
                if error[1].startswith(("arena: ", "model: ")):
                    break  # after which a device ends
            elif text:
                lines.append(text)
        if errors:
            raise DeviceRefused(Refusal("benchmark", shorten("; ".join(errors))))
        return lines

    def _line(self, end, bytes_left):
        deadline = time.monotonic() + self._answer_seconds
        while b"\n" not in self._received:
            now = time.monotonic()
            if now >= end or len(self._received) > bytes_left:
                raise DeviceTalkative(
                    f"A device must end its answer with {_READY}, in {self._most_seconds:g} s "
                    f"(--most-seconds raises it) and {self._most_bytes:,} bytes (--most-bytes). "
                    f"Received last: {self._rest()}"
                )
            data = b"" if now >= deadline else self._stream.read(min(deadline, end) - now)
            if not data and time.monotonic() >= deadline:
                raise DeviceSilent(
                    f"A device must answer in {self._answer_seconds:g} s (--answer-seconds raises "
                    f"it), with {_READY} at the end, as firmware of --application mlperf-tiny. "
                    f"Received: {self._rest()}"
                )
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return bytes(line)

    def _rest(self):
        received = bytes(self._received)[-_SHOWN_CHARACTERS:]
        return shorten(received) if received else "nothing"


def median_rate(windows: Sequence[Window]) -> float:
    """Inferences a second, as the benchmark reports them: the median of the windows'."""
    return statistics.median(window.rate for window in windows)


def complaints(windows: Sequence[Window]) -> list[str]:
    """Why the benchmark would not count a measurement; sentences, none if it would.

    Args:
        windows: those of a measurement.
    """
    wanted = 5
    sentences = []
    if len(windows) != wanted:
        sentences.append(f"There must be {wanted} downloads. Received: {len(windows)}")
    shortest = min(windows, key=lambda window: window.seconds)
    longest = max(windows, key=lambda window: window.seconds)
    if shortest.seconds < LEAST_WINDOW_SECONDS:
        enough = int(LEAST_WINDOW_SECONDS * shortest.rate * 1.05) + 1
        sentences.append(
            f"The inferences of a download must take at least {LEAST_WINDOW_SECONDS:g} s: "
            f"--inferences {enough}. Received: {shortest.seconds:.3f} s"
        )
    if longest.seconds >= MOST_WINDOW_SECONDS:
        sentences.append(
            f"They must take less than {MOST_WINDOW_SECONDS:g} s, which the benchmark's runner "
            f"waits for. Received: {longest.seconds:.3f} s"
        )
    return sentences


def _shown(lines):
    return shorten("; ".join(lines)) if lines else "no line"
