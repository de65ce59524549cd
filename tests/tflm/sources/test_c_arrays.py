# SPDX-License-Identifier: Apache-2.0
"""The C++ sources, compiled with all warnings as errors, run, and asked for what they hold."""

import os
import shutil
import stat
import subprocess

import numpy as np
import pytest

from tests.tflm.hand_made_graphs import chain_of_two_convolutions
from tests.tflm.operator_cases import CASES
from tflm.graph.graph import Graph, Operation, Quantization
from tflm.graph.operators import OPERATORS
from tflm.micro import op_resolver
from tflm.micro.model_data import model_data
from tflm.sources import (
    c_arrays,
    generic_names,
    model_settings,
    tensor_constants,
    test_vectors,
)

FLAGS = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
CPLUSPLUS_FLAGS = ["-fno-exceptions", "-fno-rtti"]

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")

NAMES = (
    "zero",
    'a "quoted" name',
    "back\\slash",
    "two\nlines\tand a tab",
    "Zürich 東京 🙂",
    "octal\x017 digits",
    "what??/ trigraph",
    "%s %d",
    "",
)

INPUT = Quantization.per_tensor(np.float32(0.0186584), -14)
OUTPUT = Quantization.per_tensor(np.float32(1 / 256), -128)
# An arbitrary function of the raw value for each channel, with both ends of int8.
RAMP = np.arange(-128, 128)
TABLES = np.stack([RAMP, RAMP[::-1], np.arange(256) * 7 % 256 - 128])
TABLES = TABLES.astype(np.int8)
MODEL = b"123456789"
MODEL_IDENTIFIER = 0xCBF43926  # of these digits, as every description of CRC-32 tells
NOTE = "Two lines\nabout it."


LIBRARY = "person_model"


def ends(shape=(1, 4, 6, 3)):
    graph = Graph()
    graph.inputs = [graph.add_tensor("image", shape, None, INPUT)]
    graph.outputs = [graph.add_tensor("scores", (1, len(NAMES)), None, OUTPUT)]
    constants = tensor_constants.input_and_output(graph, LIBRARY)
    return f"{constants}\n{model_settings.arena_constant(LIBRARY, 257_729, NOTE)}"


def settings_files(**changes):
    """By name, with the header of generic names."""
    given = settings(**changes)
    own = model_settings.model_settings(given, LIBRARY)
    return {**own, **generic_names.settings_header(LIBRARY)}


def vectors_files(frames, outputs, labels):
    own = test_vectors.test_vectors(frames, outputs, labels, LIBRARY)
    return {**own, **generic_names.test_vectors_header(LIBRARY)}


def settings(**changes):
    values = {
        "input_shape": (1, 4, 6, 3),
        "class_names": NAMES,
        "model": MODEL,
        "ends": ends(),
        "raw_to_input": TABLES,
    }
    return model_settings.ModelSettings(**{**values, **changes})


def compile_and_run(folder, program, sources=(), standard="c++17", inputs=b""):
    """Output of `program`, linked with the sources in `folder`."""
    language, compiler, flags = "c", "gcc", FLAGS
    if standard.startswith("c++"):
        language, compiler, flags = "c++", "g++", FLAGS + CPLUSPLUS_FLAGS
    (folder / "main.cc").write_text(program)
    files = [str(folder / name) for name in ("main.cc", *sources)]
    command = [compiler, f"-std={standard}", *flags, "-I", str(folder), "-x", language, *files]
    compiled = subprocess.run(
        [*command, "-o", str(folder / "main")], capture_output=True, text=True, check=False
    )
    assert compiled.returncode == 0, compiled.stderr
    return subprocess.run(
        [str(folder / "main")], input=inputs, capture_output=True, check=True
    ).stdout


@needs_compiler
@pytest.mark.parametrize("standard", ["c++11", "c++17"])
def test_model_data_holds_the_model(tmp_path, standard):
    model = np.random.default_rng(0).integers(0, 256, 1001).astype(np.uint8).tobytes()
    c_arrays.write_files(model_data(model, LIBRARY), tmp_path)
    program = """
#include <cstdio>
#include "person_model_data.cc"
int main() {
  std::printf("%d\\n", static_cast<int>(__alignof__(person_model::kModelData)));
  std::fwrite(person_model::kModelData, 1, person_model::kModelDataLength, stdout);
}
"""
    printed = compile_and_run(tmp_path, program, (), standard)
    assert printed == b"16\n" + model


