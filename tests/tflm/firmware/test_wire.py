# SPDX-License-Identifier: Apache-2.0
"""The firmware's serial line: whatever comes over it, the next good image is recognised.

`MICRONET_DAMAGED_FRAMES=100000 python -m pytest tests/tflm/firmware/test_wire.py` sends as many
damaged frames to each board, instead of those that a test has the time for.
"""

import collections
import contextlib
import functools
import os
import random

import numpy as np
import pytest

from tests.tflm.firmware.conftest import CLASS_NAMES, HEIGHT, WIDTH, random_images
from tests.tflm.firmware.damaged_frames import damaged_frame, frame_packets, truncated_frames
from tests.tflm.firmware.reference_device import ReferenceDevice
from tflm.firmware.boards.emulated_board import EmulatedBoard
from tflm.firmware.boards.host_board import HostBoard
from tflm.firmware.link import serial_packets
from tflm.firmware.link.serial_packets import (
    BeginTaken,
    ModelInformation,
    Recognition,
    Refusal,
    RowTaken,
    encode_packet,
    parse_line,
)

pytestmark = pytest.mark.emulator

HOST, EMULATED = "host", "mps2-an386"
# Those of a test: on this computer and, far slower, in the emulator.
DAMAGED_FRAMES = {HOST: 3000, EMULATED: 100}
FRAMES_OF_A_WRITE = 20
RESETS = 8
IMAGES = random_images(8)
# A kind, an index, the widest row that the firmware takes by default, and a checksum.
LONGEST_PACKET = 1 + 2 + 4 * WIDTH * 3 + 4
SECONDS_OF_SILENCE = 30.0  # after which a test fails


class Line:
    """What a test sees of a board: the lines that it writes."""

    def __init__(self, board):
        self.board = board
        self._lines = collections.deque()
        self._rest = b""

    def next_line(self):
        while not self._lines:
            data = self.board.read(SECONDS_OF_SILENCE)
            assert data, f"a line must come. Received: {self._rest!r}"
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._lines.extend(lines)
        return self._lines.popleft()

    def reset(self):
        """Returns the line that the board begins with."""
        self.board.reset()
        line = self.next_line()
        while not line.startswith(b"ready "):
            line = self.next_line()
        return line


@pytest.fixture(scope="module", params=[HOST, EMULATED])
def line(request, line_to):
    """The line to a board whose firmware runs."""
    return line_to(request.param)


@pytest.fixture(scope="module")
def emulated_line(line_to):
    return line_to(EMULATED)


@pytest.fixture(scope="module")
def line_to(firmware):
    with contextlib.ExitStack() as boards:

        @functools.cache
        def open_line(platform):
            program = firmware(platform)
            board = HostBoard(program) if platform == HOST else EmulatedBoard(program, platform)
            line = Line(boards.enter_context(board))
            assert parse_line(line.next_line()).is_start
            return line

        yield open_line


@pytest.fixture
def reference(small_model):
    """What a device between two frames must answer."""
    device = ReferenceDevice(HEIGHT, WIDTH, small_model.scores, CLASS_NAMES, LONGEST_PACKET)
    device.take(serial_packets.END)
    return device


def essence(line):
    """What a line must say. The words of an error are free, but for those that name a row."""
    answer = parse_line(line if isinstance(line, bytes) else line.encode("ascii"))
    if isinstance(answer, Refusal):
        is_end = answer.sentence.startswith("frame ended")
        return ("error", answer.code, answer.sentence if is_end else "")
    if isinstance(answer, Recognition):
        return ("result", answer.class_index, answer.name, answer.scores)
    if isinstance(answer, ModelInformation):
        return ("info",)
    return answer


def check(line, reference, data, description):
    """Sends bytes; all answers must be those of the reference. Returns these."""
    expected = [essence(text) for text in reference.take(bytes(data))]
    line.board.write(bytes(data))
    return check_answers(line, expected, description)


def check_answers(line, expected, description):
    received = []
    while len(received) < len(expected):
        received.append(essence(line.next_line()))
        assert received == expected[: len(received)], description
    return expected


def check_good_frame(line, reference, small_model, image):
    """The frame's answers and no others; its scores are those of the kernels' definitions."""
    data = b"".join(frame_packets(image)) + serial_packets.information_request()
    *_, result, information = check(line, reference, data, "a good frame")
    assert result[0] == "result" and result[3] == small_model.scores(image)
    assert information == ("info",)


# Each answer


BEGIN, *ROWS = frame_packets(IMAGES[0])
PIXELS = IMAGES[0][0].tobytes()


def row(index, pixels=PIXELS):
    return serial_packets.frame_row(index, pixels)


def begin(width, height, version=1):
    sizes = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return encode_packet(b"B", bytes([version]) + sizes)


def with_byte(packet, index, value):
    return packet[:index] + bytes([value]) + packet[index + 1 :]


