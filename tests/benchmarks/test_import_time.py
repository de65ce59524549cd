# SPDX-License-Identifier: Apache-2.0
"""The benchmark's arithmetic (its times are not tested)."""

import pytest

from benchmarks import import_time


def test_table_has_the_least_of_each():
    seconds = {import_time.REFERENCE: [6.0, 4.0, 5.0], import_time.LIBRARY: [4.2, 9.0, 8.0]}
    rows = import_time.table(seconds).splitlines()[2:]
    assert rows == ["| `tensorflow, keras` | 4.00 | |", "| `keras_micronet` | 4.20 | 1.05 |"]


def test_imports_are_timed_in_a_process_of_their_own():
    quick, slow = (import_time.seconds_of(name) for name in ("json", "json, numpy"))
    assert 0 < quick < slow


@pytest.mark.parametrize("writes", [False, True])
def test_command_line(tmp_path, capsys, monkeypatch, writes):
    monkeypatch.setattr(import_time, "report", lambda rounds: f"{rounds} rounds")
    monkeypatch.setattr(import_time, "RESULT", tmp_path / "import_time.md")
    import_time.main(["--rounds", "3", *(["--write"] if writes else [])])
    assert capsys.readouterr().out == "3 rounds\n"
    written = [path.read_text() for path in tmp_path.iterdir()]
    assert written == (["3 rounds"] if writes else [])
