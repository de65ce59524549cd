# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf

from training.fitting.evaluation import Evaluation, Evaluator


class Fixed:
    """A network whose image is its answer."""

    def __call__(self, images, training):
        assert not training
        return images


class HalfOfFirst:
    """A loss of known values: half of the first class's probability."""

    def call(self, labels, probabilities):
        return probabilities[:, 0] / 2


def evaluate(probabilities, labels, batch_size=2):
    probabilities = np.asarray(probabilities, np.float32)
    one_hot = np.eye(probabilities.shape[1], dtype=np.float32)[labels]
    batches = tf.data.Dataset.from_tensor_slices((probabilities, one_hot)).batch(batch_size)
    return Evaluator(Fixed(), HalfOfFirst()).evaluate(batches)


def test_counts_what_is_taken_for_what():
    result = evaluate([[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]], [0, 0, 1])
    assert result.confusion.tolist() == [[1, 1], [0, 1]]
    assert result.images == 3
    assert result.accuracy == pytest.approx(2 / 3)
    assert result.loss == pytest.approx((0.8 + 0.4 + 0.1) / 2 / 3)
    assert result.class_accuracies.tolist() == [0.5, 1.0]
    assert result.top_5 is None


def test_the_five_best_of_more_classes_count():
    ranks = np.arange(6, 0, -1) / 21  # class 0 is the most probable, class 5 the least
    result = evaluate([ranks] * 3, [0, 4, 5])
    assert result.top_5 == pytest.approx(2 / 3)
    assert result.accuracy == pytest.approx(1 / 3)


def test_five_classes_have_no_five_best():
    assert evaluate([np.arange(5) / 10], [0]).top_5 is None


def test_a_class_without_images_has_no_accuracy():
    result = Evaluation(1.0, None, np.array([[3, 1, 0], [0, 0, 0], [0, 0, 2]]))
    assert np.isnan(result.class_accuracies[1])
    assert result.class_accuracies[[0, 2]].tolist() == [0.75, 1.0]


def test_a_measurement_is_of_the_same_images():
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6]], np.float32)
    batches = [(tf.constant(probabilities), tf.constant([[1.0, 0.0], [1.0, 0.0]]))]
    loss, accuracy = Evaluator(Fixed(), HalfOfFirst()).measure(batches)
    assert loss == pytest.approx(0.3)
    assert accuracy == 0.5
