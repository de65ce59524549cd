# SPDX-License-Identifier: Apache-2.0
"""`python -m tflm.cycles`."""

import re

import pytest

from tflm.cycles import command_line

pytestmark = pytest.mark.emulator


@pytest.fixture
def program(fragments):
    return str(fragments)


def test_a_function_is_counted_in_all_its_calls(program, capsys):
    assert command_line.main([program, "--function", "fragment_callee"]) == 0
    assert capsys.readouterr().out.startswith("instructions: 1, calls: 1\n")
    # Before and after the work that is measured, and that which is not.
    assert command_line.main([program, "--function", "instruction_counter_read"]) == 0
    printed = capsys.readouterr().out
    assert re.match(r"instructions: \d+, calls: 4\n", printed)
    assert "| STM32L4R5 | 120 | " in printed


def test_the_longest_functions_are_listed_first(program, capsys):
    assert command_line.main([program]) == 0
    printed = capsys.readouterr().out.partition("| function |")[2]
    rows = re.findall(r"^\| (\w+) \| [\d,]+ \| ([\d,]+) \|", printed, re.MULTILINE)
    cycles = [int(row[1].replace(",", "")) for row in rows]
    assert "fragment_floating_point" in dict(rows)
    assert cycles == sorted(cycles, reverse=True)


def test_an_unknown_function_is_refused(program, capsys):
    assert command_line.main([program, "--function", "nothing"]) == 2
    assert "Received: 'nothing'; there are, for instance, " in capsys.readouterr().err


def test_what_is_no_program_is_refused(tmp_path, capsys):
    path = tmp_path / "text"
    path.write_text("no program")
    assert command_line.main([str(path)]) == 2
    assert "A program must be an ELF file for Arm. Received: " in capsys.readouterr().err


def test_a_function_that_is_never_called_is_an_error(program, capsys):
    assert command_line.main([program, "--function", "fault_handler"]) == 1
    assert "never called" in capsys.readouterr().err
