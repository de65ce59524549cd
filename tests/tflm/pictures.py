# SPDX-License-Identifier: Apache-2.0
"""Small pictures of near classes, as photographs are: nobody can tell all of them apart."""

import keras
import numpy as np

import keras_micronet
from keras_micronet import layers

SHAPE = (24, 20, 3)
CLASS_NAMES = ("dusk", "dawn", "noon")
# How far the means of neighbouring classes' light are from each other, in deviations within a
# class. The best answers are then right for 1 - P(|normal| > 1) * 2 / 3 of the pictures: 79%.
_DISTANCE = 2.0


def pictures(count, seed):
    """Waves of colour in a light that the class decides, but for its chance.

    Args:
        count: number of pictures, of each class in turn.
        seed: of all that is random.

    Returns:
        uint8 array `(count, *SHAPE)`, and the classes, integers `(count,)`.
    """
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASS_NAMES)
    light = _DISTANCE * (labels - 1) + generator.standard_normal(count)
    color = np.array([16.0, 4.0, -16.0])  # warm or cold
    images = 120 + light[:, np.newaxis, np.newaxis, np.newaxis] * color
    images = images + _waves(count, generator) + generator.normal(0, 5, (count, *SHAPE))
    return np.clip(np.round(images), 0, 255).astype(np.uint8), labels


def _waves(count, generator):
    rows, columns = np.indices(SHAPE[:2])[..., np.newaxis]
    turns = generator.uniform(-0.2, 0.2, (2, count, 1, 1, 1))
    phases = generator.uniform(0, 1, (count, 1, 1, SHAPE[-1]))
    return 40 * np.sin(2 * np.pi * (rows * turns[0] + columns * turns[1] + phases))


def stem_and_block(x):
    """A few layers of MicroNet, with Dynamic Shift-Max of one fusion and of two."""
    x = layers.FactorizedStem((4, 2))(x)
    return layers.MicroBlock(
        16,
        strides=2,
        expansion=(2, 2),
        expand_groups=(0, 8),
        project_groups=(4, 4),
        fusions=(0, 2, 1),
        name="block",
    )(x)


def small_model(channels=SHAPE[-1]):
    """`stem_and_block`, and what classifies."""
    inputs = keras.Input((*SHAPE[:2], channels))
    x = keras.layers.Normalization(axis=-1, mean=[120.0] * channels, variance=[50.0**2] * channels)(
        inputs
    )
    x = stem_and_block(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(len(CLASS_NAMES), activation="softmax", name="classifier")(x)
    return keras.Model(inputs, outputs, name="small_micronet")


def trained_model(images, labels, epochs=15):
    """A `small_model` that has learned pictures."""
    keras.utils.set_random_seed(0)
    model = small_model(images.shape[-1])
    model.compile(keras.optimizers.AdamW(1e-2), "sparse_categorical_crossentropy")
    model.fit(images, labels, batch_size=50, epochs=epochs, verbose=0)
    return keras.Model(model.inputs, model.outputs, name=model.name)


def write_run(folder, model, calibration, test, class_names=CLASS_NAMES, validation=None):
    """Writes a run folder.

    Args:
        folder: its path.
        model: the Keras model.
        calibration, test: pairs of images and labels.
        class_names: one for each output.
        validation: a pair, too, or `None` for none.
    """
    keras_micronet.write_run_folder(
        folder, model, class_names, calibration, test, validation=validation
    )
    return folder
