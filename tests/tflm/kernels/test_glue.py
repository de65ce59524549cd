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


def test_each_operator_has_its_file_and_declares_itself():
    names = {path.name.removeprefix("micronet_").removesuffix("_op.cc"): path for path in SOURCES}
    for name in wheel_kernels.operators():
        declared = re.findall(
            r"^MICRONET_DECLARE_OPERATOR\((\w+)\);$", names[name].read_text(), re.MULTILINE
        )
        assert declared == [KERNELS[name].kind]
