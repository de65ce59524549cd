# SPDX-License-Identifier: Apache-2.0
"""MicroNets with random weights in which every number matters, for tests of the export."""

import keras
import numpy as np

import keras_micronet

BUILDERS = {
    "M0": keras_micronet.MicroNetM0,
    "M1": keras_micronet.MicroNetM1,
    "M2": keras_micronet.MicroNetM2,
    "M3": keras_micronet.MicroNetM3,
}


def random_micronet(variant, input_shape, classes=7, seed=0, **options):
    """A MicroNet whose batch normalizations and biases are not at their initial values."""
    keras.utils.set_random_seed(seed)
    options = {"weights": None, "classifier_activation": None, **options}
    model = BUILDERS[variant](input_shape=input_shape, classes=classes, **options)
    randomize(model, seed)
    return model


def randomize(model, seed=0):
    """Gives every vector of weights random values: gamma and variance near 1, the rest near 0."""
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        noise = generator.standard_normal(variable.shape).astype(np.float32)
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(np.exp(0.2 * noise))
        elif variable.name in ("beta", "moving_mean", "bias"):
            variable.assign(0.2 * noise)


def random_images(count, input_shape, seed=0):
    """Normalized images, float32, that are smooth enough to have a mean."""
    generator = np.random.default_rng(seed)
    coarse = generator.standard_normal((count, 1, 1, input_shape[-1]))
    fine = generator.standard_normal((count, *input_shape))
    return (coarse + fine).astype(np.float32)
