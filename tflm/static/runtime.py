# SPDX-License-Identifier: Apache-2.0
"""The C99 library as the runtime of an export."""

import collections.abc
import dataclasses
import typing

import numpy as np

from tflm.graph.costs import operation_costs
from tflm.graph.graph import Graph
from tflm.settings import FUSED, STATIC
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
        files: see `Runtime`.
    """

    flatbuffer_bytes: int
    constant_bytes: int
    arena_bytes: int
    rows_arena_bytes: int | None
    live_bytes: tuple[int, ...]
    files: collections.abc.Mapping[str, str | bytes]

    name = STATIC
    kernels: typing.ClassVar[tuple[str, ...]] = (FUSED,)
    title = "as a C99 library"

    @classmethod
    def of(cls, graph: Graph, model_bytes: bytes, interpreter: object) -> typing.Self:
        """See `Runtime`."""
        plan = library_plan.plan_memory(graph)
        return cls(
            flatbuffer_bytes=len(model_bytes),
            constant_bytes=sum(cost.constant_bytes for cost in operation_costs(graph)),
            arena_bytes=plan.arena_bytes,
            rows_arena_bytes=plan.rows_arena_bytes,
            live_bytes=library_plan.occupied_bytes(graph, plan),
            files=c_library.static_library(graph, identifier=model_identifier(model_bytes)),
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
        library = compiled_library.CompiledLibrary(self.files)
        compiled_library.require_equal_outputs(library, parts)

    @property
    def arena_note(self) -> str:
        """What firmware must know of the arena."""
        note = "Exact, for whole frames, and the same as MICRONET_MODEL_ARENA_BYTES."
        if self.rows_arena_bytes is not None:
            note += "\nRow by row, MICRONET_MODEL_ROWS_ARENA_BYTES are enough."
        return note

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

    def firmware(self, frame: str) -> str:
        """Markdown: how firmware runs the model, and what is compiled along.

        Args:
            frame: format of a frame, such as "RGB888".
        """
        return f"""\
Compile `micronet_model.c` and all of `kernels/*.c` as C99, optimised (`-O2`) and for the very
processor (`-mcpu=cortex-m4`): its DSP or vector instructions are used where it has them. The
headers fit C and C++, where `model_settings.h` has all in the namespace `micronet`.

A frame that is in memory as a whole:

```c
#include "micronet_model.h"
#include "model_settings.h"

__attribute__((aligned(16))) static uint8_t arena[MICRONET_MODEL_ARENA_BYTES];

micronet_status status = micronet_model_init(arena, sizeof(arena)); /* once */
ConvertFrame(frame, micronet_model_input(arena)); /* frame: {frame} */
status = micronet_model_run(arena);
const int8_t *scores = micronet_model_output(arena); /* of kClassNames */
```
{self._firmware_for_rows(frame)}
`micronet_status_message(status)` says in words what is not `MICRONET_OK`."""

    def _firmware_for_rows(self, frame):
        if self.rows_arena_bytes is None:
            return ""
        return f"""
One that comes row by row, as from a camera or a line, and is never in memory as a whole:

```c
#include "micronet_model_rows.h"
#include "model_settings.h"

__attribute__((aligned(16))) static uint8_t arena[MICRONET_MODEL_ROWS_ARENA_BYTES];
static int8_t input[kInputWidth * kInputChannels];

micronet_status status = micronet_model_rows_init(arena, sizeof(arena)); /* once */
status = micronet_model_rows_begin(arena);
for (int y = 0; y < kInputHeight && status == MICRONET_OK; ++y) {{
  ConvertRow(read_row(), input); /* kInputWidth pixels of {frame} */
  status = micronet_model_rows_push(arena, input);
}}
if (status == MICRONET_OK) status = micronet_model_rows_run(arena);
const int8_t *scores = micronet_model_rows_output(arena); /* of kClassNames */
```
"""

    def summary(self) -> str:
        """Flash and RAM in a few words."""
        rows = ""
        if self.rows_arena_bytes is not None:
            rows = f" or {self.rows_arena_bytes:,} row by row"
        return f"flash {self.constant_bytes:,} bytes and code, RAM {self.arena_bytes:,} bytes{rows}"
