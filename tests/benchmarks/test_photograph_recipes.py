# SPDX-License-Identifier: Apache-2.0
"""The search of a recipe for photographs: its trials, its table, and what is measured once."""

import json

import pytest

import keras_micronet
from benchmarks import photograph_recipes
from benchmarks.photograph_recipes import BASE, TRIALS, Trial

pytestmark = pytest.mark.slow


def test_trials_differ_in_what_they_name():
    assert len({trial.file_name for trial in TRIALS}) == len(TRIALS)
    assert TRIALS[0].recipe == BASE
    for trial in TRIALS[1:]:
        assert (trial.recipe, trial.strides, trial.dropout_rate) != (BASE, None, None)


def named(name):
    (trial,) = (trial for trial in TRIALS if trial.name == name)
    return trial


def multiply_adds(trial):
    return keras_micronet.summarize(trial.build(class_count=10)).multiply_adds


def test_a_stem_of_stride_1_does_at_32_pixels_what_one_of_stride_2_does_at_64():
    """Every map has the same size, so that costs are equal."""
    trial = named("32 pixels, stem of stride 1")
    assert trial.recipe.image_size == (32, 32)
    model = trial.build(class_count=10)
    larger = TRIALS[0].build(class_count=10)
    assert model.input_shape == (None, 32, 32, 3)
    for layer, its_larger in zip(model.layers[2:], larger.layers[2:], strict=True):
        assert layer.output.shape == its_larger.output.shape
    # The stem's first convolution, 3 x 1 to 2 channels, only halves the rows: 32 columns less.
    assert multiply_adds(TRIALS[0]) - multiply_adds(trial) == 32 * 32 * 3 * 3 * 2


def test_two_strides_of_1_cost_as_much_as_pictures_enlarged_to_96_pixels():
    """So that the two can be compared."""
    strided = multiply_adds(named("32 pixels, stem and block 3 of stride 1"))
    assert strided == pytest.approx(multiply_adds(named("96 pixels")), rel=1e-3)


def test_dropout_can_be_left_out():
    rates = [
        Trial("a trial", dropout_rate=rate).build(10).get_layer("head_dropout").rate
        for rate in (None, 0.0)
    ]
    assert rates == [0.05, 0.0]


def test_table_has_every_trial():
    measured = {
        "validation_accuracy": 0.65641,
        "training_accuracy": 0.6335,
        "processor_seconds_an_epoch": 61.4,
        "multiply_adds": 557_360,
    }
    rows = photograph_recipes.table({TRIALS[0].name: measured}).splitlines()[-len(TRIALS) :]
    assert rows[0] == f"| {TRIALS[0].name} | 65.64 | 63.35 | 61 | 557,360 |"
    assert rows[1] == f"| {TRIALS[1].name} | not yet run | | | |"


def test_a_trial_is_measured_once(tmp_path, monkeypatch, capsys):
    calls = []

    def measure(trial, data, folder):
        calls.append(trial.name)
        return {"validation_accuracy": 0.5, "training_accuracy": 0.5, "multiply_adds": 7}

    monkeypatch.setattr(photograph_recipes, "_measure", measure)
    monkeypatch.setattr(photograph_recipes, "FIGURES", tmp_path / "figures.json")
    monkeypatch.setattr(photograph_recipes, "TABLE", tmp_path / "table.md")
    command = ["data", "--folder", str(tmp_path), "--trials", "2"]
    photograph_recipes.main(command)
    photograph_recipes.main([*command, "--write"])
    assert calls == [trial.name for trial in TRIALS[:2]]
    stored = json.loads((tmp_path / "figures.json").read_text())
    assert list(stored) == calls
    assert (tmp_path / "table.md").read_text() == photograph_recipes.table(stored)
    # What is stored needs no trial's file.
    (tmp_path / TRIALS[0].file_name).unlink()
    photograph_recipes.main(command)
    assert len(calls) == 2


def test_stored_figures_are_those_of_the_table():
    if not photograph_recipes.FIGURES.is_file():
        pytest.skip("the search has not been stored")
    figures = json.loads(photograph_recipes.FIGURES.read_text())
    assert photograph_recipes.TABLE.read_text() == photograph_recipes.table(figures)
