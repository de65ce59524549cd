# SPDX-License-Identifier: Apache-2.0
"""Every source says under which licence it is."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[1]
LINE = "SPDX-License-Identifier: Apache-2.0"
SUFFIXES = {".py", ".c", ".h", ".cc", ".cmake", ".ld"}


def test_every_source_names_its_licence():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a checkout of git")
    sources = [ROOT / name for name in listed.stdout.splitlines()]
    without = [
        str(path.relative_to(ROOT))
        for path in sources
        if path.suffix in SUFFIXES and path.is_file()
        for text in [path.read_text(encoding="utf-8")]
        if text.strip() and LINE not in "".join(text.splitlines(keepends=True)[:2])
    ]
    assert len(sources) > 400 and without == []
