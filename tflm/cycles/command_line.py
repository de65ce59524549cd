# SPDX-License-Identifier: Apache-2.0
"""`python -m tflm.cycles`: estimates the cycles of a program on Cortex-M4."""

import argparse
import collections.abc
import pathlib

from micronet_commands import console
from tflm.cycles import memory_profiles
from tflm.cycles.disassembly import Listing, ListingError
from tflm.cycles.estimate import Estimate, estimate
from tflm.cycles.execution_counts import CountingError, count
from tflm.toolchains.emulator import EmulatorError
from tflm.toolchains.host_compiler import HostCompilerError

_PROGRAM = "python -m tflm.cycles"
_FAILED = 1
_USAGE_ERROR = 2
_MOST_FUNCTIONS = 20

_EPILOG = """\
PROGRAM is one's own: it is executed, and QEMU gives it access to this computer's files. It is
linked for QEMU's board mps2-an386 (code from address 0, RAM from 0x20000000 on) and ends by
semihosting. Estimated are the cycles of a Cortex-M4; docs/cycles.md tells how good they are.
"""


def main(arguments: collections.abc.Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: list of words, or `None` for the process's.

    Returns:
        The exit status: 0, 1 if it failed, 2 if it could not begin, 130 if the user interrupted
        it.
    """
    return console.run_command(_PROGRAM, _parser(), _run, arguments)


def _parser():
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Estimates the cycles of a program on Cortex-M4.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", metavar="PROGRAM", help="ELF file")
    parser.add_argument(
        "--function",
        metavar="NAME",
        help="count what is executed from its entry to its return, in all calls (default: "
        "everything)",
    )
    parser.add_argument("--input", metavar="FILE", help="what the program finds as input.bin")
    parser.add_argument(
        "--seconds",
        type=float,
        default=600.0,
        metavar="NUMBER",
        help="stop the program after that long (default: 600)",
    )
    return parser


def _run(options):
    profiles = tuple(memory_profiles.profiles().values())
    try:
        listing = Listing(options.program)
        name = options.function
        address = None if name is None else listing.function(name).start
        data = b"" if options.input is None else pathlib.Path(options.input).read_bytes()
    except (ListingError, EmulatorError, OSError) as error:
        return console.fail(_PROGRAM, error, _USAGE_ERROR)
    try:
        counts = count(
            options.program, profiles, function=address, data=data, timeout=options.seconds
        )
        result = estimate(counts, listing)
    except (CountingError, ListingError, EmulatorError, HostCompilerError) as error:
        return console.fail(_PROGRAM, error, _FAILED)
    print(table(result, profiles))
    return 0


def table(
    result: Estimate, profiles: collections.abc.Sequence[memory_profiles.MemoryProfile]
) -> str:
    """An estimate in Markdown: each chip, and the functions that take most.

    Args:
        result: `Estimate`.
        profiles: `MemoryProfile`s that were counted.
    """
    lines = [f"instructions: {result.all.instructions:,}{_calls(result)}", ""]
    lines += ["| chip | MHz | cycles | ms | checked against silicon |", "|---|---|---|---|---|"]
    for place, profile in enumerate(profiles):
        cycles = result.all.total(place, profile)
        checked = "yes" if profile.checked else "no"
        lines.append(
            f"| {profile.title} | {profile.megahertz:g} | {cycles:,} "
            f"| {profile.milliseconds(cycles):.3f} | {checked} |"
        )
    titles = " | ".join(f"waits of {each.title}" for each in profiles if each.wait_states)
    columns = sum(profile.wait_states > 0 for profile in profiles)
    lines += ["", f"| function | instructions | cycles | {titles} |", "|---" * (3 + columns) + "|"]
    for name, taken in list(result.by_function.items())[:_MOST_FUNCTIONS]:
        waits = [
            f"{taken.waits(place, profile):,}"
            for place, profile in enumerate(profiles)
            if profile.wait_states
        ]
        row = (name, f"{taken.instructions:,}", f"{taken.processor:,}", *waits)
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def _calls(result):
    return f", calls: {result.calls:,}" if result.calls else ""
