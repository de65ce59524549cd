# SPDX-License-Identifier: Apache-2.0
"""What every runtime of an export can do: the interface that exporter and report know."""

import collections.abc
import typing

import numpy as np

from tflm.cycles.library_cycles import LibraryCycles
from tflm.cycles.memory_profiles import MemoryProfile
from tflm.graph.graph import Graph

_BYTES_PER_KB = 1024


class Runtime(typing.Protocol):
    """What runs a model on a device: its sources, its memory, how firmware calls it.

    Attributes:
        name: as in `settings.RUNTIMES`.
        kernels: those of `settings.KERNELS` that it runs, the default first.
        title: ends the report's title: "on TensorFlow Lite Micro".
        used_memory: what takes RAM over time, a caption: "activations alive".
        arena_bytes: size of an arena in which the model is known to run.
        library: prefix of its files, functions and constants: "person_model".
        ends: see `ModelSettings`.
        least_arena_bytes: size of the smallest arena in which it can be run.
        ram, flash: what it takes, in words.
        planned_bytes: RAM of what is laid over each other within the arena.
        live_bytes: RAM that is occupied at each operation.
        files: the model as sources, contents by file name.
    """

    name: str
    kernels: typing.ClassVar[tuple[str, ...]]
    title: str
    used_memory: str

    # Read only, so that frozen classes and properties may give them.
    @property
    def arena_bytes(self) -> int: ...
    @property
    def least_arena_bytes(self) -> int: ...
    @property
    def ram(self) -> str: ...
    @property
    def flash(self) -> str: ...
    @property
    def library(self) -> str: ...
    @property
    def ends(self) -> str: ...
    @property
    def planned_bytes(self) -> int: ...
    @property
    def live_bytes(self) -> tuple[int, ...]: ...
    @property
    def files(self) -> collections.abc.Mapping[str, str | bytes]: ...

    # The interpreter is of a room that imports this one: its type cannot be named here.
    @classmethod
    def of(
        cls, graph: Graph, model_bytes: bytes, interpreter: typing.Any, library: str
    ) -> typing.Self:
        """The runtime of one model.

        Args:
            graph: its quantized `Graph`, which `require` takes.
            model_bytes: the same as a flatbuffer.
            interpreter: the `MicroInterpreter` that has loaded it.
            library: prefix of files, functions and constants.
        """
        ...

    @staticmethod
    def require(graph: Graph) -> None:
        """Raises `ValueError` unless it can run a graph."""

    def verify(
        self,
        parts: collections.abc.Iterable[tuple[np.ndarray, np.ndarray]],
        announce: collections.abc.Callable[[str], None],
    ) -> None:
        """Raises an error unless the sources give the interpreter's bytes.

        Args:
            parts: pairs of the model's inputs and the interpreter's outputs.
            announce: function that is told of what is done, one line of text.
        """

    def cycles(self, chips: collections.abc.Sequence[MemoryProfile]) -> LibraryCycles | None:
        """Estimates what an image takes on Cortex-M4, or `None` if that is not done.

        Args:
            chips: `MemoryProfile`s, the one that was asked for first.

        Raises:
            EmulatorError: the compiler or the emulator is missing, or refuses the sources.
            CountingError: the emulator cannot count what is executed.
            HostCompilerError: there is no compiler for this computer.
        """
        ...

    def figures(self) -> dict[str, typing.Any]:
        """Flash and RAM for `report.json`."""
        ...

    def budget(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a label and a text: flash and RAM."""
        ...

    def budget_note(self) -> str:
        """What the budget counts and what it leaves out."""
        ...

    def plan_note(self) -> str:
        """What becomes of the peak of activations."""
        ...

    def firmware(self, frame: str, scores: str) -> str:
        """Markdown: how firmware runs the model, and what is compiled along.

        Args:
            frame: format of a frame, such as "RGB888".
            scores: what the scores are of, for a comment.
        """
        ...


def size_text(size: int) -> str:
    """A size in words: "2,048 bytes (2.0 KB)"."""
    return f"{size:,} bytes ({size / _BYTES_PER_KB:,.1f} KB)"
