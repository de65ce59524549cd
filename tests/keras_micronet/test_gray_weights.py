# SPDX-License-Identifier: Apache-2.0
"""A gray model with an RGB model's weights computes for gray images what that one does."""

import keras
import numpy as np
import pytest

import keras_micronet
from keras_micronet.gray_weights import copy_to_gray
from tests.keras_micronet.golden import golden

pytestmark = pytest.mark.slow

SIZE = (32, 48)


@pytest.fixture(scope="module")
def models():
    """One of RGB images, of which every number matters, and a gray one with its weights."""
    keras.utils.set_random_seed(0)
    colour, gray = (
        keras_micronet.MicroNetM0(input_shape=(*SIZE, channels), classes=5, weights=None)
        for channels in (3, 1)
    )
    random = np.random.default_rng(0)
    for variable in colour.weights:
        noise = random.standard_normal(variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(np.exp(0.2 * noise))
        elif variable.name in ("beta", "moving_mean", "bias"):
            variable.assign(0.2 * noise)
    copy_to_gray(colour, gray)
    return colour, gray


def outputs(model, layer, images):
    return keras.Model(model.input, model.get_layer(layer).output)(images).numpy()


def test_the_stem_computes_the_same_but_at_the_upper_edge(models):
    """With stride 2 and an even height only the first row's windows reach outside."""
    colour, gray = models
    images = np.random.default_rng(1).integers(0, 256, (3, *SIZE, 1)).astype(np.float32)
    expected = outputs(colour, "stem", np.repeat(images, 3, axis=-1))
    received = outputs(gray, "stem", images)
    assert np.ptp(expected) > 3
    np.testing.assert_allclose(received[:, 1:], expected[:, 1:], atol=1e-4)
    edge = np.abs(received[:, 0] - expected[:, 0])
    assert 1e-3 < edge.max() < 0.5


def test_what_comes_behind_is_the_same(models):
    colour, gray = models
    different = [
        variable.path
        for variable, other in zip(colour.weights, gray.weights, strict=True)
        if variable.shape != other.shape or not np.array_equal(variable, other)
    ]
    assert different == ["stem/vertical/kernel", "stem/vertical/batch_normalization/moving_mean"]
    images = np.random.default_rng(2).integers(0, 256, (8, *SIZE, 1)).astype(np.float32)
    expected = outputs(colour, "block_2", np.repeat(images, 3, axis=-1))
    received = outputs(gray, "block_2", images)
    others = outputs(gray, "block_2", 255 - images)
    root_mean_square = np.sqrt(np.mean((received - expected) ** 2))
    assert root_mean_square < 0.05 * np.sqrt(np.mean((others - expected) ** 2))


def test_imagenet_weights_are_summed_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    np.savez(tmp_path / "models" / "micronet-m0-imagenet.npz", **golden.state_dict("M0"))
    colour = keras_micronet.MicroNetM0(input_shape=(*SIZE, 3), include_top=False)
    gray = keras_micronet.MicroNetM0(input_shape=(*SIZE, 1), include_top=False)
    images = np.random.default_rng(3).integers(0, 256, (2, *SIZE, 1)).astype(np.float32)
    expected = outputs(colour, "stem", np.repeat(images, 3, axis=-1))
    received = outputs(gray, "stem", images)
    np.testing.assert_allclose(received[:, 1:], expected[:, 1:], atol=1e-3)
    last = colour.weights[-1].numpy(), gray.weights[-1].numpy()
    np.testing.assert_array_equal(*last)
