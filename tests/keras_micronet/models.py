# SPDX-License-Identifier: Apache-2.0
"""Builders that the test modules share."""

import keras
import numpy as np

import keras_micronet
from keras_micronet import layers


def builder(variant):
    """`MicroNetM0` for "M0", and so on."""
    return getattr(keras_micronet, f"MicroNet{variant}")


def logits_model(variant, **arguments):
    """A variant with random weights, open image sizes, normalized input and logits as output."""
    defaults = {
        "input_shape": (None, None, 3),
        "weights": None,
        "classifier_activation": None,
        "include_preprocessing": False,
    }
    return builder(variant)(**{**defaults, **arguments})


def small_classifier(classes=2, full_rank=False):
    """A trainable model of stem, Micro-Block-A and last row: quick to compile."""
    inputs = keras.Input((16, 16, 3))
    x = layers.FactorizedStem((2, 2), full_rank=full_rank)(inputs)
    x = layers.MicroBlock(
        8,
        kernel_size=3,
        strides=2,
        expansion=(2, 4),
        expand_groups=(0, 4),
        project_groups=(2, 2),
        full_rank=full_rank,
    )(x)
    x = layers.MicroBlock(32, expand_groups=(4, 4), project_groups=(0, 0), full_rank=full_rank)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(classes, dtype="float32")(x))


def red_or_blue_images(count, size):
    """A problem that one look at the colours solves: noisy images in [0, 255] and labels."""
    generator = np.random.default_rng(5)
    labels = np.arange(count) % 2
    images = generator.uniform(0.0, 120.0, (count, size, size, 3))
    images[labels == 0, ..., 0] += 120.0
    images[labels == 1, ..., 2] += 120.0
    return images.astype(np.float32), labels


def randomize(layer, seed=11):
    """Sets every weight of a layer or model to random values; variances stay positive."""
    generator = np.random.default_rng(seed)
    for variable in layer.variables:
        if not str(variable.dtype).startswith(("float", "bfloat")):
            continue
        if variable.name == "moving_variance":
            values = generator.uniform(0.5, 1.5, variable.shape)
        elif variable.name == "gamma":
            values = 1.0 + 0.2 * generator.standard_normal(variable.shape)
        else:
            fan_in = max(1, np.prod(variable.shape[:-1])) if len(variable.shape) > 1 else 4.0
            values = generator.standard_normal(variable.shape) / np.sqrt(fan_in)
        variable.assign(values)


def weight_values(layer):
    """Copies of all weights, to compare with later."""
    return [np.array(variable) for variable in layer.weights]


def assert_same_weights(layer, values):
    """Every weight of the layer equals the saved value, bit by bit."""
    assert len(layer.weights) == len(values)
    for variable, value in zip(layer.weights, values, strict=True):
        np.testing.assert_array_equal(np.array(variable), value, err_msg=variable.path)
