# SPDX-License-Identifier: Apache-2.0
"""Centres that are found, and counted, on grids whose answer is known."""

import itertools

import keras
import numpy as np
import pytest

from keras_micronet.grid import (
    CentreF1,
    CentrePrecision,
    CentreRecall,
    CorrectKeypoints,
    CountError,
)
from keras_micronet.grid.matching import matched, peaks

ROWS, COLUMNS, CLASSES = 6, 7, 2


def grids(there, found):
    """Labels and probabilities of one image: mappings from (row, column) to a class, and to a pair
    of a class and its probability."""
    labels = np.zeros((1, ROWS, COLUMNS), np.int32)
    probabilities = np.zeros((1, ROWS, COLUMNS, CLASSES + 1), np.float32)
    for place, class_id in there.items():
        labels[0][place] = class_id
    for place, (class_id, probability) in found.items():
        probabilities[0][place][class_id] = probability
    probabilities[..., 0] = 1 - probabilities[..., 1:].sum(-1)
    return labels, probabilities


CASES = {
    # there, found -> right, found, there
    "exact": ({(1, 1): 1}, {(1, 1): (1, 0.9)}, (1, 1, 1)),
    "a neighbour": ({(1, 1): 1}, {(2, 2): (1, 0.9)}, (1, 1, 1)),
    "too far": ({(1, 1): 1}, {(1, 3): (1, 0.9)}, (0, 1, 1)),
    "another class": ({(1, 1): 1}, {(1, 1): (2, 0.9)}, (0, 1, 1)),
    "too improbable": ({(1, 1): 1}, {(1, 1): (1, 0.4)}, (0, 0, 1)),
    "no peak": ({(1, 1): 1}, {(1, 1): (1, 0.6), (1, 2): (1, 0.8)}, (1, 1, 1)),
    "one for two": ({(1, 1): 1, (1, 2): 1}, {(1, 1): (1, 0.9)}, (1, 1, 2)),
    "two for one": ({(1, 2): 1}, {(1, 1): (1, 0.9), (1, 3): (1, 0.8)}, (1, 2, 1)),
    "nothing": ({}, {}, (0, 0, 0)),
    # The more probable one takes the nearer of two, and leaves the other.
    "both": ({(1, 2): 1, (1, 4): 1}, {(1, 2): (1, 0.9), (1, 5): (1, 0.8)}, (2, 2, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_centres_are_matched_one_to_one(name):
    there, found, (right, found_count, there_count) = CASES[name]
    labels, probabilities = grids(there, found)
    expected = {
        CentrePrecision: right / found_count if found_count else 0,
        CentreRecall: right / there_count if there_count else 0,
        CentreF1: 2 * right / (found_count + there_count) if there_count + found_count else 0,
    }
    for metric, value in expected.items():
        assert float(metric()(labels, probabilities)) == pytest.approx(value), metric
    assert float(CountError()(labels, probabilities)) == abs(found_count - there_count)


def test_one_class_may_be_asked_for():
    labels, probabilities = grids({(1, 1): 1, (4, 4): 2}, {(1, 1): (1, 0.9), (4, 1): (2, 0.9)})
    assert CentreF1(class_id=1)(labels, probabilities) == 1
    assert CentreF1(class_id=2)(labels, probabilities) == 0
    assert CountError(class_id=2)(labels, probabilities) == 0


def test_states_add_up():
    metric, count = CentreRecall(), CountError()
    for there, found in (({(1, 1): 1}, {(1, 1): (1, 0.9)}), ({(3, 3): 1, (0, 0): 2}, {})):
        labels, probabilities = grids(there, found)
        metric.update_state(labels, probabilities)
        count.update_state(labels, probabilities)
    assert float(metric.result()) == pytest.approx(1 / 3)
    assert count.result() == 1  # 0 and 2 too few
    metric.reset_state()
    assert metric.result() == 0


def test_matching_is_greedy_by_probability():
    """Against a plain loop over lists, on random grids."""
    rng = np.random.default_rng(0)
    there = (rng.random((20, ROWS, COLUMNS, CLASSES)) < 0.2).astype(np.float32)
    scores = rng.random(there.shape).astype(np.float32)
    found = np.where(rng.random(there.shape) < 0.2, scores, 0)
    counts = np.asarray(matched(there, found, 1.0, 64))
    for image, kind in itertools.product(range(20), range(CLASSES)):
        free = [tuple(place) for place in np.argwhere(there[image, ..., kind])]
        places = np.argwhere(found[image, ..., kind])
        order = sorted(places, key=lambda place: -found[image, place[0], place[1], kind])
        right = 0
        for row, column in order:
            near = [
                (max(abs(row - y), abs(column - x)), (y, x))
                for y, x in free
                if max(abs(row - y), abs(column - x)) <= 1
            ]
            if near:
                free.remove(min(near)[1])
                right += 1
        assert counts[image, kind] == right


def test_peaks_are_highest_among_their_neighbours():
    probabilities = np.zeros((1, 4, 4, 1), np.float32)
    probabilities[0, 1, 1], probabilities[0, 2, 2], probabilities[0, 0, 3] = 0.9, 0.8, 0.7
    found = np.asarray(peaks(probabilities, 0.5))
    assert {tuple(place) for place in np.argwhere(found[0, ..., 0])} == {(1, 1), (0, 3)}
    assert found.max() == np.float32(0.9)


def test_keypoints_are_right_within_a_distance():
    there = np.zeros((1, 5, 5, 4), np.float32)
    found = np.zeros_like(there)
    for joint, (real, seen) in enumerate([((0, 0), (1, 1)), ((2, 2), (2, 4)), ((4, 4), (4, 4))]):
        there[0][real][joint] = 1
        found[0][seen][joint] = 0.6
    found[0, 3, 3, 3] = 0.9  # a joint that is not there
    assert float(CorrectKeypoints()(there, found)) == pytest.approx(2 / 3)
    assert CorrectKeypoints(tolerance=2)(there, found) == 1
    assert float(CorrectKeypoints(tolerance=0)(there, found)) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "metric",
    [
        CentreF1(threshold=0.3, tolerance=2, class_id=2, most_objects=9, name="found"),
        CountError(threshold=0.3, class_id=1),
        CorrectKeypoints(tolerance=3),
    ],
    ids=lambda metric: type(metric).__name__,
)
def test_metrics_survive_saving(metric):
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert again.get_config() == metric.get_config()


@pytest.mark.parametrize("arguments", [{"class_id": 0}, {"most_objects": 0}, {"threshold": "x"}])
def test_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="Received"):
        CentreF1(**arguments)
