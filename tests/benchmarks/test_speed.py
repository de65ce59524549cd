"""The benchmark's arithmetic and its command line (its times are not tested)."""

import keras
import numpy as np
import pytest

from benchmarks import speed


def test_contenders_take_turns_and_slow_ones_run_less():
    turns = []
    contenders = {name: lambda name=name: turns.append(name) for name in ("M0", "M0 stock")}
    times = speed.race(contenders, rounds=3, slow_rounds=1)
    assert turns[2 * speed.WARM_UP_RUNS :] == ["M0", "M0 stock", "M0", "M0"]
    assert [len(values) for values in times.values()] == [3, 1]


def test_ratio_is_the_median_of_the_rounds_ratios():
    times = {"a": [10.0, 40.0, 90.0], "b": [10.0, 20.0, 30.0]}
    assert speed.ratio(times, "a", "b") == 2.0


def test_ratio_uses_the_rounds_that_both_ran():
    assert speed.ratio({"a": [1.0, 2.0, 900.0], "b": [2.0, 4.0]}, "b", "a") == 2.0


def test_table_has_medians_and_ratios():
    times = {speed.MOBILENET: [10.0, 20.0, 30.0], "M0": [5.0, 10.0, 90.0], "M0 stock": [50.0, 90.0]}
    row = speed.table("Training step", times, ["M0"]).splitlines()[-1]
    assert row == "| MicroNetM0 | 10.0 | 70.0 | 9.5 | 20.0 | 0.50 |"


def test_table_without_stock_layers():
    row = speed.table("Inference", {speed.MOBILENET: [10.0], "M3": [5.0]}, ["M3"]).splitlines()[-1]
    assert row == "| MicroNetM3 | 5.0 | - | - | 10.0 | 0.50 |"


def test_command_line(tmp_path, capsys, monkeypatch):
    received = []
    monkeypatch.setattr(speed, "measure", lambda *arguments: received.append(arguments) or "text")
    output = tmp_path / "speed.md"
    speed.main(["--variants", "M0", "M2", "--rounds", "5", "--output", str(output)])
    assert received == [(["M0", "M2"], 224, 32, 5, 3)]
    assert output.read_text() == "text" and capsys.readouterr().out == "text\n"
    assert [path.name for path in tmp_path.iterdir()] == ["speed.md"]


def test_a_training_step_trains(small_classifier):
    before = [weight.numpy() for weight in small_classifier.trainable_weights]
    loss = speed.training_step(small_classifier, batch_size=4)()
    after = [weight.numpy() for weight in small_classifier.trainable_weights]
    assert np.isfinite(loss)
    assert all(np.any(a != b) for a, b in zip(before, after, strict=True))


def test_inference_is_of_one_image(small_classifier):
    scores = speed.inference(small_classifier)()
    assert scores.shape == (1, 3)
    np.testing.assert_allclose(scores.sum(), 1.0, rtol=1e-5)


@pytest.fixture
def small_classifier():
    inputs = keras.Input((4, 4, 3))
    features = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(features))


def test_unknown_variant_is_refused():
    with pytest.raises(SystemExit):
        speed.main(["--variants", "M7"])
