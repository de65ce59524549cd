# SPDX-License-Identifier: Apache-2.0
"""The layers as parts of somebody else's model: Sequential, subclassed, compiled."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_micronet import layers
from tests.keras_micronet import models

pytestmark = pytest.mark.slow


@keras.saving.register_keras_serializable(package="tests")
class SubclassedModel(keras.Model):
    """A user's own model around the public layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.convolution = keras.layers.Conv2D(8, 3, strides=2)
        self.shuffle = layers.ChannelShuffle(2)
        self.activation = layers.DynamicShiftMax(4, fusions=2)
        self.block = layers.MicroBlock(8, expand_groups=(4, 4), expansion=(1, 2))
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.classify = keras.layers.Dense(2)

    def call(self, images, training=None):
        x = self.activation(self.shuffle(self.convolution(images)))
        x = self.block(x, training=training)
        return self.classify(self.pool(x))


def sequential_model():
    return keras.Sequential(
        [
            layers.FactorizedStem((2, 2)),
            layers.FactorizedPointwiseConv2D(8, 4, groups=2, kernel_regularizer="l2"),
            keras.layers.ReLU(),
            layers.FactorizedDepthwiseConv2D(3, strides=2),
            layers.GroupedPointwiseConv2D(16, 4),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )


def compiled(model, **options):
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **options,
    )
    return model


def final_loss_ratio(model, epochs):
    """How much of the first epoch's loss is left after the last one."""
    images, labels = models.red_or_blue_images(64, 16)
    images = images / 127.5 - 1.0
    history = model.fit(images, labels, batch_size=16, epochs=epochs, verbose=0, shuffle=False)
    losses = history.history["loss"]
    assert np.all(np.isfinite(losses))
    return losses[-1] / losses[0]


@pytest.mark.parametrize("build", [sequential_model, SubclassedModel])
def test_trains_and_survives_saving(build, tmp_path):
    model = compiled(build())
    assert final_loss_ratio(model, epochs=8) < 0.5
    images, _ = models.red_or_blue_images(6, 16)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(images), model(images), rtol=1e-6)


def test_training_moves_the_statistics_of_inner_layers():
    model = compiled(sequential_model(), run_eagerly=True)
    images, labels = models.red_or_blue_images(8, 16)
    model.fit(images, labels, epochs=1, verbose=0)
    statistics = [weight for weight in model.weights if weight.name == "moving_mean"]
    assert len(statistics) == 7
    assert all(np.array(weight).any() for weight in statistics)


def small_model():
    """Every kind of operation once: XLA takes seconds for each."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            layers.FactorizedDepthwiseConv2D(3, strides=2),
            layers.ChannelShuffle(2),
            layers.GroupedPointwiseConv2D(8, 2),
            layers.DynamicShiftMax(4, initial_a=(1.0, 0.5), initial_b=(0.0, 0.5)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )


def test_xla_trains_and_predicts_as_eager_execution_does():
    images = np.random.default_rng(3).standard_normal((16, 8, 8, 4)).astype(np.float32)
    labels = np.arange(16) % 2
    eager, xla = small_model(), small_model()
    xla.set_weights(eager.get_weights())
    losses = []
    for model, options in ((eager, {"run_eagerly": True}), (xla, {"jit_compile": True})):
        compiled(model, **options)
        history = model.fit(images, labels, batch_size=16, epochs=3, verbose=0, shuffle=False)
        losses.append(history.history["loss"])
    assert xla.jit_compile is True
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    for got, expected in zip(xla.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-4)
    np.testing.assert_allclose(
        xla.predict(images, verbose=0), eager.predict(images, verbose=0), atol=1e-4
    )


def test_gradient_accumulates_over_a_tape_of_two_calls():
    layer = layers.DynamicShiftMax(2)
    images = tf.random.stateless_normal((2, 3, 3, 4), (1, 2))
    with tf.GradientTape(persistent=True) as tape:
        once = tf.reduce_sum(layer(images) ** 2)
        twice = tf.reduce_sum(layer(images) ** 2) + tf.reduce_sum(layer(images) ** 2)
    for variable in layer.trainable_variables:
        single, double = (tape.gradient(loss, variable.value) for loss in (once, twice))
        np.testing.assert_allclose(double, 2 * single, rtol=1e-5, atol=1e-7)
