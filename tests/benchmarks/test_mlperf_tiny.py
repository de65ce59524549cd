# SPDX-License-Identifier: Apache-2.0
"""The rehearsal of MLPerf Tiny: what it measures, and that its table claims no more."""

import dataclasses

import pytest

from benchmarks import mlperf_tiny, models
from benchmarks.mlperf_tiny import Rehearsed
from tflm.firmware.benchmark_tasks import TASKS, task_named
from tflm.toolchains.emulator import Core

PHOTOGRAPHS = """
| network | size | float | int8, after training |
|---|---|---|---|
| MicroNet M0 | 32 | 63.05 | 63.19 |
| MicroNet M0 | 96 | 75.19 | 74.98 |
| MicroNet M1 | 32 | not yet run | not yet run |
"""
ROW = Rehearsed("M0", task_named("ic01"), 1_000_000, 2_000_000, 3_000, None)


def cells(row, text=PHOTOGRAPHS):
    lines = mlperf_tiny.table([row], text).splitlines()
    (line,) = [line for line in lines if line.startswith(f"| {row.task.title} | MicroNet")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_nothing_is_claimed_that_is_not_known():
    assert cells(ROW) == [
        *("image classification", "MicroNet M0", "63.19", "1,000,000", "2,000,000", "3,000"),
        *("not yet estimated", "not yet estimated"),
    ]
    assert cells(dataclasses.replace(ROW, variant="M1"))[2] == "not claimed"
    assert cells(dataclasses.replace(ROW, variant="M2"))[2] == "not claimed"
    # 96 pixels of CIFAR-10 are no accuracy of persons.
    assert cells(dataclasses.replace(ROW, task=task_named("vww01")))[2] == "not claimed"


def test_rate_is_that_of_the_clock():
    """120 MHz: 6 million cycles are 20 inferences a second."""
    assert cells(dataclasses.replace(ROW, cycles=6_000_000))[-2:] == ["6,000,000", "20.0"]


def test_table_has_what_was_published_for_each_task():
    text = mlperf_tiny.table([], PHOTOGRAPHS)
    assert text.count("published: ") == len(TASKS)
    # Windows of 120 inferences in 10.671 s, and of 100 in 16.512 s.
    rates = [float(line.split("|")[-2]) for line in text.splitlines() if "published: " in line]
    assert rates == pytest.approx([100 / 16.512, 120 / 10.671], abs=0.001)
    assert "**No result of the\nbenchmark**" in text


def test_stored_table_has_every_variant_at_every_task():
    stored, head = mlperf_tiny.RESULT.read_text(), mlperf_tiny.table([], PHOTOGRAPHS)
    assert stored.startswith(head[: head.index("| image classification")])
    lines = stored.splitlines()
    for task in TASKS:
        rows = [line for line in lines if line.startswith(f"| {task.title} | MicroNet ")]
        assert [row.split("|")[2].split()[-1] for row in rows] == list(mlperf_tiny.VARIANTS)


@pytest.mark.emulator
@pytest.mark.slow
def test_firmware_takes_hardly_more_than_the_library(tmp_path):
    """What the board's timestamps tell, and what the emulator counts of the library alone."""
    task = task_named("ic01")
    seen = []
    rehearsed = mlperf_tiny.rehearse("M0", task, tmp_path, lambda graph: seen.append(graph) or 5)
    graph = models.fused_graph("M0", task.size, task.classes)
    measured = models.measure(graph, "model", [Core.CORTEX_M4], tmp_path / "library")
    alone = measured[Core.CORTEX_M4].rows.instructions
    assert alone < rehearsed.instructions < 1.01 * alone
    assert len(seen) == 1 and rehearsed.cycles == 5
