# SPDX-License-Identifier: Apache-2.0
"""Estimates beside cycles published of silicon: the data, and docs/cycles.md, which repeats it."""

import itertools
import pathlib
import re

import pytest

from tflm.cycles import memory_profiles, validation
from tflm.cycles.validation import PublishedMeasurement, Source

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "cycles.md"
SOURCE = Source("title", "address", "commit", "chip", "no-wait", "file", "compiler")
SOURCES = [
    (source, tuple(rows))
    for source, rows in itertools.groupby(validation.all_measurements(), key=lambda row: row.source)
]


def page():
    return PAGE.read_text(encoding="utf-8")


def words_of_page():
    return " ".join(page().split())


def measurement(published, estimated):
    return PublishedMeasurement(SOURCE, "program", "function", published, estimated)


@pytest.mark.parametrize(
    ("published", "estimated", "error"), [(200, 190, -5.0), (200, 200, 0.0), (80, 90, 12.5)]
)
def test_error_is_percent_of_what_was_published(published, estimated, error):
    assert measurement(published, estimated).error == pytest.approx(error)


def test_range_of_errors():
    rows = [measurement(100, 103), measurement(100, 98), measurement(1000, 1001)]
    assert validation.error_range(rows) == pytest.approx((-2.0, 3.0))


def test_range_of_errors_is_of_all_chips_that_count_as_checked_and_of_no_other():
    rows = validation.published_measurements()
    assert 0 < len(rows) < len(validation.all_measurements())
    checked = {name for name, chip in memory_profiles.profiles().items() if chip.checked}
    assert {row.source.profile for row in rows} == checked
    errors = [100 * (row.estimated - row.published) / row.published for row in rows]
    assert validation.error_range() == pytest.approx((min(errors), max(errors)))


@pytest.mark.parametrize(("source", "rows"), SOURCES)
def test_sources_name_a_commit_and_a_profile(source, rows):
    assert re.fullmatch("[0-9a-f]{40}", source.commit)
    assert all(re.fullmatch(r"\w+ [0-9a-f]{40}", line) for line in source.with_it)
    assert source.profile in memory_profiles.profiles()
    assert len({(row.program, row.function) for row in rows}) == len(rows)


def test_estimates_are_of_the_timings_as_they_are():
    """The programs are not here, so that a change of timings cannot be followed by a test."""
    assert validation.digest_of_estimates() == validation.timings_digest(), (
        "The timings of cortex_m4.toml are others than the estimates in validation.toml are of: "
        "estimate them again as docs/cycles.md tells, then write this digest there: "
        f"{validation.timings_digest()}"
    )


@pytest.mark.parametrize(("source", "rows"), SOURCES)
def test_page_has_each_source_with_its_table(source, rows):
    text = page()
    assert validation.table(rows) in text
    before = text[: text.index(validation.table(rows))]
    section = " ".join(before[before.rindex("\n### ") :].split())
    clock = f"{source.megahertz:g} MHz" if source.megahertz else ""
    published = source.published.partition(":")[0].partition(",")[0]
    for fact in (source.repository, source.chip, clock, source.compiler, published, source.note):
        assert fact in section
    for commit in (source.commit, *(line.split()[1] for line in source.with_it)):
        assert commit[:10] in section


def test_page_tells_how_many_measurements_were_met_and_how_well():
    rows = validation.published_measurements()
    lowest, highest = validation.error_range()
    close = sum(abs(row.error) <= 3 for row in rows)
    text = words_of_page()
    assert (
        f"{len(rows)} published measurements were met within {lowest:+.1f} to {highest:+.1f}%"
        in text
    )
    assert f"{close} of them within 3%" in text


def test_page_has_short_lines():
    assert [line for line in page().splitlines() if len(line) > 100] == []
