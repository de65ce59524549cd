# SPDX-License-Identifier: Apache-2.0
"""Cycles of an exported static library on Cortex-M4, by operation."""

import collections.abc
import dataclasses
import pathlib
import tempfile

from tflm.cycles.disassembly import Listing
from tflm.cycles.estimate import Cycles, estimate
from tflm.cycles.execution_counts import CountingError, count
from tflm.cycles.memory_profiles import MemoryProfile
from tflm.toolchains import emulator

_PROGRAM = pathlib.Path(__file__).with_name("library_run.c")
_MEASURED = "measured_run"
# Functions of a library that call kernels, besides the one for others.
_CALLING = ("run_operations", "run_operations_of_image")


@dataclasses.dataclass(frozen=True)
class LibraryCycles:
    """What an image takes, as a whole frame, from the call of the library to its return.

    Attributes:
        chips: `MemoryProfile`s, the one that was asked for first.
        all: `Cycles` of everything.
        operations: `Cycles` of each operation, in order of execution.
    """

    chips: tuple[MemoryProfile, ...]
    all: Cycles
    operations: tuple[Cycles, ...]

    @property
    def chip(self) -> MemoryProfile:
        """The one that was asked for."""
        return self.chips[0]

    @property
    def milliseconds(self) -> float:
        """Of an image on that chip."""
        return self.chip.milliseconds(self.all.total(0, self.chip))

    def operation_milliseconds(self, position: int) -> float:
        """Of one operation on that chip."""
        return self.chip.milliseconds(self.operations[position].total(0, self.chip))


def measure(
    files: collections.abc.Mapping[str, str | bytes],
    library: str,
    called: collections.abc.Sequence[str],
    chips: collections.abc.Sequence[MemoryProfile],
) -> LibraryCycles:
    """Compiles a library for Cortex-M4, runs it in QEMU, and estimates its cycles.

    Args:
        files: the library's sources and headers, contents by file name.
        library: prefix of its files, functions and constants.
        called: the function that each operation calls, in order; of one that takes rows what the
            names of its functions begin with.
        chips: `MemoryProfile`s.

    Returns:
        `LibraryCycles`.

    Raises:
        CountingError: QEMU takes no plugin, or calls other operations than it was told.
        EmulatorError: the compiler or QEMU is missing, or refuses the library.
        HostCompilerError: the plugin cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="library_cycles_") as name:
        program = _build(files, library, pathlib.Path(name))
        listing = Listing(program)
        calling = (f"{library}_run", *_CALLING)
        counts = count(
            program,
            chips,
            function=listing.function(_MEASURED).start,
            parts=[part for each in calling for part in listing.parts_of(each)],
        )
        result = estimate(counts, listing)
        return LibraryCycles(tuple(chips), result.all, _by_operation(result, listing, called))


def program_of_library(library: str, header: str, program: str) -> str:
    """A C file that includes a program for any library, and says which one it is for.

    Args:
        library: prefix of the library's functions and constants.
        header: file that declares what the program needs of the library.
        program: file that uses LIBRARY(name) and LIBRARY_CONSTANT(NAME).
    """
    return (
        f'#include "{header}"\n'
        f"#define LIBRARY(name) {library}_##name\n"
        f"#define LIBRARY_CONSTANT(NAME) {library.upper()}_##NAME\n"
        f'#include "{program}"\n'
    )


def _build(files, library, folder):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    source = folder / "measured_library.c"
    source.write_text(program_of_library(library, f"{library}.h", _PROGRAM.name), encoding="utf-8")
    sources = [source, *(folder / name for name in files if name.endswith(".c"))]
    includes = [folder, _PROGRAM.parent]
    return emulator.build(emulator.Core.CORTEX_M4, sources, folder / "built", includes)


def _by_operation(result, listing, called):
    """`Cycles` of each operation; what lies between two calls of kernels belongs to the first."""
    current, last_call = -1, None
    operations = [result.all.none()] * len(called)
    for part, cycles in result.by_part.items():
        call = None if part is None else listing.call_from(part)
        if call is not None and call != last_call:
            current += _is_next(call[1], called, current)
            last_call = call
        operations[max(current, 0)] += cycles
    if current != len(called) - 1:
        raise CountingError(
            f"A library must call {len(called)} operations. Received: {current + 1} calls of them "
            "in their order"
        )
    return tuple(operations)


def _is_next(target, called, current):
    """Whether a function is the next operation's; one that takes rows has several."""
    if current + 1 == len(called):
        return False
    name = called[current + 1]
    return target == name or target.startswith(f"{name}_")
