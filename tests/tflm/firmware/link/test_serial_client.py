# SPDX-License-Identifier: Apache-2.0
"""Packets byte for byte, lines field for field, and a client that no noise misleads."""

import collections
import random
import re
import zlib

import numpy as np
import pytest

from keras_micronet.luma import luma
from tests.tflm.firmware.reference_device import ReferenceDevice, with_checksum
from tflm.firmware.link import serial_client, serial_packets
from tflm.firmware.link.grid_results import ClassMap, FoundObject, FoundObjects
from tflm.firmware.link.serial_client import (
    DeviceRefused,
    DeviceSilent,
    DeviceTalkative,
    LineTooNoisy,
    SerialClient,
    SerialLineError,
)
from tflm.firmware.link.serial_packets import (
    BeginTaken,
    GridInformation,
    ModelInformation,
    Recognition,
    Refusal,
    RowTaken,
    encode_packet,
    parse_line,
)

HEIGHT, WIDTH = 5, 4
CLASS_NAMES = ("first", "the second", "dritte Größe")


# Packets


def test_checksum_is_the_one_of_the_catalogues():
    """0xCBF43926 is the published check value of this CRC-32, of the digits from 1 to 9."""
    assert encode_packet(b"1", b"23456789") == b"\xc0" + b"123456789\x26\x39\xf4\xcb" + b"\xc0"


def test_framing_bytes_are_escaped():
    body = b"\xc0\xdb\xdc\xdd\xdb\xc0"
    packet = encode_packet(b"R", body)
    checksum = zlib.crc32(b"R" + body).to_bytes(4, "little")
    assert not {0xC0, 0xDB} & set(checksum)  # so that only the body has any
    escaped = b"\xdb\xdc\xdb\xdd\xdc\xdd\xdb\xdd\xdb\xdc"
    assert packet == b"\xc0R" + escaped + checksum + b"\xc0"


def test_numbers_are_little_endian():
    def content(packet):
        return packet[1:-5].replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")

    assert content(serial_packets.information_request()) == b"I"
    assert content(serial_packets.begin_frame(0x0102, 0x0304)) == b"B\x01\x02\x01\x04\x03"
    assert content(serial_packets.frame_row(0x0506, b"abcdef")) == b"R\x06\x05abcdef"


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (65536, 1), (1, 65536), (-1, 4)])
def test_sizes_must_fit_the_packet(size):
    with pytest.raises(ValueError, match="from 1 to 65535 rows and columns. Received"):
        serial_packets.begin_frame(*size)


def test_rows_must_fit_the_packet():
    with pytest.raises(ValueError, match="must have pixels. Received: 0 bytes"):
        serial_packets.frame_row(0, b"")
    with pytest.raises(ValueError, match="from 0 to 65535. Received: 65536"):
        serial_packets.frame_row(65536, b"abc")


# Lines

MODEL = "model=00ab12cd input=8x10 channels=1 classes=7 arena=496 runtime=static"
RESULT = "result class=1 name=two%20w%C3%B6rds score=-2.250 cycles=123 arena=400 scores=-7,12,-128"


GRID_MODEL = f"{MODEL} task=detect grid=20x15 names=one%00two%20w%C3%B6rds%00%25%00d%00e%00f%00g"
OBJECTS = "result task=detect objects=2 cycles=12 arena=400 list=6,319,0,48,24,32768;0,5,239,8,8,1"
NO_OBJECTS = "result task=detect objects=0 cycles=12 arena=400 list="
JOINTS = "result task=keypoints objects=2 cycles=12 arena=400 list=0,1,2,3,4,77;6,5,4,3,2,9000"
CELLS = (
    "result task=segment left=40 top=0 width=240 height=238 cycles=12 arena=400 "
    "cells=3,0,0,0,0,0,1,2 map=000700070600"
)
GRID_RESULTS = (OBJECTS, NO_OBJECTS, JOINTS, CELLS)


