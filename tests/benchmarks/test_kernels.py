# SPDX-License-Identifier: Apache-2.0
"""The kernels stay as fast as they were: instruction counts are exact, so they can be compared."""

import json

import pytest

from benchmarks import kernels
from tflm.kernels.kernel_runner import Target

pytestmark = pytest.mark.emulator

# Instructions of all operations of a model that the project allows itself.
BARS = {
    (Target.CORTEX_M4, "M0"): 15e6,
    (Target.CORTEX_M4, "M1"): 22e6,
    (Target.CORTEX_M4, "M2"): 48e6,
    (Target.CORTEX_M4, "M3"): 75e6,
    (Target.CORTEX_M55, "M0"): 6e6,
}


@pytest.fixture(scope="module")
def stored():
    return json.loads(kernels.FIGURES.read_text())


@pytest.mark.parametrize(("target", "variant"), BARS)
def test_models_are_within_their_bars(stored, target, variant):
    total = sum(counts[target.name] for counts in stored[variant].values())
    assert total <= BARS[target, variant]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Folder of compiled kernels, the same for all variants."""
    return tmp_path_factory.mktemp("programs")


@pytest.mark.parametrize("variant", kernels.VARIANTS)
def test_no_operation_has_become_slower(stored, variant, programs):
    rows = kernels.measure(kernels.fused_graph(variant), programs)
    assert [row.name for row in rows] == list(stored[variant])
    for row in rows:
        for target, instructions in row.instructions.items():
            before = stored[variant][row.name][target]
            assert instructions <= before * kernels.MOST_GROWTH, (row.name, target)


def test_table_puts_the_worst_first():
    rows = [
        kernels.Row("small", "dense_s8", (10,), 20, {"CORTEX_M4": 50, "CORTEX_M55": 10}),
        kernels.Row("large", "dense_s8", (4, 4, 2), 100, {"CORTEX_M4": 300, "CORTEX_M55": 40}),
    ]
    lines = kernels.table({"M0": rows}).splitlines()
    assert "| M0 | 120 | 350 | 2.92 | 192.2M | 50 | 127.1M |" in lines
    assert "| dense_s8 | 2 | 350 | 50 |" in lines
    large = lines.index("| large | 4x4x2 | 100 | 300 | 3.00 | 40 |")
    assert lines.index("| small | 10 | 20 | 50 | 2.50 | 10 |") == large + 1