SETTINGS_SOURCES = (f"{LIBRARY}_settings.c",)
VECTORS_SOURCES = (f"{LIBRARY}_test_vectors.c",)
SETTINGS_PROGRAM = """
#include <stdio.h>
#include <string.h>
#include "model_settings.h"
#include "model_settings.h"
#ifdef __cplusplus
using namespace micronet;
#endif
static unsigned char frame[kInputSize];
static int8_t input[kInputSize];
int main(void) {
  printf("%d %d %d %d\\n", kInputHeight, kInputWidth, kInputChannels, kInputSize);
  printf("%.9g %d %.9g %d\\n", (double)kInputScale, kInputZeroPoint, (double)kOutputScale,
         kOutputZeroPoint);
  printf("%d %d %lu %d\\n", kArenaBytes, kClassCount, (unsigned long)kModelIdentifier, kModelBytes);
  for (int i = 0; i < kClassCount; ++i) {
    fwrite(kClassNames[i], 1, strlen(kClassNames[i]) + 1, stdout);
  }
  if (fread(frame, 1, kInputSize, stdin) != kInputSize) return 1;
  ConvertFrame(frame, input);
  fwrite(input, 1, kInputSize, stdout);
  for (int y = 0; y < kInputHeight; ++y) {
    ConvertRow(frame + y * kInputWidth * kInputChannels, input);
    fwrite(input, 1, kInputWidth * kInputChannels, stdout);
  }
  ConvertFrame(frame, (int8_t*)frame);
  fwrite(frame, 1, kInputSize, stdout);
}
"""


@needs_compiler
@pytest.mark.parametrize("standard", ["c99", "c++11", "c++20"])
@pytest.mark.parametrize("shape", [(1, 16, 17, 3), (1, 16, 17, 1)])
def test_model_settings_tell_firmware_what_python_knows(tmp_path, standard, shape):
    channels = shape[-1]
    given = {"input_shape": shape, "ends": ends(shape), "raw_to_input": TABLES[:channels]}
    c_arrays.write_files(settings_files(**given), tmp_path)
    frame = np.arange(16 * 17 * channels).astype(np.uint8).reshape(shape)  # all values, and more
    printed = compile_and_run(
        tmp_path, SETTINGS_PROGRAM, SETTINGS_SOURCES, standard, frame.tobytes()
    )

    head = f"16 17 {channels} {16 * 17 * channels}\n".encode()
    assert printed.startswith(head)
    scales, numbers, rest = printed[len(head) :].split(b"\n", 2)
    input_scale, input_zero_point, output_scale, output_zero_point = scales.split()
    assert np.float32(input_scale) == INPUT.scale[0]
    assert np.float32(output_scale) == OUTPUT.scale[0]
    assert (int(input_zero_point), int(output_zero_point)) == (-14, -128)
    # 257729 is rounded up to 16.
    assert numbers == f"257744 {len(NAMES)} {MODEL_IDENTIFIER} {len(MODEL)}".encode()

    names = b"".join(name.encode() + b"\0" for name in NAMES)
    assert rest.startswith(names)
    expected = np.empty(shape, np.int8)
    for position in np.ndindex(*shape):
        expected[position] = TABLES[position[-1], frame[position]]
    # Into other memory, row by row, and in place.
    assert rest[len(names) :] == expected.tobytes() * 3


def test_note_on_the_arena_is_a_comment_of_its_own_lines():
    lines = model_settings.arena_constant(LIBRARY, 257_729, NOTE).splitlines()
    assert lines[1:] == [
        " * Two lines",
        " * about it. */",
        "#define PERSON_MODEL_ARENA_BYTES 257744",
    ]


@needs_compiler
@pytest.mark.parametrize("standard", ["c99", "c++11", "c++20"])
def test_both_headers_fit_into_one_program(tmp_path, standard):
    """In C++ their constants are comparable, no enumerators; neither leaves a macro behind."""
    frames = np.zeros((2, 4, 6, 3), np.uint8)
    vectors = vectors_files(frames, np.zeros((2, 9), np.int8), np.array([0, 4]))
    c_arrays.write_files({**vectors, **settings_files()}, tmp_path)
    program = """
#include "model_settings.h"
#include "test_vectors.h"
#ifdef MICRONET_INTEGER
#error "A macro is left."
#endif
#ifdef __cplusplus
using namespace micronet;
static_assert(kTestInputSize == kInputSize && kTestOutputSize == kClassCount, "");
#endif
static const int sizes[kTestVectorCount] = {kTestInputSize - kInputSize, kClassCount};
int main(void) { return sizes[0] != 0 || sizes[1] != 9; }
"""
    compile_and_run(tmp_path, program, [*VECTORS_SOURCES, *SETTINGS_SOURCES], standard)


