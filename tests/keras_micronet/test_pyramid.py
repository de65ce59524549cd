# SPDX-License-Identifier: Apache-2.0
"""Features of a model without top, by their strides."""

import keras
import numpy as np
import pytest

import keras_micronet
from keras_micronet import layers
from tests.keras_micronet import models
from tests.keras_micronet.golden import golden

pytestmark = pytest.mark.slow

every_variant = pytest.mark.parametrize("variant", golden.VARIANTS)
SIZE = (70, 101)  # no multiple of any stride
# Channels of the last block of each stride, by the tables of the release.
CHANNELS = {
    "M0": {4: 8, 8: 12, 16: 32, 32: 384},
    "M1": {4: 8, 8: 16, 16: 32, 32: 576},
    "M2": {4: 12, 8: 24, 16: 64, 32: 768},
    "M3": {4: 16, 8: 24, 16: 80, 32: 864},
}
LEVELS = {4: "P2", 8: "P3", 16: "P4", 32: "P5"}


def backbone(variant, **arguments):
    return models.builder(variant)(
        include_top=False, weights=None, input_shape=(*SIZE, 3), **arguments
    )


def shape_at(stride, channels):
    return tuple(-(-size // stride) for size in SIZE) + (channels,)


@every_variant
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_levels_have_their_strides(variant, output_stride):
    model = backbone(variant, output_stride=output_stride)
    strides = [stride for stride in LEVELS if stride <= output_stride]
    expected = {LEVELS[stride]: shape_at(stride, CHANNELS[variant][stride]) for stride in strides}
    # All later blocks have the coarsest stride.
    expected[LEVELS[output_stride]] = shape_at(output_stride, CHANNELS[variant][32])
    found = {level: tensor.shape[1:] for level, tensor in model.pyramid_outputs.items()}
    assert found == expected
    assert model.output_shape[1:] == expected[LEVELS[output_stride]]


def test_levels_are_the_features_of_the_blocks():
    model = backbone("M0")
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)
    found = keras.Model(model.input, model.pyramid_outputs)(images)
    whole = model(images)
    np.testing.assert_array_equal(found["P5"], whole)
    features = images
    for layer in model.layers[1:]:
        features = layer(features)
        if layer.name == "block_2":
            np.testing.assert_array_equal(found["P3"], features)


def test_levels_are_there_after_loading(tmp_path):
    model = backbone("M0", output_stride=16)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).uniform(0, 255, (1, *SIZE, 3)).astype(np.float32)
    for level, features in keras.Model(model.input, model.pyramid_outputs)(images).items():
        again = keras.Model(loaded.input, loaded.pyramid_outputs)(images)[level]
        np.testing.assert_array_equal(again, features)


def test_levels_are_in_keras_data_format():
    keras.config.set_image_data_format("channels_first")
    try:
        model = keras_micronet.MicroNetM0(include_top=False, weights=None, input_shape=(3, *SIZE))
        shapes = {level: tensor.shape[1:] for level, tensor in model.pyramid_outputs.items()}
    finally:
        keras.config.set_image_data_format("channels_last")
    assert shapes["P2"] == (8, 18, 26)
    assert shapes["P5"] == model.output_shape[1:] == (384, 3, 4)


@every_variant
def test_weights_fit_every_output_stride(variant, tmp_path):
    whole = backbone(variant)
    path = tmp_path / "model.weights.h5"
    whole.save_weights(path)
    fine = backbone(variant, output_stride=8)
    fine.load_weights(path)
    assert fine.count_params() == whole.count_params()
    for own, others in zip(fine.weights, whole.weights, strict=True):
        np.testing.assert_array_equal(own, others)


@every_variant
def test_blocks_have_the_residuals_that_they_have_learned(variant):
    def residuals(model):
        blocks = [layer for layer in model.layers if isinstance(layer, layers.MicroBlock)]
        return [block.has_residual for block in blocks]

    assert residuals(backbone(variant, output_stride=8)) == residuals(backbone(variant))


def test_even_positions_of_fine_features_are_those_of_the_coarse_ones():
    """A stride leaves out positions: up to the first block that has lost its own, features of a
    finer model contain those of a coarser one."""
    whole, fine = (backbone("M0", output_stride=stride) for stride in (32, 8))
    fine.set_weights(whole.get_weights())
    block = whole.get_layer("block_3").depthwise
    other = fine.get_layer("block_3").depthwise
    images = np.random.default_rng(0).uniform(0, 255, (1, *SIZE, 3)).astype(np.float32)
    features = keras.Model(whole.input, whole.pyramid_outputs["P3"])(images)
    np.testing.assert_allclose(block(features), other(features)[:, ::2, ::2], atol=1e-5)


@pytest.mark.parametrize("value", [0, 4, 64, 7, "8", None])
def test_output_strides_are_refused(value):
    with pytest.raises(ValueError, match=f"Received: output_stride={value!r}"):
        backbone("M0", output_stride=value)


def test_output_stride_with_the_top_is_refused():
    with pytest.raises(ValueError, match="include_top=False.*Received: output_stride=8"):
        keras_micronet.MicroNetM0(weights=None, output_stride=8)
