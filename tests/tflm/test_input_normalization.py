"""A camera's bytes become the model's integers."""

import keras
import numpy as np
import pytest

import keras_micronet
from tests.tflm.micronets import random_micronet
from tflm import lowering, scales
from tflm.input_normalization import InputNormalization


def raw_images():
    return np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)


def test_imagenet_normalization_is_the_library_s():
    expected = keras_micronet.preprocess_input(raw_images().astype(np.float32))
    actual = InputNormalization.of_imagenet().normalize(raw_images())
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_model_s_own_normalization_is_used():
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Normalization(mean=[1, 2, 3], variance=[4, 9, 16], axis=-1)(inputs)
    model = keras.Model(inputs, keras_micronet.layers.GroupedPointwiseConv2D(4, 1)(x))
    normalization = lowering.input_normalization(model)
    np.testing.assert_allclose(
        normalization.normalize(np.array([[5, 5, 5]], np.uint8)), [[2.0, 1.0, 0.5]], rtol=1e-6
    )


def test_model_without_normalization_is_fed_imagenet_s():
    model = random_micronet("M0", (32, 32, 3), include_preprocessing=False)
    np.testing.assert_allclose(
        lowering.input_normalization(model).mean, [123.675, 116.28, 103.53], rtol=1e-6
    )


def test_tables_are_quantized_normalized_values():
    target = scales.affine(-2.2, 2.7)
    tables = InputNormalization.of_imagenet().tables(target)
    assert tables.shape == (3, 256) and tables.dtype == np.int8
    # Green 200: (200 / 255 - 0.456) / 0.224 = 1.4656; scale 4.9 / 255, zero point -14.
    assert tables[1, 200] == round(1.4656 / (4.9 / 255)) - 14
    for table in tables:
        assert np.all(np.diff(table.astype(int)) >= 0)


def test_images_by_tables_equal_images_by_arithmetic():
    target = scales.affine(-2.2, 2.7)
    normalization = InputNormalization.of_imagenet()
    np.testing.assert_array_equal(
        normalization.quantized_images(raw_images(), target),
        target.quantize(normalization.normalize(raw_images())),
    )


def test_normalization_of_other_channels_is_refused():
    inputs = keras.Input((32, 32, 1))
    x = keras.layers.Normalization(mean=[1], variance=[4], axis=-1)(inputs)
    model = keras.Model(inputs, keras_micronet.layers.GroupedPointwiseConv2D(4, 1)(x))
    with pytest.raises(ValueError, match="3 channels. Received: .* with 1 channels"):
        lowering.input_normalization(model)
