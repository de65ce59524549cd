# SPDX-License-Identifier: Apache-2.0
"""The instructions of a program, as binutils' objdump prints them."""

import bisect
import dataclasses
import functools
import os
import re
import subprocess

from tflm.toolchains.emulator import DISASSEMBLER, find_tool

_FUNCTION = re.compile(r"^([0-9a-f]{8}) <(.+)>:$")
_LINE = re.compile(r"^ *([0-9a-f]+):\t([0-9a-f]{4}(?: [0-9a-f]{4})?) *\t([^\t]+)(?:\t(.*))?$")
_COMMENT = re.compile(r"\s*[@;].*$")
_REGISTER = re.compile(r"\b(?:r1[0-5]|r[0-9]|sb|sl|fp|ip|sp|lr|pc)\b")
_OTHER_NAMES = {"sb": "r9", "sl": "r10", "fp": "r11", "ip": "r12"}
_RANGE = re.compile(r"([rsd])(\d+)(?:-[rsd](\d+))?")
_TARGET = re.compile(r"(?:\w+, )?[0-9a-f]+ <([^+>]+)(?:\+0x[0-9a-f]+)?>")
_WRITE_NOTHING = re.compile(r"(?:cmp|cmn|tst|teq|it[te]*|nop|vcmpe?|cps.*|msr|svc|bkpt|udf)\b.*")
# Instructions with two results.
_LONG_MULTIPLY = re.compile(r"[su]m(?:ull|lal(?:bb|bt|tb|tt|dx?)?|lsldx?|aal).*")