def test_lines_of_grids_are_read_field_for_field():
    names = ("one", "two wörds", "%", "d", "e", "f", "g")
    assert parse_line(f"ready {GRID_MODEL}".encode()).grid == GridInformation(
        "detect", 15, 20, names
    )
    assert parse_line(f"ready {MODEL}".encode()).grid is None
    first = FoundObject(class_index=6, x=319, y=0, width=48, height=24, score=32768)
    second = FoundObject(class_index=0, x=5, y=239, width=8, height=8, score=1)
    assert parse(OBJECTS) == FoundObjects("detect", (first, second), 12, 400)
    assert parse(NO_OBJECTS) == FoundObjects("detect", (), 12, 400)
    joints = parse(JOINTS)
    assert (joints.task, [each.class_index for each in joints.objects]) == ("keypoints", [0, 6])
    counts, classes = (3, 0, 0, 0, 0, 0, 1, 2), b"\0\7\0\7\6\0"
    assert parse(CELLS) == ClassMap(40, 0, 240, 238, counts, classes, 12, 400)


def parse(line):
    return parse_line(with_checksum(line).encode())


@pytest.mark.parametrize(
    "line",
    [
        OBJECTS.replace("objects=2", "objects=3"),
        OBJECTS.replace("32768", "32769"),
        OBJECTS.replace(",1", ",0"),
        OBJECTS.replace("8,8,1", "8,8"),
        OBJECTS.replace("319", "-1"),
        OBJECTS.replace("319", "1234567890"),
        OBJECTS.replace("32768", "0"),  # the more probable one first
        OBJECTS.replace(";", ","),
        OBJECTS.replace(";", ";;"),
        f"{OBJECTS};",
        OBJECTS.replace("detect", "find"),
        OBJECTS.replace("detect", "segment"),
        JOINTS.replace("list=0", "list=7"),  # in their order
        JOINTS.replace("list=0", "list=6"),  # each once
        CELLS.replace("cells=3", "cells=4"),
        CELLS.replace("map=00", "map=01"),
        CELLS.replace("map=0", "map="),
        CELLS.replace("map=000700070600", "map="),
        CELLS.replace(",2 ", " "),  # a class that is not counted
        CELLS.replace("left=40", "left=x"),
    ],
)
def test_contradictions_of_grids_are_refused(line):
    """Though their checksums are right."""
    assert line not in GRID_RESULTS
    with pytest.raises(ValueError, match="must be one of ready, info, ok, result and error"):
        parse(line)


@pytest.mark.parametrize("line", GRID_RESULTS)
def test_every_wrong_byte_of_a_grid_result_is_seen(line):
    whole = with_checksum(line)
    for index in range(len("result "), len(whole)):
        for byte in b"0123456789abcdef,; =":
            if chr(byte) == whole[index]:
                continue
            with pytest.raises(ValueError):
                parse_line(whole[:index].encode() + bytes([byte]) + whole[index + 1 :].encode())


@pytest.mark.parametrize(
    "line",
    [
        f"{GRID_MODEL} more=1",
        GRID_MODEL.replace("detect", "classify"),
        GRID_MODEL.replace("20x15", "20"),
        GRID_MODEL.replace("%00g", ""),  # as many names as classes
        GRID_MODEL.replace("two", "%1b[2J"),  # nothing for a terminal to obey
        GRID_MODEL.replace("%C3", "%FF"),
    ],
)
def test_other_models_of_grids_are_refused(line):
    with pytest.raises(ValueError, match="must be one of ready"):
        parse_line(f"ready {line}".encode())


@pytest.mark.parametrize(
    ("told", "line", "words"),
    [
        (MODEL, OBJECTS, "task classify. Received: detect"),
        (GRID_MODEL, RESULT, "task detect. Received: classify"),
        (GRID_MODEL, JOINTS, "task detect. Received: keypoints"),
        (GRID_MODEL, OBJECTS.replace("list=6", "list=7"), "classes from 0 to 6. Received: 7"),
        (GRID_MODEL.replace("detect", "segment"), CELLS, "8 counts and 300 cells. .* 8 and 6"),
    ],
)
def test_results_of_another_model_are_none(told, line, words):
    information = parse_line(f"ready {told}".encode())
    answer = parse_line(line.encode()) if line == RESULT else parse(line)
    assert re.search(words, information.misfit(answer))


