# SPDX-License-Identifier: Apache-2.0
"""What a network knows of a grid, by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_micronet.grid import GridCrossentropy
from keras_micronet.grid_answers.objects import PROBABILITY_ONE
from keras_micronet.grid_answers.quality import LOWEST_THRESHOLD
from training.fitting.grid_evaluation import GridEvaluator

# Two images of 16 x 24 pixels, 2 x 3 cells: a centre in the first cell of one, none in the other.
SIZE, STRIDE = (16, 24), 8
ANSWERS = np.zeros((2, 2, 3), np.int32)
ANSWERS[0, 0, 0] = 1
LABELS = np.full((2, 2, 5), -1, np.float32)
LABELS[0, 0] = [0, 0, 0, 8, 8]


class Fixed(keras.Model):
    """Gives the same probabilities of the object, whatever the images are."""

    def __init__(self, chances):
        super().__init__()
        chances = np.asarray(chances, np.float32)
        self._values = tf.constant(np.stack([1 - chances, chances], axis=-1))

    def call(self, images, training=False):
        return self._values


def evaluate(chances, task="detect", answers=ANSWERS, labels=LABELS, thresholds=None):
    loss = GridCrossentropy(object_weight=4)
    evaluator = GridEvaluator(Fixed(chances), task, loss, 1, SIZE, STRIDE)
    batch = tf.zeros((2, *SIZE, 3)), tf.constant(answers), labels
    return evaluator.evaluate([batch], thresholds)


def test_the_best_thresholds_are_found_where_none_are_given():
    chances = [[[0.8, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0.4]]]
    evaluation = evaluate(chances)
    assert evaluation.score == 1.0
    (threshold,) = evaluation.thresholds
    assert threshold == pytest.approx(0.6 * PROBABILITY_ONE, abs=2)
    assert [len(each) for each in evaluation.found] == [1, 0]


def test_thresholds_that_are_given_are_kept():
    chances = [[[0.8, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0.4]]]
    low = np.array([LOWEST_THRESHOLD // 10])
    evaluation = evaluate(chances, thresholds=low)
    assert evaluation.score == pytest.approx(2 / 3)
    assert evaluation.thresholds is low
    np.testing.assert_array_equal(evaluation.counts.found, [[1], [1]])


def test_objects_below_the_lowest_threshold_are_found_if_that_is_asked_for():
    chances = [[[0.8, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0.02]]]
    assert evaluate(chances, thresholds=np.array([300])).counts.found.sum() == 2
    # Nothing below it is known, so that no threshold is chosen there.
    assert evaluate([[[0.06, 0, 0], [0, 0, 0]], chances[1]]).thresholds >= LOWEST_THRESHOLD


def test_the_loss_is_the_mean_of_all_cells():
    chances = np.full((2, 2, 3), 0.25)
    expected = -(4 * np.log(0.25) + 11 * np.log(0.75)) / 12
    assert evaluate(chances).loss == pytest.approx(expected, rel=1e-6)


def test_cells_of_no_class_do_not_count():
    answers = ANSWERS.copy()
    answers[1] = 255
    chances = [[[0.8, 0, 0], [0.9, 0, 0]], np.ones((2, 3))]
    evaluation = evaluate(chances, "segment", answers)
    np.testing.assert_array_equal(evaluation.counts.confusion.sum(axis=0), [[4, 1], [0, 1]])
    assert evaluation.score == pytest.approx((4 / 5 + 1 / 2) / 2)
    np.testing.assert_array_equal(evaluation.answers[0], [[1, 0, 0], [1, 0, 0]])