@needs_compiler
@pytest.mark.parametrize("standard", ["c99", "c++11"])
def test_test_vectors_hold_what_was_given(tmp_path, standard):
    generator = np.random.default_rng(1)
    frames = generator.integers(0, 256, (3, 5, 7, 3)).astype(np.uint8)
    outputs = generator.integers(-128, 128, (3, 10)).astype(np.int8)
    c_arrays.write_files(vectors_files(frames, outputs, np.array([9, 0, 4])), tmp_path)
    program = """
#include <stdio.h>
#include "test_vectors.h"
#ifdef __cplusplus
using namespace micronet;
#endif
int main(void) {
  printf("%d %d %d\\n", kTestVectorCount, kTestInputSize, kTestOutputSize);
  for (int i = 0; i < kTestVectorCount; ++i) {
    printf("%d\\n", kTestLabels[i]);
    fwrite(kTestFrames[i], 1, kTestInputSize, stdout);
    fwrite(kTestOutputs[i], 1, kTestOutputSize, stdout);
  }
}
"""
    printed = compile_and_run(tmp_path, program, VECTORS_SOURCES, standard)
    expected = b"3 105 10\n" + b"".join(
        b"%d\n" % label + image.tobytes() + output.tobytes()
        for image, output, label in zip(frames, outputs, [9, 0, 4], strict=True)
    )
    assert printed == expected


# Declares what TensorFlow Lite Micro's header does, as far as op_resolver.h may use it.
RESOLVER = """
#pragma once
#include <cstdio>
#include <string>
enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
namespace tflite {
template <unsigned int tOpCount>
class MicroMutableOpResolver {
 public:
#define METHOD(name) TfLiteStatus name() { return Add(#name); }
  METHOD(AddAdd) METHOD(AddAveragePool2D) METHOD(AddConcatenation) METHOD(AddConv2D)
  METHOD(AddDepthwiseConv2D) METHOD(AddFullyConnected) METHOD(AddGather) METHOD(AddHardSwish)
  METHOD(AddMaximum) METHOD(AddMean) METHOD(AddMul) METHOD(AddPad) METHOD(AddQuantize)
  METHOD(AddRelu) METHOD(AddRelu6) METHOD(AddReshape) METHOD(AddSoftmax) METHOD(AddSplit)
  METHOD(AddStridedSlice) METHOD(AddSub) METHOD(AddTranspose)
  TfLiteStatus AddCustom(const char* name, const char* registration) {
    return Add((std::string(name) + " by " + registration).c_str());
  }
  int room = tOpCount;

 private:
  TfLiteStatus Add(const char* name) {
    if (room == 0) return kTfLiteError;
    --room;
    std::puts(name);
    return kTfLiteOk;
  }
};
}  // namespace tflite
"""

RESOLVER_PROGRAM = """
#include "op_resolver.h"
int main() {
  micronet::OpResolver resolver;
  if (micronet::AddOperators(resolver) != kTfLiteOk) return 1;
  std::printf("room for %d more\\n", resolver.room);
  std::printf("status when full: %d\\n", micronet::AddOperators(resolver));
}
"""


# The same of the header of the kernels' registrations; each is its name here.
REGISTRATIONS = """
#pragma once
#define MICRONET_DECLARE_OPERATOR(KIND) static_assert(true, "")
namespace micronet {{
{functions}
}}  // namespace micronet
"""

FUSED_KINDS = sorted(kind for kind, row in OPERATORS.items() if row.is_custom)
BUILTIN_METHODS = sorted(row.resolver_method for row in OPERATORS.values() if not row.is_custom)


def graph_of_every_operator():
    graph, _ = CASES["dense"]()
    graph.operations = [CASES[name]()[0].operations[0] for name in CASES]
    return graph


def graph_of_every_fused_operator():
    graph = graph_of_every_operator()
    graph.operations = [Operation(kind, ["x"], ["y"]) for kind in FUSED_KINDS]
    return graph


