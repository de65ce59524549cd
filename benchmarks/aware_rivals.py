# SPDX-License-Identifier: Apache-2.0
"""Trains rivals with quantization simulated, by TensorFlow's toolkit and Keras 2.

`tensorflow-model-optimization` takes models of Keras 2 (`tf_keras`) only, so that the trained
network is copied into one. It refuses MobileNetV3, whose sigmoids are no layers of Keras 2.
"""

import functools

import numpy as np
import tensorflow as tf

from benchmarks import rivals
from keras_micronet.quantization import model_optimization
from training.datasets.batches import training_batches
from training.fitting.augmentation import random_changes

TRAINABLE = (rivals.RESNET8, rivals.MOBILENET_V2)
_NOT_KERNELS = ["bias", "gamma", "beta"]


def keras_2_copy(name, core):
    """The same network with the same weights, a model of Keras 2.

    Args:
        name: one of `TRAINABLE`.
        core: `rivals.core` of its model.
    """
    import tf_keras

    builders = {
        rivals.RESNET8: functools.partial(
            rivals.resnet8, layers=tf_keras.layers, model_class=tf_keras.Model
        ),
        rivals.MOBILENET_V2: functools.partial(
            tf_keras.applications.MobileNetV2, alpha=rivals.ALPHA, weights=None
        ),
    }
    shape, classes = core.input_shape[1:], core.output_shape[-1]
    copy = builders[name](input_shape=shape, classes=classes)
    copy.set_weights(core.get_weights())
    return copy


def train(name, core, dataset, recipe, seed):
    """Trains a copy of a network with its quantization simulated, and converts it.

    Args:
        name: one of `TRAINABLE`.
        core: `rivals.core` of its trained model; it stays as it is.
        dataset: an `ImageDataset`.
        recipe: a `QuantizeAwareRecipe`: all of it but for the freezing, which the toolkit does not
            have.
        seed: non-negative integer; decides the order and the random changes of the images.

    Returns:
        The bytes of a flatbuffer of int8.
    """
    import tf_keras

    model_optimization.quantizers()  # imports the package, and undoes what that does
    import tensorflow_model_optimization as toolkit

    model = toolkit.quantization.keras.quantize_model(keras_2_copy(name, core))
    steps = recipe.epochs * (dataset.train.size // recipe.batch_size)
    warmup = min(round(recipe.warmup * steps), steps - 1)
    schedule = tf_keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=recipe.peak_learning_rate, warmup_steps=warmup
    )
    optimizer = tf_keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=_NOT_KERNELS)
    loss = tf_keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
    model.compile(optimizer, loss)
    changes = random_changes(recipe, seed)
    batches = training_batches(
        dataset.train,
        dataset.image_size,
        len(dataset.class_names),
        recipe.batch_size,
        seed,
        smallest_crop=recipe.smallest_crop,
    )
    for images, labels in batches.take(steps):
        changed = {"images": images, "labels": labels}
        for layer in changes:
            changed = layer(changed, training=True)
        model.train_on_batch(rivals.normalize(np.asarray(changed["images"])), changed["labels"])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()
