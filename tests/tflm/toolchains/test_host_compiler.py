# SPDX-License-Identifier: Apache-2.0
"""The computer's compiler: what it makes appears whole, what it says is passed on."""

import os
import subprocess
import time

import pytest

from tflm.toolchains import host_compiler
from tflm.toolchains.host_compiler import HostCompilerError


@pytest.mark.parametrize(
    ("suffix", "languages"),
    [(".c", host_compiler.C), (".cc", host_compiler.C_AND_CPLUSPLUS)],
)
def test_program_is_built_in_a_new_folder(tmp_path, suffix, languages):
    source = tmp_path / f"program{suffix}"
    source.write_text("int main(void) { return NUMBER; }")
    program = tmp_path / "new" / "program"
    host_compiler.build(program, ["-DNUMBER=7", source], languages)
    assert subprocess.run([program], check=False).returncode == 7
    assert list(program.parent.iterdir()) == [program]


def test_failure_has_the_compilers_words_and_leaves_what_was_there(tmp_path):
    source, program = tmp_path / "broken.c", tmp_path / "built" / "program"
    source.write_text("int main(void) { return unknown; }")
    program.parent.mkdir()
    program.write_text("old")
    with pytest.raises(HostCompilerError, match="gcc .*broken.c(.|\n)*unknown. undeclared"):
        host_compiler.build(program, [source])
    assert program.read_text() == "old"
    assert list(program.parent.iterdir()) == [program]


@pytest.mark.parametrize(
    ("installed", "languages", "missing"),
    [
        ((), host_compiler.C, "gcc"),
        (("g++",), host_compiler.C_AND_CPLUSPLUS, "gcc"),
        (("gcc",), host_compiler.C_AND_CPLUSPLUS, "g++"),
    ],
)
def test_missing_compiler_is_named(tmp_path, monkeypatch, installed, languages, missing):
    for name in installed:
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(HostCompilerError) as raised:
        host_compiler.build(tmp_path / "program", ["source.c"], languages)
    assert str(raised.value).endswith(f"apt-get install {missing}")


def test_cc_serves_where_there_is_no_gcc(tmp_path, monkeypatch):
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\necho compiled > "$3"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    host_compiler.build(tmp_path / "program", ["source.c"])
    assert (tmp_path / "program").read_text() == "compiled\n"


def test_what_killed_compilations_have_left_goes_after_a_day(tmp_path):
    leftovers = [tmp_path / f".micronet-unfinished-{age}" for age in ("old", "new")]
    for folder in leftovers:
        folder.mkdir()
        (folder / "library.so").write_text("half")
    yesterday = time.time() - 25 * 60 * 60
    os.utime(leftovers[0], (yesterday, yesterday))
    source = tmp_path / "a.c"
    source.write_text("int a;")
    host_compiler.build(tmp_path / "a.so", ["-shared", "-fPIC", source])
    assert sorted(os.listdir(tmp_path)) == [".micronet-unfinished-new", "a.c", "a.so"]
