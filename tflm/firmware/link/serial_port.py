# SPDX-License-Identifier: Apache-2.0
"""A board on a serial port of this computer, by pyserial."""

import typing

_BITS_PER_SECOND = 115_200
_SECONDS_TO_WRITE = 60.0


class SerialPort:
    """An open port. A context manager; it is a stream as `SerialClient` takes it."""

    def __init__(self, name: str, bits_per_second: int = _BITS_PER_SECOND) -> None:
        """Opens the port.

        Args:
            name: such as "/dev/ttyACM0" or "COM3".
            bits_per_second: speed of the line.

        Raises:
            ImportError: pyserial is not installed.
            OSError: there is no such port, or it cannot be opened.
        """
        self._port = _pyserial().Serial(name, bits_per_second, write_timeout=_SECONDS_TO_WRITE)

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Sends bytes."""
        self._port.write(data)

    def read(self, seconds: float) -> bytes:
        """Bytes that have come, at least one, or `b""` when none came in so many seconds."""
        self._port.timeout = max(0.0, seconds)
        return self._port.read(max(1, self._port.in_waiting))

    def close(self) -> None:
        """Closes the port."""
        self._port.close()


def _pyserial():
    try:
        import serial
    except ImportError as error:
        raise ImportError(
            "pyserial must be installed for a serial port. Received: no module `serial`. "
            "python -m pip install pyserial"
        ) from error
    return serial
