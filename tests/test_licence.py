# SPDX-License-Identifier: Apache-2.0
"""Every source says under which licence it is."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[1]
LINE = "SPDX-License-Identifier: Apache-2.0"
EXPORTED_LINE = "SPDX-License-Identifier: 0BSD"  # what becomes part of an export
TEMPLATES = "tflm/package/templates/"
SUFFIXES = {".py", ".c", ".h", ".cc", ".cmake", ".ld"}


def test_every_source_names_its_licence():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a checkout of git")
    sources = [ROOT / name for name in listed.stdout.splitlines()]
    without = [
        name
        for name, path in ((str(path.relative_to(ROOT)), path) for path in sources)
        if path.suffix in SUFFIXES and path.is_file()
        for text in [path.read_text(encoding="utf-8")]
        for line in [EXPORTED_LINE if name.startswith(TEMPLATES) else LINE]
        if text.strip() and line not in "".join(text.splitlines(keepends=True)[:2])
    ]
    assert len(sources) > 400 and without == []
