# SPDX-License-Identifier: Apache-2.0
"""Models that several test modules share; building them costs seconds.

The models must not be changed: no training, no new weights.
"""

import functools

import keras
import pytest

import keras_micronet
from tests.keras_micronet import models
from tests.keras_micronet.golden import golden


@pytest.fixture(scope="session")
def released_state_dict():
    """Function from a variant's name to a fresh mapping of its golden state dict."""
    cached = functools.cache(golden.state_dict)
    return lambda variant: dict(cached(variant))


@pytest.fixture(scope="session")
def released_model(released_state_dict):
    """Function from a variant's name to its model of logits with the golden weights."""

    @functools.cache
    def model(variant):
        built = models.logits_model(variant)
        keras_micronet.load_torch_checkpoint(built, released_state_dict(variant))
        return built

    return model


@pytest.fixture(scope="session")
def small_m0():
    """M0 for raw 32 x 32 images and 5 classes, random weights and statistics."""
    model = keras_micronet.MicroNetM0(input_shape=(32, 32, 3), classes=5, weights=None)
    models.randomize(model)
    return model


@pytest.fixture
def channels_first():
    """Sets Keras's image data format for one test; `keras_settings` restores it."""
    keras.config.set_image_data_format("channels_first")
