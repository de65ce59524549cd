# SPDX-License-Identifier: Apache-2.0
"""What instructions take on a Cortex-M4 whose memory never waits: the rules of `cortex_m4.toml`."""

import functools
import pathlib
import re
import tomllib

from tflm.cycles.disassembly import Instruction

_TABLE = pathlib.Path(__file__).with_name("cortex_m4.toml")
_CONDITIONS = "(?:eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?"
_LOADS = ("load", "pair", "load multiple")
_ACCESSES = (*_LOADS, "store", "store multiple")
_INDIRECT = re.compile(f"(?:bx|blx){_CONDITIONS}")


@functools.lru_cache(maxsize=1)
def timings() -> dict:
    """The table: `instructions`, a list, and `rules` by name; see `cortex_m4.toml`."""
    return tomllib.loads(_TABLE.read_text(encoding="utf-8"))


def rule(name: str) -> int:
    """Cycles that come on top, or are saved if negative, by the rule of that name."""
    return timings()["rules"][name]["cycles"]


@functools.lru_cache(maxsize=1)
def _patterns():
    rows = timings()["instructions"]
    return tuple(
        (
            re.compile(f"(?:{row['mnemonics']}){_CONDITIONS}"),
            re.compile(row.get("operands", ".*")),
            row,
        )
        for row in rows
    )


@functools.lru_cache(maxsize=4096)
def _row(mnemonic, operands):
    return next(
        row
        for mnemonics, all_operands, row in _patterns()
        if mnemonics.fullmatch(mnemonic) and all_operands.fullmatch(operands)
    )


def kind(instruction: Instruction) -> str:
    """What the rules know an instruction as: the table's `is`."""
    return _row(instruction.mnemonic, instruction.operands)["is"]


def cycles(instruction: Instruction, previous: Instruction | None) -> int:
    """Cycles of an instruction, if it is no branch that is taken.

    Args:
        instruction: the one to execute.
        previous: the one before it, executed just then; `None` behind a branch.
    """
    row = _row(instruction.mnemonic, instruction.operands)
    total = row["cycles"] + row.get("each", 0) * instruction.list_length
    if row["is"] == "store" and instruction.has_register_offset:
        total += rule("register_offset_store")
    if row["is"] not in _ACCESSES or previous is None:
        return total
    before = kind(previous)
    if before == "load":
        return total + _behind_load(instruction, row["is"], previous)
    if before == "store" and row["is"] in _LOADS:
        total += rule("load_after_store")
    if before == "other" and previous.results & instruction.address_registers:
        total += rule("computed_address")
    return total


def _behind_load(instruction, what, load):
    if load.results & instruction.address_registers:
        return 0
    if what == "load":
        misplaced = rule("misplaced_load") if instruction.is_misplaced else 0
        return rule("pipelined_load") + misplaced
    if what == "store" and instruction.has_register_offset:
        return rule("pipelined_register_offset_store")
    return 0


def branch_cycles(branch: Instruction, target: Instruction) -> int:
    """Cycles that come on top when the program goes on elsewhere than behind an instruction.

    Args:
        branch: the last instruction executed.
        target: the next one.
    """
    total = rule("misplaced_target") if target.is_misplaced else 0
    what = kind(branch)
    if what in ("load", "load multiple"):
        return total + rule("loaded_branch")
    is_direct = what == "branch" and not _INDIRECT.fullmatch(branch.mnemonic)
    return total + rule("taken_branch" if is_direct else "taken_indirect_branch")
