# SPDX-License-Identifier: Apache-2.0
"""The study of grids: what it counts by, and what it says of figures that are there or not."""

import dataclasses

import numpy as np
import pytest

from benchmarks import detection, detection_report
from benchmarks.detection import FOMO, NETWORKS, Case, Figures, Network
from training.datasets.grid_dataset import GridDataset, GridSplit

CELLS = np.zeros((1, 4, 4, 2), np.int32)
CELLS[0, 1, 1, 1], CELLS[0, 1, 2, 1] = 30000, 29000  # one object of two cells
CELLS[0, 3, 3, 1] = 9000  # nothing
LABEL = np.array([[[0, 8, 8, 16, 16]]], np.float32)


@pytest.fixture
def dataset():
    """One picture of 60 x 80 pixels with a box in its middle, for images of 32 x 32."""
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[20:40, 30:50] = 255
    label = np.array([[0, 20, 30, 40, 50]], np.float32)
    split = GridSplit(1, lambda index: (picture, label))
    return GridDataset("made", "detect", (32, 32), ("thing",), split, split, split, 1)


def test_pictures_are_squeezed_with_their_boxes(dataset):
    picture, label = detection.squeezed(dataset).train.read(0)
    assert picture.shape == (60, 60, 3)
    np.testing.assert_allclose(label, [[0, 20, 22.5, 40, 37.5]])
    inside = picture[22:38, 25:35]
    assert inside.min() > 250 and picture[:18].max() < 5


def test_pictures_that_fit_stay_as_they_are(dataset):
    fitting = dataclasses.replace(dataset, image_size=(30, 40))
    assert detection.squeezed(fitting).train.read(0)[0].shape == (60, 80, 3)


@pytest.mark.parametrize("decode", [detection.peaks, detection.merged])
def test_thresholds_are_chosen_on_validation_pictures_only(decode):
    empty = np.zeros_like(CELLS)
    counts = decode({"validation": (CELLS, LABEL), "test": (empty, LABEL)}, 8, 1)
    assert counts["validation"].mean_f1 == 1.0
    assert counts["test"].found.tolist() == [[0]]


def test_what_a_device_takes_is_measured_once_for_all_seeds(tmp_path, monkeypatch):
    figures = Figures(tmp_path / "figures.json", tmp_path / "none.json")
    measured = []

    def measure(self, stage):
        measured.append((self.seed, stage))
        return {"test_f1": 0.5}

    monkeypatch.setattr(Case, "measure", measure)
    network = Network("M0", (32, 32), 4)
    cases = [Case(network, detection.DIGITS, seed, 1, tmp_path) for seed in (0, 1)]
    detection.run(cases, ("int8", "device"), figures)
    assert measured == [(0, "int8"), (0, "device"), (1, "int8")]
    detection.run(cases, ("int8", "device"), Figures(tmp_path / "figures.json"), again=("int8",))
    assert measured[3:] == [(0, "int8"), (1, "int8")]
    detection.run(cases, ("device",), Figures(tmp_path / "figures.json"), again=("device",))
    assert measured[5:] == [(0, "device")]
    longer = [dataclasses.replace(case, epochs=2) for case in cases[:1]]
    detection.run(longer, ("int8", "device"), Figures(tmp_path / "figures.json"))
    assert measured[6:] == [(0, "int8")]


def test_the_table_says_what_is_known():
    networks = {
        "M0, 4 blocks, 96x128": {
            "float": [
                {"validation_f1": 0.8, "test_f1": 0.7},
                {"validation_f1": 0.9, "test_f1": 0.9},
            ],
            "device": [{"parameters": 15000, "multiply_adds": 10**6, "flash_bytes": 47000}],
        },
        "FOMO, 96x96": {
            "int8": [
                {
                    "test_f1": 0.5,
                    "class_f1": [0.4, 0.6],
                    "count_error": [1, 2],
                    "classes": ["a", "b"],
                }
            ],
            "device": [{"model_bytes": 90000, "peak_bytes": 138240, "multiply_adds": 5}],
        },
    }
    page = detection_report.page({("cells", 80): networks})
    assert "## cells, 80 epochs" in page
    first, second = (line for line in page.splitlines() if line.startswith(("| M0", "| FOMO")))
    assert first.split(" | ")[1:5] == ["2", "85.0 ± 7.1", "80.0 ± 14.1", "not yet run"]
    assert " | 15,000 | 1,000,000 |  |  | 47,000 | " in first
    assert " | 50.0 | a 40.0, b 60.0 | 1.50 | " in second
    assert "| 5 | 138,240 |  | 90,000 (model) |" in second
    figure = detection_report.plot({("cells", 80): networks})
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["cells", "cells"]


def test_networks_have_different_names_and_fomo_is_among_them():
    names = [network.name for network in NETWORKS]
    assert len(set(names)) == len(names)
    assert NETWORKS[0].variant == FOMO