class ListingError(RuntimeError):
    """A program cannot be read, or has no such function or instruction."""


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        address: of its first byte.
        bytes: 2 or 4.
        mnemonic: as objdump prints it, without the width (`.n`, `.w`), with a condition.
        operands: its operands' text.
    """

    address: int
    bytes: int
    mnemonic: str
    operands: str

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.address + self.bytes

    @property
    def is_misplaced(self) -> bool:
        """Whether it has 32 bits and is not at a multiple of 4 bytes."""
        return self.bytes == 4 and self.address % 4 != 0

    @functools.cached_property
    def address_registers(self) -> frozenset[str]:
        """Registers that the address of a load or a store is made of."""
        start, bracket, rest = self.operands.partition("[")
        if bracket:
            return _registers(rest.partition("]")[0])
        return _registers(start.partition(",")[0])  # load and store multiple: rN!, {...}

    @property
    def has_register_offset(self) -> bool:
        """Whether the address of a load or a store is the sum of two registers."""
        return len(_REGISTER.findall(self.operands.partition("[")[2].partition("]")[0])) > 1

    @functools.cached_property
    def results(self) -> frozenset[str]:
        """Registers that a data processing instruction or a load of one register writes."""
        if _WRITE_NOTHING.fullmatch(self.mnemonic):
            return frozenset()
        count = 2 if _LONG_MULTIPLY.fullmatch(self.mnemonic) else 1
        return _registers(",".join(self.operands.split(",")[:count]).partition("[")[0])

    @property
    def list_length(self) -> int:
        """How many words the registers in braces have."""
        length = 0
        for part in self.operands.partition("{")[2].partition("}")[0].split(","):
            match = _RANGE.fullmatch(part.strip())
            words = 2 if part.strip().startswith("d") else 1
            if match is None or match[3] is None:
                length += words * bool(part.strip())
            else:
                length += words * (int(match[3]) - int(match[2]) + 1)
        return length

    @property
    def writes_program_counter(self) -> bool:
        """Whether a load or a data processing instruction writes the program counter."""
        listed = self.operands.partition("{")[2].partition("}")[0]
        return "pc" in _registers(listed) or "pc" in self.results


class Listing:
    """The instructions and functions of a program.

    Attributes:
        program: path of the ELF file.
    """

    def __init__(self, program: os.PathLike[str] | str) -> None:
        """Disassembles.

        Args:
            program: path of an ELF file for Arm.

        Raises:
            ListingError: it is none.
            ToolMissingError: objdump is not installed.
        """
        self.program = os.fspath(program)
        command = [find_tool(DISASSEMBLER), "--disassemble", "--section=.text", "--wide"]
        finished = subprocess.run(
            [*command, "--", self.program], capture_output=True, text=True, errors="replace"
        )
        if finished.returncode != 0:
            raise ListingError(
                f"A program must be an ELF file for Arm. Received: {self.program}, of which "
                f"{DISASSEMBLER} says: {finished.stderr.strip()}"
            )
        self._lines: dict[int, tuple[str, str, str]] = {}
        self._functions: dict[str, int] = {}
        for line in finished.stdout.splitlines():
            if match := _LINE.match(line):
                address, code, mnemonic, operands = match.groups()
                self._lines[int(address, 16)] = code, mnemonic, operands or ""
            elif match := _FUNCTION.match(line):
                self._functions[match[2]] = int(match[1], 16)
        self._decoded: dict[int, Instruction] = {}
        self._starts = sorted((address, name) for name, address in self._functions.items())

    def instruction(self, address: int) -> Instruction:
        """The instruction at an address.

        Raises:
            ListingError: there is none.
        """
        if address not in self._decoded:
            if address not in self._lines:
                raise ListingError(
                    f"Code that is executed must be in the section .text of {self.program}. "
                    f"Received: address {address:#x}, where objdump shows no instruction"
                )
            code, mnemonic, operands = self._lines[address]
            plain = mnemonic.removesuffix(".w").removesuffix(".n")
            size = 2 * len(code.split())
            operands = _COMMENT.sub("", operands)
            self._decoded[address] = Instruction(address, size, plain, operands)
        return self._decoded[address]

    def instructions(self, address: int, count: int) -> tuple[Instruction, ...]:
        """Those of a block.

        Args:
            address: of its first byte.
            count: how many they are.
        """
        found = []
        for _ in range(count):
            found.append(self.instruction(address))
            address = found[-1].end
        return tuple(found)

    def parts_of(self, function: str) -> list[range]:
        """The addresses of a function and of what the compiler has made of parts of it.

        Args:
            function: its name; parts are called `NAME.part.0`, `NAME.constprop.0` and the like. It
                need not be there: the compiler may have inlined it.
        """
        names = [name for name in self._functions if name.partition(".")[0] == function]
        return [self.function(name) for name in names]

    def call_from(self, address: int) -> tuple[int, str] | None:
        """The call that ends the block of code at an address.

        Returns:
            Address of the calling instruction, and name of the function; `None` if the block ends
            otherwise.
        """
        while True:
            instruction = self.instruction(address)
            address = instruction.end
            if match := _TARGET.fullmatch(instruction.operands):
                is_call = instruction.mnemonic in ("bl", "b") and "+0x" not in instruction.operands
                return (instruction.address, match[1]) if is_call else None
            if instruction.writes_program_counter or instruction.mnemonic.startswith(("bx", "blx")):
                return None

    def function(self, name: str) -> range:
        """The addresses of a function's code.

        Raises:
            ListingError: there is no such function.
        """
        if name not in self._functions:
            raise ListingError(
                f"A function must be in {self.program}. Received: {name!r}; there are, for "
                f"instance, {', '.join(sorted(self._functions)[:8])}"
            )
        start = self._functions[name]
        place = bisect.bisect_right(self._starts, (start, "\uffff"))
        while place < len(self._starts) and self._starts[place][0] == start:
            place += 1
        end = self._starts[place][0] if place < len(self._starts) else max(self._lines) + 4
        return range(start, end)

    def function_at(self, address: int) -> str:
        """Name of the function whose code an address is in."""
        place = bisect.bisect_right(self._starts, (address, "\uffff"))
        return self._starts[place - 1][1] if place else hex(address)


def _registers(text):
    return frozenset(_OTHER_NAMES.get(name, name) for name in _REGISTER.findall(text))
