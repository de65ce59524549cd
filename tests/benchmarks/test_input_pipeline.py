# SPDX-License-Identifier: Apache-2.0
"""The benchmark's arithmetic, its images and its command line (its times are not tested)."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from benchmarks import input_pipeline

pytestmark = pytest.mark.slow


def test_photographs_are_a_dataset_of_imagenet_s_size(tmp_path):
    input_pipeline.write_photographs(tmp_path, 20)
    assert {part.name for part in tmp_path.iterdir()} == {"train", "validation", "test"}
    paths = list((tmp_path / "train").glob("*/*.jpg"))
    assert len(paths) == 20 and len({path.parent.name for path in paths}) == 10
    for path in paths:
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", (500, 375))
        # As large as files of ImageNet, which are 110 kilobytes on average, in order of magnitude.
        assert 20_000 < path.stat().st_size < 200_000


def test_the_rate_leaves_out_the_batches_of_the_warm_up(monkeypatch):
    times = iter([100.0, 104.0])
    monkeypatch.setattr(input_pipeline.time, "perf_counter", lambda: next(times))
    consumed = []
    batches = tf.data.Dataset.range(100).map(lambda number: (number, number))
    rate = input_pipeline.images_per_second(
        lambda images, labels: consumed.append(int(images)), batches, count=6, batch_size=32
    )
    assert consumed == list(range(input_pipeline.WARM_UP_BATCHES + 6))
    assert rate == 6 * 32 / 4.0


def test_table_has_medians_and_medians_of_ratios():
    rates = {input_pipeline.STEP: [100.0, 50.0, 80.0], input_pipeline.READING: [200, 200, 400]}
    rows = input_pipeline.table(96, rates).splitlines()
    assert rows[-2] == "| bare training step | 80 | 1.00 |"
    # Ratios of the rounds: 2, 4 and 5.
    assert rows[-1] == "| reading | 200 | 4.00 |"


@pytest.mark.parametrize("writes", [False, True])
def test_command_line(tmp_path, capsys, monkeypatch, writes):
    received = []
    monkeypatch.setattr(
        input_pipeline, "report", lambda *arguments: received.append(arguments) or "text"
    )
    monkeypatch.setattr(input_pipeline, "RESULT_FILE", tmp_path / "input_pipeline.md")
    arguments = ["--sizes", "64", "--images", "50", "--batch-size", "8", "--batches", "3"]
    input_pipeline.main([*arguments, "--rounds", "2", *(["--write"] if writes else [])])
    assert received == [([64], 50, 8, 3, 2)]
    assert capsys.readouterr().out == "text\n"
    written = [path.read_text() for path in tmp_path.iterdir()]
    assert written == (["text"] if writes else [])


def test_measures_every_contender_every_round(tmp_path, monkeypatch):
    input_pipeline.write_photographs(tmp_path, 20)
    monkeypatch.setattr(input_pipeline, "training_step", lambda model, batch_size: lambda: 0.0)
    rates = input_pipeline.measure(tmp_path, 32, batch_size=5, batch_count=1, rounds=2)
    assert len(rates) == 3 + len(input_pipeline.OPTIONS)
    assert all(len(values) == 2 and np.all(np.array(values) > 0) for values in rates.values())
