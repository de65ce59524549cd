# SPDX-License-Identifier: Apache-2.0
"""The camera's C is fit for every project: strict compilers, C and C++, no heap, no variables."""

import re
import shutil
import subprocess

import pytest

from tests.tflm.camera.c_checks import WARNINGS
from tflm.camera import camera_sources
from tflm.sources import c_arrays
from tflm.toolchains import emulator, host_compiler

SOURCES = camera_sources.camera_sources()
C_STANDARDS = ("c99", "c11")
CPP_STANDARDS = ("c++11", "c++14", "c++17", "c++20")
# What the sources call of C's library, and what compilers call on their own, for divisions and
# products.
COMPILERS_OWN = {
    "memcpy",
    "memset",
    "__aeabi_ldivmod",
    "__aeabi_idiv",
    "__aeabi_idivmod",
    "__aeabi_lmul",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    c_arrays.write_files({**SOURCES, **camera_sources.camera_example()}, folder)
    return folder


def names(suffix):
    return [name for name in SOURCES if name.endswith(suffix)]


def check(compiler, *words):
    finished = subprocess.run([compiler, *WARNINGS, *words], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


def test_files_are_all_there():
    on_disk = {path.name for path in camera_sources.SOURCE_FOLDER.iterdir()}
    assert set(SOURCES) == on_disk | {"micronet_optimize.h", "micronet_shared.h"}
    assert {name for name in names(".h") if not name.endswith("_internal.h")} == {
        "micronet_camera_lines.h",
        "micronet_image_resizer.h",
        "micronet_optimize.h",
        "micronet_pixel_formats.h",
        "micronet_shared.h",
    }
    for name, text in SOURCES.items():
        assert text.startswith("/* SPDX-License-Identifier: Apache-2.0 */\n")
        if name.endswith(".h"):
            guard = name.upper().replace(".", "_")
            assert f"#ifndef {guard}\n#define {guard}\n" in text


def test_they_include_nothing_but_one_another():
    included = {name for text in SOURCES.values() for name in re.findall(r'#include "(.+)"', text)}
    assert included <= set(SOURCES)
    included = {name for text in SOURCES.values() for name in re.findall("#include <(.+)>", text)}
    assert included == {"stdbool.h", "stddef.h", "stdint.h", "string.h"}


@pytest.mark.parametrize("standard", C_STANDARDS)
def test_sources_compile_without_warnings(folder, standard):
    paths = [folder / name for name in names(".c")]
    for options in ((), ("-funsigned-char", "-fshort-enums")):
        check("gcc", f"-std={standard}", "-fsyntax-only", *options, *paths)


@pytest.mark.parametrize("standard", CPP_STANDARDS)
def test_headers_are_cplusplus_too(folder, standard, tmp_path):
    for name in names(".h"):
        program = tmp_path / "program.cc"
        program.write_text(f'#include "{name}"\n#include "{name}"\nint main() {{ return 0; }}\n')
        check("g++", f"-std={standard}", "-fsyntax-only", "-I", folder, program)


def test_names_do_not_meet_others(folder, tmp_path):
    """All that a linker sees begins with micronet_; constants alone are data."""
    check(
        "gcc",
        "-std=c99",
        "-r",
        "-nostdlib",
        *(folder / n for n in names(".c")),
        "-o",
        tmp_path / "a.o",
    )
    listed = subprocess.run(["nm", tmp_path / "a.o"], capture_output=True, text=True, check=True)
    symbols = [line.split()[-2:] for line in listed.stdout.splitlines()]
    visible = [name for kind, name in symbols if kind.isupper() and kind != "U"]
    assert len(visible) > 20
    assert [name for name in visible if not name.startswith("micronet_")] == []
    assert [name for kind, name in symbols if kind in "bBC"] == []
    undefined = {name for kind, name in symbols if kind == "U"}
    assert undefined <= {"memcpy", "memset", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}


@pytest.mark.emulator
@pytest.mark.parametrize("processor", ["cortex-m0", "cortex-m4", "cortex-m55"])
def test_sources_compile_for_processors_without_variables(folder, tmp_path, processor):
    compiler = emulator.find_tool(emulator.COMPILER)
    words = [f"-mcpu={processor}", "-mthumb", "-std=c99", "-O2", "-r", "-nostdlib"]
    words += ["-mno-unaligned-access"] if processor != "cortex-m0" else []
    target = tmp_path / "all.o"
    check(compiler, *words, *(folder / n for n in names(".c")), "-o", target)
    listed = subprocess.run(
        [compiler.replace("gcc", "nm"), target], capture_output=True, text=True, check=True
    )
    symbols = [line.split()[-2:] for line in listed.stdout.splitlines()]
    assert [name for kind, name in symbols if kind in "bBdDC"] == []
    assert {name for kind, name in symbols if kind == "U"} <= COMPILERS_OWN


def test_example_compiles_as_it_is(folder, small_model, tmp_path):
    """With a camera of 320x240 in RGB565."""
    shutil.copytree(small_model.folder, tmp_path / "model")
    includes = ["-I", folder, "-I", tmp_path / "model" / "src"]
    check("gcc", "-std=c99", "-c", *includes, folder / "camera_example.c", "-o", tmp_path / "a.o")
    program = tmp_path / "program.cc"
    program.write_text('#include "camera_example.h"\nint main() { return 0; }\n')
    host_compiler.build(
        tmp_path / "program", ["-I", folder, program], host_compiler.C_AND_CPLUSPLUS
    )
