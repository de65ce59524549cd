# SPDX-License-Identifier: Apache-2.0
"""What is read of a program's listing."""

import pytest

from tflm.cycles.disassembly import Instruction


@pytest.mark.emulator
def test_functions_and_their_parts_are_found(listing):
    whole, part = listing.parts_of("fragment_call")
    assert (len(whole), len(part)) == (12, 4)  # two short and two long instructions; one, filled up
    assert listing.function_at(whole[0]) == listing.function_at(whole[-1]) == "fragment_call"
    assert listing.parts_of("nothing") == []


@pytest.mark.emulator
def test_calls_are_found(listing):
    start = listing.function("fragment_call").start
    assert listing.call_from(start) == (start + 2, "fragment_callee")
    assert listing.call_from(listing.function("fragment_loop").start) is None
    assert listing.call_from(listing.function("fragment_load").start) is None


@pytest.mark.parametrize(
    "mnemonic, operands, length",
    [
        ("ldmia", "r0!, {r1, r2, pc}", 3),
        ("stm", "r0, {r1-r4, r6}", 5),
        ("vldmia", "r0, {s4-s7}", 4),
        ("vpush", "{d8-d9}", 4),
        ("vpop", "{d8}", 2),
        ("ldr", "r1, [r0, #4]", 0),
    ],
)
def test_words_of_register_lists_are_counted(mnemonic, operands, length):
    assert Instruction(0, 4, mnemonic, operands).list_length == length


@pytest.mark.parametrize(
    "mnemonic, operands, results, addresses",
    [
        ("add", "r1, r2, r3", {"r1"}, None),
        ("smull", "r1, r2, r3, r0", {"r1", "r2"}, None),
        ("cmp", "r1, r2", set(), None),
        ("ldr", "r1, [r2, ip]", {"r1"}, {"r2", "r12"}),
        ("str", "r1, [sl], #4", {"r1"}, {"r10"}),
        ("ldm", "r4!, {r1, r2}", None, {"r4"}),
    ],
)
def test_registers_are_told_apart(mnemonic, operands, results, addresses):
    instruction = Instruction(0, 4, mnemonic, operands)
    assert results is None or instruction.results == results
    assert addresses is None or instruction.address_registers == addresses
