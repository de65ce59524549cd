# SPDX-License-Identifier: Apache-2.0
"""The choice of a threshold: on validation images alone, by counting."""

import math

import numpy as np
import pytest

from tflm.recognition import thresholds
from tflm.recognition.scores import ONE

SCALE = 0.1
CLASSES = 5


def scored(count, seed, right=0.8):
    """Scores of images, the more certain the more often right, and the right classes."""
    random = np.random.default_rng(seed)
    margins = random.integers(0, 60, count)
    labels = random.integers(0, CLASSES, count)
    is_right = random.uniform(size=count) < right + 0.2 * (margins > 30) - 0.1 * (margins < 10)
    best = np.where(is_right, labels, (labels + 1) % CLASSES)
    values = np.full((count, CLASSES), -20)
    values[np.arange(count), best] += 1 + margins
    return values.astype(np.int8), labels


def probability_of_best(values):
    """By Python's floats, one image after the other."""
    received = []
    for row in values.tolist():
        terms = [math.exp(SCALE * (value - max(row))) for value in row]
        received.append(max(terms) / sum(terms))
    return np.array(received)


@pytest.mark.parametrize("keep_right", [100.0, 99.5, 95.0, 50.0, 0.1])
def test_it_keeps_as_many_right_answers_as_it_must_and_no_threshold_above_does(keep_right):
    validation, test = scored(700, seed=0), scored(400, seed=1)
    choice = thresholds.choose(SCALE, validation, test, keep_right)
    kept = choice.chosen_row.validation
    assert choice.is_chosen
    assert 100 * kept.kept_right >= keep_right * kept.right
    is_right = validation[0].argmax(axis=-1) == validation[1]
    above = probability_of_best(validation[0])[is_right] > (choice.threshold + 0.6) / ONE
    assert 100 * np.count_nonzero(above) < keep_right * kept.right


def test_rows_count_answers_of_both_sets():
    validation, test = scored(700, seed=0), scored(400, seed=1)
    choice = thresholds.choose(SCALE, validation, test)
    assert [row.threshold for row in choice.rows] == sorted({row.threshold for row in choice.rows})
    assert choice.rows[0].threshold == 0
    for row in choice.rows:
        for kept, (values, labels) in ((row.validation, validation), (row.test, test)):
            is_right = values.argmax(axis=-1) == labels
            is_kept = probability_of_best(values) > (row.threshold - 0.6) / ONE
            assert kept.images == len(labels)
            assert (kept.right, kept.wrong) == (is_right.sum(), (~is_right).sum())
            assert kept.kept_right == np.count_nonzero(is_right & is_kept)
            assert kept.rejected_wrong == np.count_nonzero(~is_right & ~is_kept)
            assert kept.kept == np.count_nonzero(is_kept)
    assert choice.rows[-1].test.rejected_wrong > choice.rows[1].test.rejected_wrong


def test_test_images_have_no_part_in_the_choice():
    validation = scored(300, seed=0)
    first = thresholds.choose(SCALE, validation, scored(400, seed=1))
    second = thresholds.choose(SCALE, validation, scored(50, seed=2, right=0.1))
    assert [row.threshold for row in first.rows] == [row.threshold for row in second.rows]
    assert [row.test for row in first.rows] != [row.test for row in second.rows]


def all_wrong(count):
    values, _ = scored(count, seed=0)
    return values, (values.argmax(axis=-1) + 1) % CLASSES


@pytest.mark.parametrize("validation", [None, all_wrong(20)])
def test_without_right_answers_to_choose_on_it_is_the_default(validation):
    choice = thresholds.choose(SCALE, validation, scored(100, seed=1))
    assert not choice.is_chosen
    assert choice.threshold == ONE // 2
    assert [row.threshold for row in choice.rows] == [0, ONE // 2]


def test_a_model_with_one_class_is_always_certain():
    one = np.array([[5], [-128]], np.int8), np.array([0, 0])
    choice = thresholds.choose(SCALE, one, one)
    assert choice.threshold == ONE
    assert choice.chosen_row.test.kept_right == 2


@pytest.mark.parametrize("percent", [0, -1, 100.5, float("nan")])
def test_percentages_are_checked(percent):
    with pytest.raises(ValueError, match="keep-right must be a percentage above 0, at most 100"):
        thresholds.choose(SCALE, None, scored(10, seed=0), percent)
