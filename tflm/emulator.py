"""Builds C programs for Cortex-M processors and runs them in QEMU, with exact instruction counts.

A program reads its input and writes its output with `platforms/host.h` and counts instructions
with `platforms/instruction_counter.h`. The counts are instructions, not cycles, and are the same
in every run.
"""

import dataclasses
import enum
import functools
import hashlib
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

PLATFORMS_FOLDER = pathlib.Path(__file__).resolve().parent / "firmware" / "platforms"

COMPILER = "arm-none-eabi-gcc"
ADDRESS_TO_LINE = "arm-none-eabi-addr2line"
QEMU = "qemu-system-arm"
DEBIAN_PACKAGES = {
    COMPILER: "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    ADDRESS_TO_LINE: "binutils-arm-none-eabi",
    QEMU: "qemu-system-arm",
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
INSTRUCTION_CLOCK = "shift=6,align=off,sleep=off"

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
        machine: QEMU's name of the board.
        processor: the compiler's name of the processor.
        linker_script: file in the platforms folder.
        sources: files in the platforms folder that drive this board's timer and protection unit.
    """

    machine: str
    processor: str
    linker_script: str
    sources: tuple


class Core(enum.Enum):
    """Processors that can be emulated."""

    CORTEX_M4 = Platform(
        "mps2-an386",
        "cortex-m4",
        "mps2_an386.ld",
        ("instruction_counter_cmsdk.c", "memory_protection_v7.c"),
    )
    CORTEX_M7 = Platform(
        "mps2-an500",
        "cortex-m7",
        "mps2_an500.ld",
        ("instruction_counter_cmsdk.c", "memory_protection_v7.c"),
    )
    CORTEX_M55 = Platform(
        "mps3-an547",
        "cortex-m55",
        "mps3_an547.ld",
        ("instruction_counter_sse300.c", "memory_protection_v8.c"),
    )


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


def build(core, sources, cache_folder, include_folders=(), defines=None):
    """Compiles and links a program, or takes it from the cache when nothing it depends on changed.

    Files that the assembler reads (`.incbin`) are not seen as a dependency.

    Args:
        core: `Core`, the processor to build for.
        sources: paths of C files, one of which defines `main`. The platform's own are added.
        cache_folder: folder for object files and programs; created if missing.
        include_folders: folders with headers; the platform's own is added.
        defines: mapping from names to values, str or int: preprocessor definitions.

    Returns:
        `pathlib.Path` of the program (an ELF file) in the cache folder.

    Raises:
        ToolMissingError: when the compiler is not installed.
        BuildError: when the compiler or linker reports an error or a warning.
    """
    platform = core.value
    cache_folder = pathlib.Path(cache_folder)
    cache_folder.mkdir(parents=True, exist_ok=True)
    all_sources = [PLATFORMS_FOLDER / name for name in (*COMMON_SOURCES, *platform.sources)]
    all_sources += [pathlib.Path(source).resolve() for source in sources]
    flags = [f"-mcpu={platform.processor}", *COMMON_COMPILE_FLAGS]
    flags += [f"-D{name}={value}" for name, value in sorted((defines or {}).items())]
    for folder in (PLATFORMS_FOLDER, *include_folders):
        flags += ["-I", str(pathlib.Path(folder).resolve())]
    objects = [_compile(source, flags, cache_folder) for source in all_sources]
    return _link(platform, objects, cache_folder)


def run(program, core, data=b"", timeout=60.0):
    """Runs a program in QEMU.

    Args:
        program: path of a program that `build` has made. QEMU gives it access to this
            computer's files, so that it must be one's own.
        core: `Core`, the processor it was built for.
        data: bytes, which the program finds as its input.
        timeout: seconds of real time until the program is stopped.

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
        status, messages = _run_qemu(program, core.value.machine, folder, timeout)
        fault_file = folder / FAULT_NAME
        if fault_file.exists():
            raise ProgramFault(_describe_fault(fault_file.read_bytes(), program) + messages)
        if status != 0:
            raise ProgramFailed(
                f"A program must end with exit status 0. Received: {program.name} ended with exit "
                f"status {status}.{messages}"
            )
        output_file = folder / OUTPUT_NAME
        return output_file.read_bytes() if output_file.exists() else b""


def _run_qemu(program, machine, folder, timeout):
    """Returns the exit status, and the program's messages as text to append to an error."""
    command = [_tool(QEMU), "-machine", machine, "-kernel", str(program)]
    command += ["-icount", INSTRUCTION_CLOCK]
    command += ["-semihosting-config", "enable=on,target=native"]
    command += ["-display", "none", "-monitor", "none", "-serial", "none"]
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
    return finished.returncode, _format_messages(finished.stdout)


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
    command = [_tool(ADDRESS_TO_LINE), "-f", "-s", "-e", str(program), hex(instruction)]
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
    script = PLATFORMS_FOLDER / platform.linker_script
    scripts = [script.read_bytes(), (PLATFORMS_FOLDER / "sections.ld").read_bytes()]
    names = repr([path.name for path in objects] + list(LINK_FLAGS)).encode()
    key = _hash([_compiler_version(), platform.processor.encode(), names, *scripts])
    target = cache_folder / f"{platform.processor}-{key}.elf"
    if not target.exists():
        arguments = [f"-mcpu={platform.processor}", "-mthumb", "-mfloat-abi=hard", *LINK_FLAGS]
        arguments += ["-L", str(PLATFORMS_FOLDER), "-T", str(script), *map(str, objects), "-lm"]
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
    finished = subprocess.run([_tool(COMPILER), *arguments], capture_output=True)
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


def _tool(name):
    """Path of an installed program."""
    path = shutil.which(name)
    if path is None:
        raise ToolMissingError(
            f"{name} must be installed. Received: no such program in the PATH. "
            f"On Debian: apt-get install {DEBIAN_PACKAGES[name]}"
        )
    return path
