# SPDX-License-Identifier: Apache-2.0
"""The study of partners and teachers: its table from figures made up by hand, and its cases."""

import dataclasses
import json

import pytest
from tensorflow.python.framework import config as tensorflow_config

from benchmarks import companions
from benchmarks.companions import ALONE, DISTILLED, MUTUAL, PARTNER, TEACHER
from tests.training.conftest import build_tiny_model, make_tiny_dataset
from training.recipes.recipes import SMALL_IMAGES

pytestmark = pytest.mark.slow


def figures(alone, mutual, distilled):
    return {ALONE: alone, MUTUAL: mutual, DISTILLED: distilled, PARTNER: 0.5, TEACHER: 0.6}


def test_gains_are_those_of_each_seed():
    group = [figures(0.96, 0.97, 0.95), figures(0.98, 0.98, 0.99), figures(0.97, 0.99, 0.98)]
    rows = companions.table({"digits": group}).splitlines()[-5:]
    assert rows == [
        "| digits | labels alone | 97.00 ± 1.00 |  |  |",
        "| digits | mutual learning | 98.00 ± 1.00 | +1.00 | +1.00, +0.00, +2.00 |",
        "| digits | distillation | 97.33 ± 2.00 | +0.33 | -1.00, +1.00, +1.00 |",
        "| digits | partner of mutual learning | 50.00 ± 0.00 |  |  |",
        "| digits | teacher: full rank, labels alone | 60.00 ± 0.00 |  |  |",
    ]


@pytest.fixture
def tiny_study(monkeypatch):
    """A dataset and networks with which a case takes seconds."""
    dataset = make_tiny_dataset()
    changes = {"image_size": dataset.image_size, "epochs": 1, "batch_size": 8}
    monkeypatch.setattr(companions, "STUDIES", {"tiny": changes})
    monkeypatch.setattr(companions, "load_dataset", lambda name, image_size: dataset)
    for build in ("build_model", "build_partner"):
        monkeypatch.setattr(companions, build, lambda *arguments: build_tiny_model())
    yield
    tensorflow_config.disable_op_determinism()


def test_a_case_measures_everything_once(tiny_study, tmp_path, monkeypatch):
    case = companions.Case("tiny", 7, tmp_path)
    assert case.recipe == dataclasses.replace(
        SMALL_IMAGES, image_size=(8, 12), epochs=1, batch_size=8
    )
    measured = case.accuracies()
    assert set(measured) == {ALONE, MUTUAL, DISTILLED, PARTNER, TEACHER}
    # Of ten images.
    assert all(round(10 * value, 6) in range(11) for value in measured.values())
    assert json.loads((tmp_path / "tiny-M0-7.json").read_text()) == measured
    monkeypatch.setattr(companions, "train", lambda *_, **__: pytest.fail("trains again"))
    assert case.accuracies() == measured


def test_an_interrupted_case_keeps_what_is_finished(tiny_study, tmp_path, monkeypatch):
    (tmp_path / "tiny-M0-7.json").write_text(json.dumps({ALONE: 0.25}))
    measured = companions.Case("tiny", 7, tmp_path).accuracies()
    assert measured[ALONE] == 0.25 and DISTILLED in measured
