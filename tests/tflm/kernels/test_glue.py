# SPDX-License-Identifier: Apache-2.0
"""The glue for TensorFlow Lite Micro: no warnings, in all standards that it is compiled in."""

import re
import subprocess

import pytest

from tflm.kernels import c_files
from tflm.kernels.registry import KERNELS
from tflm.micro import wheel_kernels

SOURCES = [
    *sorted(c_files.GLUE_FOLDER.glob("*.cc")),
    *sorted(c_files.WHEEL_FOLDER.glob("*.cc")),
]
FLAGS = (
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Werror",
    "-O2",
    "-fsyntax-only",
)
FOLDERS = (
    c_files.WHEEL_FOLDER / "include",
    c_files.WHEEL_FOLDER,
    c_files.GLUE_FOLDER,
    *c_files.include_folders(),
)


@pytest.mark.parametrize("standard", ["c++17", "c++20"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_source_compiles_without_warnings(source, standard):
    includes = [f"-I{folder}" for folder in FOLDERS]
    finished = subprocess.run(
        ["g++", f"-std={standard}", *FLAGS, *includes, source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def test_header_declares_each_operator():
    header = (c_files.GLUE_FOLDER / "micronet_ops.h").read_text()
    declared = re.findall(r"^const TFLMRegistration \*Register_(\w+)\(\);$", header, re.MULTILINE)
    names = [KERNELS[name].kind for name in wheel_kernels.operators()]
    assert declared == names
