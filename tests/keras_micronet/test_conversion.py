# SPDX-License-Identifier: Apache-2.0
"""The models leave Keras: SavedModel and TensorFlow Lite."""

import numpy as np
import pytest
import tensorflow as tf

import keras_micronet
from tests.keras_micronet import models

pytestmark = pytest.mark.slow


def test_saved_model(tmp_path):
    model = models.small_classifier()
    models.randomize(model)
    model.export(tmp_path / "exported", verbose=False)
    restored = tf.saved_model.load(str(tmp_path / "exported"))
    images = np.random.default_rng(6).standard_normal((3, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(restored.serve(images), model(images), atol=1e-4)


def test_tensorflow_lite(small_m0):
    single = keras_micronet.MicroNetM0(input_shape=(32, 32, 3), classes=5, weights=None)
    single.set_weights(small_m0.get_weights())
    converted = tf.lite.TFLiteConverter.from_keras_model(single).convert()
    interpreter = tf.lite.Interpreter(model_content=converted)
    (details,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(details["index"], (1, 32, 32, 3))
    interpreter.allocate_tensors()
    images, _ = models.red_or_blue_images(3, 32)
    for image in images:
        interpreter.set_tensor(details["index"], image[np.newaxis])
        interpreter.invoke()
        (output,) = interpreter.get_output_details()
        np.testing.assert_allclose(
            interpreter.get_tensor(output["index"]), small_m0(image[np.newaxis]), atol=1e-5
        )
