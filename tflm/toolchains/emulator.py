# SPDX-License-Identifier: Apache-2.0
"""Builds C programs for Cortex-M processors and runs them in QEMU, with exact instruction counts.

A program reads its input and writes its output with `host.h` and counts instructions with
`instruction_counter.h`, both in `emulated`. The counts are instructions, not
cycles, and are the same in every run.
"""

import collections.abc
import dataclasses
import enum
import functools
import hashlib
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import typing

_FOLDER = pathlib.Path(__file__).resolve().parent
# What the emulated boards share, among it the headers for programs.
EMULATED_FOLDER = _FOLDER / "emulated"
# Where each board says what is its own.
_BOARDS_FOLDER = _FOLDER.parent / "firmware" / "platforms"

COMPILER = "arm-none-eabi-gcc"
ADDRESS_TO_LINE = "arm-none-eabi-addr2line"
PROGRAM_SIZE = "arm-none-eabi-size"
DISASSEMBLER = "arm-none-eabi-objdump"
QEMU = "qemu-system-arm"
DEBIAN_PACKAGES = {
    COMPILER: "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    ADDRESS_TO_LINE: "binutils-arm-none-eabi",
    PROGRAM_SIZE: "binutils-arm-none-eabi",
    DISASSEMBLER: "binutils-arm-none-eabi",
    QEMU: "qemu-system-arm",
    # What builds firmware, for a board or for this computer.
    "arm-none-eabi-g++": "gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib",
    "cmake": "cmake",
    "g++": "g++",
    "gcc": "gcc",
    "make": "make",
    "ninja": "ninja-build",
}

COMMON_COMPILE_FLAGS = (
    "-std=c99",
    "-O2",
    "-g",
    "-mthumb",
    "-mfloat-abi=hard",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffunction-sections",
    "-fdata-sections",
)
COMMON_SOURCES = ("startup.c", "host.c", "instruction_counter.c")
LINK_FLAGS = ("-nostartfiles", "-Wl,--gc-sections", "-Wl,--fatal-warnings")

# Each instruction advances the virtual clock by 2 ** 6 = 64 ns, a period longer than a tick of the
# timers that the instruction counters read. The virtual clock never waits for the real one.
_CLOCK_SHIFT = 6
INSTRUCTION_CLOCK = f"shift={_CLOCK_SHIFT},align=off,sleep=off"
INSTRUCTION_NS = 1 << _CLOCK_SHIFT

INPUT_NAME = "input.bin"
OUTPUT_NAME = "output.bin"
FAULT_NAME = "fault.bin"
FAULT_LAYOUT = struct.Struct("<8I")
EXCEPTION_NAMES = {
    2: "NMI",
    3: "HardFault",
    4: "MemManage",
    5: "BusFault",
    6: "UsageFault",
    7: "SecureFault",
}
# Bits of the Configurable Fault Status Register.
FAULT_CAUSES = {
    0: "instruction fetched from memory without execute permission",
    1: "data access without permission",
    4: "no permission for the stack at an exception's entry (stack overflow)",
    8: "bus error at an instruction fetch",
    9: "bus error at a data access",
    10: "bus error at a data access (address unknown)",
    12: "bus error for the stack at an exception's entry (stack overflow)",
    16: "undefined instruction",
    17: "invalid processor state (a function pointer without the Thumb bit)",
    18: "invalid return from an exception",
    19: "coprocessor access (floating point or vector unit not there or not enabled)",
    20: "stack limit passed",
    24: "unaligned access",
    25: "division by zero",
}


@dataclasses.dataclass(frozen=True)
class Platform:
    """A board that QEMU emulates, and what a program for it is compiled from.

    Attributes:
        machine: QEMU's name of the board; its folder among the platforms has that name, too.
        processor: the compiler's name of the processor.
        sources: files in the emulated boards' folder that drive this board's timer and protection
            unit.
    """

    machine: str
    processor: str
    sources: tuple[str, ...]

    @property
    def linker_script(self) -> pathlib.Path:
        """Path of the script that names the board's memories."""
        return _BOARDS_FOLDER / self.machine / "board.ld"

    @classmethod
    def of_machine(cls, machine: str) -> typing.Self:
        """The board of that name, as its `platform.cmake` has it, which builds firmware, too."""
        text = (_BOARDS_FOLDER / machine / "platform.cmake").read_text(encoding="utf-8")
        values = dict(re.findall(r"^set\((\w+) (.+)\)$", text, re.MULTILINE))
        return cls(machine, values["PLATFORM_PROCESSOR"], tuple(values["BOARD_SOURCES"].split()))


class Core(enum.Enum):
    """Processors that can be emulated."""

    CORTEX_M4 = Platform.of_machine("mps2-an386")
    CORTEX_M7 = Platform.of_machine("mps2-an500")
    CORTEX_M55 = Platform.of_machine("mps3-an547")


class EmulatorError(RuntimeError):
    """A program could not be built or did not run to its regular end."""


