# SPDX-License-Identifier: Apache-2.0
"""Kernels ask for their own optimisation: exact instructions on emulated processors."""

import pytest

from benchmarks import models, optimization_levels
from benchmarks.optimization_levels import KEEP
from tflm.toolchains.emulator import Core

ALIGNED = "-falign-loops=4"  # as kernels want it

pytestmark = [pytest.mark.emulator, pytest.mark.slow]


def test_projects_without_optimisation_pay_little(tmp_path):
    """Bytes of results are compared with the definitions in `measure`."""
    flags = [["-O2"], ["-O2", ALIGNED, KEEP], ["-Os"], ["-O0"], ["-O0", KEEP]]
    graph = models.fused_graph("M0", 32, classes=10)
    core = Core.CORTEX_M4
    measured = optimization_levels.measure(graph, [core], flags, tmp_path)
    instructions = {words: each.instructions for (_, words), each in measured.items()}
    assert measured[core, ("-O2",)] == measured[core, ("-O2", ALIGNED, KEEP)]
    assert instructions["-Os",] < 1.05 * instructions["-O2",]
    assert instructions["-O0",] < 1.05 * instructions["-O2",]
    assert instructions["-O0", KEEP] > 10 * instructions["-O2",]