@needs_compiler
@pytest.mark.parametrize(
    ("graph", "methods"),
    [
        (chain_of_two_convolutions(), ["AddConv2D"]),
        (graph_of_every_operator(), BUILTIN_METHODS),
        (
            graph_of_every_fused_operator(),
            [f"{kind} by Register_{kind}" for kind in FUSED_KINDS],
        ),
    ],
)
def test_op_resolver_registers_each_operator_once_and_has_no_room_to_spare(
    tmp_path, graph, methods
):
    mock = {"micro_mutable_op_resolver.h": RESOLVER}
    c_arrays.write_files(mock, tmp_path / "tensorflow" / "lite" / "micro")
    functions = "\n".join(
        f'inline const char* Register_{kind}() {{ return "Register_{kind}"; }}'
        for kind in FUSED_KINDS
    )
    header = REGISTRATIONS.format(functions=functions)
    c_arrays.write_files({"micronet_ops.h": header}, tmp_path / "kernels")
    c_arrays.write_files(op_resolver.op_resolver(graph, LIBRARY), tmp_path)
    generic = generic_names.cplusplus_header(LIBRARY, "op_resolver", "op_resolver.h")
    c_arrays.write_files(generic, tmp_path)
    lines = compile_and_run(tmp_path, RESOLVER_PROGRAM).decode().splitlines()
    assert sorted(lines[: len(methods)]) == methods
    assert lines[len(methods) :] == ["room for 0 more", "status when full: 1"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: model_data(b"", LIBRARY), "must have bytes"),
        (lambda: c_arrays.string("a\0b"), r"zero byte within. Received: 'a\\x00b'"),
        (lambda: c_arrays.string("a\ud800"), "valid Unicode"),
        (lambda: settings(input_shape=(1, 4, 6, 2)), "1 or 3 channels.*Received: .*2"),
        (lambda: settings(input_shape=(4, 6, 3)), r"Received: \(4, 6, 3\)"),
        (lambda: settings(raw_to_input=np.zeros((3, 255), np.int8)), r"shape \(3, 256\).*255"),
        (lambda: settings(raw_to_input=np.zeros((3, 256))), "int8.*float64"),
        (lambda: settings(class_names=()), "at least one name"),
        (lambda: settings(class_names="zero"), "Received: 'zero'"),
        (
            lambda: model_settings.arena_constant(LIBRARY, 0, NOTE),
            "arena_bytes must be positive. Received: 0",
        ),
    ],
)
def test_bad_input_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frames": np.zeros((2, 4, 4, 3))}, "frames must be .* uint8.*float64"),
        ({"frames": np.zeros((2, 4, 4, 3), np.int8)}, "frames must be .* uint8.*: int8"),
        ({"frames": np.zeros((0, 4, 4, 3), np.uint8)}, "non-empty"),
        ({"outputs": np.zeros((2, 1, 5), np.int8)}, "outputs must be .* rank 2"),
        ({"labels": np.array([0])}, r"labels of shape \(1,\)"),
        ({"outputs": np.zeros((3, 5), np.int8)}, "2 frames, 3 outputs"),
        ({"labels": np.array([0, 5])}, r"integers in \[0, 5\)"),
        ({"labels": np.array([-1, 0])}, r"integers in \[0, 5\)"),
        ({"labels": np.array([0.0, 1.0])}, "must be integers"),
    ],
)
def test_bad_test_vectors_are_refused(changes, words):
    good = {
        "frames": np.zeros((2, 4, 4, 3), np.uint8),
        "outputs": np.zeros((2, 5), np.int8),
        "labels": np.array([0, 4]),
    }
    vectors_files(**good)
    with pytest.raises(ValueError, match=words):
        vectors_files(**{**good, **changes})


def test_unknown_operator_has_no_resolver():
    graph = chain_of_two_convolutions()
    graph.operations[0].kind = "CONV_5D"
    with pytest.raises(ValueError, match="Received: CONV_5D"):
        op_resolver.op_resolver(graph, LIBRARY)


def test_lines_stay_readable():
    text = model_data(bytes(range(256)) * 8, LIBRARY)[f"{LIBRARY}_data.cc"]
    assert max(map(len, text.splitlines())) <= 100


def test_files_are_replaced_as_a_whole(tmp_path, monkeypatch):
    paths = c_arrays.write_files({"a.h": "old é", "b.bin": b"\x00\xff"}, tmp_path / "new")
    assert [path.name for path in paths] == ["a.h", "b.bin"]
    assert paths[0].read_text(encoding="utf-8") == "old é"
    assert paths[1].read_bytes() == b"\x00\xff"
    assert stat.S_IMODE(paths[0].stat().st_mode) == 0o644

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        c_arrays.write_files({"a.h": "new"}, tmp_path / "new")
    assert paths[0].read_text(encoding="utf-8") == "old é"
    assert sorted(os.listdir(tmp_path / "new")) == ["a.h", "b.bin"]