class ToolMissingError(EmulatorError):
    """A program that the emulation needs is not installed."""


class BuildError(EmulatorError):
    """The compiler or linker refused the sources."""


class ProgramFault(EmulatorError):
    """The emulated program ended with a processor fault."""


class ProgramFailed(EmulatorError):
    """The emulated program, or QEMU, ended with an exit status that is not 0."""


class ProgramTimeout(EmulatorError):
    """The emulated program did not end in time."""


def build(
    core: Core,
    sources: collections.abc.Iterable[os.PathLike[str] | str],
    cache_folder: os.PathLike[str] | str,
    include_folders: collections.abc.Iterable[os.PathLike[str] | str] = (),
    defines: collections.abc.Mapping[str, str | int] | None = None,
    compile_flags: collections.abc.Iterable[str] = (),
) -> pathlib.Path:
    """Compiles and links a program, or takes it from the cache when nothing it depends on changed.

    Files that the assembler reads (`.incbin`) are not seen as a dependency.

    Args:
        core: `Core`, the processor to build for.
        sources: paths of C files, one of which defines `main`. The platform's own are added.
        cache_folder: folder for object files and programs; created if missing.
        include_folders: folders with headers; the platform's own is added.
        defines: mapping from names to values, str or int: preprocessor definitions.
        compile_flags: words for the compiler, which win over `COMMON_COMPILE_FLAGS`.

    Returns:
        `pathlib.Path` of the program (an ELF file) in the cache folder.

    Raises:
        ToolMissingError: when the compiler is not installed.
        BuildError: when the compiler or linker reports an error or a warning.
    """
    platform = core.value
    cache_folder = pathlib.Path(cache_folder)
    cache_folder.mkdir(parents=True, exist_ok=True)
    all_sources = [EMULATED_FOLDER / name for name in (*COMMON_SOURCES, *platform.sources)]
    all_sources += [pathlib.Path(source).resolve() for source in sources]
    flags = [f"-mcpu={platform.processor}", *COMMON_COMPILE_FLAGS, *compile_flags]
    flags += [f"-D{name}={value}" for name, value in sorted((defines or {}).items())]
    for folder in (EMULATED_FOLDER, *include_folders):
        flags += ["-I", str(pathlib.Path(folder).resolve())]
    objects = [_compile(source, flags, cache_folder) for source in all_sources]
    return _link(platform, objects, cache_folder)


def run(
    program: os.PathLike[str] | str,
    core: Core,
    data: bytes = b"",
    timeout: float = 60.0,
    qemu_arguments: collections.abc.Sequence[str] = (),
) -> bytes:
    """Runs a program in QEMU.

    Args:
        program: path of a program that `build` has made. QEMU gives it access to this
            computer's files, so that it must be one's own.
        core: `Core`, the processor it was built for.
        data: bytes, which the program finds as its input.
        timeout: seconds of real time until the program is stopped.
        qemu_arguments: words for QEMU besides its usual ones.

    Returns:
        The bytes that the program wrote, empty if it wrote none.

    Raises:
        ToolMissingError: when QEMU is not installed.
        ProgramFault: when the processor took a fault; the message tells where and why.
        ProgramFailed: when the exit status is not 0; the message has the program's own messages.
        ProgramTimeout: when the program did not end in time.
    """
    program = pathlib.Path(program).resolve()
    with tempfile.TemporaryDirectory(prefix="emulator_") as folder_name:
        folder = pathlib.Path(folder_name)
        (folder / INPUT_NAME).write_bytes(data)
        status, messages = _run_qemu(program, core, folder, timeout, qemu_arguments)
        check_end(program, status, folder, messages)
        output_file = folder / OUTPUT_NAME
        return output_file.read_bytes() if output_file.exists() else b""


def qemu_command(program: os.PathLike[str] | str, core: Core) -> list[str]:
    """The words that start QEMU with a program, but for those that connect its serial line.

    Args:
        program: absolute path of a program that `build` has made.
        core: `Core`, the processor it was built for.

    Raises:
        ToolMissingError: when QEMU is not installed.
    """
    return machine_command(program, core.value.machine)


def machine_command(program: os.PathLike[str] | str, machine: str) -> list[str]:
    """The same for any board that QEMU emulates.

    Args:
        program: absolute path of a program for it.
        machine: QEMU's name of the board, such as "netduinoplus2".

    Raises:
        ToolMissingError: when QEMU is not installed.
    """
    command = [find_tool(QEMU), "-machine", machine, "-kernel", str(program)]
    command += ["-icount", INSTRUCTION_CLOCK]
    command += ["-semihosting-config", "enable=on,target=native"]
    return [*command, "-display", "none", "-monitor", "none"]


