# SPDX-License-Identifier: Apache-2.0
"""The study of photographs: table and plot of figures made up by hand, and its cases."""

import json

import keras
import pytest
from tensorflow.python.framework import config as tensorflow_config

from benchmarks import photographs, photographs_report
from benchmarks.photographs import AFTER_TRAINING, AWARE, DEVICE, FLOAT, Case, Figures
from tests.training.conftest import build_tiny_model, make_tiny_dataset

pytestmark = pytest.mark.slow

# Table and plot


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([], []),
        ([(3, 70.0)], [(3, 70.0)]),
        ([(2, 60.0), (1, 50.0), (3, 55.0)], [(1, 50.0), (2, 60.0)]),
        ([(2, 60.0), (2, 61.0), (1, 61.0)], [(1, 61.0)]),
        ([(5, 80.0), (4, 80.0), (9, 90.0)], [(4, 80.0), (9, 90.0)]),
    ],
)
def test_pareto_front_has_what_no_other_point_beats(points, front):
    assert photographs_report.pareto_front(points) == front


DEVICE_FIGURES = {
    "multiply_adds": 557_360,
    "parameters": 388_532,
    "instructions": 1_488_939,
    "ram_bytes": 13_336,
    "flash_bytes": 455_754,
}
RESULTS = {
    ("M0", 64): {
        DEVICE: DEVICE_FIGURES,
        FLOAT: {"accuracy": 0.7512},
        AFTER_TRAINING: {"accuracy": 0.75},
        AWARE: {"accuracy": 0.751},
    },
    ("M3", 96): {},
    ("ResNet8", 32): {
        DEVICE: DEVICE_FIGURES | {"instructions": 31_900_000},
        FLOAT: {"accuracy": 0.85},
        AFTER_TRAINING: {"accuracy": 0.84},
    },
    ("MobileNetV3-Small 0.35", 64): {FLOAT: {"accuracy": 0.7}},
}


SHOWN = [("M0", 64), ("ResNet8", 32)]  # with an accuracy and costs


def test_every_figure_is_in_the_table_and_what_is_missing_is_said():
    m0, m3, resnet, mobilenet = photographs_report.table(RESULTS).splitlines()[2:]
    costs = "557,360 | 1,488,939 | 13,336 | 455,754 |"
    assert m0 == f"| MicroNet M0 | 64 | 75.12 | 75.00 | 75.10 | {costs}"
    assert m3 == "| MicroNet M3 | 96 | not yet run | not yet run | not yet run |  |  |  |  |"
    assert resnet.startswith("| ResNet8 | 32 | 85.00 | 84.00 | not yet run | 557,360 | 31,900,000")
    # Nothing trains it aware.
    assert mobilenet == "| MobileNetV3-Small 0.35 | 64 | 70.00 | not yet run |  |  |  |  |  |"


def test_a_page_has_the_trainings_of_other_lengths_alone():
    page = photographs_report.page({20: RESULTS, 60: RESULTS | {("ResNet8", 32): {}}}, 2)
    own, longer = page.split("## 60 epochs")
    assert own.count("\n| ") == 5 and longer.count("\n| ") == 3
    assert "| MicroNet M3 |" in own and "| MicroNet M3 |" not in longer


def test_plot_shows_the_better_accuracy_on_the_device_over_both_costs():
    axes = photographs_report.plot(RESULTS).axes
    for panel, cost in zip(axes, ("instructions", "flash_bytes"), strict=True):
        lines = {line.get_label(): line.get_xydata().tolist() for line in panel.get_lines()}
        assert lines["MicroNet M0"] == [[DEVICE_FIGURES[cost], pytest.approx(75.1)]]
        assert lines["ResNet8"] == [[RESULTS["ResNet8", 32][DEVICE][cost], pytest.approx(84.0)]]
        # At equal cost the better one alone is on the front.
        costs, accuracies = zip(*lines["Pareto front"], strict=True)
        assert costs == tuple(sorted({RESULTS[it][DEVICE][cost] for it in SHOWN}))
        assert accuracies[-1] == pytest.approx(84.0)
        assert len(lines) == 3
    assert photographs_report.plot({("M3", 96): {}}).axes


# Figures


def case(folder, network="M0", size=32, epochs=2):
    return Case(network, size, epochs, "data", folder)


def test_figures_are_kept_by_case_and_stage(tmp_path):
    earlier = tmp_path / "earlier.json"
    stored = Figures(earlier, tmp_path / "none.json")
    stored.put(case(tmp_path), FLOAT, {"accuracy": 0.5})
    stored.put(case(tmp_path), AWARE, {"accuracy": 0.4})
    figures = Figures(tmp_path / "figures.json", earlier)
    figures.put(case(tmp_path), FLOAT, {"accuracy": 0.75})
    figures.put(case(tmp_path), DEVICE, DEVICE_FIGURES)
    again = Figures(tmp_path / "figures.json", earlier)
    assert again.get(case(tmp_path), FLOAT) == {"accuracy": 0.75}
    assert again.get(case(tmp_path), AWARE) == {"accuracy": 0.4}
    # What a device takes is the same after a longer training.
    longer = case(tmp_path, epochs=9)
    assert again.get(longer, DEVICE) == DEVICE_FIGURES and again.get(longer, FLOAT) is None
    assert again.results(2)["M0", 32] == {
        FLOAT: {"accuracy": 0.75},
        AWARE: {"accuracy": 0.4},
        DEVICE: DEVICE_FIGURES,
    }
    assert again.results(9)["M0", 32] == {DEVICE: DEVICE_FIGURES}
    assert again.epochs() == [2]


