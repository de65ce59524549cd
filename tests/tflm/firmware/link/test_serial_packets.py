# SPDX-License-Identifier: Apache-2.0
"""The firmware's receiver of packets, on this computer with sanitizers.

The sender here is written from RFC 1055 and from the protocol alone.
"""

import pathlib
import random
import subprocess
import zlib

import pytest

from tflm.firmware import build
from tflm.toolchains import host_compiler

CHECK_PROGRAM = pathlib.Path(__file__).with_name("serial_packets_check.cc")
FLAGS = ("-std=c++17", "-O1", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fno-exceptions")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
ROOM = 40  # bytes of a packet, unescaped and with its checksum
END = b"\xc0"


@pytest.fixture(scope="module")
def receive(tmp_path_factory):
    """Function of the line's bytes -> events, of packets the bytes of kind and body."""
    program = tmp_path_factory.mktemp("packets") / "check"
    names = ("serial_packets.cc", "crc32.cc")
    sources = [CHECK_PROGRAM, *(build.APPLICATION_FOLDER / name for name in names)]
    host_compiler.build(
        program,
        [*FLAGS, *SANITIZERS, f"-I{build.APPLICATION_FOLDER}", *sources, "-lstdc++"],
        host_compiler.C_AND_CPLUSPLUS,
    )

    def run(data):
        finished = subprocess.run([program], input=data, capture_output=True, timeout=60)
        assert finished.returncode == 0, finished.stderr.decode()
        lines = [line.split() for line in finished.stdout.decode().splitlines()]
        return [bytes.fromhex(words[1]) if len(words) == 2 else words[0] for words in lines]

    return run


def escaped(content):
    return b"".join({0xC0: b"\xdb\xdc", 0xDB: b"\xdb\xdd"}.get(b, bytes([b])) for b in content)


def checked(content):
    return content + zlib.crc32(content).to_bytes(4, "little")


def packet(content):
    return END + escaped(checked(content)) + END


def test_packets_of_all_bytes_and_lengths_arrive(receive):
    contents = [bytes([value]) * 7 for value in range(256)]
    contents += [random.Random(size).randbytes(size) for size in range(1, ROOM - 3)]
    assert receive(b"".join(map(packet, contents))) == contents


def test_one_end_between_packets_is_enough(receive):
    contents = [b"I", b"\xc0\xdb", b"B12"]
    line = END.join(escaped(checked(content)) for content in contents)
    assert receive(END + line + END) == contents


def test_empty_packets_are_passed_over(receive):
    assert receive(END * 9 + packet(b"I") + END * 9) == [b"I"]


def test_what_comes_before_the_first_end_is_passed_over(receive):
    assert receive(b"rest of a packet\xdb") == []
    assert receive(b"rest of a packet" + packet(b"I")) == [b"I"]


@pytest.mark.parametrize("bit", range(8))
def test_every_single_bit_error_is_seen(receive, bit):
    """Whatever it makes of a byte, an end or an escape: no packet but the next one arrives."""
    content = b"Rab\xc0\xdbyz"
    whole = packet(content)
    for place in range(1, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        *errors, last = receive(bytes(damaged) + packet(b"I"))
        assert last == b"I"
        assert errors and set(errors) <= {"noise", "checksum"}


def test_wrong_checksums_are_told(receive):
    content = checked(b"I")
    for place in range(len(content)):
        wrong = bytearray(content)
        wrong[place] ^= 0x10
        assert receive(END + escaped(wrong) + END + packet(b"B")) == ["checksum", b"B"]


@pytest.mark.parametrize("size", range(1, 5))
def test_too_few_bytes_are_noise(receive, size):
    assert receive(END + b"\0" * size + END + packet(b"I")) == ["noise", b"I"]


@pytest.mark.parametrize("byte", [0x00, 0xC1, 0xDA, 0xDB, 0xDE, 0xFF])
def test_wrong_escapes_are_noise_once(receive, byte):
    data = END + b"Rabc\xdb" + bytes([byte]) + b"more\xdb\x00" * 30 + END
    assert receive(data + packet(b"I")) == ["noise", b"I"]


def test_an_end_behind_an_escape_ends_the_packet(receive):
    assert receive(END + b"Rabcd\xdb" + packet(b"I")) == ["noise", b"I"]


def test_packets_may_fill_the_room_and_no_more(receive):
    fitting, longer = b"R" + b"\xc0" * (ROOM - 5), b"R" + b"\xc0" * (ROOM - 4)
    line = packet(longer) + packet(fitting) + END + b"x" * 10_000 + END + packet(fitting)
    assert receive(line) == ["length", fitting, "length", fitting]


def test_too_long_is_told_before_the_end(receive):
    assert receive(END + b"x" * ROOM) == []
    assert receive(END + b"x" * (ROOM + 1)) == ["length"]
