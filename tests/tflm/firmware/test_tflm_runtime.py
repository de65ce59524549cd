# SPDX-License-Identifier: Apache-2.0
"""The firmware's recognizer in TensorFlow Lite Micro: what its build refuses, and what it answers.

The tests that need TensorFlow Lite Micro run if the environment variable TFLM_ROOT names the root
of its source tree, in which its library has been built for the boards.
"""

import functools
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import zlib

import pytest

from tflm import command_line
from tflm.firmware import build
from tflm.micro.model_data import model_data
from tflm.settings import KERNELS
from tflm.sources import c_arrays
from tflm.toolchains import emulator

pytestmark = pytest.mark.emulator

BOARD = "mps2-an386"
BOARDS = {core.value.machine: core for core in emulator.Core}
ARCHITECTURES = {
    "mps2-an386": "cortex-m4+fp",
    "mps2-an500": "cortex-m7+fp",
    "mps3-an547": "cortex-m55",
}
MODEL_FILES = ("src/model_data.h", "src/op_resolver.h", "src/model_settings.h")
INTERPRETER_HEADER = "tensorflow/lite/micro/micro_interpreter.h"
DOWNLOADS = "tensorflow/lite/micro/tools/make/downloads"
DOWNLOADED_HEADERS = (
    f"{DOWNLOADS}/flatbuffers/include/flatbuffers/flatbuffers.h",
    f"{DOWNLOADS}/gemmlowp/fixedpoint/fixedpoint.h",
    f"{DOWNLOADS}/ruy/ruy/profiler/instrumentation.h",
)
LIBRARY = "gen/cortex_m_generic_cortex-m4+fp_default_gcc/lib/libtensorflow-microlite.a"
SECOND_LIBRARY = LIBRARY.replace("default", "default_cmsis_nn")
RELEASE_LIBRARY = LIBRARY.replace("default", "release")
M55_LIBRARY = LIBRARY.replace("cortex-m4+fp", "cortex-m55")
SYMBOLS = b"MicroInterpreter\nMicroPrintf\n"
DOCUMENTATION = "tensorflow/lite/micro/cortex_m_generic/README.md"
SECONDS = 120
ROOT_VARIABLE = "TFLM_ROOT"
needs_library = pytest.mark.skipif(
    ROOT_VARIABLE not in os.environ,
    reason=f"{ROOT_VARIABLE} names no source tree of TensorFlow Lite Micro with its library",
)


def write(folder, contents):
    """Writes files, bytes by relative path; returns the folder."""
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.fixture
def model(tmp_path):
    return write(tmp_path / "model", dict.fromkeys(MODEL_FILES, b""))


@pytest.fixture
def tree(tmp_path):
    """Looks to the build like a source tree with a library for Cortex-M4."""
    headers = dict.fromkeys((INTERPRETER_HEADER, *DOWNLOADED_HEADERS), b"")
    return write(tmp_path / "tree", {**headers, LIBRARY: SYMBOLS})


