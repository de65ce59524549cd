# SPDX-License-Identifier: Apache-2.0
"""The dense layers of a chain, by their names, sources and matrices."""

import keras
import numpy as np
import pytest

from keras_micronet import layers
from keras_micronet.layer_chain import INPUT, unroll
from keras_micronet.quantization.dense_layers import dense_layers
from keras_micronet.quantization.plan import plan
from tests.keras_micronet.quantization import chains


def described(model):
    return {layer.name: layer.source for layer in dense_layers(plan(unroll(model)))}


@pytest.mark.parametrize(
    ("steps", "sources"),
    [
        ([keras.layers.GlobalAveragePooling2D(name="pool")], "pool"),
        (
            [
                keras.layers.GlobalAveragePooling2D(name="pool"),
                keras.layers.Activation("hard_swish", name="swish"),
                keras.layers.Dropout(0.5),
            ],
            "swish",
        ),
        (
            [
                keras.layers.GlobalAveragePooling2D(name="pool"),
                keras.layers.ReLU(name="relu"),
            ],
            "relu",
        ),
    ],
    ids=["pool", "past_a_dropout", "relu_of_its_own"],
)
def test_source_of_a_dense_layer(steps, sources):
    model = chains.chain((2, 2, 4), *steps, keras.layers.Dense(3, name="dense"))
    assert described(model) == {"dense": sources}


def test_source_is_named_by_the_result():
    """A ReLU is known by the name of the layer that computes it."""
    model = chains.chain(
        (1, 1, 4),
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dense(5, activation="relu", name="first"),
        keras.layers.Dense(3, name="second"),
    )
    assert described(model) == {"first": "pool", "second": "first"}


@pytest.mark.parametrize("fusions", [1, 2])
def test_within_dynamic_shift_max(fusions):
    layer = layers.DynamicShiftMax(2, fusions=fusions, reduction_ratio=1, name="fuse")
    model = chains.chain((2, 2, 4), layer)
    found = {item.name: item for item in dense_layers(plan(unroll(model)))}
    names = ["fuse/a1", "fuse/b1", "fuse/a2", "fuse/b2"][: 2 * fusions]
    assert list(found) == ["fuse/squeeze", *names]
    assert found["fuse/squeeze"].source == "fuse/pool"
    np.testing.assert_array_equal(found["fuse/squeeze"].matrix, layer.squeeze.kernel)
    for index, name in enumerate(names):
        assert found[name].source == "fuse/squeeze"
        # A hard sigmoid is z / 6 + 1/2 within its limits; the layer takes 4 times that.
        columns = np.array(layer.excite.kernel)[:, 4 * index : 4 * index + 4]
        np.testing.assert_allclose(found[name].matrix, 4 * columns / 6, rtol=1e-6)


def test_source_after_dynamic_shift_max():
    model = chains.chain(
        (2, 2, 4),
        layers.DynamicShiftMax(2, reduction_ratio=1, name="one"),
        layers.ChannelShuffle(2),
        layers.DynamicShiftMax(2, fusions=1, reduction_ratio=1, name="two"),
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dense(2, name="dense"),
    )
    assert described(model)["two/squeeze"] == "two/pool"
    assert described(model)["dense"] == "pool"


@pytest.mark.parametrize(("fusions", "result"), [(1, "fuse/fusion1"), (2, "fuse/maximum")])
def test_reading_a_dynamic_shift_max(fusions, result):
    fuse = layers.DynamicShiftMax(2, fusions=fusions, reduction_ratio=1, name="fuse")
    model = chains.chain((1, 1, 4), fuse, keras.layers.Dense(2, name="dense"))
    assert described(model)["dense"] == result


def test_first_layer_reads_the_images():
    """Dense layers of Keras take images too, if they have one pixel."""
    model = chains.chain((1, 1, 4), keras.layers.Dense(3, name="dense"))
    assert described(model) == {"dense": INPUT}


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}])
def test_batch_normalization_is_folded(options):
    normalization = keras.layers.BatchNormalization(**options)
    dense = keras.layers.Dense(3)
    model = chains.chain((2, 2, 4), keras.layers.GlobalAveragePooling2D(), dense, normalization)
    (layer,) = dense_layers(plan(unroll(model)))
    deviation = np.sqrt(np.array(normalization.moving_variance) + normalization.epsilon)
    gamma = 1.0 if normalization.gamma is None else np.array(normalization.gamma)
    np.testing.assert_allclose(layer.matrix, np.array(dense.kernel) * gamma / deviation, rtol=1e-5)
