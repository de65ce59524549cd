# SPDX-License-Identifier: Apache-2.0
"""A dry run tells everything, writes nothing, and estimates the time by any clock."""

import dataclasses
import itertools

import pytest

from tests.training.conftest import build_tiny_model, write_image_folder
from training.command_line import main, parse_arguments
from training.commands import dry_run, train
from training.recipes.options import IDENTITY, format_value
from training.tasks import classes

pytestmark = pytest.mark.slow


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    monkeypatch.setattr(classes, "build_model", lambda *_: build_tiny_model())
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "images", {"a": 40, "b": 40}, distance=3)
    arguments = ["--dataset", "images", "--image-size", "8x12", "--batch-size", "8"]
    return [*arguments, "--strategy", "one-device", "--dry-run"]


def test_tells_everything_and_writes_nothing(arguments, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    assert main([*arguments, "--epochs", "3", "--mixup", "0.25"]) == 0
    assert sorted(tmp_path.rglob("*")) == before
    lines = capsys.readouterr().out.splitlines()
    recipe = parse_arguments([*arguments, "--epochs", "3", "--mixup", "0.25"]).recipe
    for name, value in dataclasses.asdict(recipe).items():
        if name not in IDENTITY:
            assert f"  {name} = {format_value(value)}" in lines
    text = "\n".join(lines)
    assert "images: 2 classes; 56 images to train on, 8 to validate, 16 to test." in text
    assert "multiply-adds an image of 8 x 12 pixels" in text
    assert "Steps: 21 with a peak learning rate of 0.004." in text
    assert "Strategy one-device: 1 device in step" in text
    assert "Weights random, teacher none, seed 0, patience 0." in text
    assert "Output: runs/images-M0" in text
    assert "of a copy of the model that is thrown away" in text
    assert lines[-1] == "Dry run: nothing was written."


def test_the_time_is_that_of_steps_and_evaluations(arguments):
    prepared = train.prepare(parse_arguments([*arguments, "--epochs", "3"]))
    ticks = itertools.count(0, 10)
    lines = []
    dry_run.execute(prepared, lines.append, clock=lambda: next(ticks))
    # 10 s between any two moments. 21 steps; an evaluation's graph; 3 x 8 and 16 images to
    # evaluate, in batches of 8.
    assert any(line.startswith("Estimated time: 4 min 30 s at 1 images/s") for line in lines)


def test_a_training_of_one_step_is_estimated_by_it(arguments):
    prepared = train.prepare(parse_arguments([*arguments, "--epochs", "1", "--batch-size", "56"]))
    ticks = itertools.count(0, 10)
    lines = []
    dry_run.execute(prepared, lines.append, clock=lambda: next(ticks))
    assert any(line.startswith("Estimated time: 50 s at 6 images/s") for line in lines)


def test_mistakes_are_refused_as_in_a_run(arguments, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    assert main([*arguments, "--output", "full"]) == 2
    assert "unless --overwrite is given" in capsys.readouterr().err
    assert main([*arguments, "--batch-size", "57"]) == 2
    assert "Received: batch_size=57 with 56 images" in capsys.readouterr().err
