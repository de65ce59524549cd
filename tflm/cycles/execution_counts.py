# SPDX-License-Identifier: Apache-2.0
"""What a program executes, counted by a plugin of QEMU (`plugin/execution_counter.c`)."""

import collections.abc
import dataclasses
import os
import pathlib
import re
import subprocess
import tempfile

from tflm.cycles.memory_profiles import FlashCache, MemoryProfile
from tflm.toolchains import emulator, host_compiler

_PLUGIN_FOLDER = pathlib.Path(__file__).with_name("plugin")
_SOURCES = ("execution_counter.c", "flash_cache.c")
_FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", "-fvisibility=hidden")
_VERSION = re.compile(r"version (\d+)\.")
_FIRST_WITH_VERSION_2 = 9  # of QEMU
# Of all boards that are emulated here, whose programs and constants lie below their RAM.
FLASH = range(0x20000000)


class CountingError(RuntimeError):
    """A program could not be counted."""


@dataclasses.dataclass(frozen=True)
class Step:
    """Blocks of code that were executed one after the other.

    Attributes:
        part: address of the block that began this part of the work, or `None` before the first.
        come_from: address and number of instructions of the block before, or `None` at the
            beginning.
        block: the same of the block that was executed.
        count: how often it was after that one.
        unaligned: loads and stores of it that were not aligned, all times together.
        flash_reads: for each memory profile, reads of the flash that its caches could not answer:
            for instructions, and for data.
    """

    part: int | None
    come_from: tuple[int, int] | None
    block: tuple[int, int]
    count: int
    unaligned: int
    flash_reads: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class ExecutionCounts:
    """Everything that a program executed, or one of its functions.

    Attributes:
        calls: of the function; 0 if none was asked for.
        steps: `Step`s, in no order.
        parts: addresses of the parts, in the order of their first execution.
    """

    calls: int
    steps: tuple[Step, ...]
    parts: tuple[int, ...]


def count(
    program: os.PathLike[str] | str,
    profiles: collections.abc.Sequence[MemoryProfile],
    *,
    function: int | None = None,
    parts: collections.abc.Sequence[range] = (),
    data: bytes = b"",
    timeout: float = 600.0,
) -> ExecutionCounts:
    """Runs a program for an emulated Cortex-M4 (`emulator.Core.CORTEX_M4`), and counts.

    Args:
        program: path of the ELF file; see `emulator.run`.
        profiles: memories whose caches are simulated.
        function: address of the function that is counted, in all calls; `None` for all code.
        parts: addresses of code, each block of which begins a part of the work.
        data: bytes, which the program finds as its input.
        timeout: seconds of real time until the program is stopped.

    Returns:
        `ExecutionCounts`.

    Raises:
        CountingError: this QEMU takes no plugin, or the function was never called.
        EmulatorError: see `emulator.run`.
        HostCompilerError: the plugin cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="execution_counts_") as name:
        folder = pathlib.Path(name)
        plugin = build_plugin(folder)
        output = folder / "counts.txt"
        arguments = {"output": output, "flash": f"{FLASH.start:x}-{FLASH.stop:x}"}
        words = [f"{key}={value}" for key, value in arguments.items()]
        words += [f"parts={part.start:x}-{part.stop:x}" for part in parts]
        words += [f"caches={_caches(profile)}" for profile in profiles]
        if function is not None:
            words.append(f"function={function:x}")
        extra = ["-plugin", ",".join([f"file={_escape(plugin)}", *map(_escape, words)])]
        emulator.run(program, emulator.Core.CORTEX_M4, data, timeout, extra)
        if not output.exists():
            raise CountingError(
                "QEMU must load plugins (its build option --enable-plugins). Received: one that "
                "did not"
            )
        counts = _read(output.read_text(encoding="ascii"), len(profiles))
    if function is not None and counts.calls == 0:
        raise CountingError(
            f"The function that is counted must be called. Received: {function:#x}, which "
            f"{pathlib.Path(program).name} never called"
        )
    return counts


def build_plugin(folder: pathlib.Path) -> pathlib.Path:
    """Compiles the plugin for this computer and the QEMU that is installed; its path.

    Raises:
        HostCompilerError: there is no compiler.
        ToolMissingError: there is no QEMU.
    """
    command = [emulator.find_tool(emulator.QEMU), "--version"]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    match = _VERSION.search(text)
    version = 2 if match and int(match[1]) >= _FIRST_WITH_VERSION_2 else 1
    target = folder / "execution_counter.so"
    sources = [_PLUGIN_FOLDER / name for name in _SOURCES]
    host_compiler.build(target, [*_FLAGS, f"-DPLUGIN_VERSION={version}", *sources])
    return target


def _escape(word):
    """QEMU separates the words by commas, and takes two for one within a word."""
    return str(word).replace(",", ",,")


def _caches(profile):
    return f"{_cache(profile.instruction_cache)}/{_cache(profile.data_cache)}"


def _cache(cache: FlashCache):
    return f"{cache.lines}:{cache.ways}:{cache.line_bytes}:{cache.fill_bytes}"


def _read(text, profiles):
    """The `ExecutionCounts` that the plugin has written."""
    calls = 0
    blocks: dict[int, tuple[int, int]] = {}
    rows = []
    for line in text.splitlines():
        what, *words = line.split()
        if what == "calls":
            calls = int(words[0])
        elif what == "block":
            blocks[int(words[0])] = int(words[1], 16), int(words[2])
        else:
            rows.append(tuple(map(int, words)))
    steps = tuple(_step(row, blocks, profiles) for row in rows)
    begun = dict.fromkeys(blocks[row[0]][0] for row in sorted(rows) if row[0])
    return ExecutionCounts(calls, steps, tuple(begun))


def _step(row, blocks, profiles):
    part, come_from, block, number, unaligned, *reads = row
    return Step(
        blocks[part][0] if part else None,
        blocks.get(come_from),
        blocks[block],
        number,
        unaligned,
        tuple((reads[2 * i], reads[2 * i + 1]) for i in range(profiles)),
    )
