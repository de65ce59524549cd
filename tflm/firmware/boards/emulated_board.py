# SPDX-License-Identifier: Apache-2.0
"""A board that QEMU emulates, running the firmware, with its serial line and its reset button."""

import json
import os
import pathlib
import socket
import subprocess
import tempfile
import typing

from tflm.firmware.link.descriptor_stream import DescriptorStream
from tflm.toolchains import emulator

_SECONDS_TO_END = 10.0
_SECONDS_OF_A_COMMAND = 30.0


class EmulatedBoard:
    """Runs a program in QEMU. A context manager; at its end QEMU is stopped.

    It is a stream as `SerialClient` takes it.
    """

    def __init__(self, program: os.PathLike[str] | str, machine: str) -> None:
        """Switches the board on.

        Args:
            program: path of a program that `build.build` has made for that board. QEMU gives
                it access to this computer's files, so that it must be one's own.
            machine: QEMU's name of the board, such as "mps2-an386". One that QEMU does not know
                is an error of the first reading or writing.

        Raises:
            emulator.ToolMissingError: QEMU is not installed.
        """
        self._program = pathlib.Path(program).resolve()
        command = emulator.machine_command(self._program, machine)
        self._folder = tempfile.TemporaryDirectory(prefix="board_")
        self._serial, serial_end = socket.socketpair()
        self._control, control_end = socket.socketpair()
        self._control.settimeout(_SECONDS_OF_A_COMMAND)
        self._control_lines = self._control.makefile("rb")
        for name, end in (("serial", serial_end), ("control", control_end)):
            command += ["-chardev", f"socket,id={name},fd={end.fileno()}"]
        command += ["-serial", "chardev:serial", "-mon", "chardev=control,mode=control"]
        messages = pathlib.Path(self._folder.name, "messages")
        with serial_end, control_end, messages.open("wb") as target:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder.name,
                stdin=subprocess.DEVNULL,
                stdout=target,
                stderr=subprocess.STDOUT,
                pass_fds=(serial_end.fileno(), control_end.fileno()),
            )
        self._stream = DescriptorStream(self._serial.fileno(), self._serial.fileno())
        self._is_control_ready = False

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Sends bytes over the serial line.

        Raises:
            emulator.EmulatorError: the program or QEMU has ended; the message tells why.
        """
        try:
            self._stream.write(data)
        except EOFError:
            self._raise_end()

    def read(self, seconds: float) -> bytes:
        """Bytes from the serial line, at least one, or `b""` when none came in so many seconds.

        Raises:
            emulator.EmulatorError: the program or QEMU has ended; the message tells why.
        """
        try:
            return self._stream.read(seconds)
        except EOFError:
            self._raise_end()

    def reset(self) -> None:
        """Pushes the reset button: the firmware starts anew.

        Bytes that were sent before and not yet read by the firmware arrive after its start.

        Raises:
            emulator.EmulatorError: the program or QEMU has ended, or QEMU does not do it.
        """
        if not self._is_control_ready:
            self._read_control()  # a greeting
            self._command("qmp_capabilities")
            self._is_control_ready = True
        self._command("system_reset")

    def close(self) -> None:
        """Switches the board off."""
        self._process.kill()
        self._process.wait()
        self._control_lines.close()
        self._control.close()
        self._serial.close()
        self._folder.cleanup()

    def _command(self, name: str) -> None:
        """Runs a command of the QEMU Machine Protocol."""
        try:
            self._control.sendall(json.dumps({"execute": name}).encode() + b"\n")
        except OSError:
            self._raise_end()
        while True:
            answer = self._read_control()
            if "return" in answer:
                return
            if "error" in answer:
                raise emulator.EmulatorError(f"QEMU must do {name}. Received: {answer['error']}")

    def _read_control(self) -> dict[str, typing.Any]:
        try:
            line = self._control_lines.readline()
        except TimeoutError:
            raise emulator.ProgramTimeout(
                f"QEMU must answer in {_SECONDS_OF_A_COMMAND:g} s. Received: nothing"
            ) from None
        except OSError:
            line = b""
        if not line:
            self._raise_end()
        return json.loads(line)

    def _raise_end(self) -> typing.NoReturn:
        status = self._process.wait(_SECONDS_TO_END)
        folder = pathlib.Path(self._folder.name)
        emulator.check_end(self._program, status, folder, (folder / "messages").read_bytes())
        raise emulator.ProgramFailed(
            f"Firmware must not end. Received: {self._program.name} ended with exit status 0"
        )
