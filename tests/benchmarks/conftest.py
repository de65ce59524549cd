# SPDX-License-Identifier: Apache-2.0
"""A model that the benchmarks' tests can afford to run."""

import keras
import pytest


@pytest.fixture
def small_classifier():
    inputs = keras.Input((4, 4, 3))
    features = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(features))
