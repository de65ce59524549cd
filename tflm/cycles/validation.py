# SPDX-License-Identifier: Apache-2.0
"""How well estimates met cycles that were published of silicon: the rows of `validation.toml`."""

import collections.abc
import dataclasses
import functools
import hashlib
import json
import pathlib
import tomllib

from tflm.cycles import cortex_m4, memory_profiles

_TABLE = pathlib.Path(__file__).with_name("validation.toml")


@dataclasses.dataclass(frozen=True)
class Source:
    """Where programs and their cycles on silicon are published.

    Attributes:
        title: of the collection.
        repository: address of the programs.
        commit: of that repository.
        chip: that the cycles were measured on.
        profile: name of the `MemoryProfile` that the estimates are for.
        published: file of the repository that has the cycles, and what they are.
        compiler: of the programs that were measured.
        megahertz: of the chip's clock; `None` if it is not told.
        flags: of the compiler, there and here.
        with_it: names and commits of repositories that the programs need besides.
        note: what makes the comparison harder.
    """

    title: str
    repository: str
    commit: str
    chip: str
    profile: str
    published: str
    compiler: str
    megahertz: float | None = None
    flags: str = ""
    with_it: tuple[str, ...] = ()
    note: str = ""


@dataclasses.dataclass(frozen=True)
class PublishedMeasurement:
    """One function on silicon, and its estimate.

    Attributes:
        source: `Source`.
        program: its name there.
        function: that was measured, without the prefix that some programs put before it.
        published: cycles of a call on silicon.
        estimated: cycles of a call by `python -m tflm.cycles`.
    """

    source: Source
    program: str
    function: str
    published: int
    estimated: int

    @property
    def error(self) -> float:
        """Percent of the published cycles by which the estimate is above them."""
        return 100.0 * (self.estimated / self.published - 1.0)

    @property
    def is_checked(self) -> bool:
        """Whether it is for a chip whose memory profile counts as checked."""
        return memory_profiles.profiles()[self.source.profile].checked


@functools.lru_cache(maxsize=1)
def _read():
    return tomllib.loads(_TABLE.read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=1)
def all_measurements() -> tuple[PublishedMeasurement, ...]:
    """Every row of the table, those of chips that do not count as checked among them."""
    return tuple(row for source in _read()["sources"] for row in _rows(source))


def _rows(entry):
    fields = {key: value for key, value in entry.items() if key != "measurements"}
    source = Source(**{**fields, "with_it": tuple(entry.get("with_it", ()))})
    return [PublishedMeasurement(source, *values) for values in entry["measurements"]]


def published_measurements() -> tuple[PublishedMeasurement, ...]:
    """The rows of chips whose memory profiles count as checked."""
    return tuple(row for row in all_measurements() if row.is_checked)


def error_range(
    measurements: collections.abc.Iterable[PublishedMeasurement] | None = None,
) -> tuple[float, float]:
    """The lowest and the highest error, in percent.

    Args:
        measurements: `PublishedMeasurement`s, at least one; `None` for `published_measurements()`.
    """
    rows = published_measurements() if measurements is None else measurements
    errors = [row.error for row in rows]
    return min(errors), max(errors)


def digest_of_estimates() -> str:
    """What `timings_digest` was when the table's estimates were made."""
    return _read()["timings"]


def timings_digest() -> str:
    """SHA-256 of the timings that estimates are made with, without their sources and comments."""
    table = cortex_m4.timings()
    words = ("source", "when")
    rows = [*table["instructions"], *(table["rules"][name] for name in sorted(table["rules"]))]
    values = [{key: row[key] for key in sorted(row) if key not in words} for row in rows]
    text = json.dumps([sorted(table["rules"]), values])
    return hashlib.sha256(text.encode()).hexdigest()


def table(measurements: collections.abc.Iterable[PublishedMeasurement]) -> str:
    """The rows in Markdown, as docs/cycles.md has them.

    Args:
        measurements: `PublishedMeasurement`s, of one source.
    """
    lines = ["| program | function | published | estimated | error |", "|---|---|---|---|---|"]
    for row in measurements:
        cells = (
            row.program,
            f"`{row.function}`",
            f"{row.published:,}",
            f"{row.estimated:,}",
            f"{row.error:+.1f}%",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
