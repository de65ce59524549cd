# SPDX-License-Identifier: Apache-2.0
"""The device's side of the serial line in Python, written from the protocol alone.

It tells what a device must answer to any bytes, and stands in for one in tests of the client.
"""

import urllib.parse
import zlib

import numpy as np

END, ESCAPE = 0xC0, 0xDB
ESCAPED = {0xDC: END, 0xDD: ESCAPE}
LEAST_PACKET = 5  # a kind and a checksum


class ReferenceDevice:
    """Takes bytes, gives lines.

    It takes images of the model's own size only.
    """

    def __init__(
        self,
        height,
        width,
        recognize,
        class_names,
        longest_packet=1 << 20,
        channels=3,
        grid=None,
    ):
        """Recognizes nothing yet.

        Args:
            height, width: of the model's input.
            recognize: function of an image, uint8 `(height, width, channels)` -> int8 scores.
            class_names: one for each score.
            longest_packet: bytes that it has room for.
            channels: of the model's input.
            grid: of a model of a grid, the fields behind "runtime=static", as text; then
                `recognize` gives the text of a result, without its checksum.
        """
        self._height, self._width, self._channels = height, width, channels
        self._recognize = recognize
        self._class_names = class_names
        self._longest_packet = longest_packet
        self._grid = grid
        self.restart()

    def restart(self):
        """Forgets everything, as a reset does. Returns the line that a device begins with.

        What comes before the first end of a packet is the rest of one, and is passed over.
        """
        self._forget_packet()
        self._is_skipping = True
        self._rows = None
        return f"ready {self._describe()}"

    def take(self, data):
        """Reads bytes.

        Returns:
            The lines that answer them, as a list of str without their ends.
        """
        lines = []
        for byte in data:
            if byte == END:
                lines += self._end_packet()
            elif not self._is_skipping:
                lines += self._take_byte(byte)
        return lines

    def _take_byte(self, byte):
        if self._is_escaped and byte not in ESCAPED:
            self._is_skipping = True
            return ["error noise no byte is escaped so"]
        if byte == ESCAPE:
            self._is_escaped = True
            return []
        if len(self._packet) == self._longest_packet:
            self._is_skipping = True
            return ["error length longer than any packet"]
        self._packet.append(ESCAPED[byte] if self._is_escaped else byte)
        self._is_escaped = False
        return []

    def _forget_packet(self):
        self._packet = bytearray()
        self._is_escaped = self._is_skipping = False

    def _describe(self):
        return (
            f"model=0123abcd input={self._width}x{self._height} "
            f"channels={self._channels} classes={len(self._class_names)} arena=1000 "
            f"runtime=static{'' if self._grid is None else f' {self._grid}'}"
        )

    def _end_packet(self):
        packet, is_escaped, is_skipping = self._packet, self._is_escaped, self._is_skipping
        self._forget_packet()
        if is_skipping:
            return []
        if is_escaped:
            return ["error noise an escape and nothing behind it"]
        if not packet:
            return []
        if len(packet) < LEAST_PACKET:
            return ["error noise no kind and checksum"]
        content, checksum = bytes(packet[:-4]), packet[-4:]
        if zlib.crc32(content).to_bytes(4, "little") != checksum:
            return ["error checksum it differs"]
        return self._answer(content[:1], content[1:])

    def _answer(self, kind, body):
        if kind == b"I":
            return ["error length more than a kind"] if body else [f"info {self._describe()}"]
        if kind == b"B":
            return self._begin(body)
        if kind == b"R":
            return self._take_row(body)
        return ["error kind another one"]

    def _begin(self, body):
        if len(body) != 5:
            return ["error length not that of a begin"]
        if body[0] != 1:
            return ["error version not 1"]
        size = [int.from_bytes(part, "little") for part in (body[1:3], body[3:5])]
        if size != [self._width, self._height]:
            return ["error size not the model's"]
        lines = []
        if self._rows is not None:
            lines = [f"error order frame ended at row {len(self._rows)} of {self._height}"]
        self._rows = []
        return [*lines, "ok begin"]

    def _take_row(self, body):
        if self._rows is None:
            return ["error order no frame"]
        if len(body) != 2 + self._channels * self._width:
            return ["error length not that of a row"]
        index = int.from_bytes(body[:2], "little")
        if index + 1 == len(self._rows):
            return [f"ok row {index}"]
        if index != len(self._rows):
            return ["error order another row"]
        self._rows.append(body[2:])
        return self._finish() if len(self._rows) == self._height else [f"ok row {index}"]

    def _finish(self):
        image = np.frombuffer(b"".join(self._rows), np.uint8)
        self._rows = None
        scores = self._recognize(image.reshape(self._height, self._width, self._channels))
        if self._grid is not None:
            return [with_checksum(f"result {scores}")]
        best = int(np.argmax(scores))
        name = urllib.parse.quote(self._class_names[best])
        return [
            f"result class={best} name={name} score={scores[best] / 4:.3f} cycles=1 arena=1000 "
            f"scores={','.join(map(str, scores))}"
        ]


def with_checksum(line):
    """A line that ends with the CRC-32 of what is before."""
    return f"{line} crc={zlib.crc32(line.encode()):08x}"
