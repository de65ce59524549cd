# SPDX-License-Identifier: Apache-2.0
"""A stream of bytes to and from another process: two file descriptors, never a deadlock."""

import os
import select
import time

_MOST_BYTES = 1 << 16
_MOST_UNREAD_BYTES = 1 << 24


class DescriptorStream:
    """Writes to one file descriptor and reads from another, which may be the same.

    While it waits for the other side to take bytes it reads what that side writes, which would
    otherwise wait in turn.
    """

    def __init__(self, source: int, target: int) -> None:
        """Takes over what is read and written, but not the closing.

        Args:
            source, target: the file descriptors to read from and to write to. They become
                non-blocking.
        """
        self._source = source
        self._target = target
        self._received = bytearray()
        self._is_at_end = False
        os.set_blocking(source, False)
        os.set_blocking(target, False)

    def write(self, data: bytes, seconds: float = 60.0) -> None:
        """Writes all bytes.

        Args:
            data: bytes.
            seconds: of real time until it gives up.

        Raises:
            TimeoutError: the other side did not take all bytes in time.
            EOFError: it takes no more bytes.
        """
        rest = memoryview(data)
        deadline = time.monotonic() + seconds
        while rest:
            remaining = deadline - time.monotonic()
            # Who talks without end and takes nothing is not read without end.
            is_read = not self._is_at_end and len(self._received) < _MOST_UNREAD_BYTES
            sources = [self._source] if is_read else []
            readable, writable, _ = select.select(sources, [self._target], [], max(0.0, remaining))
            if readable:
                self._receive()
            if writable:
                rest = rest[self._send(rest) :]
            if remaining <= 0 and rest:
                raise TimeoutError(
                    f"{len(data)} bytes must be taken in {seconds:g} s. "
                    f"Received: {len(data) - len(rest)} were taken"
                )

    def read(self, seconds: float) -> bytes:
        """Bytes that have come, at least one, or `b""` when none came in time.

        Args:
            seconds: of real time to wait for the first.

        Raises:
            EOFError: the other side will write no more.
        """
        deadline = time.monotonic() + seconds
        while not self._received and not self._is_at_end:
            remaining = deadline - time.monotonic()
            readable, _, _ = select.select([self._source], [], [], max(0.0, remaining))
            if readable:
                self._receive()
            elif remaining <= 0:
                return b""
        if not self._received:
            raise EOFError("The other side writes no more.")
        data = bytes(self._received)
        self._received.clear()
        return data

    def _receive(self) -> None:
        try:
            data = os.read(self._source, _MOST_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        self._received += data
        self._is_at_end = not data

    def _send(self, data: memoryview) -> int:
        """Returns how many bytes were taken."""
        try:
            return os.write(self._target, data)
        except BlockingIOError:
            return 0
        except (BrokenPipeError, ConnectionResetError):
            raise EOFError("The other side takes no more bytes.") from None
