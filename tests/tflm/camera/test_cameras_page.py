# SPDX-License-Identifier: Apache-2.0
"""docs/cameras.md: its names exist, its code compiles, its figures are those of the macros."""

import pathlib
import re
import subprocess

from tests.tflm.camera.c_checks import INCLUDES, WARNINGS
from tflm.camera import camera_sources
from tflm.camera.pixel_rows import FORMATS
from tflm.toolchains import host_compiler

ROOT = pathlib.Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "cameras.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```c\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SOURCES = {**camera_sources.camera_sources(), **camera_sources.camera_example()}


def test_formats_are_all_there_once():
    table = TEXT.split("| pixels | format |")[1].split("\n\n")[0]
    named = re.findall(r"`micronet_pixels_(\w+)`", table)
    assert sorted(named) == sorted(FORMATS)


def test_files_and_functions_exist():
    files = {name for name in re.findall(r"`([\w/.]+\.(?:h|c|py))`", TEXT) if "/" not in name}
    assert files and files <= set(SOURCES)
    assert all(
        (ROOT / path).exists() for path in re.findall(r"`((?:tflm|keras\w+)/[\w/.]+)`", TEXT)
    )
    text = "".join(SOURCES.values())
    names = set(re.findall(r"\b(?:micronet_camera\w+|camera_example_\w+|CAMERA_\w+)\b", TEXT))
    assert names
    assert [name for name in names if name not in text] == []


def test_code_compiles(small_model, tmp_path):
    (code,) = FENCE.findall(TEXT)
    program = tmp_path / "program.c"
    program.write_text(code)
    folders = (*INCLUDES, "-I", small_model.folder / "src")
    words = ["gcc", "-std=c99", *WARNINGS, "-fsyntax-only", *folders, program]
    finished = subprocess.run(words, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


def test_bytes_are_those_of_the_macros(tmp_path):
    rows = re.findall(r"^\| (\d+)x\d+ \| 1,280 \| ([\d,]+) \| 153,600 \|$", TEXT, re.MULTILINE)
    assert len(rows) == 2
    program = tmp_path / "program.c"
    calls = (f"MICRONET_CAMERA_LINES_BYTES(320, 240, {size}, {size}, 3)" for size, _ in rows)
    program.write_text(
        '#include <stdio.h>\n#include "micronet_camera_lines.h"\n'
        f'int main(void) {{ printf("%d %d", {", ".join(calls)}); return 0; }}\n'
    )
    host_compiler.build(tmp_path / "program", [*INCLUDES, program])
    answer = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=True)
    assert [f"{int(word):,}" for word in answer.stdout.split()] == [size for _, size in rows]
    assert "`(35 * s + 7) * width`" in TEXT
    for (size, expected), shrink in zip(rows, (3, 2), strict=True):
        assert f"{(35 * shrink + 7) * int(size):,}" == expected