def test_results_of_the_model_fit_it():
    detect = parse_line(f"ready {GRID_MODEL}".encode())
    small = GRID_MODEL.replace("detect", "segment").replace("20x15", "3x2")
    assert detect.misfit(parse(OBJECTS)) is None
    assert parse_line(f"ready {small}".encode()).misfit(parse(CELLS)) is None
    assert detect.misfit(RowTaken(3)) is None


def test_lines_are_read_field_for_field():
    information = ModelInformation(True, 0x00AB12CD, 8, 10, 1, 7, 496, "static")
    assert parse_line(f"ready {MODEL}".encode()) == information
    assert not parse_line(f"info {MODEL}".encode()).is_start
    earlier = parse_line(f"info {MODEL.replace(' channels=1', '')}".encode())
    assert (earlier.channels, earlier.classes) == (3, 7)
    assert parse_line(b"ok begin") == BeginTaken()
    assert parse_line(b"ok row 12") == RowTaken(12)
    recognition = Recognition(1, "two wörds", -2.25, 123, 400, (-7, 12, -128))
    assert parse_line(RESULT.encode()) == recognition
    assert parse_line(b"error size at most 3 rows") == Refusal("size", "at most 3 rows")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ok",
        "ok ",
        "ok row",
        "ok row -1",
        "ok row 1 ",
        " ok row 1",
        "ok row 1\r",
        "OK begin",
        "ready",
        f"ready  {MODEL}",
        f"ready {MODEL} more=1",
        f"ready {MODEL[:-1]}",
        f"ready {MODEL.replace('00ab12cd', '0ab12cd')}",
        f"ready {MODEL.replace('8x10', '8')}",
        f"ready {MODEL.replace('channels=1', 'channels=2')}",
        "error",
        "error checksum",
        RESULT[1:],
        RESULT[:-4],
        RESULT.replace("12", "13x"),
        RESULT.replace("%20", " "),
        RESULT.replace("%20", "%2"),
        RESULT.replace("%C3", "%FF"),
        RESULT.replace("-2.250", "nan"),
        RESULT.replace("-2.250", "-2.25"),
        RESULT.replace("class=1", "class=0"),  # not that of the largest score
        RESULT.replace("class=1", "class=3"),
        RESULT.replace("-128", "-129"),
        RESULT.replace(",12,", ",128,"),
        RESULT.replace(",12,", ",,"),
        "hello world",
        "ok row ١",
    ],
)
def test_other_lines_are_refused(line):
    with pytest.raises(ValueError, match="must be one of ready, info, ok, result and error"):
        parse_line(line.encode())