FLIPPED = with_byte(ROWS[0], 9, ROWS[0][9] ^ 0x01)
# Name -> what comes behind a begin, and the answers, errors by their code.
CASES = {
    "nothing but ends": (b"\xc0" * 9, []),
    "bytes that are no packet": (b"\xc0abc\xc0", ["noise"]),
    "one byte": (b"\xc0I\xc0", ["noise"]),
    "an escape of another byte": (b"\xc0I\xdbabcdefgh\xc0", ["noise"]),
    "an escape at the end": (b"\xc0Iabcdefgh\xdb\xc0", ["noise"]),
    "an escape at a common end": (b"\xc0Iabcdefgh\xdb" + ROWS[0], ["noise", RowTaken(0)]),
    "two escapes": (b"\xc0Iabcd\xdb\xdbefgh\xc0", ["noise"]),
    "a flipped bit": (FLIPPED, ["checksum"]),
    "another checksum": (b"\xc0I1234\xc0", ["checksum"]),
    "the most bytes": (b"\xc0" + b"R" * LONGEST_PACKET + b"\xc0", ["checksum"]),
    "a byte too many": (b"\xc0" + b"R" * (LONGEST_PACKET + 1) + b"\xc0", ["length"]),
    "far too many": (b"\xc0" + b"R" * 3000 + b"\xc0" + ROWS[0], ["length", RowTaken(0)]),
    "information with a body": (encode_packet(b"I", b"x"), ["length"]),
    "a short begin": (encode_packet(b"B", b"\x01\x08\x00\x0a"), ["length"]),
    "a long begin": (encode_packet(b"B", b"\x01\x08\x00\x0a\x00\x00"), ["length"]),
    "a row without its index": (encode_packet(b"R", b"\x00"), ["length"]),
    "a row without pixels": (encode_packet(b"R", b"\x00\x00"), ["length"]),
    "a row with a byte less": (encode_packet(b"R", b"\x00\x00" + PIXELS[1:]), ["length"]),
    "a row with a pixel more": (row(0, PIXELS + b"abc"), ["length"]),
    "another kind": (encode_packet(b"r", b"\x00\x00" + PIXELS), ["kind"]),
    "kind 0": (encode_packet(b"\x00"), ["kind"]),
    "version 0": (begin(WIDTH, HEIGHT, version=0), ["version"]),
    "version 2": (begin(WIDTH, HEIGHT, version=2), ["version"]),
    "no columns": (begin(0, HEIGHT), ["size"]),
    "no rows": (begin(WIDTH, 0), ["size"]),
    "too many columns": (begin(4 * WIDTH + 1, HEIGHT), ["size"]),
    "too many rows": (begin(WIDTH, 4 * HEIGHT + 1), ["size"]),
    "the largest numbers": (begin(65535, 65535), ["size"]),
    "the second row first": (ROWS[1], ["order"]),
    "a row that is not there": (row(HEIGHT), ["order"]),
    "the largest index": (row(65535), ["order"]),
    "the first row again": (ROWS[0] + ROWS[0], [RowTaken(0), RowTaken(0)]),
    "a row before the last": (
        ROWS[0] + ROWS[1] + ROWS[0],
        [RowTaken(0), RowTaken(1), "order"],
    ),
    "a row lost": (ROWS[0] + ROWS[2], [RowTaken(0), "order"]),
    "a new begin": (
        ROWS[0] + ROWS[1] + BEGIN,
        [RowTaken(0), RowTaken(1), "order frame ended at row 2 of 10", BeginTaken()],
    ),
    "a begin again": (BEGIN, ["order frame ended at row 0 of 10", BeginTaken()]),
    "a row, damaged and then repeated": (FLIPPED + ROWS[0], ["checksum", RowTaken(0)]),
    "one end between packets": (ROWS[0] + ROWS[1][1:], [RowTaken(0), RowTaken(1)]),
}


def errors_by_code(answer):
    if isinstance(answer, str):
        code, _, sentence = answer.partition(" ")
        return ("error", code, sentence)
    return answer


@pytest.mark.parametrize("case", CASES)
def test_each_error_has_its_code(line, reference, small_model, case):
    """Within a frame, whose rows follow as if nothing had been: a bad packet changes nothing."""
    data, answers = CASES[case]
    expected = [BeginTaken(), *map(errors_by_code, answers)]
    assert check(line, reference, BEGIN + data, case) == expected
    taken = [answer.index for answer in expected if isinstance(answer, RowTaken)]
    if BeginTaken() in expected[1:]:
        taken = []
    rest = b"".join(ROWS[max(taken, default=-1) + 1 :])
    *_, result = check(line, reference, rest, f"the rows behind {case}")
    assert result[0] == "result" and result[3] == small_model.scores(IMAGES[0])
    check_good_frame(line, reference, small_model, IMAGES[1])


@pytest.mark.parametrize("packet", [ROWS[0], ROWS[-1]], ids=["the first", "the last"])
def test_rows_need_a_begin(line, reference, small_model, packet):
    check_good_frame(line, reference, small_model, IMAGES[2])
    assert check(line, reference, packet, "a row") == [("error", "order", "")]
    check_good_frame(line, reference, small_model, IMAGES[3])


