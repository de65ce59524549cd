# SPDX-License-Identifier: Apache-2.0
"""A camera's bytes become the model's integers."""

import keras
import numpy as np
import pytest

import keras_micronet
from tflm.passes import lowering, scales
from tflm.passes.input_normalization import InputNormalization


def raw_images():
    return np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)


def with_first_layers(*layers):
    """A model that begins with layers."""
    x = inputs = keras.Input((5, 4, 3))
    for layer in (*layers, keras_micronet.layers.GroupedPointwiseConv2D(4, 1)):
        x = layer(x)
    return keras.Model(inputs, x)


def normalized(*layers):
    """What Keras's own model of layers makes of raw images."""
    x = inputs = keras.Input((5, 4, 3))
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x).predict(raw_images().astype(np.float32), verbose=0)


def test_functions_of_users_are_what_they_are():
    expected = keras_micronet.preprocess_input(raw_images().astype(np.float32))
    actual = InputNormalization.of(keras_micronet.preprocess_input).normalize(raw_images())
    np.testing.assert_array_equal(actual, expected)


def adapted(images):
    layer = keras.layers.Normalization(axis=-1)
    layer.adapt(images)
    return layer


def constant_green():
    """Images with a channel that has no variance, which Keras divides by its epsilon."""
    images = raw_images().astype(np.float32)
    images[..., 1] = 77
    return images


FIRST_LAYERS = {
    "normalization": lambda: [
        keras.layers.Normalization(mean=[1, 2, 3], variance=[4, 9, 16], axis=-1)
    ],
    "one_number": lambda: [keras.layers.Normalization(mean=9.0, variance=4.0, axis=None)],
    "inverted": lambda: [
        keras.layers.Normalization(mean=[1, 2, 3], variance=[4, 9, 16], axis=-1, invert=True)
    ],
    "adapted": lambda: [adapted(raw_images().astype(np.float32))],
    "constant_channel": lambda: [adapted(constant_green())],
    "rescaling": lambda: [keras.layers.Rescaling(1 / 127.5, offset=-1)],
    "rescaling_of_channels": lambda: [
        keras.layers.Rescaling([0.1, 0.2, 0.3], offset=[1.0, 2.0, 3.0])
    ],
    "both": lambda: [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.1, 0.2, 0.3], axis=-1),
    ],
}


@pytest.mark.parametrize("name", FIRST_LAYERS)
def test_first_layers_are_computed_as_keras_does(name):
    model = with_first_layers(*FIRST_LAYERS[name]())
    actual = lowering.input_normalization(model).normalize(raw_images())
    np.testing.assert_array_equal(actual, normalized(*FIRST_LAYERS[name]()))
    assert np.all(np.isfinite(actual))


def test_normalization_by_hand():
    model = with_first_layers(*FIRST_LAYERS["normalization"]())
    normalization = lowering.input_normalization(model)
    np.testing.assert_allclose(
        normalization.normalize(np.array([[5, 5, 5]], np.uint8)), [[2.0, 1.0, 0.5]], rtol=1e-6
    )


def test_raw_input_stays_raw():
    normalization = lowering.input_normalization(with_first_layers())
    np.testing.assert_array_equal(normalization.values, [np.arange(256)] * 3)
    tables = normalization.tables(scales.affine(0.0, 255.0))
    np.testing.assert_array_equal(tables, [np.arange(-128, 128)] * 3)


def imagenet():
    return InputNormalization.of(keras_micronet.preprocess_input)


def test_tables_are_quantized_normalized_values():
    target = scales.affine(-2.2, 2.7)
    tables = imagenet().tables(target)
    assert tables.shape == (3, 256) and tables.dtype == np.int8
    # Green 200: (200 / 255 - 0.456) / 0.224 = 1.4656; scale 4.9 / 255, zero point -14.
    assert tables[1, 200] == round(1.4656 / (4.9 / 255)) - 14
    for table in tables:
        assert np.all(np.diff(table.astype(int)) >= 0)


def test_images_by_tables_equal_images_by_arithmetic():
    target = scales.affine(-2.2, 2.7)
    np.testing.assert_array_equal(
        imagenet().quantized_images(raw_images(), target),
        target.quantize(imagenet().normalize(raw_images())),
    )


def test_images_of_one_channel():
    inputs = keras.Input((32, 32, 1))
    x = keras.layers.Normalization(mean=[1], variance=[4], axis=-1)(inputs)
    model = keras.Model(inputs, keras_micronet.layers.GroupedPointwiseConv2D(4, 1)(x))
    images = np.array([1, 5], np.uint8).reshape(1, 2, 1, 1)
    normalized_images = lowering.input_normalization(model).normalize(images)
    np.testing.assert_allclose(normalized_images, np.array([0.0, 2.0]).reshape(1, 2, 1, 1))
