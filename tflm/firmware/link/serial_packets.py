# SPDX-License-Identifier: Apache-2.0
"""What goes over the serial line: packets to the device, lines of text from it.

A packet is a kind (one byte), a body, and the CRC-32 of both (zlib's, 4 bytes, little-endian),
framed by SLIP (RFC 1055). Numbers of 16 bits are little-endian.

| kind | body | answer |
|---|---|---|
| `I` | nothing | `info ...` |
| `B` | version (1 byte), width, height (2 bytes each) | `ok begin` |
| `R` | index (2 bytes), a row of RGB or gray | `ok row <index>`, for the last `result ...` |

A packet that the device cannot take is answered with `error <code> <sentence>` and changes
nothing.
"""

import dataclasses
import re
import struct
import zlib

from keras_micronet.files.text import shorten
from keras_micronet.grid_answers.tasks import CLASSIFY, TASKS
from tflm.firmware.link import grid_results
from tflm.firmware.link.grid_results import ClassMap, FoundObjects
from tflm.firmware.link.line_fields import (
    NUMBER,
    PERCENT_ENCODED,
    ContradictionError,
    decoded,
    matched,
)
from tflm.settings import RUNTIMES

VERSION = 1
INFORMATION, BEGIN, ROW = b"I", b"B", b"R"
# Codes of errors of packets that were damaged on their way: the sender may repeat them.
DAMAGES = ("noise", "checksum", "length")

END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE = b"\xc0", b"\xdb", b"\xdb\xdc", b"\xdb\xdd"
_MOST = 0xFFFF
_CHECKSUM = struct.Struct("<I")
_BEGIN = struct.Struct("<BHH")
_INDEX = struct.Struct("<H")

_MODEL = re.compile(
    r"model=(?P<identifier>[0-9a-f]{8}) "
    rf"input=(?P<width>{NUMBER})x(?P<height>{NUMBER}) "
    r"(channels=(?P<channels>[13]) )?"  # older firmware takes RGB and does not say so
    rf"classes=(?P<classes>{NUMBER}) "
    rf"arena=(?P<arena_bytes>{NUMBER}) "
    rf"runtime=(?P<runtime>{'|'.join(RUNTIMES)})"
    rf"( task=(?P<task>{'|'.join(TASKS)}) grid=(?P<columns>{NUMBER})x(?P<rows>{NUMBER}) "
    rf"names=(?P<names>{PERCENT_ENCODED}))?"
)
_RESULT = re.compile(
    rf"class=(?P<class_index>{NUMBER}) "
    rf"name=(?P<name>{PERCENT_ENCODED}) "
    r"score=(?P<score>-?[0-9]{1,18}\.[0-9]{3}) "
    rf"cycles=(?P<cycles>{NUMBER}) "
    rf"arena=(?P<arena_bytes>{NUMBER}) "
    r"scores=(?P<scores>-?[0-9]{1,3}(,-?[0-9]{1,3})*)"
)
_OK_ROW = re.compile(rf"row (?P<index>{NUMBER})")
_ERROR = re.compile(r"(?P<code>[a-z]+) (?P<sentence>.+)")


@dataclasses.dataclass(frozen=True)
class ModelInformation:
    """What a device says about its model, at its start and when it is asked.

    Attributes:
        is_start: whether the device has just started: it has forgotten any unfinished frame.
        identifier: CRC-32 of the model's flatbuffer.
        width, height: of the model's input, in pixels. Frames may have other sizes.
        channels: bytes of a pixel: 3 for RGB, 1 for gray.
        classes: how many there are.
        arena_bytes: RAM for the model's activations.
        runtime: "static" or "tflm".
        grid: of a model that answers for the cells of a grid; `None` if it names one class.
    """

    is_start: bool
    identifier: int
    width: int
    height: int
    channels: int
    classes: int
    arena_bytes: int
    runtime: str
    grid: "GridInformation | None" = None

    def misfit(self, answer: "Answer") -> str | None:
        """What tells an answer from those of this model, as a sentence; `None` if it may be one."""
        if not isinstance(answer, Result):
            return None
        task, cells = CLASSIFY, 0
        if self.grid is not None:
            task, cells = self.grid.task, self.grid.rows * self.grid.columns
        if answer.task != task:
            return f"A result must be of the task {task}. Received: {answer.task}"
        return answer.misfit(self.classes, cells)


@dataclasses.dataclass(frozen=True)
class GridInformation:
    """The cells of a device's model.

    Attributes:
        task: one of `keras_micronet.grid_answers.tasks.TASKS`.
        rows, columns: of cells.
        names: of the classes, or of the joints.
    """

    task: str
    rows: int
    columns: int
    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class BeginTaken:
    """The device waits for the first row."""


@dataclasses.dataclass(frozen=True)
class RowTaken:
    """The device has row `index`, and waits for the one behind it."""

    index: int