def check_end(program: pathlib.Path, status: int, folder: pathlib.Path, messages: bytes) -> None:
    """Raises unless a program has ended with exit status 0.

    Args:
        program: path of the program.
        status: exit status of QEMU.
        folder: the folder that QEMU worked in.
        messages: bytes that QEMU has written to its standard output.

    Raises:
        ProgramFault: when the processor took a fault; the message tells where and why.
        ProgramFailed: when the exit status is not 0; the message has the program's own messages.
    """
    fault_file = folder / FAULT_NAME
    if fault_file.exists():
        raise ProgramFault(
            _describe_fault(fault_file.read_bytes(), program) + _format_messages(messages)
        )
    if status != 0:
        raise ProgramFailed(
            f"A program must end with exit status 0. Received: {program.name} ended with exit "
            f"status {status}.{_format_messages(messages)}"
        )


def _run_qemu(program, core, folder, timeout, arguments):
    """Returns the exit status, and what the program and QEMU wrote to the standard output."""
    command = [*qemu_command(program, core), "-serial", "none", *arguments]
    try:
        finished = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        messages = _format_messages(error.stdout or b"")
        raise ProgramTimeout(
            f"A program must end in time. Received: {program.name} did not end in {timeout:g} s."
            f"{messages}"
        ) from None
    return finished.returncode, finished.stdout


def _format_messages(output):
    text = output.decode("utf-8", errors="replace").strip()
    return f"\nMessages of the program and the emulator:\n{text}" if text else ""


def _describe_fault(report, program):
    exception, counter, link, stack, causes, hard, memory_address, bus_address = (
        FAULT_LAYOUT.unpack(report)
    )
    name = EXCEPTION_NAMES.get(exception, f"exception {exception}")
    reasons = [text for bit, text in FAULT_CAUSES.items() if causes >> bit & 1]
    return (
        f"{program.name} ended with a {name}: {'; '.join(reasons) or 'no cause recorded'}.\n"
        f"at {_describe_address(program, counter)}, "
        f"called from {_describe_address(program, link)}\n"
        f"PC={counter:#010x} LR={link:#010x} SP={stack:#010x} CFSR={causes:#010x} "
        f"HFSR={hard:#010x} MMFAR={memory_address:#010x} BFAR={bus_address:#010x}"
    )


def _describe_address(program, address):
    if address == 0:
        return "an unknown address"
    instruction = address & ~1  # bit 0 of a return address stands for the Thumb state
    command = [find_tool(ADDRESS_TO_LINE), "-f", "-s", "-e", str(program), hex(instruction)]
    function, line = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.split("\n")[:2]
    return f"{function} ({line})"


def _compile(source, flags, cache_folder):
    """Returns the object file; its name is the hash of compiler, flags and preprocessed source."""
    preprocessed = _run_compiler([*flags, "-E", str(source)])
    key = _hash([_compiler_version(), repr(list(flags)).encode(), preprocessed])
    target = cache_folder / f"{source.stem}-{key}.o"
    if not target.exists():
        _run_compiler_atomically([*flags, "-c", str(source)], target)
    return target


def _link(platform, objects, cache_folder):
    """Returns the program; its name is the hash of the objects and the linker's scripts."""
    script = platform.linker_script
    scripts = [script.read_bytes(), (EMULATED_FOLDER / "sections.ld").read_bytes()]
    names = repr([path.name for path in objects] + list(LINK_FLAGS)).encode()
    key = _hash([_compiler_version(), platform.processor.encode(), names, *scripts])
    target = cache_folder / f"{platform.processor}-{key}.elf"
    if not target.exists():
        arguments = [f"-mcpu={platform.processor}", "-mthumb", "-mfloat-abi=hard", *LINK_FLAGS]
        arguments += ["-L", str(EMULATED_FOLDER), "-T", str(script), *map(str, objects), "-lm"]
        _run_compiler_atomically(arguments, target)
    return target


def _run_compiler_atomically(arguments, target):
    """Lets the compiler write a temporary file, so that a broken run leaves no half-written one."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="unfinished_") as folder:
        temporary = pathlib.Path(folder) / target.name
        _run_compiler([*arguments, "-o", str(temporary)])
        os.replace(temporary, target)


def _run_compiler(arguments):
    """Returns what the compiler printed."""
    finished = subprocess.run([find_tool(COMPILER), *arguments], capture_output=True)
    if finished.returncode != 0:
        message = finished.stderr.decode("utf-8", errors="replace")
        raise BuildError(f"{COMPILER} {' '.join(arguments)}\n{message}")
    return finished.stdout


@functools.lru_cache(maxsize=1)
def _compiler_version():
    return _run_compiler(["--version"])


def _hash(parts):
    """Of several byte strings; where one ends and the next begins matters."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:32]


def find_tool(name: str) -> str:
    """Path of an installed program.

    Args:
        name: one of `DEBIAN_PACKAGES`.

    Raises:
        ToolMissingError: when it is not in the PATH.
    """
    path = shutil.which(name)
    if path is None:
        raise ToolMissingError(
            f"{name} must be installed. Received: no such program in the PATH. "
            f"On Debian: apt-get install {DEBIAN_PACKAGES[name]}"
        )
    return path
