# SPDX-License-Identifier: Apache-2.0
"""The sender's side of the serial line: images go to a device, what it recognises comes back.

The line may damage bytes. A packet that did not arrive whole is repeated, a frame that the device
no longer expects is begun again, and a device that does not answer becomes an exception; so does
one that answers without end.
"""

import collections.abc
import contextlib
import math
import time
import typing

import numpy as np

from keras_micronet.files.text import shorten
from keras_micronet.luma import luma
from tflm.firmware.link import serial_packets
from tflm.firmware.link.serial_packets import (
    BeginTaken,
    ModelInformation,
    Refusal,
    Result,
    RowTaken,
)
from tflm.firmware.settings import ANSWER_SECONDS, MOST_BYTES, MOST_SECONDS

_SHOWN_BYTES = 80


class SerialLineError(RuntimeError):
    """A device, or the line to it, did not do its part."""


class DeviceRefused(SerialLineError):
    """The device has answered with an error that a repetition does not mend.

    Attributes:
        code: the device's word for it, such as "size".
        sentence: the device's explanation.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"The device answers: {refusal.code}: {refusal.sentence}")
        self.code = refusal.code
        self.sentence = refusal.sentence


class DeviceSilent(SerialLineError):
    """The device did not answer in time."""


class DeviceTalkative(SerialLineError):
    """The device writes without coming to an end."""


class LineTooNoisy(SerialLineError):
    """A packet or an answer was damaged each time."""


class _FrameForgotten(Exception):
    """The device has started anew within a frame."""


class Stream(typing.Protocol):
    """A line to a device; boards and ports are such."""

    def write(self, data: bytes) -> None:
        """Sends bytes."""

    def read(self, seconds: float) -> bytes:
        """Bytes as soon as there are any, or `b""` when none came in time."""
        ...


class SerialClient:
    """Talks to one device."""

    def __init__(
        self,
        stream: Stream,
        answer_seconds: float = ANSWER_SECONDS,
        attempts: int = 8,
        most_seconds: float = MOST_SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Sends nothing yet.

        Args:
            stream: an object with `write(data)`, and `read(seconds)`, which returns bytes
                as soon as there are any, or `b""` when none came in time.
            answer_seconds: of real time that the device may take for an answer. Computing
                the scores is a part of the last row's answer.
            attempts: how often a packet is sent until it counts as lost, and how often a
                frame is begun.
            most_seconds: of real time that an image may take, with all repetitions.
            most_bytes: that the device may write meanwhile.

        Raises:
            ValueError: one of them is not positive.
        """
        limits = {
            "answer_seconds": answer_seconds,
            "attempts": attempts,
            "most_seconds": most_seconds,
            "most_bytes": most_bytes,
        }
        if not all(limit > 0 for limit in limits.values()):
            raise ValueError(
                f"{', '.join(limits)} must be positive. "
                f"Received: {', '.join(f'{name}={limit}' for name, limit in limits.items())}"
            )
        self._stream = stream
        self._answer_seconds = answer_seconds
        self._attempts = attempts
        self._most_seconds = most_seconds
        self._most_bytes = most_bytes
        self._end = math.inf  # of the time for what is being asked
        self._bytes_left = most_bytes
        self._received = bytearray()
        self._last_line = b""
        self._information: ModelInformation | None = None  # until the device has told

    def wait_for_start(self) -> ModelInformation:
        """Waits for the line that a device writes when it starts.

        Returns:
            `ModelInformation`.

        Raises:
            DeviceRefused: it cannot work, and says why.
            DeviceSilent: no such line came in time.
            DeviceTalkative: too many others came.
        """
        with self._limited():
            deadline = self._deadline()
            while True:
                try:
                    answer = self._answer(deadline)
                except ValueError:
                    continue  # the rest of a line from before, or what a line carries at power-on
                if isinstance(answer, ModelInformation) and answer.is_start:
                    return answer
                if isinstance(answer, Refusal) and not _is_damage(answer):
                    raise DeviceRefused(answer)

    def information(self) -> ModelInformation:
        """Asks for the device's `ModelInformation`.

        Raises:
            DeviceSilent, DeviceTalkative, LineTooNoisy: there is no device, or none of this
                project's, or the line damages everything.
        """
        with self._limited():
            for _ in range(self._attempts):
                try:
                    return self._synchronize(lambda answer: False)[0]
                except _FrameForgotten:
                    pass  # it answers after its start
        raise LineTooNoisy(
            f"A device must answer in {self._attempts} attempts. Received: only starts of it"
        )

    def recognize(self, image: np.ndarray) -> Result:
        """Sends an image and waits for what the device recognises.

        Args:
            image: uint8 array `(height, width, channels)`, raw RGB or gray. If the device has told
                that it takes the other, it becomes that. The device resizes it.

        Returns:
            `Recognition`; of a device whose model answers for the cells of a grid, `FoundObjects`
            or `ClassMap`.

        Raises:
            ValueError: the image is no such array.
            DeviceRefused: with the device's reason, such as a size that it cannot take.
            DeviceSilent: no answer came in time.
            DeviceTalkative: the answers came to no end in time.
            LineTooNoisy: the same packet was damaged too often.
        """
        image = np.asarray(image)
        channels = image.shape[-1] if image.ndim == 3 else None
        if image.dtype != np.uint8 or channels not in (1, 3) or not image.size:
            raise ValueError(
                "An image must be raw RGB or gray, uint8 of shape (height, width, 3 or 1). "
                f"Received: {image.dtype} of shape {image.shape}"
            )
        with self._limited():
            told = self._information
            return self._recognize(_with_channels(image, told.channels if told else channels))

    def _recognize(self, image):
        for _ in range(self._attempts):
            try:
                return self._send_frame(image)
            except _FrameForgotten:
                reason = "the device started anew within each frame"
            except DeviceRefused as error:
                if error.code != "order":
                    raise
                reason = str(error)
        raise LineTooNoisy(f"A frame must arrive in {self._attempts} attempts. Received: {reason}")

    def _send_frame(self, image):
        height, width, _ = image.shape
        begin = serial_packets.begin_frame(width, height)
        # A frame that was begun before, and left, is reported before the new one begins.
        self._ask(begin, lambda answer: isinstance(answer, BeginTaken), passed_over=("order",))
        for index, row in enumerate(image):
            packet = serial_packets.frame_row(index, row.tobytes())
            if index < height - 1:
                self._ask(packet, lambda answer, index=index: answer == RowTaken(index))
        return self._ask(packet, lambda answer: isinstance(answer, Result))

    def _ask(self, packet, is_wanted, passed_over=()):
        """Sends a packet until an answer comes for which `is_wanted`; returns that answer.

        Args:
            passed_over: codes of errors that may come before the answer.
        """
        for _ in range(self._attempts):
            self._stream.write(packet)
            answer, damage = self._wanted_answer(is_wanted, passed_over)
            if answer is None:
                _, answer = self._synchronize(is_wanted)
            if answer is not None:
                return answer
        raise LineTooNoisy(
            f"A packet must be answered in {self._attempts} attempts. Received last: {damage}"
        )

    def _wanted_answer(self, is_wanted, passed_over):
        """The answer, or `None` and a text that says what came instead."""
        deadline = self._deadline()
        while True:
            try:
                answer = self._answer(deadline)
            except (DeviceSilent, ValueError) as error:
                return None, str(error)
            if is_wanted(answer):
                return answer, ""
            if isinstance(answer, Refusal):
                if _is_damage(answer):
                    return None, f"{answer.code}: {answer.sentence}"
                if answer.code not in passed_over:
                    raise DeviceRefused(answer)
            elif isinstance(answer, ModelInformation) and answer.is_start:
                raise _FrameForgotten

    def _synchronize(self, is_wanted):
        """Asks for information and reads until it comes: it is the last answer on the line then.

        Damaged bytes may have become several packets for the device, each with its error.

        Returns:
            `ModelInformation`, and the answer among those before for which `is_wanted`, or `None`.
        """
        wanted = None
        was_silent = False
        for _ in range(self._attempts):
            self._stream.write(serial_packets.information_request())
            deadline = self._deadline()
            try:
                answer = self._answer(deadline)
                while not isinstance(answer, ModelInformation) and not _is_damage(answer):
                    wanted = answer if is_wanted(answer) else wanted
                    answer = self._answer(deadline)
            except ValueError:
                continue
            except DeviceSilent:
                if was_silent:
                    raise
                was_silent = True
                continue
            if isinstance(answer, ModelInformation):
                if answer.is_start:
                    raise _FrameForgotten
                return answer, wanted
        raise LineTooNoisy(
            f"A device must answer one of {self._attempts} requests. Received: only damaged lines"
        )

    @contextlib.contextmanager
    def _limited(self) -> collections.abc.Iterator[None]:
        """Limits what a device can take of this side's time and memory while in the block."""
        self._end = time.monotonic() + self._most_seconds
        self._bytes_left = self._most_bytes
        yield

    def _deadline(self):
        """When an answer must be there that is asked for now."""
        return time.monotonic() + self._answer_seconds

    def _read(self, deadline):
        """Reads what has come, at least a byte.

        Raises:
            DeviceSilent: what is waited for did not come in time, whatever else did.
            DeviceTalkative: the device has written for too long, or too much.
        """
        now = time.monotonic()
        if now >= self._end:
            raise DeviceTalkative(
                f"A device must be done in {self._most_seconds:g} s (--most-seconds raises it). "
                f"Received last: {self._shown()}"
            )
        data = b"" if now >= deadline else self._stream.read(min(deadline, self._end) - now)
        self._received += data
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise DeviceTalkative(
                f"A device must write at most {self._most_bytes:,} bytes for an image "
                f"(--most-bytes raises it). Received last: {self._shown()}"
            )
        if not data and time.monotonic() < self._end:
            received = self._shown()
            self._received.clear()
            raise DeviceSilent(
                f"A device must answer in {self._answer_seconds:g} s (--answer-seconds raises it). "
                f"Received: {received}"
            )

    def _shown(self):
        """The last of what has come, for a message."""
        received = bytes(self._received or self._last_line)[-_SHOWN_BYTES:]
        return shorten(received) if received else "nothing"

    def _answer(self, deadline):
        """Reads and parses the next line.

        Args:
            deadline: when it must be there.

        Raises:
            DeviceSilent, DeviceTalkative: it did not come in time.
            ValueError: it is none of a device's lines, or a result of another model.
        """
        while b"\n" not in self._received:
            self._read(deadline)
        line, _, self._received = self._received.partition(b"\n")
        self._last_line = line
        answer = serial_packets.parse_line(bytes(line))
        if isinstance(answer, ModelInformation):
            self._information = answer
        elif self._information is not None and (misfit := self._information.misfit(answer)):
            raise ValueError(misfit)
        return answer


def _with_channels(image, channels):
    """The pixels that a device takes: gray ones as RGB, or colours as gray."""
    if image.shape[-1] == channels:
        return image
    return np.repeat(image, 3, axis=-1) if channels == 3 else luma(image)[..., np.newaxis]


def _is_damage(answer):
    return isinstance(answer, Refusal) and answer.code in serial_packets.DAMAGES
