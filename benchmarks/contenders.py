# SPDX-License-Identifier: Apache-2.0
"""What speed is compared of: the variants, copies of stock layers, and MobileNetV3-Small."""

import keras
import numpy as np
import tensorflow as tf

import keras_micronet
from benchmarks.stock_micronet import stock_copy

MOBILENET = "MobileNetV3Small 0.35"


def networks(variants, size, with_stock):
    """Networks with random weights and 1000 classes.

    Args:
        variants: names such as "M0".
        size: height and width of the images, in pixels.
        with_stock: whether each variant's copy of Keras's own layers takes part.

    Returns:
        Dict from names, `MOBILENET`, "M0" and "M0 stock", to Keras models.
    """
    models = {
        MOBILENET: keras.applications.MobileNetV3Small(
            input_shape=(size, size, 3), alpha=0.35, weights=None, minimalistic=False
        )
    }
    for variant in variants:
        constructor = getattr(keras_micronet, f"MicroNet{variant}")
        models[variant] = constructor(input_shape=(size, size, 3), weights=None)
        if with_stock:
            models[f"{variant} stock"] = stock_copy(models[variant])
    return models


def training_step(model, batch_size):
    """A function without arguments that trains `model` on one batch of noise.

    Forward pass, backward pass and the update of SGD, in one `tf.function`.
    """
    noise = np.random.default_rng(0).uniform(0, 255, (batch_size, *model.input_shape[1:]))
    images = tf.constant(noise, tf.float32)
    labels = tf.range(batch_size) % model.output_shape[-1]
    optimizer = keras.optimizers.SGD(0.01)
    optimizer.build(model.trainable_variables)
    loss_function = keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = loss_function(labels, model(images, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return lambda: step(images, labels).numpy()
