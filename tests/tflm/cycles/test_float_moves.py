# SPDX-License-Identifier: Apache-2.0
"""Entries of the table that go by an instruction's operands, too: the manual's figures."""

import pytest

from tflm.cycles import cortex_m4
from tflm.cycles.disassembly import Instruction

SINGLE_LOAD = Instruction(0, 4, "vldr", "s0, [r0]")


@pytest.mark.parametrize(
    ("mnemonic", "operands", "cycles"),
    [
        ("vmov", "r0, r1, s2, s3", 2),
        ("vmov", "s2, s3, sl, fp", 2),
        ("vmov", "d7, r0, r1", 2),
        ("vmovne", "r0, r1, d7", 2),
        ("vmov", "r0, s2", 1),
        ("vmov", "s2, r0", 1),
        ("vmov.f32", "s0, s1", 1),
        ("vmov.f32", "s0, #112", 1),
        ("vldr", "s0, [r0, #4]", 2),
        ("vldr", "d0, [r0, #8]", 3),
        ("vstr", "s0, [r0, #4]", 1),
        ("vstr", "d0, [r0, #8]", 3),
    ],
)
def test_moves_of_floats_take_what_the_manual_says(mnemonic, operands, cycles):
    instruction = Instruction(4, 4, mnemonic, operands)
    assert cortex_m4.cycles(instruction, None) == cycles


def test_only_loads_of_one_word_are_pipelined():
    assert cortex_m4.cycles(Instruction(4, 4, "vldr", "s1, [r0, #4]"), SINGLE_LOAD) == 1
    assert cortex_m4.cycles(Instruction(4, 4, "vldr", "d1, [r0, #8]"), SINGLE_LOAD) == 3
