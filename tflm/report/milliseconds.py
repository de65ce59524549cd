# SPDX-License-Identifier: Apache-2.0
"""How long an image takes on a chip, in words."""

from tflm.cycles import validation
from tflm.cycles.library_cycles import LibraryCycles
from tflm.cycles.memory_profiles import MemoryProfile
from tflm.report.report import ExportReport

_NOT_ESTIMATED = "not estimated"


def summary(report: ExportReport) -> str:
    """One line for a terminal."""
    if report.time is None:
        return f"time {_NOT_ESTIMATED}: {report.no_time}"
    return f"time {phrase(report.time)} (estimated), {_frames(report.time)}"


def row(report: ExportReport) -> str:
    """The time for a table of what a model costs, in Markdown."""
    if report.time is None:
        return f"{_NOT_ESTIMATED}: {report.no_time}"
    return (
        f"**{phrase(report.time)}** (estimated; {_agreement(report.time)}), {_frames(report.time)}"
    )


def _agreement(time):
    """How far estimates were from silicon, if they were compared with such a chip."""
    if not time.chip.checked:
        return "not compared with this chip"
    low, high = validation.error_range()
    count = len(validation.published_measurements())
    return f"{count} published measurements were met within {low:+.1f} to {high:+.1f}%"


def phrase(time: LibraryCycles) -> str:
    """The time on the chip that was asked for: "about 43 ms at 120 MHz on STM32L4R5"."""
    return f"about {_rounded(time.milliseconds)} ms at {_clock(time.chip)} on {time.chip.title}"


def section(report: ExportReport) -> str:
    """What report.md says of the time, in Markdown; empty for a runtime that is not estimated."""
    time = report.time
    if time is None:
        text = f"## Time\n\nTime is {_NOT_ESTIMATED}: {report.no_time}\n\n"
        return text if report.no_time else ""
    notes = "\n".join(f"- {chip.title}: {chip.note}." for chip in time.chips if chip.note)
    return f"""## Time

An image takes {phrase(time)}, {_frames(time)}:
the library alone, a whole frame, without the camera. These figures are estimated:
{time.all.instructions:,} instructions were counted in an emulated Cortex-M4, and tables of the
processor's and the flash's timings make cycles of them. `docs/cycles.md` of keras_micronet tells
how the estimate was checked. `--chip`, `--clock` and `--wait-states` ask for others.

| chip | MHz | wait states | cycles | ms | compared with this chip |
|---|---:|---:|---:|---:|---|
{_chips(time)}

{notes}

"""


def operation_column(report: ExportReport, position: int) -> tuple[str, ...]:
    """A cell of the operations' table: milliseconds of an operation; none without an estimate."""
    if report.time is None:
        return ()
    return (f"{report.time.operation_milliseconds(position):.2f}",)


def operation_head(report: ExportReport) -> tuple[str, ...]:
    """The head of that column."""
    return () if report.time is None else (f"ms on {report.time.chip.title}",)


def _chips(time):
    rows = []
    for place, chip in enumerate(time.chips):
        cycles = time.all.total(place, chip)
        checked = "yes" if chip.checked else "no"
        rows.append(
            f"| {chip.title} | {chip.megahertz:g} | {chip.wait_states} | {cycles:,} "
            f"| {_rounded(chip.milliseconds(cycles))} | {checked} |"
        )
    return "\n".join(rows)


def _frames(time):
    return f"{_rounded(1e3 / time.milliseconds)} images a second"


def _clock(chip: MemoryProfile):
    return f"{chip.megahertz:g} MHz"


def _rounded(number):
    """With two digits: an estimate has no more."""
    return f"{number:#.2g}" if number < 9.95 else f"{float(f'{number:.2g}'):,.0f}"
