# SPDX-License-Identifier: Apache-2.0
"""The rules of timing, each on code whose cycles were counted by hand."""

import struct

import pytest

from tflm.cycles import cortex_m4, memory_profiles
from tflm.cycles.estimate import estimate
from tflm.cycles.execution_counts import count
from tflm.toolchains import emulator

CALLED = 3  # the refill behind BLX, which the caller has executed
RETURN = 1  # BX LR; its refill is the caller's

# Cycles of the instructions between, one number for each, as the manual's table and text have them.
FRAGMENTS = {
    "data_processing": (1, 1, 1, 1, 1),
    "load": (2,),
    "loads_in_a_row": (2, 1, 1),
    "load_from_loaded_address": (2, 2),
    "load_between_others": (2, 1, 2),
    "pairs": (3, 3),
    "multiple": (1 + 3, 1 + 3, 1 + 2, 1 + 2),
    "stores": (2, 1, 1),
    "register_offset_store": (1, 2 + 1),  # its offset is the result of the instruction before
    "register_offset_store_behind_load": (1, 1, 2, 1),
    "load_behind_store": (1, 2 + 1),
    "computed_address": (1, 2 + 1, 1, 1 + 1),
    "compared_address": (1, 2),
    "misplaced_load": (2, 2),
    "well_placed_load": (1, 2, 1),
    "unaligned_access": (2 + 1, 1, 2 + 1),
    "taken_branch": (1 + 2,),
    "branch_not_taken": (1, 1, 1),
    "loop": (1, *(1, 1 + 2) * 4, 1, 1),
    "misplaced_target": (1 + 2 + 1, 1),
    # BL, whose refill is the callee's; the refill behind the callee's BX, and 1 as the wide POP
    # stands at 2 of 4.
    "call": (1 + 2, 1, 3 + 1, 1 + 2),
    "callee": (),
    "indirect_branch": (1, 1, 1 + 3),
    "popped_branch": (1, 1, 1 + 2, 1 + 2 + 2),
    "table_branch": (1, 1, 2 + 3),
    "conditional": (1, 1, 1, 1),
    "division": (6,),
    "floating_point": (2, 1, 1, 3, 14, 1 + 4),
    "across_pages": (1, 1, 1, 1, 1),
}


@pytest.fixture(scope="module")
def counted(fragments, listing):
    """Program, listing and estimate of all fragments, without waits and with those of a chip."""
    address = listing.function("call_fragments").start
    counts = count(fragments, tuple(memory_profiles.profiles().values()), function=address)
    return fragments, listing, estimate(counts, listing)


@pytest.mark.emulator
@pytest.mark.parametrize("name", FRAGMENTS)
def test_cycles_are_those_counted_by_hand(name, counted):
    estimated = counted[-1].by_function[f"fragment_{name}"].processor
    entry = 2 if name == "callee" else CALLED
    assert estimated == entry + sum(FRAGMENTS[name]) + RETURN


@pytest.mark.emulator
def test_instructions_are_those_of_the_emulated_clock(counted):
    program, _, result = counted
    (instructions,) = struct.unpack("<Q", emulator.run(program, emulator.Core.CORTEX_M4))
    assert result.calls == 1
    assert result.all.instructions == instructions


@pytest.mark.emulator
def test_every_rule_is_used(counted, monkeypatch):
    program, listing, result = counted
    counts = count(program, (), function=listing.function("call_fragments").start)
    for name, rule in cortex_m4.timings()["rules"].items():
        monkeypatch.setitem(rule, "cycles", rule["cycles"] + 100)
        changed = estimate(counts, listing).all.processor
        monkeypatch.undo()
        assert changed > result.all.processor, name


def test_each_instruction_and_rule_has_a_source():
    table = cortex_m4.timings()
    for row in (*table["instructions"], *table["rules"].values()):
        assert row["source"].startswith(("manual", "measured")), row
