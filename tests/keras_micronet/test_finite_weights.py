# SPDX-License-Identifier: Apache-2.0
"""Weights that are no numbers are found and named."""

import keras
import pytest

from keras_micronet import layers
from keras_micronet.finite_weights import non_finite_weights, require_finite_weights


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_damaged_weights_are_named(value):
    model = keras.Sequential(
        [
            keras.Input((4, 4, 4)),
            layers.NormalizedConv2D(4, 1, name="mix"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, name="dense"),
        ]
    )
    require_finite_weights(model)
    model.get_layer("mix").batch_normalization.beta.assign([0, value, 0, 0])
    model.get_layer("dense").bias.assign([value, 0])
    assert len(non_finite_weights(model)) == 2
    with pytest.raises(ValueError, match="finite.*mix/batch_normalization/beta.*dense/bias"):
        require_finite_weights(model)


def test_integers_are_always_numbers():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5)])  # a seed
    assert model.variables and non_finite_weights(model) == []
