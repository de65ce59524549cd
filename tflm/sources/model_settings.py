# SPDX-License-Identifier: Apache-2.0
"""`model_settings.h`: what firmware must know to feed a model and to read its output."""

import collections.abc
import dataclasses
import zlib

import numpy as np

from tflm.graph.graph import Quantization, Shape
from tflm.sources import c_arrays

_RAW_VALUES = 256
_CHANNEL_NAMES = {1: ("Gray",), 3: ("Red", "Green", "Blue")}
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
        input_quantization: per-tensor `Quantization` of the int8 input.
        output_quantization: per-tensor `Quantization` of the int8 output.
        class_names: names in the order of the outputs.
        model: the flatbuffer's bytes, whatever the runtime.
        arena_bytes: RAM that the runtime needs as its arena.
        arena_note: what firmware must know of it: text in lines of at most 97 characters.
        raw_to_input: int8 array of shape (channels, 256): the input's integer for
            each raw value of a pixel, 0 to 255.
    """

    input_shape: Shape
    input_quantization: Quantization
    output_quantization: Quantization
    class_names: tuple[str, ...]
    model: bytes
    arena_bytes: int
    arena_note: str
    raw_to_input: np.ndarray

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
        if self.arena_bytes <= 0:
            raise ValueError(f"arena_bytes must be positive. Received: {self.arena_bytes}")


def model_identifier(model: bytes) -> int:
    """What tells a model from others: CRC-32, as of zlib, of the flatbuffer's bytes."""
    return zlib.crc32(model)


def model_settings(settings: ModelSettings) -> dict[str, str]:
    """Writes the settings down as a header for C99 and C++11.

    Args:
        settings: `ModelSettings`.

    Returns:
        Mapping from file name to text: `model_settings.h`.

    Raises:
        ValueError: a class name cannot be a C string.
    """
    _, height, width, channels = settings.input_shape
    names = _CHANNEL_NAMES[channels]
    arena_bytes = -(-settings.arena_bytes // _ARENA_ALIGNMENT) * _ARENA_ALIGNMENT
    integer = c_arrays.integer
    body = f"""
// The model: CRC-32, as of zlib, and number of the bytes of its TensorFlow Lite flatbuffer.
static const uint32_t kModelIdentifier = 0x{model_identifier(settings.model):08x}u;
{integer("kModelBytes", len(settings.model))}

// The input is one image: {height} rows from the top, each of {width} pixels from the left, as
// cameras give it, each pixel of
// {_PIXELS[channels]}.
// ConvertFrame makes the model's input of such a frame, ConvertRow of one of its rows:
// normalization and quantization are in their tables.
{integer("kInputHeight", height)}
{integer("kInputWidth", width)}
{integer("kInputChannels", channels)}
{integer("kInputSize", height * width * channels)}  // bytes

// real value = scale * (integer - zero point). The output is a score for each class, before any
// softmax: the largest names the class.
{_quantization("Input", settings.input_quantization)}
{_quantization("Output", settings.output_quantization)}

// Bytes for the arena, which must be 16-byte aligned.
{_comment(settings.arena_note)}
{integer("kArenaBytes", arena_bytes)}

{integer("kClassCount", len(settings.class_names))}
static const char* const kClassNames[kClassCount] = {{
{_strings(settings.class_names)}
}};

{_tables(names, settings.raw_to_input)}
// Makes a row of the model's input of a row of a frame. `row` and `input` hold
// kInputWidth * kInputChannels bytes each; they may be the same memory.
static inline void ConvertRow(const uint8_t* row, int8_t* input) {{
  for (int i = 0; i < kInputWidth * kInputChannels; i += kInputChannels) {{
{_conversions(names)}
  }}
}}

// Makes the model's input of a frame. `frame` and `input` hold kInputSize bytes each; they may be
// the same memory.
static inline void ConvertFrame(const uint8_t* frame, int8_t* input) {{
  for (int i = 0; i < kInputSize; i += kInputWidth * kInputChannels) {{
    ConvertRow(frame + i, input + i);
  }}
}}
"""
    includes = ["<stdint.h>"]
    header = c_arrays.header("model_settings.h", includes, body, for_c=True)
    return {"model_settings.h": header}


def _comment(text: str) -> str:
    return "\n".join(f"// {line}" for line in text.splitlines())


def _quantization(name: str, quantization: Quantization) -> str:
    scale = c_arrays.number(quantization.scale[0])
    return f"static const float k{name}Scale = {scale};\n" + c_arrays.integer(
        f"k{name}ZeroPoint", int(quantization.zero_point[0])
    )


def _strings(names: collections.abc.Iterable[str]) -> str:
    return "\n".join(f"    {c_arrays.string(name)}," for name in names)


def _tables(names: collections.abc.Iterable[str], tables: np.ndarray) -> str:
    return "\n".join(
        f"static const int8_t k{name}ToInput[{_RAW_VALUES}] = {c_arrays.array(table)};\n"
        for name, table in zip(names, tables, strict=True)
    )


def _conversions(names: collections.abc.Iterable[str]) -> str:
    return "\n".join(
        f"    input[i + {channel}] = k{name}ToInput[row[i + {channel}]];"
        for channel, name in enumerate(names)
    )
