# SPDX-License-Identifier: Apache-2.0
"""The benchmark's arithmetic and its command line (its times are not tested)."""

import pytest

from benchmarks import first_step
from benchmarks.contenders import MOBILENET


def test_table_has_medians_and_the_median_of_ratios():
    seconds = {
        ("M0", first_step.TWICE): [16.0, 20.0, 40.0],
        ("M0", first_step.ONCE): [8.0, 12.0, 10.0],
        (MOBILENET, first_step.TWICE): [12.0],
    }
    row = first_step.table(seconds, ["M0"]).splitlines()[-1]
    assert row == "| MicroNetM0 | 20.0 | 10.0 | 0.50 | 12.0 |"


def test_first_step_takes_time_and_ends_the_training(small_classifier):
    steps = []
    original = small_classifier.train_step
    small_classifier.train_step = lambda data: steps.append(data) or original(data)
    assert first_step.first_step_seconds(small_classifier, 4) > 0
    assert small_classifier.optimizer.iterations.numpy() == 1
    assert steps


def test_contenders_are_the_same_layers_in_two_kinds_of_model(monkeypatch):
    models = []
    monkeypatch.setattr(
        first_step, "first_step_seconds", lambda model, _: models.append(model) or 1.0
    )
    for way in (first_step.TWICE, first_step.ONCE):
        first_step.measure_one("M0", way, 32, 2)
    assert [type(model).__name__ for model in models] == ["Functional", "MicroNet"]
    assert models[0].count_params() == models[1].count_params()


@pytest.mark.parametrize("writes", [False, True])
def test_command_line(tmp_path, capsys, monkeypatch, writes):
    received = []
    monkeypatch.setattr(
        first_step, "report", lambda *arguments: received.append(arguments) or "text"
    )
    monkeypatch.setattr(first_step, "RESULT", tmp_path / "first_step.md")
    first_step.main(["--variants", "M0", "--rounds", "5", *(["--write"] if writes else [])])
    assert received == [(["M0"], 96, 32, 5)]
    assert capsys.readouterr().out == "text\n"
    assert [path.read_text() for path in tmp_path.iterdir()] == (["text"] if writes else [])
