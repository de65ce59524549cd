# SPDX-License-Identifier: Apache-2.0
"""The table of the study, from figures made up by hand."""

import pytest

from benchmarks import quantization_accuracy
from keras_micronet.quantization import SCHEMES

SIMULATED = "int8_head4_per_channel"


def measured(value, seed):
    """What a case measures: `value` for every accuracy, the simulated scheme of the first seed."""
    figures = {"float": value, "int8 aware, agreement": 1 - seed / 1000}
    for scheme in SCHEMES:
        if scheme != SIMULATED or seed == quantization_accuracy.SEEDS[0]:
            figures |= {f"{scheme} after training": value, f"{scheme} aware": value}
    return figures


def test_mean_and_spread_of_the_seeds_that_there_are():
    results = {("digits", "M0", seed): measured(0.96 + 0.01 * seed, seed) for seed in (0, 1, 2)}
    table = quantization_accuracy.table(results)
    (row,) = [line for line in table.splitlines() if line.startswith("| digits")]
    # Three seeds with 96, 97 and 98 percent; the last two columns have the first alone.
    assert row == "| digits | M0 |" + 5 * " 97.00 ± 1.00 |" + 2 * " 96.00 |"
    assert "mean of 3 seeds" in table
    assert "at least 99.80% of the test images" in table


def test_cases_of_every_choice(tmp_path):
    arguments = ["--seeds", "4", "5", "--variants", "M1", "--folder", str(tmp_path / "new")]
    parser = quantization_accuracy.study_parser("text", quantization_accuracy.RESULT)
    cases = quantization_accuracy.cases_of(parser.parse_args(arguments))
    assert [case.name for case in cases] == [
        "digits-M1-4",
        "fashion-mnist-M1-4",
        "digits-M1-5",
        "fashion-mnist-M1-5",
    ]
    assert (tmp_path / "new").is_dir()


def test_finished_case_is_not_measured_again(tmp_path, monkeypatch):
    study = quantization_accuracy.STUDIES["digits"]
    case = quantization_accuracy.Case(study, "M0", 0, tmp_path)
    (tmp_path / "digits-M0-0.json").write_text('{"float": 0.5}')
    monkeypatch.setattr(case.__class__, "load_dataset", lambda self: pytest.fail("measures"))
    assert case.accuracies() == {"float": 0.5}
