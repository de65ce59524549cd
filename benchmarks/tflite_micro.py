# SPDX-License-Identifier: Apache-2.0
"""Measures models in a user's own TensorFlow Lite Micro on an emulated Cortex-M4.

The tree is one in which its own build has been run with CMSIS-NN, as its documentation says
(`tensorflow/lite/micro/cortex_m_generic/README.md`):

    make -f tensorflow/lite/micro/tools/make/Makefile TARGET=cortex_m_generic \
        TARGET_ARCH=cortex-m4+fp OPTIMIZED_KERNEL_DIR=cmsis_nn BUILD_TYPE=release microlite
"""

import pathlib
import struct
import subprocess

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflm.micro.interpreter import MicroInterpreter
from tflm.toolchains import emulator
from tflm.toolchains.emulator import Core

_LIBRARY = "gen/cortex_m_generic_cortex-m4+fp_*cmsis_nn*/lib/libtensorflow-microlite.a"
_DOWNLOADS = "tensorflow/lite/micro/tools/make/downloads"
_INCLUDE_FOLDERS = ("", f"{_DOWNLOADS}/flatbuffers/include", f"{_DOWNLOADS}/gemmlowp")
_PROGRAM = pathlib.Path(__file__).with_name("tflite_micro_measurement.cc")
_CORE = Core.CORTEX_M4
_ANSWER = struct.Struct("<iQ")  # bytes of the arena, instructions
_TIMEOUT = 600.0  # seconds
_MOST_STEPS_OFF = 2  # CMSIS-NN rounds sums of residual blocks otherwise than reference kernels
_COMPILER = "arm-none-eabi-g++"


def measure(model, root, folder):
    """What a model takes in TensorFlow Lite Micro on a Cortex-M4.

    Args:
        model: bytes of a flatbuffer with one int8 input and output.
        root: `pathlib.Path` of the source tree.
        folder: `pathlib.Path` of a folder for compiled files.

    Returns:
        Mapping with `instructions` of one image, `ram_bytes` of the arena, and `flash_bytes` of
        the program, the model among them.

    Raises:
        ValueError: if the tree lacks a file.
        EmulatorError: if the program cannot be built or run, or answers something else than the
            reference kernels on this computer.
    """
    library = _find_library(root)
    header = folder / "model_under_test.h"
    header.write_text(_header(model))
    program = _build(root, library, header, folder)
    interpreter = MicroInterpreter(model)
    image = np.random.default_rng(0).integers(-128, 128, interpreter.input_shape[1:], np.int8)
    answer = emulator.run(program, _CORE, image.tobytes(), _TIMEOUT)
    arena_bytes, instructions = _ANSWER.unpack_from(answer)
    output = np.frombuffer(answer, np.int8, offset=_ANSWER.size).astype(int)
    expected = interpreter.run(image[np.newaxis])[0].ravel().astype(int)
    if output.shape != expected.shape or np.abs(output - expected).max() > _MOST_STEPS_OFF:
        raise emulator.EmulatorError(
            "CMSIS-NN must answer what the reference kernels do. "
            f"Received: {output.tolist()} instead of {expected.tolist()}"
        )
    return {
        "instructions": instructions,
        "ram_bytes": arena_bytes,
        "flash_bytes": _flash_bytes(program),
        "model_bytes": len(model),
    }


def _find_library(root):
    libraries = sorted(pathlib.Path(root).glob(_LIBRARY))
    if len(libraries) != 1:
        raise ValueError(
            "--tflite-micro must be the root of a source tree of TensorFlow Lite Micro in which "
            f"its library has been built once as {__name__} says. "
            f"Received: {root} with {len(libraries)} of {_LIBRARY}"
        )
    return libraries[0]


def _header(model):
    names = sorted(operators(model))
    calls = " || ".join(f"resolver.Add{name}() != kTfLiteOk" for name in names)
    numbers = ",".join(map(str, model))
    return f"""#include <cstdint>
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
alignas(16) const uint8_t kModel[] = {{{numbers}}};
using OpResolver = tflite::MicroMutableOpResolver<{len(names)}>;
inline TfLiteStatus AddOperators(OpResolver& resolver) {{
  return {calls} ? kTfLiteError : kTfLiteOk;
}}
"""


def operators(model):
    """Names of a model's operators as TensorFlow Lite Micro's resolver has them: "Conv2D"."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
    root = schema.Model.GetRootAs(model, 0)
    codes = (root.OperatorCodes(number) for number in range(root.OperatorCodesLength()))
    words = (names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes)
    return {
        "".join(part.capitalize() for part in name.split("_")).replace("2d", "2D") for name in words
    }


def _build(root, library, header, folder):
    platform = _CORE.value
    processor = [f"-mcpu={platform.processor}", "-mthumb", "-mfloat-abi=hard", "-O2"]
    shared = [*processor, "-ffunction-sections", "-fdata-sections", "-I", emulator.EMULATED_FOLDER]
    sources = [*emulator.COMMON_SOURCES, *platform.sources]
    c_sources = [emulator.EMULATED_FOLDER / name for name in sources]
    _run([emulator.find_tool(emulator.COMPILER), *shared, "-std=c99", "-c", *c_sources], folder)
    includes = [word for name in _INCLUDE_FOLDERS for word in ("-isystem", root / name)]
    definitions = ["-DTF_LITE_STATIC_MEMORY", "-DTF_LITE_STRIP_ERROR_STRINGS"]
    definitions += ["-DTF_LITE_MCU_DEBUG_LOG", f'-DMODEL_HEADER="{header.name}"']
    modes = ["-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"]
    program = folder / "tflite_micro_measurement.elf"
    objects = [f"{source.stem}.o" for source in c_sources]
    compiler = emulator.find_tool(_COMPILER)
    command = [compiler, *shared, *modes, *definitions, "-I", folder, *includes]
    _run([*command, "-c", _PROGRAM, "-o", "program.o"], folder)
    link = [compiler, *processor, "-nostartfiles", "-Wl,--gc-sections"]
    link += ["-L", emulator.EMULATED_FOLDER, "-T", platform.linker_script]
    _run([*link, "program.o", *objects, library, "-lm", "-o", program], folder)
    return program


def _flash_bytes(program):
    listing = _run([emulator.find_tool(emulator.PROGRAM_SIZE), program], program.parent)
    text, data = listing.splitlines()[1].split()[:2]
    return int(text) + int(data)


def _run(command, folder):
    finished = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    if finished.returncode != 0:
        raise emulator.BuildError(f"{' '.join(map(str, command))}\n{finished.stderr}")
    return finished.stdout
