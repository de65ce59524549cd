# SPDX-License-Identifier: Apache-2.0
"""The network that the benchmarks compare with is the same network."""

import numpy as np
import pytest

import keras_micronet
from benchmarks.stock_micronet import stock_copy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["M0", "M3"])
def networks(request):
    """A variant with random statistics and biases, and its copy of stock layers."""
    model = getattr(keras_micronet, f"MicroNet{request.param}")(
        input_shape=(64, 64, 3), weights=None, classes=10, dropout_rate=0.0
    )
    generator = np.random.default_rng(3)
    for variable in model.variables:
        if "seed" not in variable.path and len(variable.shape) == 1:
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    return model, stock_copy(model)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(4).uniform(0, 255, (2, 64, 64, 3)).astype("float32")


def test_it_has_stock_layers_only(networks):
    for layer in networks[1].layers:
        assert type(layer).__module__.startswith("keras.src."), layer


def test_it_has_the_same_number_of_weights(networks):
    model, stock = networks
    trainable = [sum(int(np.prod(w.shape)) for w in m.trainable_weights) for m in networks]
    assert trainable[0] == trainable[1]


def test_it_predicts_the_same(networks, images):
    model, stock = networks
    expected = stock(images, training=False).numpy()
    assert expected.std(axis=1).min() > 1e-4  # not all classes alike: the outputs say something
    np.testing.assert_allclose(model(images, training=False), expected, rtol=1e-3, atol=1e-6)


def test_it_keeps_the_same_moving_statistics(networks, images):
    """Training mode: the statistics of the batch, through every layer."""
    model, stock = networks
    saved = [network.get_weights() for network in networks]
    after = []
    for network, weights in zip(networks, saved, strict=True):
        network(images, training=True)
        after.append([v.numpy() for v in network.non_trainable_weights if "moving" in v.path])
        network.set_weights(weights)
    for ours, theirs in zip(*after, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3 * abs(theirs).max())