def test_two_processes_share_the_file_of_figures(tmp_path):
    path, nothing = tmp_path / "figures.json", tmp_path / "none.json"
    one, other = Figures(path, nothing), Figures(path, nothing)
    one.put(case(tmp_path), FLOAT, {"accuracy": 0.5})
    other.put(case(tmp_path, "M1"), FLOAT, {"accuracy": 0.6})
    both = Figures(path, nothing)
    assert both.get(case(tmp_path), FLOAT) == {"accuracy": 0.5}
    assert both.get(case(tmp_path, "M1"), FLOAT) == {"accuracy": 0.6}


def test_each_stage_is_stored_at_once_and_measured_once(tmp_path, monkeypatch):
    measured = []

    def measure(self, stage):
        measured.append((self.network, stage))
        if len(measured) == 3:
            raise KeyboardInterrupt
        return {"accuracy": 0.5}

    monkeypatch.setattr(Case, "measure", measure)
    cases = [case(tmp_path), case(tmp_path, "MobileNetV3-Small 0.35")]
    path, nothing = tmp_path / "figures.json", tmp_path / "none.json"
    stages = (FLOAT, AFTER_TRAINING, AWARE)
    with pytest.raises(KeyboardInterrupt):
        photographs.run(cases, stages, Figures(path, nothing))
    assert len(json.loads(path.read_text())) == 2
    photographs.run(cases, stages, Figures(path, nothing))
    # The stage that was interrupted is measured again; MobileNetV3 has no aware one.
    rival = "MobileNetV3-Small 0.35"
    assert measured[2:] == [
        ("M0", AWARE),
        ("M0", AWARE),
        (rival, FLOAT),
        (rival, AFTER_TRAINING),
    ]
    photographs.run(cases, stages, Figures(path, nothing), again=[AFTER_TRAINING])
    assert measured[6:] == [("M0", AFTER_TRAINING), (rival, AFTER_TRAINING)]


def test_figures_do_not_change_what_they_are_of(tmp_path):
    figures = Figures(tmp_path / "figures.json", tmp_path / "none.json")
    with pytest.raises(ValueError, match="must not be called .*epochs.*Received"):
        figures.put(case(tmp_path), AWARE, {"accuracy": 0.5, "epochs": 2})


def test_instructions_that_could_not_be_measured_are_when_they_can(tmp_path):
    without, tree = {"model_bytes": 5}, tmp_path / "tflite-micro"
    assert not case(tmp_path).can_tell_more(DEVICE, without)
    able = Case("ResNet8", 32, 2, "data", tmp_path, tree)
    assert able.can_tell_more(DEVICE, without)
    assert not able.can_tell_more(DEVICE, DEVICE_FIGURES)
    assert not able.can_tell_more(FLOAT, {"accuracy": 0.5})


def test_stored_figures_are_those_of_the_table():
    if not photographs.FIGURES.is_file():
        pytest.skip("the study has not been stored")
    figures = Figures(photographs.FIGURES)
    assert photographs.TABLE.read_text() == photographs.page(figures)


# Cases


@pytest.fixture
def tiny_study(monkeypatch):
    """A dataset and networks with which a training takes seconds."""
    dataset = make_tiny_dataset()
    monkeypatch.setattr(photographs, "load_dataset", lambda *_, **__: dataset)
    monkeypatch.setattr(Case, "build", lambda self, classes: build_tiny_model())
    changes = {"batch_size": 8, "horizontal_flip": False, "smallest_crop": 1.0}
    recipe = photographs.dataclasses.replace(photographs.RECIPE, **changes)
    monkeypatch.setattr(photographs, "RECIPE", recipe)
    height, width = dataset.image_size
    monkeypatch.setattr(photographs, "_image_size", lambda size: (height, width))
    yield
    tensorflow_config.disable_op_determinism()


def test_a_training_continues_after_its_last_epoch(tiny_study, tmp_path, monkeypatch):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    whole = case(tmp_path / "whole").measure(FLOAT)
    assert 0 <= whole["accuracy"] <= 1 and whole["training_accuracy"] > 0
    assert (tmp_path / "whole" / "M0-32-2.keras").is_file()
    monkeypatch.setattr(photographs, "ProgressLines", lambda *_: Stop())
    with pytest.raises(KeyboardInterrupt):
        case(tmp_path / "stopped").measure(FLOAT)
    first_epochs = []

    class Record(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            first_epochs.append(epoch)

    monkeypatch.setattr(photographs, "ProgressLines", lambda *_: Record())
    continued = case(tmp_path / "stopped").measure(FLOAT)
    assert first_epochs == [1]
    assert {**continued, "seconds": 0} == {**whole, "seconds": 0}