@dataclasses.dataclass(frozen=True)
class Recognition:
    """What a device has recognised in an image.

    Attributes:
        class_index: position of the class with the largest score.
        name: that class's name.
        score: its real-valued score, before any softmax.
        cycles: that the recognition took, by the device's counter; without waiting for the line.
        arena_bytes: RAM that it used for the model's activations.
        scores: int8 scores of all classes, as a tuple of int.
    """

    class_index: int
    name: str
    score: float
    cycles: int
    arena_bytes: int
    scores: tuple[int, ...]

    task = CLASSIFY

    def misfit(self, classes: int, cells: int) -> str | None:
        """What tells it from results of a model with so many classes."""
        if len(self.scores) == classes:
            return None
        return f"A result must have {classes} scores. Received: {len(self.scores)}"


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why the device did not take a packet, or cannot work at all.

    Attributes:
        code: one word, such as "checksum".
        sentence: what is wrong.
    """

    code: str
    sentence: str


Result = Recognition | FoundObjects | ClassMap
Answer = ModelInformation | BeginTaken | RowTaken | Result | Refusal


def encode_packet(kind: bytes, body: bytes = b"") -> bytes:
    """Frames a packet.

    Args:
        kind: one byte.
        body: bytes.

    Returns:
        The bytes to send. They begin with the end of a packet, too: whatever was on the line
        before is not taken for a part of this one.
    """
    content = kind + body
    content += _CHECKSUM.pack(zlib.crc32(content))
    return END + content.replace(ESCAPE, ESCAPED_ESCAPE).replace(END, ESCAPED_END) + END


def information_request() -> bytes:
    """The packet that asks for `ModelInformation`."""
    return encode_packet(INFORMATION)


def begin_frame(width: int, height: int) -> bytes:
    """The packet that begins an image.

    Args:
        width, height: of the image in pixels.

    Raises:
        ValueError: they do not fit the packet.
    """
    if not (0 < width <= _MOST and 0 < height <= _MOST):
        raise ValueError(
            f"An image must have from 1 to {_MOST} rows and columns. Received: {width}x{height}"
        )
    return encode_packet(BEGIN, _BEGIN.pack(VERSION, width, height))


def frame_row(index: int, pixels: bytes) -> bytes:
    """The packet with one row of an image.

    Args:
        index: of the row, 0 for the top.
        pixels: bytes of each pixel from the left: red, green, blue, or one if they are gray.

    Raises:
        ValueError: the index does not fit the packet, or there are no bytes.
    """
    if not 0 <= index <= _MOST:
        raise ValueError(f"A row's index must be from 0 to {_MOST}. Received: {index}")
    if not pixels:
        raise ValueError("A row must have pixels. Received: 0 bytes")
    return encode_packet(ROW, _INDEX.pack(index) + pixels)


def parse_line(line: bytes) -> Answer:
    """Reads one line of the device.

    Args:
        line: bytes, without the end of line.

    Returns:
        `ModelInformation`, `BeginTaken`, `RowTaken`, `Recognition`, `FoundObjects`, `ClassMap` or
        `Refusal`.

    Raises:
        ValueError: it is none of a device's lines.
    """
    try:
        word, _, rest = line.decode("ascii").partition(" ")
        return _PARSERS[word](rest)
    except (KeyError, ValueError) as error:
        reason = f" ({error})" if isinstance(error, ContradictionError) else ""
        raise ValueError(
            "A device's line must be one of ready, info, ok, result and error with their fields. "
            f"Received: {shorten(line)}{reason}"
        ) from error


def _parse_start(rest):
    return _parse_model(rest, is_start=True)


def _parse_information(rest):
    return _parse_model(rest, is_start=False)


def _parse_model(rest, is_start):
    fields = matched(_MODEL, rest)
    fields["channels"] = fields["channels"] or "3"
    names = ("width", "height", "channels", "classes", "arena_bytes")
    numbers = {name: int(fields[name]) for name in names}
    grid = _grid(fields, numbers["classes"])
    return ModelInformation(
        is_start, int(fields["identifier"], 16), runtime=fields["runtime"], grid=grid, **numbers
    )


def _grid(fields, classes):
    if fields["task"] is None:
        return None
    names = tuple(decoded(fields["names"]).split("\0"))
    if len(names) != classes:
        raise ContradictionError("there must be as many names as classes")
    if not all(name.isprintable() for name in names):
        raise ContradictionError("names must be printable text")
    return GridInformation(fields["task"], int(fields["rows"]), int(fields["columns"]), names)


def _parse_ok(rest):
    if rest == "begin":
        return BeginTaken()
    return RowTaken(int(matched(_OK_ROW, rest)["index"]))


def _parse_result(rest):
    if rest.startswith("task="):
        return grid_results.parse_result(rest)
    fields = matched(_RESULT, rest)
    recognition = Recognition(
        class_index=int(fields["class_index"]),
        name=decoded(fields["name"]),
        score=float(fields["score"]),
        cycles=int(fields["cycles"]),
        arena_bytes=int(fields["arena_bytes"]),
        scores=tuple(map(int, fields["scores"].split(","))),
    )
    scores = recognition.scores
    if min(scores) < -128 or max(scores) > 127:
        raise ContradictionError("scores must be from -128 to 127")
    if recognition.class_index >= len(scores) or scores[recognition.class_index] != max(scores):
        raise ContradictionError("the class must be that of the largest score")
    return recognition


def _parse_error(rest):
    fields = matched(_ERROR, rest)
    return Refusal(fields["code"], fields["sentence"])


_PARSERS = {
    "ready": _parse_start,
    "info": _parse_information,
    "ok": _parse_ok,
    "result": _parse_result,
    "error": _parse_error,
}
