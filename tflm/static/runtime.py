# SPDX-License-Identifier: Apache-2.0
"""The C99 library as the runtime of an export."""

import collections.abc
import dataclasses
import typing

import numpy as np

from tflm.cycles import library_cycles
from tflm.cycles.library_cycles import LibraryCycles
from tflm.cycles.memory_profiles import MemoryProfile
from tflm.graph.costs import operation_costs
from tflm.graph.graph import Graph
from tflm.settings import FUSED, STATIC
from tflm.sources.generic_names import library_headers
from tflm.sources.model_settings import model_identifier
from tflm.sources.runtime import size_text
from tflm.static import c_library, compiled_library, library_plan


@dataclasses.dataclass(frozen=True)
class StaticRuntime:
    """No interpreter: the model is a C99 library that calls its kernels.

    Attributes:
        flatbuffer_bytes: size of the same model as a flatbuffer, which the device does not need.
        constant_bytes: size of all weights, biases and tables.
        arena_bytes: RAM to run whole frames.
        rows_arena_bytes: RAM to run frames row by row, or `None` if the model's first
            operation does not take rows.
        live_bytes: see `Runtime`; with the kernels' buffers, as they lie in the arena.
        called: see `library_plan.called_functions`.
        library, files: see `Runtime`.
    """

    flatbuffer_bytes: int
    constant_bytes: int
    arena_bytes: int
    rows_arena_bytes: int | None
    live_bytes: tuple[int, ...]
    called: tuple[str, ...]
    library: str
    files: collections.abc.Mapping[str, str | bytes]

    name = STATIC
    kernels: typing.ClassVar[tuple[str, ...]] = (FUSED,)
    title = "as a C99 library"

    @classmethod
    def of(cls, graph: Graph, model_bytes: bytes, interpreter: object, library: str) -> typing.Self:
        """See `Runtime`."""
        plan = library_plan.plan_memory(graph)
        identifier = model_identifier(model_bytes)
        files = c_library.static_library(graph, library, identifier)
        return cls(
            flatbuffer_bytes=len(model_bytes),
            constant_bytes=sum(cost.constant_bytes for cost in operation_costs(graph)),
            arena_bytes=plan.arena_bytes,
            rows_arena_bytes=plan.rows_arena_bytes,
            live_bytes=library_plan.occupied_bytes(graph, plan),
            called=library_plan.called_functions(graph, plan),
            library=library,
            files={**files, **library_headers(library, files)},
        )

    @staticmethod
    def require(graph: Graph) -> None:
        """Raises `ValueError` unless a library can be made of a graph."""
        library_plan.plan_memory(graph)

    def verify(
        self,
        parts: collections.abc.Iterable[tuple[np.ndarray, np.ndarray]],
        announce: collections.abc.Callable[[str], None],
    ) -> None:
        """Compiles the library for this computer, and compares it; see `Runtime`."""
        announce("compiling the C library for this computer, and verifying it on the same images")
        library = compiled_library.CompiledLibrary(self.files, self.library)
        compiled_library.require_equal_outputs(library, parts)

    def cycles(self, chips: collections.abc.Sequence[MemoryProfile]) -> LibraryCycles | None:
        """Estimates what an image takes on Cortex-M4; see `Runtime`."""
        return library_cycles.measure(self.files, self.library, self.called, chips)

    @property
    def ends(self) -> str:
        """The header that has the constants of input, output and arena."""
        return f'#include "{self.library}.h"\n'

    @property
    def planned_bytes(self) -> int:
        """RAM of the activations and of the kernels' buffers as they are laid over each other."""
        return self.arena_bytes

    def figures(self) -> dict[str, typing.Any]:
        """Flash and RAM for `report.json`."""
        return {
            "flatbuffer_bytes": self.flatbuffer_bytes,
            "constant_bytes": self.constant_bytes,
            "arena": {
                "required_bytes": self.arena_bytes,
                "rows_required_bytes": self.rows_arena_bytes,
            },
        }

    def budget(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a label and a text: flash and RAM."""
        rows = []
        if self.rows_arena_bytes is not None:
            size = size_text(self.rows_arena_bytes)
            rows.append(("**RAM** for the arena, row by row", f"**{size}**"))
        return (
            ("**flash** for the weights", f"**{size_text(self.constant_bytes)}**"),
            ("**RAM** for the arena, whole frames", f"**{size_text(self.arena_bytes)}**"),
            *rows,
        )

    def budget_note(self) -> str:
        """What the budget counts and what it leaves out."""
        return """\
Both sizes are exact. In the flash, the kernels' code and a few numbers for each operation come on
top: how much depends on processor and compiler; `python -m benchmarks.models`, in a copy of
keras_micronet's repository, measures it. Besides the arena, the library writes to the stack only,
which is not included; nor is the camera's frame.

The accuracy is that of the same kernels in TensorFlow Lite Micro. These very sources, compiled on
the computer that made the export, gave the same bytes for every image compared."""

    used_memory = "activations and buffers"

    def plan_note(self) -> str:
        """What becomes of the peak of activations."""
        return (
            "The library places\nactivations and the kernels' buffers in "
            f"{size_text(self.planned_bytes)}. Where an operation writes\nits output over the "
            "input that it has read, the memory counts once."
        )

    def firmware(self, frame: str, scores: str) -> str:
        """Markdown: how firmware runs the model, and what is compiled along.

        Args:
            frame: format of a frame, such as "RGB888".
            scores: what the scores are of, for a comment.
        """
        library, capitals = self.library, self.library.upper()
        return f"""\
Compile all C files of `src/` and `src/kernels/` as C99 for the very processor
(`-mcpu=cortex-m4`): its DSP or vector instructions are used where it has them. The headers fit C
and C++.

A frame that is in memory as a whole:

```c
#include "{library}.h"
#include "{library}_settings.h"

__attribute__((aligned(16))) static uint8_t arena[{capitals}_ARENA_BYTES];

micronet_status status = {library}_init(arena, sizeof(arena)); /* once */
if (status == MICRONET_OK) {{
  {library}_convert_frame(frame, {library}_input(arena)); /* frame: {frame} */
  status = {library}_run(arena);
}}
const int8_t *scores = {library}_output(arena); /* {scores} */
```
{self._firmware_for_rows(frame, scores)}
`micronet_status_message(status)` says in words what is not `MICRONET_OK`."""

    def _firmware_for_rows(self, frame, scores):
        if self.rows_arena_bytes is None:
            return ""
        library, capitals = self.library, self.library.upper()
        return f"""
One that comes row by row, as from a camera or a line, and is never in memory as a whole:

```c
#include "{library}_rows.h"
#include "{library}_settings.h"

__attribute__((aligned(16))) static uint8_t arena[{capitals}_ROWS_ARENA_BYTES];
static int8_t input[{capitals}_INPUT_WIDTH * {capitals}_INPUT_CHANNELS];

micronet_status status = {library}_rows_init(arena, sizeof(arena)); /* once */
if (status == MICRONET_OK) status = {library}_rows_begin(arena);
for (int y = 0; y < {capitals}_INPUT_HEIGHT && status == MICRONET_OK; ++y) {{
  {library}_convert_row(read_row(), input); /* {capitals}_INPUT_WIDTH pixels of {frame} */
  status = {library}_rows_push(arena, input);
}}
if (status == MICRONET_OK) status = {library}_rows_run(arena);
const int8_t *scores = {library}_rows_output(arena); /* {scores} */
```
"""

    @property
    def least_arena_bytes(self) -> int:
        """Size of the arena row by row, or for whole frames if rows are not taken."""
        return self.arena_bytes if self.rows_arena_bytes is None else self.rows_arena_bytes

    @property
    def ram(self) -> str:
        """In a few words."""
        if self.rows_arena_bytes is None:
            return f"{self.arena_bytes:,} bytes"
        return f"{self.arena_bytes:,} bytes or {self.rows_arena_bytes:,} row by row"

    @property
    def flash(self) -> str:
        """In a few words."""
        return f"{self.constant_bytes:,} bytes and code"
