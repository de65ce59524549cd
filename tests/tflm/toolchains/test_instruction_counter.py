# SPDX-License-Identifier: Apache-2.0
"""The instruction counter against sequences whose length is known."""

import pathlib
import struct

import pytest

from tflm.toolchains import emulator

pytestmark = pytest.mark.emulator

SOURCE = pathlib.Path(__file__).parent / "instruction_counter_check.c"
NOP_COUNTS = (*range(18), 31, 100, 999, 1000)
# A load of many registers and a division count as one; so does what an IT block passes over.
SEQUENCES = (2, 2, 5)
# Whole numbers of ticks and not, and long enough to carry between the counters' halves.
ITERATIONS = (1, 2, 7, 200_003, 12_345_679)


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("core", emulator.Core)
def test_counts_are_exact(core, cache_folder):
    program = emulator.build(core, [SOURCE], cache_folder)
    data = struct.pack(f"<{len(ITERATIONS)}I", *ITERATIONS)
    output = emulator.run(program, core, data)
    counts = struct.unpack(f"<{len(output) // 8}Q", output)
    # A sequence of nops ends with a return; a loop has a load, a nop and a return around it.
    assert counts[: len(NOP_COUNTS)] == tuple(count + 1 for count in NOP_COUNTS)
    loops = counts[-len(ITERATIONS) :]
    assert loops == tuple(3 + 2 * count for count in ITERATIONS)
    assert counts[len(NOP_COUNTS) : -len(ITERATIONS)] == SEQUENCES


@pytest.mark.parametrize("core", emulator.Core)
def test_counts_are_the_same_in_every_run(core, cache_folder):
    program = emulator.build(core, [SOURCE], cache_folder)
    assert emulator.run(program, core) == emulator.run(program, core)