def test_no_bytes_break_the_reading():
    """Random changes of good lines: an answer or a `ValueError`, nothing else."""
    generator = random.Random(0)
    lines = [f"ready {MODEL}", f"info {MODEL}", "ok begin", "ok row 7", RESULT, "error size x"]
    lines += [f"info {GRID_MODEL}", *map(with_checksum, GRID_RESULTS)]
    refused = 0
    for _ in range(5000):
        data = bytearray(generator.choice(lines).encode())
        for _ in range(generator.randrange(1, 4)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        try:
            parse_line(bytes(data))
        except ValueError:
            refused += 1
    assert refused > 3000


# The client


class StandIn:
    """A line to a `ReferenceDevice`. Time does not pass: what has not come will not come.

    Attributes:
        sent: all that was written.
    """

    def __init__(self, device, damage_packet=lambda data: data, damage_line=lambda data: data):
        self._device = device
        self._damage_packet, self._damage_line = damage_packet, damage_line
        self._received = b""
        self.sent = []

    def write(self, data):
        self.sent.append(data)
        for line in self._device.take(self._damage_packet(data)):
            self.put(line)

    def put(self, line):
        self._received += self._damage_line(f"{line}\n".encode())

    def read(self, seconds):
        assert seconds > 0
        data, self._received = self._received[:7], self._received[7:]
        return data


def recognize(image):
    """Scores that every pixel decides."""
    sums = zlib.crc32(image.tobytes()).to_bytes(4, "little")[: len(CLASS_NAMES)]
    return [value - 128 for value in sums]


def device():
    return ReferenceDevice(HEIGHT, WIDTH, recognize, CLASS_NAMES)


def random_image(seed):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def check_recognition(recognition, image):
    scores = recognize(image)
    assert recognition.scores == tuple(scores)
    assert recognition.name == CLASS_NAMES[int(np.argmax(scores))]


def test_images_are_recognized():
    line = StandIn(device())
    client = SerialClient(line)
    for seed in range(20):
        check_recognition(client.recognize(random_image(seed)), random_image(seed))
    assert len(line.sent) == 20 * (1 + HEIGHT)  # nothing is repeated on a good line


def test_images_need_not_lie_in_memory_in_order():
    image = random_image(0)
    flipped = image[::-1, ::-1]
    check_recognition(SerialClient(StandIn(device())).recognize(flipped), flipped.copy())


def test_start_is_waited_for():
    target = device()
    line = StandIn(target)
    line.put("rest of a line")
    line.put("error noise from power-on")
    line.put("ok row 3")
    line.put(target.restart())
    assert SerialClient(line).wait_for_start().is_start


def test_information_is_asked_for():
    information = SerialClient(StandIn(device())).information()
    assert (information.width, information.height) == (WIDTH, HEIGHT)
    assert information.classes == len(CLASS_NAMES)


@pytest.mark.parametrize("told", ["asked", "at the start"])
def test_images_become_what_the_device_takes(told):
    """Gray by the luma of training, so that the device computes what the model was tested with."""
    image = random_image(0)
    gray = luma(image)[..., np.newaxis]
    for channels, given, taken in ((1, image, gray), (3, gray, np.repeat(gray, 3, axis=-1))):
        target = ReferenceDevice(HEIGHT, WIDTH, recognize, CLASS_NAMES, channels=channels)
        line = StandIn(target)
        client = SerialClient(line)
        if told == "asked":
            assert client.information().channels == channels
        else:
            line.put(target.restart())
            client.wait_for_start()
        check_recognition(client.recognize(given), taken)
        check_recognition(client.recognize(taken), taken)


def flips(generator, probability):
    """Damages bytes with a probability, in one of several ways."""

    def damage(data):
        damaged = bytearray()
        for byte in data:
            if generator.random() >= probability:
                damaged.append(byte)
                continue
            way = generator.randrange(4)
            if way == 0:
                damaged.append(byte ^ 1 << generator.randrange(8))
            elif way == 1:
                damaged += bytes([byte, byte])
            elif way == 2:
                damaged += bytes([generator.randrange(256), byte])
        return bytes(damaged)

    return damage


def test_packets_that_were_damaged_are_repeated():
    """The checksum leaves none of them: always the right answer, never an exception."""
    generator = random.Random(1)
    line = StandIn(device(), damage_packet=flips(generator, 0.005))
    client = SerialClient(line)
    for seed in range(200):
        check_recognition(client.recognize(random_image(seed)), random_image(seed))
    assert len(line.sent) > 200 * (1 + HEIGHT) * 1.1  # the line was bad indeed


def test_every_byte_of_a_frame_may_be_damaged():
    image = random_image(3)
    clean = StandIn(device())
    SerialClient(clean).recognize(image)
    size = len(b"".join(clean.sent))
    for place in range(size):
        for change in (b"", b"\xc0", b"\xdb", b"\xc0\xc0", b"abc"):
            check_recognition(SerialClient(_damaged_once(place, change)).recognize(image), image)


def _damaged_once(place, change):
    """A line that replaces one byte of all that is sent."""
    count = 0

    def damage(data):
        nonlocal count
        index, count = place - count, count + len(data)
        return data[:index] + change + data[index + 1 :] if 0 <= index < len(data) else data

    return StandIn(device(), damage_packet=damage)


def test_answers_that_were_damaged_are_asked_for_again():
    """Lost and cut lines, and such as are none: the frame arrives all the same."""
    generator = random.Random(2)

    def damage(line):
        if generator.random() < 0.9:
            return line
        return generator.choice([b"", line[:-1], line[3:], b"?" + line, b"\n" + line])

    client = SerialClient(StandIn(device(), damage_line=damage), attempts=20)
    for seed in range(200):
        check_recognition(client.recognize(random_image(seed)), random_image(seed))


def test_results_that_were_cut_between_scores_are_asked_for_again():
    """Their class may still be that of the largest score left."""
    cuts = 0

    def cut(line):
        nonlocal cuts
        if cuts == 0 and line.startswith(b"result"):
            cuts += 1
            return line[: line.rindex(b",")] + b"\n" + line[line.rindex(b",") :]
        return line

    target = ReferenceDevice(HEIGHT, WIDTH, lambda image: (9, -3, 5), CLASS_NAMES)
    client = SerialClient(StandIn(target, damage_line=cut))
    client.information()
    assert client.recognize(random_image(0)).scores == (9, -3, 5)
    assert cuts == 1


def test_frame_is_begun_again_when_the_device_starts_anew():
    target = device()
    packets = 0

    def restart(data):
        nonlocal packets
        packets += 1
        if packets == 4:
            line.put(target.restart())
            return b""
        return data

    line = StandIn(target, damage_packet=restart)
    check_recognition(SerialClient(line).recognize(random_image(5)), random_image(5))


def test_frame_left_by_another_is_no_error():
    target = device()
    target.take(serial_packets.END + serial_packets.begin_frame(WIDTH, HEIGHT))
    check_recognition(SerialClient(StandIn(target)).recognize(random_image(6)), random_image(6))


def test_device_that_refuses_is_quoted():
    with pytest.raises(DeviceRefused, match="size: not the model's") as error:
        SerialClient(StandIn(device())).recognize(np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8))
    assert error.value.code == "size"


