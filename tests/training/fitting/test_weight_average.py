# SPDX-License-Identifier: Apache-2.0
"""The moving average of weights: its formula, and that the network gets it back and for good."""

import keras
import numpy as np
import pytest

from training.fitting.weight_average import WeightAverage


@pytest.fixture
def network():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.zeros((2, 1))])
    return model


def follow(average, network, values):
    for value in values:
        network.set_weights([np.full((2, 1), value)])
        average.on_train_batch_end(0)


def test_it_follows_faster_at_first(network):
    average = WeightAverage(network, decay=0.5)
    follow(average, network, [1.0, 3.0, -2.0])
    expected = 0.0
    for step, value in enumerate([1.0, 3.0, -2.0]):
        kept = min(0.5, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * value
    np.testing.assert_allclose(average.variables[0], np.full((2, 1), expected), rtol=1e-6)


def test_a_swap_and_another_change_nothing(network):
    average = WeightAverage(network, decay=0.5)
    follow(average, network, [1.0])
    averaged = average.variables[0].numpy()
    average.swap()
    np.testing.assert_array_equal(network.get_weights()[0], averaged)
    average.swap()
    np.testing.assert_array_equal(network.get_weights()[0], np.ones((2, 1)))
    np.testing.assert_array_equal(average.variables[0], averaged)


def test_the_network_keeps_it_at_the_end(network):
    average = WeightAverage(network, decay=0.5)
    follow(average, network, [1.0])
    average.on_train_end()
    np.testing.assert_array_equal(network.get_weights()[0], average.variables[0])
    assert network.get_weights()[0][0, 0] == pytest.approx(0.9)
