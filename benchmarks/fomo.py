# SPDX-License-Identifier: Apache-2.0
"""Edge Impulse's FOMO, "faster objects, more objects", from Keras's own layers: what MicroNet's
grid models are measured beside.

As its maker describes it: MobileNetV2 with a width of 0.35, cut where the sixth block has expanded
its channels, so that a cell is 8 pixels; a 1x1 convolution of 32 channels with ReLU, and one that
answers with the background and each class. Nearby cells of a class are merged to one object.
"""

import keras
import numpy as np
import scipy.ndimage

from keras_micronet.grid_answers.objects import CELL, Objects

OUTPUT_STRIDE = 8
_ALPHA = 0.35
_CUT = "block_6_expand_relu"
_HEAD_WIDTH = 32
_CORE = "core"
_HALF_RANGE = 127.5
# Keras's MobileNetV2 has 0.999, which lags behind in trainings of a thousand steps.
_MOMENTUM = 0.9
_EVERY_NEIGHBOUR = np.ones((3, 3))


def build(input_shape, classes):
    """The network with random weights.

    Args:
        input_shape: height, width and channels of the images.
        classes: number of classes without the background.

    Returns:
        A Keras model from images `(batch, height, width, 3)` in [0, 255] to probabilities
        `(batch, rows, columns, classes + 1)`, the background first.
    """
    backbone = keras.applications.MobileNetV2(
        input_shape=input_shape, alpha=_ALPHA, include_top=False, weights=None
    )
    x = backbone.get_layer(_CUT).output
    x = keras.layers.Conv2D(_HEAD_WIDTH, 1, activation="relu", name="head")(x)
    x = keras.layers.Conv2D(classes + 1, 1, name="answers")(x)
    x = keras.layers.Softmax(name="predictions")(x)
    core = keras.models.clone_model(keras.Model(backbone.input, x), clone_function=_with_momentum)
    core.name = _CORE
    images = keras.Input(input_shape, name="images")
    normalized = keras.layers.Rescaling(1 / _HALF_RANGE, -1.0, name="normalization")(images)
    return keras.Model(images, core(normalized), name="fomo")


def _with_momentum(layer):
    config = layer.get_config()
    if isinstance(layer, keras.layers.BatchNormalization):
        config["momentum"] = _MOMENTUM
    return type(layer).from_config(config)


def core(model):
    """The part that runs on a device, a Keras model of normalized images."""
    return model.get_layer(_CORE)


def normalize(images):
    """What `core` takes of raw images."""
    return images.astype("float32") / _HALF_RANGE - 1.0


def merge_cells(probabilities, thresholds):
    """The objects of one image by FOMO's own rule: touching cells of a class are one.

    Args:
        probabilities: integers `(rows, columns, classes + 1)` in Q15, the background first.
        thresholds: integers `(classes,)` in Q15.

    Returns:
        `Objects`, each in the middle of the box around its cells, as probable as the most probable
        of them.
    """
    found = []
    for chosen, threshold in enumerate(thresholds):
        chances = probabilities[..., 1 + chosen]
        labels, _ = scipy.ndimage.label(chances >= threshold, _EVERY_NEIGHBOUR)
        for number, (rows, columns) in enumerate(scipy.ndimage.find_objects(labels), start=1):
            sides = [CELL * (each.stop - each.start) for each in (columns, rows)]
            centres = [CELL * (each.stop + each.start) // 2 for each in (columns, rows)]
            score = chances[labels == number].max()
            found.append((chosen, *centres, *sides, score))
    values = np.asarray(found, np.int32).reshape(-1, 6)
    return Objects(*values[np.argsort(-values[:, 5], kind="stable")].T)
