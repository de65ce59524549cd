# SPDX-License-Identifier: Apache-2.0
"""The firmware as a program of this computer, its serial line on pipes."""

import os
import pathlib
import subprocess
import tempfile
import typing

from tflm.firmware.link.descriptor_stream import DescriptorStream
from tflm.toolchains import emulator

_SECONDS_TO_END = 10.0


class HostBoard:
    """Runs a program of the platform `host`. A context manager; at its end the program is stopped.

    It is a stream as `SerialClient` takes it.
    """

    def __init__(self, program: os.PathLike[str] | str) -> None:
        """Starts the program.

        Args:
            program: path of a program that `build.build` has made for the platform `host`.
        """
        self._program = pathlib.Path(program).resolve()
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 -- closed at the end
        self._process = subprocess.Popen(
            [self._program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            bufsize=0,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._stream = DescriptorStream(self._output.fileno(), self._input.fileno())

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Sends bytes. Raises `emulator.ProgramFailed` when the program has ended."""
        try:
            self._stream.write(data)
        except EOFError:
            self._raise_end()

    def read(self, seconds: float) -> bytes:
        """Bytes from the program, at least one, or `b""` when none came in so many seconds.

        Raises:
            emulator.ProgramFailed: the program has ended; the message has its own messages.
        """
        try:
            return self._stream.read(seconds)
        except EOFError:
            self._raise_end()

    def close(self) -> None:
        """Stops the program."""
        self._process.kill()
        self._process.wait()
        self._input.close()
        self._output.close()
        self._messages.close()

    def _raise_end(self) -> typing.NoReturn:
        self._input.close()
        status = self._process.wait(_SECONDS_TO_END)
        self._messages.seek(0)
        messages = self._messages.read().decode("utf-8", errors="replace").strip()
        raise emulator.ProgramFailed(
            f"Firmware must not end. Received: {self._program.name} ended with exit status "
            f"{status}.\n{messages}"
        )
