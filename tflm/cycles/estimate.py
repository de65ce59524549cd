# SPDX-License-Identifier: Apache-2.0
"""From counts of what was executed to cycles."""

import collections
import collections.abc
import dataclasses

from tflm.cycles import cortex_m4
from tflm.cycles.disassembly import Listing
from tflm.cycles.execution_counts import ExecutionCounts
from tflm.cycles.memory_profiles import MemoryProfile


@dataclasses.dataclass(frozen=True)
class Cycles:
    """What some code takes.

    Attributes:
        instructions: that are executed.
        processor: cycles if the memory never waits.
        reads: of the flash that the caches could not answer: for each memory profile those for
            instructions and those for data.
    """

    instructions: int
    processor: int
    reads: tuple[tuple[int, int], ...]

    def total(self, place: int, profile: MemoryProfile) -> int:
        """Cycles on a chip.

        Args:
            place: of the profile among those that were counted.
            profile: that one, or one that differs in wait states and clock.
        """
        return self.processor + self.waits(place, profile)

    def waits(self, place: int, profile: MemoryProfile) -> int:
        """Cycles in which the processor waits for the flash; arguments as for `total`."""
        return sum(self.reads[place]) * profile.wait_states

    def none(self) -> "Cycles":
        """No cycles, for as many profiles."""
        return Cycles(0, 0, ((0, 0),) * len(self.reads))

    def __add__(self, other: "Cycles") -> "Cycles":
        pairs = zip(self.reads, other.reads, strict=True)
        return Cycles(
            self.instructions + other.instructions,
            self.processor + other.processor,
            tuple((a[0] + b[0], a[1] + b[1]) for a, b in pairs),
        )


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a program or a function takes.

    Attributes:
        calls: of the function; 0 if none was asked for.
        all: `Cycles` of everything, of all calls together.
        by_function: `Cycles` of each function's own code, by name, the longest first.
        by_part: `Cycles` by the address of the block that began the part, in order; `None` for
            what is before the first.
    """

    calls: int
    all: Cycles
    by_function: dict[str, Cycles]
    by_part: dict[int | None, Cycles]


def estimate(counts: ExecutionCounts, listing: Listing) -> Estimate:
    """Cycles of what was counted, on a Cortex-M4.

    Args:
        counts: `ExecutionCounts` of a program.
        listing: `Listing` of the same program.

    Raises:
        ListingError: code was executed that is not in the listing.
    """
    nothing = Cycles(0, 0, ((0, 0),) * (len(counts.steps[0].flash_reads) if counts.steps else 0))
    functions: dict[str, Cycles] = collections.defaultdict(lambda: nothing)
    parts: dict[int | None, Cycles] = {part: nothing for part in (None, *counts.parts)}
    total = nothing
    for step in counts.steps:
        taken = _step_cycles(step, listing)
        name = listing.function_at(step.block[0])
        functions[name] += taken
        parts[step.part] += taken
        total += taken
    longest = sorted(functions.items(), key=lambda item: -item[1].processor)
    return Estimate(counts.calls, total, dict(longest), parts)


def _step_cycles(step, listing):
    block = listing.instructions(*step.block)
    before = None
    each = 0
    if step.come_from is not None:
        before = listing.instructions(*step.come_from)[-1]
        if before.end != block[0].address:
            each += _branch(before, block[0])
            before = None
    for instruction in block:
        each += cortex_m4.cycles(instruction, before)
        before = instruction
    unaligned = step.unaligned * cortex_m4.rule("unaligned_access")
    return Cycles(step.count * len(block), step.count * each + unaligned, step.flash_reads)


def _branch(before, target):
    """Cycles of going elsewhere; none where an exception was taken or returned from."""
    what = cortex_m4.kind(before)
    leaves = what in ("branch", "table branch") or before.writes_program_counter
    return cortex_m4.branch_cycles(before, target) if leaves else 0