def configure(model, **definitions):
    """Lets CMake prepare a build, in which nothing is compiled. Returns (status, messages)."""
    values = {"MODEL": model, "PLATFORM": BOARD, "RUNTIME": "tflm", **definitions}
    folder = model.parent / "build"
    command = [emulator.find_tool("cmake"), "-S", build.SOURCES_FOLDER, "-B", folder]
    command += ["-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"]
    command += [f"-D{name}={value}" for name, value in values.items()]
    finished = subprocess.run(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return finished.returncode, " ".join(finished.stdout.split())  # CMake breaks lines


def assert_refused(result, *words):
    status, messages = result
    assert status != 0
    for word in words:
        assert word in messages


def definitions_of(model):
    """Definitions of macros with which the build would compile recognizer_tflm.cc."""
    commands = json.loads((model.parent / "build" / "compile_commands.json").read_text())
    (command,) = (
        entry["command"] for entry in commands if entry["file"].endswith("recognizer_tflm.cc")
    )
    return set(re.findall(r"-D(\S+)", command)), command


def test_tree_with_a_library_is_taken(model, tree):
    status, messages = configure(model, TFLM_ROOT=tree)
    assert status == 0, messages
    definitions, command = definitions_of(model)
    assert {"TF_LITE_STATIC_MEMORY", "TF_LITE_MCU_DEBUG_LOG"} <= definitions
    assert "TF_LITE_STRIP_ERROR_STRINGS" not in definitions
    assert f"-isystem {tree}" in command  # warnings of its headers are not ours


def test_library_without_messages_is_compiled_against_as_such(model, tree):
    """The headers then have none either, so that nobody calls a function that is not there."""
    write(tree, {LIBRARY: b"MicroInterpreter\n"})
    status, messages = configure(model, TFLM_ROOT=tree)
    assert status == 0, messages
    assert "TF_LITE_STRIP_ERROR_STRINGS" in definitions_of(model)[0]


def test_root_must_be_named(model):
    rule = "TFLM_ROOT must be the root of TensorFlow Lite Micro's source tree"
    assert_refused(configure(model), rule, "Received: no TFLM_ROOT", DOCUMENTATION, "cortex-m4+fp")


def test_root_must_be_a_source_tree(model, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    received = f"Received: TFLM_ROOT={empty} without {INTERPRETER_HEADER}"
    assert_refused(configure(model, TFLM_ROOT=empty), "TFLM_ROOT must be the root", received)


@pytest.mark.parametrize("header", DOWNLOADED_HEADERS)
def test_downloads_must_be_there(model, tree, header):
    (tree / header).unlink()
    name = pathlib.Path(header).name
    rule = "TFLM_ROOT must hold what the build of TensorFlow Lite Micro's library downloads"
    assert_refused(configure(model, TFLM_ROOT=tree), rule, name, DOCUMENTATION)


def test_library_must_be_there_for_the_processor(model, tree):
    """That of another processor is none."""
    write(tree, {M55_LIBRARY: SYMBOLS})
    (tree / LIBRARY).unlink()
    rule = "TFLM_ROOT must hold TensorFlow Lite Micro's static library for the platform"
    pattern = LIBRARY.replace("default_gcc", "*")
    assert_refused(configure(model, TFLM_ROOT=tree), rule, f"without {pattern}", DOCUMENTATION)


def test_one_of_several_libraries_must_be_named(model, tree):
    write(tree, {SECOND_LIBRARY: SYMBOLS, RELEASE_LIBRARY: SYMBOLS})
    rule = "TFLM_LIBRARY must be the path of one of the libraries"
    names = [str(tree / name) for name in (LIBRARY, SECOND_LIBRARY, RELEASE_LIBRARY)]
    assert_refused(configure(model, TFLM_ROOT=tree), rule, *names)
    status, messages = configure(model, TFLM_ROOT=tree, TFLM_LIBRARY=names[1])
    assert status == 0, messages
    assert f"TensorFlow Lite Micro: {names[1]}" in messages


@pytest.mark.parametrize("name", ["missing.a", "gen"])
def test_named_library_must_be_a_file(model, tree, name):
    path = tree / name
    rule = "TFLM_LIBRARY must be the path of TensorFlow Lite Micro's static library"
    result = configure(model, TFLM_ROOT=tree, TFLM_LIBRARY=path)
    assert_refused(result, rule, f"Received: TFLM_LIBRARY={path}")


@pytest.mark.parametrize(
    "symbols, rule",
    [
        (b"printf\n", "TFLM_LIBRARY must be TensorFlow Lite Micro's static library"),
        (SYMBOLS + b"TfLiteIntArrayCreate\n", "must be compiled with TF_LITE_STATIC_MEMORY"),
    ],
)
def test_library_must_have_been_compiled_as_for_microcontrollers(model, tree, symbols, rule):
    write(tree, {LIBRARY: symbols})
    assert_refused(configure(model, TFLM_ROOT=tree), rule, f"Received: {tree / LIBRARY}")


@pytest.mark.parametrize("name", ["src/model_data.h", "src/op_resolver.h"])
def test_model_must_be_exported_for_this_runtime(model, tree, name):
    (model / name).unlink()
    rule = "MODEL must be a folder that `python -m tflm` has written with --runtime tflm"
    received = f"Received: MODEL={model} with no {name}"
    assert_refused(configure(model, TFLM_ROOT=tree), rule, received)
    write(model, {"src/micronet_model.h": b""})
    assert_refused(configure(model, TFLM_ROOT=tree), rule, "an export of the static runtime")


@pytest.fixture(scope="module")
def exports(digits_run, tmp_path_factory):
    """A function of the kernels: an export of M0, trained on digits."""

    @functools.cache
    def export(kernels):
        folder = tmp_path_factory.mktemp("exports") / kernels
        words = [str(digits_run), "--output", str(folder), "--kernels", kernels]
        assert command_line.main(words) == 0
        return folder

    return export


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A function of an export: builds its firmware and runs it on its test vectors.

    Returns the exit status, the lines that it has sent, and the program's path.
    """

    tflm_root = pathlib.Path(os.environ[ROOT_VARIABLE])

    def run_on(model, board=BOARD, **definitions):
        architecture = ARCHITECTURES[board]
        if not any(tflm_root.glob(f"gen/cortex_m_generic_{architecture}_*/lib/*.a")):
            pytest.skip(f"TFLM_ROOT holds no library for {architecture}")
        program = build.build(
            model,
            board,
            build.TFLM,
            tmp_path_factory.mktemp(board),
            tflm_root,
            {"PROVIDER": "test_vectors", **definitions},
        )
        command = [*emulator.qemu_command(program, BOARDS[board]), "-serial", "stdio"]
        finished = subprocess.run(
            command,
            cwd=tmp_path_factory.mktemp("run"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=SECONDS,
        )
        return finished.returncode, finished.stdout.decode("ascii").splitlines(), program

    return run_on


def fields(line):
    """The fields name=value of a line."""
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def settings_of(export):
    (path,) = export.glob("src/*_model_settings.h")
    return path


def overwrite_model(export, model):
    """Puts other bytes in the place of the model's."""
    library = settings_of(export).name.removesuffix("_settings.h")
    c_arrays.write_files(model_data(model, library), export / "src")


def constant(export, name):
    """An integer of the model's settings."""
    text = settings_of(export).read_text()
    return int(re.search(rf"_{name} (\w+?)u?$", text, re.MULTILINE)[1], 0)


def heap_functions(program):
    """Names of functions in a program that take memory from a heap or give it back."""
    lines = subprocess.run(
        ["arm-none-eabi-nm", program], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    pattern = re.compile(r"_?(malloc|calloc|realloc|free|sbrk)(_r)?|_Z(n[wa]|d[la]P).*")
    return [line.split()[-1] for line in lines if pattern.fullmatch(line.split()[-1])]


@needs_library
@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("board", ARCHITECTURES)
def test_scores_are_those_of_the_interpreter_on_this_computer(exports, run, board, kernels):
    export = exports(kernels)
    status, lines, program = run(export, board)
    ready, *results, end = lines
    assert (status, end) == (0, "ok vectors right=10 of=10")
    assert [line.split()[0] for line in results] == ["result"] * 10
    described = {
        "model": f"{constant(export, 'CRC32'):08x}",
        "input": "32x32",
        "classes": "10",
        "runtime": "tflm",
    }
    assert fields(ready).items() >= described.items()
    assert 0 < int(fields(ready)["arena"]) <= constant(export, "ARENA_BYTES")
    assert heap_functions(program) == []


@needs_library
def test_too_small_an_arena_is_refused(exports, run):
    needed_bytes = constant(exports("builtin"), "ARENA_BYTES")
    status, lines, _ = run(exports("builtin"), ARENA_BYTES=needed_bytes - 1)
    sentence = f"error arena needs {needed_bytes} bytes, has {needed_bytes - 1}"
    assert (status, lines) == (1, [sentence])


def of_another_schema(model):
    """A flatbuffer's bytes with 1 added to the first field of its root, the schema's version."""
    (root,) = struct.unpack_from("<I", model)
    table = root - struct.unpack_from("<i", model, root)[0]
    position = root + struct.unpack_from("<H", model, table + 4)[0]
    return model[:position] + bytes([model[position] + 1]) + model[position + 1 :]


@needs_library
def test_damaged_model_is_refused(exports, run, tmp_path):
    """Before the interpreter, which trusts it, sees it."""
    export = exports("builtin")
    folder = shutil.copytree(export, tmp_path / "export")
    model = (export / "model.tflite").read_bytes()
    damaged = model[:-1] + bytes([model[-1] ^ 1])
    overwrite_model(folder, damaged)
    expected, received = (f"{zlib.crc32(data):x}" for data in (model, damaged))
    sentence = (
        f"error model the model's data must have the CRC-32 of model_settings.h, {expected}. "
    )
    assert run(folder)[:2] == (1, [f"{sentence}Received: {received}"])

    overwrite_model(folder, model + bytes(16))
    sentence = (
        f"error model the model's data must have {len(model)} bytes, as in model_settings.h. "
    )
    assert run(folder)[:2] == (1, [f"{sentence}Received: {len(model) + 16}"])


@needs_library
def test_model_of_another_schema_is_refused(exports, run, tmp_path):
    folder = shutil.copytree(exports("builtin"), tmp_path / "export")
    model = (folder / "model.tflite").read_bytes()
    newer = of_another_schema(model)
    overwrite_model(folder, newer)
    settings = settings_of(folder).read_text()
    identifiers = [f"0x{zlib.crc32(data):08x}" for data in (model, newer)]
    assert settings.count(identifiers[0]) == 1
    settings_of(folder).write_text(settings.replace(*identifiers))
    sentence = "error model the model's schema must be of version 3. Received: version 4"
    assert run(folder)[:2] == (1, [sentence])


@needs_library
def test_operator_that_is_not_registered_is_named(exports, run, tmp_path):
    """The interpreter's own message arrives."""
    folder = shutil.copytree(exports("builtin"), tmp_path / "export")
    resolver = (folder / "op_resolver.h").read_text()
    changed = re.sub(r".*AddMaximum.*\n", "", resolver)
    assert changed != resolver
    (folder / "op_resolver.h").write_text(changed)
    status, (line,), _ = run(folder)
    assert status == 1
    assert line.startswith("error model TensorFlow Lite Micro cannot prepare the model: ")
    assert "MAXIMUM" in line
