# SPDX-License-Identifier: Apache-2.0
"""What a grid's answers cost to read is what the table says."""

import re

import pytest

from benchmarks import grid_answers

MOST_GROWTH = 1.02
_ROW = re.compile(
    r"^\| ([\dx]+) \| ([\w ]+) \| (\d+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", re.MULTILINE
)


@pytest.mark.emulator
def test_reading_has_not_become_dearer(tmp_path):
    rows = _ROW.findall(grid_answers.TABLE.read_text())
    assert len(rows) == len(grid_answers.GRIDS) * len(grid_answers.KINDS)
    stored = {(sizes, kind): numbers for sizes, kind, *numbers in rows}
    for grid in grid_answers.GRIDS:
        kind = "a few objects"
        cost = grid_answers.measure(grid, kind, tmp_path)
        found, *before = stored[f"{grid.rows}x{grid.columns}x{grid.answers}", kind]
        assert cost.found == int(found) > 0
        for count, earlier in zip(cost.instructions, before, strict=True):
            assert count <= int(earlier.replace(",", "")) * MOST_GROWTH
    code = dict(
        re.findall(r"^\| `micronet_(\w+)` \| ([\d,]+) \|", grid_answers.TABLE.read_text(), re.M)
    )
    for name, size in grid_answers.code_bytes(tmp_path).items():
        assert size <= int(code[name].replace(",", "")) * MOST_GROWTH