def test_device_that_cannot_start_is_quoted():
    line = StandIn(device())
    line.put("error arena needs 5000 bytes, has 4000")
    with pytest.raises(DeviceRefused, match="arena: needs 5000 bytes, has 4000"):
        SerialClient(line).wait_for_start()


def test_silence_is_an_error():
    line = StandIn(device(), damage_packet=lambda data: b"")
    for ask in (SerialClient.wait_for_start, SerialClient.information):
        with pytest.raises(DeviceSilent, match="must answer in 30 s .*Received: nothing"):
            ask(SerialClient(line))
    with pytest.raises(DeviceSilent, match="must answer in 2.5 s"):
        SerialClient(line, answer_seconds=2.5).recognize(random_image(0))


def test_repetitions_are_bounded():
    def damage(data):
        return data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]

    line = StandIn(device(), damage_packet=damage)
    with pytest.raises(LineTooNoisy, match="one of 6 requests"):
        SerialClient(line, attempts=6).recognize(random_image(0))
    assert len(line.sent) == 1 + 6


def test_rows_that_never_arrive_are_an_error():
    line = StandIn(device(), damage_packet=lambda data: data.replace(b"\xc0R", b"\xc0S"))
    with pytest.raises(LineTooNoisy, match="answered in 5 attempts. Received last: checksum"):
        SerialClient(line, attempts=5).recognize(random_image(0))
    assert collections.Counter(line.sent).most_common(1)[0][1] == 5


