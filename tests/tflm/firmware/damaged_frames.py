# SPDX-License-Identifier: Apache-2.0
"""Frames that were damaged on their way, each in one way, from a seed."""

import dataclasses

from tflm.firmware.link import serial_packets

_PACKETS_BEHIND = 2  # that still come after the damage


@dataclasses.dataclass(frozen=True)
class DamagedFrame:
    """Bytes on the line.

    Attributes:
        damage: what was done to a frame.
        data: the bytes.
    """

    damage: str
    data: bytes


def frame_packets(image):
    """The packets of a frame: a begin, and a row each.

    Args:
        image: uint8 array `(height, width, 3)`.
    """
    height, width, _ = image.shape
    rows = [serial_packets.frame_row(index, row.tobytes()) for index, row in enumerate(image)]
    return [serial_packets.begin_frame(width, height), *rows]


def damaged_frame(image, generator):
    """A `DamagedFrame`.

    Args:
        image: uint8 array `(height, width, 3)`.
        generator: `random.Random`.
    """
    damage = generator.choice(_DAMAGES)
    packets = frame_packets(image)
    place = generator.randrange(len(packets))
    damaged = damage(packets, place, image, generator)
    data = b"".join([*packets[:place], damaged, *packets[place + 1 : place + 1 + _PACKETS_BEHIND]])
    return DamagedFrame(f"{damage.__name__} at packet {place}", data)


def truncated_frames(image, places):
    """`DamagedFrame`s of which only the first bytes come.

    Args:
        image: uint8 array `(height, width, 3)`.
        places: how many bytes of each.
    """
    data = b"".join(frame_packets(image))
    return [DamagedFrame(f"{place} bytes of {len(data)}", data[:place]) for place in places]


def _flipped_bit(packets, place, image, generator):
    packet = bytearray(packets[place])
    packet[generator.randrange(len(packet))] ^= 1 << generator.randrange(8)
    return packet


def _other_bytes(packets, place, image, generator):
    """A burst of noise."""
    packet = bytearray(packets[place])
    start = generator.randrange(len(packet))
    length = min(generator.randrange(1, 9), len(packet) - start)
    packet[start : start + length] = generator.randbytes(length)
    return packet


def _deleted_byte(packets, place, image, generator):
    packet = bytearray(packets[place])
    del packet[generator.randrange(len(packet))]
    return packet


def _inserted_byte(packets, place, image, generator):
    packet = bytearray(packets[place])
    packet.insert(generator.randrange(len(packet)), generator.choice(_TELLING_BYTES))
    return packet


def _duplicated_byte(packets, place, image, generator):
    packet = bytearray(packets[place])
    index = generator.randrange(len(packet))
    packet.insert(index, packet[index])
    return packet


def _cut_packet(packets, place, image, generator):
    return packets[place][: generator.randrange(len(packets[place]))]


def _lost_packet(packets, place, image, generator):
    return b""


def _duplicated_packet(packets, place, image, generator):
    return packets[place] * 2


def _exchanged_packets(packets, place, image, generator):
    other = generator.randrange(len(packets))
    return packets[other] + packets[place]


def _noise_between(packets, place, image, generator):
    return generator.randbytes(generator.randrange(1, 12)) + packets[place]


def _new_begin(packets, place, image, generator):
    return packets[0] + packets[place]


def _begin_within_packet(packets, place, image, generator):
    return packets[place][: generator.randrange(len(packets[place]))] + packets[0]


def _other_kind(packets, place, image, generator):
    kind = generator.choice([byte for byte in range(256) if byte not in b"BIR"])
    return serial_packets.encode_packet(bytes([kind]), generator.randbytes(generator.randrange(9)))


def _other_version(packets, place, image, generator):
    version = generator.choice([version for version in range(256) if version != 1])
    return _begin(image.shape[1], image.shape[0], version)


def _other_size(packets, place, image, generator):
    height, width, _ = image.shape
    return _begin(*generator.choice([(0, height), (width, 0), (0, 0), (65535, 65535)]))


def _other_length(packets, place, image, generator):
    """Of a row that is whole but for it."""
    length = generator.choice([0, 1, 2, image[0].size - 1, image[0].size + 1, image[0].size + 3])
    body = generator.randrange(len(image)).to_bytes(2, "little") + generator.randbytes(length)
    return serial_packets.encode_packet(serial_packets.ROW, body)


def _other_index(packets, place, image, generator):
    index = generator.choice([generator.randrange(len(image)), len(image), 0x7FFF, 0xFFFF])
    return serial_packets.frame_row(index, image[0].tobytes()) + packets[place]


def _information(packets, place, image, generator):
    """No damage: a device may be asked at any time."""
    return serial_packets.information_request() + packets[place]


def _begin(width, height, version=serial_packets.VERSION):
    parts = [part.to_bytes(2, "little") for part in (width, height)]
    return serial_packets.encode_packet(serial_packets.BEGIN, bytes([version]) + b"".join(parts))


# Those that mean something to the framing, to kinds or to checksums.
_TELLING_BYTES = b"\xc0\xdb\xdc\xdd\x00\xffBIR"
_DAMAGES = (
    _flipped_bit,
    _flipped_bit,
    _other_bytes,
    _deleted_byte,
    _inserted_byte,
    _duplicated_byte,
    _cut_packet,
    _lost_packet,
    _duplicated_packet,
    _exchanged_packets,
    _noise_between,
    _new_begin,
    _begin_within_packet,
    _other_kind,
    _other_version,
    _other_size,
    _other_length,
    _other_index,
    _information,
)
