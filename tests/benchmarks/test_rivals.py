# SPDX-License-Identifier: Apache-2.0
"""The networks beside MicroNet are those that their authors published."""

import keras
import numpy as np
import pytest
import tf_keras

import keras_micronet
from benchmarks import aware_rivals, export_size, photographs, rivals, tflite_micro
from tests.training.conftest import TINY_SIZE, make_tiny_dataset
from training.recipes.recipes import SMALL_IMAGES, quantize_aware_recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def resnet8():
    return rivals.build(rivals.RESNET8, 32, 10)


def test_resnet8_is_that_of_mlperf_tiny(resnet8):
    """78,666 parameters and 12.5 million multiply-adds (arXiv 2106.07597 and its repository)."""
    cost = keras_micronet.summarize(resnet8)
    assert cost.parameters == 78_666
    assert round(cost.multiply_adds / 1e6, 1) == 12.5
    core = rivals.core(resnet8)
    strides = [it.strides for it in core.layers if isinstance(it, keras.layers.Conv2D)]
    assert len(strides) == 9 and sorted(strides)[-4:] == [(2, 2)] * 4


@pytest.mark.parametrize("name", rivals.RIVALS)
def test_raw_images_are_normalized_before_the_core(name):
    model = rivals.build(name, 32, 3)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    normalized = rivals.normalize(images)
    assert -1 <= normalized.min() < -0.9 and 0.9 < normalized.max() <= 1
    probabilities = model(images.astype(np.float32)).numpy()
    np.testing.assert_allclose(probabilities, rivals.core(model)(normalized), atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", aware_rivals.TRAINABLE)
def test_the_copy_of_keras_2_is_the_same_function(name):
    core = rivals.core(rivals.build(name, 32, 3))
    copy = aware_rivals.keras_2_copy(name, core)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(copy(images), core(images), atol=1e-6)


def test_a_rival_learns_with_its_quantization_simulated(monkeypatch):
    """A small one from random weights, so that what it knows in the end it has learned so."""
    layers = tf_keras.layers
    small = tf_keras.Sequential(
        [
            layers.Input((*TINY_SIZE, 3)),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    weights = small.get_weights()
    monkeypatch.setattr(aware_rivals, "keras_2_copy", lambda name, core: small)
    dataset = make_tiny_dataset()
    recipe = quantize_aware_recipe(
        SMALL_IMAGES, image_size=TINY_SIZE, batch_size=8, epochs=10, learning_rate=0.05
    )
    data = aware_rivals.train("a rival", None, dataset, recipe, seed=0)
    assert all(map(np.array_equal, small.get_weights(), weights))
    images, labels = zip(*dataset.test.images().as_numpy_iterator(), strict=True)
    assert photographs.converted_accuracy(data, np.stack(images), np.array(labels)) == 1.0


def test_what_a_converted_model_needs_of_the_resolver_is_known(resnet8):
    core = rivals.core(resnet8)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    names = tflite_micro.operators(export_size.convert(core, images))
    assert names == {"Conv2D", "Add", "Mean", "FullyConnected", "Softmax"}


def test_a_tree_without_a_library_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="built once as benchmarks.tflite_micro says. Received"):
        tflite_micro.measure(b"", tmp_path, tmp_path)
    assert "OPTIMIZED_KERNEL_DIR=cmsis_nn" in tflite_micro.__doc__