def test_information_may_be_asked_within_a_frame(line, small_model):
    packets = [part for packet in (BEGIN, *ROWS) for part in (packet, encode_packet(b"I"))]
    line.board.write(b"".join(packets))
    answers = [parse_line(line.next_line()) for _ in packets]
    asked = set(answers[1::2])
    assert asked == {
        ModelInformation(
            is_start=False,
            identifier=small_model.identifier,
            width=WIDTH,
            height=HEIGHT,
            channels=3,
            classes=len(CLASS_NAMES),
            arena_bytes=small_model.rows_arena_bytes,
            runtime="static",
        )
    }
    assert answers[:-2:2] == [BeginTaken(), *map(RowTaken, range(HEIGHT - 1))]
    assert answers[-2].scores == small_model.scores(IMAGES[0])


def test_results_have_all_fields(line, small_model):
    for image in IMAGES:
        line.board.write(b"".join(frame_packets(image)))
        *_, result = [parse_line(line.next_line()) for _ in range(1 + HEIGHT)]
        scores = small_model.scores(image)
        assert result.scores == scores
        assert result.class_index == int(np.argmax(scores))
        assert result.name == CLASS_NAMES[result.class_index]
        assert result.score == small_model.score(max(scores))
        assert result.cycles > 0
        assert 0 < result.arena_bytes <= small_model.rows_arena_bytes


def test_instructions_are_the_same_in_every_run(emulated_line):
    cycles = set()
    for _ in range(3):
        emulated_line.board.write(b"".join(frame_packets(IMAGES[0])))
        *_, result = [parse_line(emulated_line.next_line()) for _ in range(1 + HEIGHT)]
        cycles.add(result.cycles)
    assert len(cycles) == 1


# Damage


def blocks(frames, images):
    """Each damaged frame with a good one behind it."""
    for number, frame in enumerate(frames):
        image = images[number % len(images)]
        yield frame, frame.data + b"".join(frame_packets(image)), image


def check_damaged_frames(line, reference, small_model, frames):
    """Sends several frames in one write, and compares all answers. Returns how many had errors."""
    parts = list(blocks(frames, IMAGES))
    request = serial_packets.information_request()
    expected = []
    for frame, data, image in parts:
        answers = [essence(text) for text in reference.take(data)]
        assert answers[-1][0] == "result" and answers[-1][3] == small_model.scores(image)
        expected.append((frame, answers))
    line.board.write(b"".join(data for _, data, _ in parts) + request)
    for frame, answers in expected:
        check_answers(line, answers, f"{frame.damage}: {frame.data.hex()}")
    assert essence(line.next_line()) == ("info",)
    return sum(any(map(is_error, answers)) for _, answers in expected)


def is_error(answer):
    return isinstance(answer, tuple) and answer[0] == "error"


def in_groups(frames):
    for start in range(0, len(frames), FRAMES_OF_A_WRITE):
        yield frames[start : start + FRAMES_OF_A_WRITE]


def test_damaged_frames_leave_the_next_one_whole(request, line, reference, small_model):
    platform = request.node.callspec.params["line"]
    count = int(os.environ.get("MICRONET_DAMAGED_FRAMES", DAMAGED_FRAMES[platform]))
    generator = random.Random(platform)
    frames = [damaged_frame(generator.choice(IMAGES), generator) for _ in range(count)]
    refused = sum(
        check_damaged_frames(line, reference, small_model, group) for group in in_groups(frames)
    )
    # Nearly every damage is an error; a row that comes twice is none.
    assert refused > 0.9 * count


def test_frames_may_end_anywhere(request, line, reference, small_model):
    """Every place on this computer, some of all packets in the emulator."""
    size = len(b"".join(frame_packets(IMAGES[0])))
    step = 1 if request.node.callspec.params["line"] == HOST else 23
    for group in in_groups(truncated_frames(IMAGES[0], range(0, size, step))):
        check_damaged_frames(line, reference, small_model, group)


def test_board_may_be_reset_anywhere(emulated_line, reference, small_model):
    line, generator = emulated_line, random.Random(0)
    data = b"".join(frame_packets(IMAGES[0]))
    for number in range(RESETS):
        place = generator.randrange(1, len(data))
        line.board.write(data[:place])
        begun = reference.take(data[:place])
        check_answers(line, [essence(text) for text in begun], f"{place} bytes")
        assert parse_line(line.reset()).is_start
        reference.restart()
        # A part of the last packet may still have been on the line.
        line.board.write(serial_packets.information_request())
        answer = essence(line.next_line())
        assert answer == ("info",) or answer[:2] in (("error", "noise"), ("error", "checksum"))
        if answer != ("info",):
            assert essence(line.next_line()) == ("info",)
        reference.take(serial_packets.END)
        check_good_frame(line, reference, small_model, IMAGES[number % len(IMAGES)])
