# SPDX-License-Identifier: Apache-2.0
"""`..._model_settings`: what firmware must know to feed a model and to read its output."""

import collections.abc
import dataclasses
import zlib

import numpy as np

from tflm.graph.graph import Shape
from tflm.sources import c_arrays

_RAW_VALUES = 256
# What the output is, in lines of C comments.
ABOUT_SCORES = (
    "The output is a score for each class, before any softmax: the largest names the class."
)
_CHANNEL_NAMES = {1: ("gray",), 3: ("red", "green", "blue")}
_PIXELS = {
    1: "one byte from 0 (black) to 255 (white)",
    3: "three bytes from 0 to 255, red first, then green, then blue (RGB888)",
}
_ARENA_ALIGNMENT = 16


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """A deployed model's ends.

    Attributes:
        input_shape: (1, height, width, channels) with 1 or 3 channels.
        class_names: names in the order of the outputs.
        model: the flatbuffer's bytes, whatever the runtime.
        ends: C text that defines the constants of input and output and the arena's size, as
            `tensor_constants.input_and_output` and `arena_constant` do, or an `#include` of a
            header that does.
        raw_to_input: int8 array of shape (channels, 256): the input's integer for
            each raw value of a pixel, 0 to 255.
        about_output: what the output is, lines of a C comment.
    """

    input_shape: Shape
    class_names: tuple[str, ...]
    model: bytes
    ends: str
    raw_to_input: np.ndarray
    about_output: str = ABOUT_SCORES

    def __post_init__(self) -> None:
        channels = self.input_shape[-1]
        if len(self.input_shape) != 4 or channels not in _CHANNEL_NAMES:
            raise ValueError(
                "The input must be one image of 1 or 3 channels, (1, height, width, channels). "
                f"Received: {self.input_shape}"
            )
        if self.raw_to_input.shape != (channels, _RAW_VALUES) or (
            self.raw_to_input.dtype != np.int8
        ):
            raise ValueError(
                f"raw_to_input must be int8 of shape ({channels}, {_RAW_VALUES}). "
                f"Received: {self.raw_to_input.dtype} of shape {self.raw_to_input.shape}"
            )
        if not self.class_names or isinstance(self.class_names, str):
            raise ValueError(
                f"class_names must be a list of at least one name. Received: {self.class_names!r}"
            )


def model_identifier(model: bytes) -> int:
    """What tells a model from others: CRC-32, as of zlib, of the flatbuffer's bytes."""
    return zlib.crc32(model)


def model_settings(settings: ModelSettings, library: str) -> dict[str, str]:
    """Writes the settings down for C99 and C++11.

    Args:
        settings: `ModelSettings`.
        library: prefix of files, functions and, in capitals, of constants: "person_model".

    Returns:
        Mapping from file name to text: `<library>_settings.h` and `<library>_settings.c`, which
        holds the tables.

    Raises:
        ValueError: a class name cannot be a C string.
    """
    capitals = library.upper()
    _, height, _, channels = settings.input_shape
    names = _CHANNEL_NAMES[channels]
    declarations = f"""{settings.ends}
/* The model: CRC-32, as of zlib, and number of the bytes of its TensorFlow Lite flatbuffer. */
#define {capitals}_CRC32 0x{model_identifier(settings.model):08x}u
#define {capitals}_FLATBUFFER_BYTES {len(settings.model)}

/* {settings.about_output} */
#define {capitals}_CLASS_COUNT {len(settings.class_names)}
extern const char *const {library}_class_names[{capitals}_CLASS_COUNT];

/* The input's integer for each raw value of a pixel: normalization and quantization. */
{_declarations(library, names)}
/* Makes a row of the model's input of a row of raw pixels, from the left, each of
 * {_PIXELS[channels]}.
 *
 * row, input: {capitals}_INPUT_WIDTH * {capitals}_INPUT_CHANNELS bytes each, any alignment; they
 *     may be the same memory. */
static inline void {library}_convert_row(const uint8_t *row, int8_t *input) {{
  for (int i = 0; i < {capitals}_INPUT_WIDTH * {capitals}_INPUT_CHANNELS; i += {channels}) {{
{_conversions(library, names)}
  }}
}}

/* Makes the model's input of a frame: {height} such rows, the top one first.
 *
 * frame, input: {capitals}_INPUT_BYTES bytes each, any alignment; they may be the same memory. */
static inline void {library}_convert_frame(const uint8_t *frame, int8_t *input) {{
  enum {{ row_bytes = {capitals}_INPUT_WIDTH * {capitals}_INPUT_CHANNELS }};
  for (int i = 0; i < {capitals}_INPUT_BYTES; i += row_bytes) {{
    {library}_convert_row(frame + i, input + i);
  }}
}}
"""
    definitions = f"""const char *const {library}_class_names[{capitals}_CLASS_COUNT] = {{
{_strings(settings.class_names)}
}};

{_tables(library, names, settings.raw_to_input)}"""
    name = f"{library}_settings"
    return {
        f"{name}.h": c_arrays.c_header(f"{name}.h", declarations),
        f"{name}.c": c_arrays.c_source(f"{name}.h", definitions),
    }


def arena_constant(library: str, arena_bytes: int, note: str) -> str:
    """The definition of an arena's size where no other header has it.

    Args:
        library: as for `model_settings`.
        arena_bytes: RAM that the runtime needs as its arena.
        note: what firmware must know of it: text in lines of at most 90 characters.
    """
    if arena_bytes <= 0:
        raise ValueError(f"arena_bytes must be positive. Received: {arena_bytes}")
    rounded = -(-arena_bytes // _ARENA_ALIGNMENT) * _ARENA_ALIGNMENT
    lines = "\n".join(f" * {line}" for line in note.splitlines())
    return f"""/* Bytes for the arena, which must be {_ARENA_ALIGNMENT}-byte aligned.
{lines} */
#define {library.upper()}_ARENA_BYTES {rounded}
"""


def _declarations(library: str, names: collections.abc.Iterable[str]) -> str:
    return "".join(f"extern const int8_t {_table(library, name)};\n" for name in names)


def _table(library: str, name: str) -> str:
    return f"{library}_{name}_to_input[{_RAW_VALUES}]"


def _strings(names: collections.abc.Iterable[str]) -> str:
    return "\n".join(f"    {c_arrays.string(name)}," for name in names)


def _tables(library: str, names: collections.abc.Iterable[str], tables: np.ndarray) -> str:
    return "\n".join(
        f"const int8_t {_table(library, name)} = {c_arrays.array(table)};\n"
        for name, table in zip(names, tables, strict=True)
    )


def _conversions(library: str, names: collections.abc.Iterable[str]) -> str:
    return "\n".join(
        f"    input[i + {channel}] = {library}_{name}_to_input[row[i + {channel}]];"
        for channel, name in enumerate(names)
    )
