# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite Micro as the runtime of an export."""

import collections.abc
import dataclasses
import typing

import numpy as np

from tflm.cycles.library_cycles import LibraryCycles
from tflm.cycles.memory_profiles import MemoryProfile
from tflm.graph.costs import live_bytes
from tflm.graph.graph import Graph
from tflm.micro.interpreter import ArenaUsage, MicroInterpreter, required_arena_bytes
from tflm.micro.model_data import model_data
from tflm.micro.op_resolver import op_resolver
from tflm.settings import KERNELS, TFLM
from tflm.sources import kernel_sources
from tflm.sources.generic_names import cplusplus_header
from tflm.sources.model_settings import arena_constant
from tflm.sources.runtime import size_text
from tflm.sources.tensor_constants import input_and_output

_ARENA_NOTE = """\
Measured with TensorFlow Lite Micro's reference kernels on a 64-bit host, whose bookkeeping is
larger than a microcontroller's. Optimised kernels may ask for scratch buffers besides: compare
arena_used_bytes() with it."""


@dataclasses.dataclass(frozen=True)
class MicroRuntime:
    """TensorFlow Lite Micro, whose interpreter reads the model from its flatbuffer.

    Attributes:
        flatbuffer_bytes: size of the model's file, all of which stays in flash.
        arena: RAM that TensorFlow Lite Micro reports.
        arena_bytes: size of an arena in which the model is known to run.
        has_kernels: whether operators of `tflm.kernels` belong to the model.
        live_bytes, library, ends, files: see `Runtime`.
    """

    flatbuffer_bytes: int
    arena: ArenaUsage
    arena_bytes: int
    has_kernels: bool
    live_bytes: tuple[int, ...]
    library: str
    ends: str
    files: collections.abc.Mapping[str, str | bytes]

    name = TFLM
    kernels: typing.ClassVar[tuple[str, ...]] = KERNELS
    title = "on TensorFlow Lite Micro"

    @classmethod
    def of(
        cls, graph: Graph, model_bytes: bytes, interpreter: MicroInterpreter, library: str
    ) -> typing.Self:
        """See `Runtime`."""
        operators = kernel_sources.operators(graph)
        arena_bytes = required_arena_bytes(model_bytes, interpreter.arena, operators)
        ends = input_and_output(graph, library)
        return cls(
            flatbuffer_bytes=len(model_bytes),
            arena=interpreter.arena,
            arena_bytes=arena_bytes,
            has_kernels=bool(operators),
            live_bytes=live_bytes(graph),
            library=library,
            ends=f"{ends}\n{arena_constant(library, arena_bytes, _ARENA_NOTE)}",
            files={
                **model_data(model_bytes, library),
                **op_resolver(graph, library),
                **kernel_sources.kernel_sources(graph),
                **cplusplus_header(library, "data", "model_data.h"),
                **cplusplus_header(library, "op_resolver", "op_resolver.h"),
            },
        )

    @staticmethod
    def require(graph: Graph) -> None:
        """Takes every graph."""

    def verify(
        self,
        parts: collections.abc.Iterable[tuple[np.ndarray, np.ndarray]],
        announce: collections.abc.Callable[[str], None],
    ) -> None:
        """Has nothing to add: it is what the accuracy is measured in."""

    @property
    def planned_bytes(self) -> int:
        """RAM of the activations as they are laid over each other."""
        return self.arena.activation_bytes

    def cycles(self, chips: collections.abc.Sequence[MemoryProfile]) -> LibraryCycles | None:
        """`None`: of an interpreter nothing is estimated; see `Runtime`."""
        return None

    def figures(self) -> dict[str, typing.Any]:
        """Flash and RAM for `report.json`."""
        return {
            "flatbuffer_bytes": self.flatbuffer_bytes,
            "arena": {
                "required_bytes": self.arena_bytes,
                "total_bytes": self.arena.total_bytes,
                "activation_bytes": self.arena.activation_bytes,
                "persistent_bytes": self.arena.persistent_bytes,
                "wider_bytes_of_64_bit_host": self.arena.wider_bytes,
            },
        }

    def budget(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a label and a text: flash and RAM."""
        return (
            ("**flash** for the model", f"**{size_text(self.flatbuffer_bytes)}**"),
            ("**RAM** for the arena", f"**{size_text(self.arena_bytes)}**"),
            ("of which activations", size_text(self.arena.activation_bytes)),
            ("of which persistent", size_text(self.arena.persistent_bytes)),
        )

    def budget_note(self) -> str:
        """What the budget counts and what it leaves out."""
        return f"""\
The arena is TensorFlow Lite Micro's own count, with its reference kernels on a 64-bit host. Of
the persistent part, a 32-bit microcontroller saves at least
{size_text(self.arena.wider_bytes)}; optimised kernels (CMSIS-NN) may ask for scratch buffers
on top. Code, stack and the camera's frame are not included."""

    used_memory = "activations alive"

    def plan_note(self) -> str:
        """What becomes of the peak of activations."""
        return f"The planner places\nactivations in {size_text(self.planned_bytes)}."

    def firmware(self, frame: str, scores: str) -> str:
        """Markdown: how firmware runs the model, and what is compiled along.

        Args:
            frame: format of a frame, such as "RGB888".
            scores: what the scores are of, for a comment.
        """
        library, capitals = self.library, self.library.upper()
        kernels = """

Compile all of `src/kernels/` along, with that folder among the include folders, for the very
processor (`-mcpu=cortex-m4`): its DSP or vector instructions are used where it has them."""
        return f"""\
```cpp
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "{library}_data.h"
#include "{library}_op_resolver.h"
#include "{library}_settings.h"

alignas(16) static std::uint8_t arena[{capitals}_ARENA_BYTES];
static {library}::OpResolver resolver;

{library}::AddOperators(resolver);
static tflite::MicroInterpreter interpreter(tflite::GetModel({library}::kModelData), resolver,
                                            arena, {capitals}_ARENA_BYTES);
interpreter.AllocateTensors();
{library}_convert_frame(frame, interpreter.input(0)->data.int8);  // frame: {frame}
interpreter.Invoke();
const std::int8_t* scores = interpreter.output(0)->data.int8;  // {scores}
```{kernels if self.has_kernels else ""}"""

    @property
    def least_arena_bytes(self) -> int:
        """Size of the arena."""
        return self.arena_bytes

    @property
    def ram(self) -> str:
        """In a few words."""
        return f"{self.arena_bytes:,} bytes"

    @property
    def flash(self) -> str:
        """In a few words."""
        return f"{self.flatbuffer_bytes:,} bytes"
