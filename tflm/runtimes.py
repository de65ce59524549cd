# SPDX-License-Identifier: Apache-2.0
"""What runs a model on a device: the memory it takes, and how firmware calls it.

A report tells both of the runtime of its export.
"""

import dataclasses

from tflm.micro.interpreter import ArenaUsage
from tflm.settings import STATIC, TFLM

_BYTES_PER_KB = 1024


def size_text(size):
    """A size in words: "2,048 bytes (2.0 KB)"."""
    return f"{size:,} bytes ({size / _BYTES_PER_KB:,.1f} KB)"


@dataclasses.dataclass(frozen=True)
class MicroRuntime:
    """TensorFlow Lite Micro, whose interpreter reads the model from its flatbuffer.

    Attributes:
        flatbuffer_bytes: size of the model's file, all of which stays in flash.
        arena: RAM that TensorFlow Lite Micro reports.
        arena_bytes: size of an arena in which the model is known to run.
        has_kernels: whether operators of `tflm.kernels` belong to the model.
    """

    flatbuffer_bytes: int
    arena: ArenaUsage
    arena_bytes: int
    has_kernels: bool = False

    name = TFLM
    title = "on TensorFlow Lite Micro"
    arena_note = """\
Measured with TensorFlow Lite Micro's reference kernels on a 64-bit host, whose bookkeeping is
larger than a microcontroller's. Optimised kernels may ask for scratch buffers besides: compare
arena_used_bytes() with it."""

    @property
    def planned_bytes(self):
        """RAM of the activations as they are laid over each other."""
        return self.arena.activation_bytes

    def figures(self):
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

    def budget(self):
        """Pairs of a label and a text: flash and RAM."""
        return (
            ("**flash** for the model", f"**{size_text(self.flatbuffer_bytes)}**"),
            ("**RAM** for the arena", f"**{size_text(self.arena_bytes)}**"),
            ("of which activations", size_text(self.arena.activation_bytes)),
            ("of which persistent", size_text(self.arena.persistent_bytes)),
        )

    def budget_note(self):
        """What the budget counts and what it leaves out."""
        return f"""\
The arena is TensorFlow Lite Micro's own count, with its reference kernels on a 64-bit host. Of
the persistent part, a 32-bit microcontroller saves at least
{size_text(self.arena.wider_bytes)}; optimised kernels (CMSIS-NN) may ask for scratch buffers
on top. Code, stack and the camera's frame are not included."""

    used_memory = "activations alive"

    def plan_note(self):
        """What becomes of the peak of activations."""
        return f"The planner places\nactivations in {size_text(self.planned_bytes)}."

    def firmware(self, frame):
        """Markdown: how firmware runs the model, and what is compiled along.

        Args:
            frame: format of a frame, such as "RGB888".
        """
        kernels = """

Compile all of `kernels/` along, with that folder among the include folders, optimised
(`-O2`) and for the very processor (`-mcpu=cortex-m4`): its DSP or vector instructions are used
where it has them."""
        return f"""\
```cpp
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "model_data.h"
#include "model_settings.h"
#include "op_resolver.h"

alignas(16) static std::uint8_t arena[micronet::kArenaBytes];
static micronet::OpResolver resolver;

micronet::AddOperators(resolver);
static tflite::MicroInterpreter interpreter(tflite::GetModel(micronet::kModelData), resolver,
                                            arena, micronet::kArenaBytes);
interpreter.AllocateTensors();
micronet::ConvertFrame(frame, interpreter.input(0)->data.int8);  // frame: {frame}
interpreter.Invoke();
const std::int8_t* scores = interpreter.output(0)->data.int8;  // of micronet::kClassNames
```{kernels if self.has_kernels else ""}"""

    def summary(self):
        """Flash and RAM in a few words."""
        return f"flash {self.flatbuffer_bytes:,} bytes, RAM {self.arena_bytes:,} bytes"


@dataclasses.dataclass(frozen=True)
class StaticRuntime:
    """No interpreter: the model is a C99 library that calls its kernels.

    Attributes:
        flatbuffer_bytes: size of the same model as a flatbuffer, which the device does not need.
        constant_bytes: size of all weights, biases and tables.
        arena_bytes: RAM to run whole frames.
        rows_arena_bytes: RAM to run frames row by row, or `None` if the model's first
            operation does not take rows.
    """

    flatbuffer_bytes: int
    constant_bytes: int
    arena_bytes: int
    rows_arena_bytes: int | None

    name = STATIC
    title = "as a C99 library"

    @property
    def arena_note(self):
        """What firmware must know of the arena."""
        note = "Exact, for whole frames, and the same as MICRONET_MODEL_ARENA_BYTES."
        if self.rows_arena_bytes is not None:
            note += "\nRow by row, MICRONET_MODEL_ROWS_ARENA_BYTES are enough."
        return note

    @property
    def planned_bytes(self):
        """RAM of the activations and of the kernels' buffers as they are laid over each other."""
        return self.arena_bytes

    def figures(self):
        """Flash and RAM for `report.json`."""
        return {
            "flatbuffer_bytes": self.flatbuffer_bytes,
            "constant_bytes": self.constant_bytes,
            "arena": {
                "required_bytes": self.arena_bytes,
                "rows_required_bytes": self.rows_arena_bytes,
            },
        }

    def budget(self):
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

    def budget_note(self):
        """What the budget counts and what it leaves out."""
        return """\
Both sizes are exact. In the flash, the kernels' code and a few numbers for each operation come on
top: how much depends on processor and compiler; `python -m benchmarks.models`, in a copy of
keras_micronet's repository, measures it. Besides the arena, the library writes to the stack only,
which is not included; nor is the camera's frame.

The accuracy is that of the same kernels in TensorFlow Lite Micro. These very sources, compiled on
the computer that made the export, gave the same bytes for every image compared."""

    used_memory = "activations and buffers"

    def plan_note(self):
        """What becomes of the peak of activations."""
        return (
            "The library places\nactivations and the kernels' buffers in "
            f"{size_text(self.planned_bytes)}. Where an operation writes\nits output over the "
            "input that it has read, the memory counts once."
        )

    def firmware(self, frame):
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

    def summary(self):
        """Flash and RAM in a few words."""
        rows = ""
        if self.rows_arena_bytes is not None:
            rows = f" or {self.rows_arena_bytes:,} row by row"
        return f"flash {self.constant_bytes:,} bytes and code, RAM {self.arena_bytes:,} bytes{rows}"
