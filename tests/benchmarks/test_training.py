# SPDX-License-Identifier: Apache-2.0
"""The benchmark's arithmetic, its ways of training and its command line (not its times)."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as tensorflow_config

from benchmarks import input_pipeline, training
from benchmarks.contenders import MOBILENET
from training.datasets import load_dataset

pytestmark = pytest.mark.slow


def test_the_rate_leaves_out_the_batches_of_the_warm_up(monkeypatch):
    times = iter([100.0, 104.0])
    monkeypatch.setattr(training.time, "perf_counter", lambda: next(times))
    taken = []

    def step(iterator):
        taken.append(int(next(iterator)))
        return {"loss": tf.constant(0.0)}

    rate = training.images_per_second(step, tf.data.Dataset.range(100), count=6, batch_size=32)
    assert taken == list(range(training.WARM_UP_BATCHES + 6))
    assert rate == 6 * 32 / 4.0


def test_table_of_steps_has_rates_and_medians_of_ratios():
    times = {MOBILENET: [200.0, 400.0, 800.0], "M0": [100.0, 200.0, 200.0], "M0 stock": [2000.0]}
    row = training.step_table(times, ["M0"], batch_size=64).splitlines()[-1]
    # 64 images in the median of 200, 2000 and 400 milliseconds; ratios 20, and 2, 2 and 4.
    assert row == "| MicroNetM0 | 320 | 32 | 20.0 | 160 | 2.00 |"


def test_table_of_steps_without_stock_layers():
    times = {MOBILENET: [100.0], "M3": [200.0]}
    row = training.step_table(times, ["M3"], batch_size=10).splitlines()[-1]
    assert row == "| MicroNetM3 | 50 | - | - | 100 | 0.50 |"


def test_table_of_whole_trainings_has_medians_of_ratios():
    rates = {
        training.BARE: [100.0, 200.0, 100.0],
        training.KEPT: [95.0, 180.0, 99.0],
        training.FILES: [50.0, 150.0, 80.0],
    }
    row = training.whole_table({"M1": rates}).splitlines()[-1]
    # Ratios: 0.95, 0.90 and 0.99; 0.5, 0.75 and 0.8.
    assert row == "| MicroNetM1 | 100 | 99 | 95% | 80 | 75% |"


@pytest.fixture
def photographs(tmp_path):
    input_pipeline.write_photographs(tmp_path, 10)
    yield load_dataset(str(tmp_path), (32, 32))
    tensorflow_config.disable_op_determinism()


def test_only_the_bare_step_repeats_its_images(photographs):
    ways = training.whole_training("M0", photographs, 32, batch_size=5)
    for name, (_, batches) in ways.items():
        first, second = (images.numpy() for images, _ in batches.take(2))
        assert first.shape == (5, 32, 32, 3)
        assert np.array_equal(first, second) == (name == training.BARE), name


def test_measures_every_way_every_round(monkeypatch):
    def stub(variant, image_size, class_count):
        inputs = keras.Input((*image_size, 3))
        features = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
        return keras.Model(inputs, keras.layers.Dense(class_count, "softmax")(features))

    monkeypatch.setattr(training, "build_model", stub)
    try:
        rates = training.measure_whole(["M0"], 32, batch_size=5, batch_count=1, rounds=2)
    finally:
        tensorflow_config.disable_op_determinism()
    assert list(rates["M0"]) == [training.BARE, training.KEPT, training.FILES]
    for values in rates["M0"].values():
        assert len(values) == 2 and np.all(np.array(values) > 0)


@pytest.mark.parametrize("writes", [False, True])
def test_command_line(tmp_path, capsys, monkeypatch, writes):
    received = []
    monkeypatch.setattr(training, "report", lambda *arguments: received.append(arguments) or "text")
    monkeypatch.setattr(training, "RESULT", tmp_path / "training.md")
    arguments = ["--variants", "M0", "M2", "--rounds", "3", "--batches", "2"]
    training.main([*arguments, *(["--write"] if writes else [])])
    assert received == [(["M0", "M2"], 224, 64, 3, 2, 2)]
    assert capsys.readouterr().out == "text\n"
    assert [path.read_text() for path in tmp_path.iterdir()] == (["text"] if writes else [])