def test_terrible_line_is_a_named_error():
    generator = random.Random(3)
    damage = flips(generator, 0.2)
    outcomes = collections.Counter()
    for seed in range(100):
        line = StandIn(device(), damage, damage)
        try:
            check_recognition(SerialClient(line).recognize(random_image(seed)), random_image(seed))
            outcomes["recognized"] += 1
        except SerialLineError as error:
            outcomes[type(error)] += 1
    assert outcomes[LineTooNoisy] + outcomes[DeviceSilent] > 50


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((HEIGHT, WIDTH, 3), np.float32),
        np.zeros((HEIGHT, WIDTH, 4), np.uint8),
        np.zeros((HEIGHT, WIDTH), np.uint8),
        np.zeros((0, WIDTH, 3), np.uint8),
        np.zeros((1, HEIGHT, WIDTH, 3), np.uint8),
    ],
    ids=lambda image: f"{image.dtype} {image.shape}",
)
def test_images_must_be_raw_rgb(image):
    with pytest.raises(
        ValueError, match="raw RGB or gray, uint8 of shape .height, width, 3 or 1.. Rec"
    ):
        SerialClient(StandIn(device())).recognize(image)


class Clock:
    """Stands for `time`: it goes on when a device writes."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


class Endless:
    """A device that writes one and the same text for ever, at 11,520 bytes a second.

    Attributes:
        read_bytes: how many were taken from it.
    """

    def __init__(self, text, clock):
        self._text = text
        self._clock = clock
        self.read_bytes = 0

    def write(self, data):
        pass

    def read(self, seconds):
        assert seconds > 0
        self._clock.now += len(self._text) / 11520
        self.read_bytes += len(self._text)
        assert self._clock.now < 1e6, "it would read for ever"
        return self._text


ENDLESS = {
    "no end of a line": b"x" * 100,
    "lines that are none": b"boot: hello\n" * 10,
    "answers to nothing": b"ok row 0\n" * 10,
    "damage": b"error checksum damaged\n",
    "starts": f"ready {MODEL}\n".encode(),
    "information": f"info {MODEL}\n".encode(),
}


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(serial_client, "time", clock)
    return clock


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("limits", [{}, {"most_seconds": 5.0}, {"most_bytes": 10_000}], ids=str)
def test_device_that_talks_without_end_is_an_error(clock, text, limits):
    line = Endless(text, clock)
    client = SerialClient(line, **limits)
    with pytest.raises(SerialLineError) as error:
        client.recognize(random_image(0))
    assert len(str(error.value)) < 500 and "\n" not in str(error.value)
    assert clock.now <= limits.get("most_seconds", 600) + 1
    assert line.read_bytes <= limits.get("most_bytes", 1 << 22) + 1000
    assert len(client._received) <= line.read_bytes


@pytest.mark.parametrize("name", ["no end of a line", "lines that are none", "answers to nothing"])
def test_start_is_not_waited_for_without_end(clock, name):
    with pytest.raises(
        DeviceSilent, match="answer in 30 s .--answer-seconds raises it.*(x|boot|ok)"
    ):
        SerialClient(Endless(ENDLESS[name], clock)).wait_for_start()
    assert 30 <= clock.now < 31


def test_information_is_not_asked_for_without_end(clock):
    with pytest.raises(DeviceTalkative, match="done in 5 s .--most-seconds raises it"):
        client = SerialClient(Endless(ENDLESS["no end of a line"], clock), most_seconds=5.0)
        client.information()
    assert clock.now < 6


def test_bytes_are_limited_where_time_is_not(clock):
    line = Endless(b"x" * 1000, clock)
    with pytest.raises(DeviceTalkative, match=r"at most 10,000 bytes .*--most-bytes raises it"):
        SerialClient(line, most_bytes=10_000).recognize(random_image(0))
    assert line.read_bytes == 11_000


def test_limits_are_those_of_each_image():
    """A hundred images on a good line take more bytes than one of them may."""
    line = StandIn(device())
    client = SerialClient(line, most_bytes=200)
    for seed in range(100):
        check_recognition(client.recognize(random_image(seed)), random_image(seed))


@pytest.mark.parametrize(
    "arguments", [{"answer_seconds": 0}, {"attempts": 0}, {"most_seconds": -1}, {"most_bytes": 0}]
)
def test_limits_must_be_positive(arguments):
    with pytest.raises(ValueError, match="must be positive. Received: answer_seconds="):
        SerialClient(StandIn(device()), **arguments)
