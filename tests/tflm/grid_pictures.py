# SPDX-License-Identifier: Apache-2.0
"""Small pictures of light and dark discs, and small models that find, fill or point at them."""

import keras
import numpy as np

import keras_micronet
from keras_micronet import layers
from keras_micronet.grid_answers.labels import cell_answers
from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT
from tests.tflm.pictures import stem_and_block

# Neither side is a multiple of the stride.
SIZE = (42, 54)
STRIDE = 4
CLASS_NAMES = ("light", "dark")
_RADIUS = 5
_MOST_OBJECTS = 3
_HEAD_WIDTH = 64


def pictures(task, count, seed, channels=3):
    """Light and dark discs on noise.

    Args:
        task: what is to be answered.
        count: number of pictures.
        seed: of all that is random.
        channels: 3 or 1.

    Returns:
        uint8 images `(count, *SIZE, channels)`, and their labels for the task. To find joints, each
        picture has one light disc and at most one dark; else up to three of any kind.
    """
    generator = np.random.default_rng(seed)
    images = generator.normal(110, 12, (count, *SIZE, channels))
    boxes = np.full((count, _MOST_OBJECTS, 5), -1, np.float32)
    masks = np.zeros((count, *SIZE), np.uint8)
    for image in range(count):
        if task == KEYPOINTS:
            chosen = [0, 1][: generator.integers(1, 3)]
        else:
            chosen = generator.integers(0, 2, generator.integers(0, _MOST_OBJECTS + 1))
        for row, shape in enumerate(chosen):
            y, x = _place(boxes[image, :row], generator)
            where = _inside(y, x)
            images[image][where] += generator.uniform(30, 70) * (-1) ** shape
            masks[image][where] = shape + 1
            boxes[image, row] = shape, y - _RADIUS, x - _RADIUS, y + _RADIUS, x + _RADIUS
    labels = {DETECT: boxes, SEGMENT: masks, KEYPOINTS: _joints(boxes)}[task]
    return np.clip(np.round(images), 0, 255).astype(np.uint8), labels


def _place(boxes, generator):
    """A centre at least a diameter and a half from others', if it is found soon."""
    for _ in range(20):
        place = [generator.uniform(_RADIUS, side - _RADIUS) for side in SIZE]
        others = (boxes[:, 1:3] + boxes[:, 3:]) / 2
        if not len(others) or np.linalg.norm(others - place, axis=-1).min() > 3 * _RADIUS:
            break
    return place


def _inside(y, x):
    rows, columns = np.indices(SIZE) + 0.5
    return (rows - y) ** 2 + (columns - x) ** 2 <= _RADIUS**2


def _joints(boxes):
    joints = np.full((len(boxes), len(CLASS_NAMES), 2), np.nan, np.float32)
    for image, its_boxes in enumerate(boxes):
        for shape, top, left, bottom, right in its_boxes[its_boxes[:, 0] >= 0]:
            joints[image, int(shape)] = (top + bottom) / 2, (left + right) / 2
    return joints


def small_model(task, channels=3, size=SIZE):
    """A stem and a block of MicroNet, and the head of grid models."""
    inputs = keras.Input((*size, channels))
    x = keras.layers.Rescaling(1 / 40, offset=-110 / 40)(inputs)
    x = stem_and_block(x)
    x = layers.GroupedPointwiseConv2D(_HEAD_WIDTH, 1, name="head")(x)
    x = keras.layers.ReLU(6.0, name="head_relu6")(x)
    is_heatmap = task == KEYPOINTS
    x = keras.layers.Conv2D(len(CLASS_NAMES) + (not is_heatmap), 1, name="answers")(x)
    outputs = keras.layers.Activation("sigmoid" if is_heatmap else "softmax")(x)
    return keras.Model(inputs, outputs, name=f"small_{task}")


def fitted_model(task, count=150, channels=3):
    """A `small_model` of random layers whose last one answers as well as these let it.

    That is found by least squares in a moment, where a training takes its time.
    """
    keras.utils.set_random_seed(0)
    model = small_model(task, channels)
    images, labels = pictures(task, count, 3, channels)
    features = keras.Model(model.inputs, model.get_layer("head_relu6").output)
    features = features.predict(images, verbose=0).reshape(-1, _HEAD_WIDTH).astype(np.float64)
    there = np.stack(
        [cell_answers(task, label, SIZE, STRIDE, len(CLASS_NAMES)) for label in labels]
    )
    if task == KEYPOINTS:
        wanted = there.reshape(-1, len(CLASS_NAMES))
    else:
        wanted = np.eye(len(CLASS_NAMES) + 1)[there.flatten()]
    # Cells of objects are few, and count as much as the others.
    is_object = wanted[:, -len(CLASS_NAMES) :].any(axis=1)
    weight = np.sqrt(np.where(is_object, 1 / is_object.mean(), 1.0))[:, np.newaxis]
    inputs = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    solution, *_ = np.linalg.lstsq(inputs * weight, (12 * wanted - 6) * weight, rcond=1e-6)
    kernel, bias = solution[:-1], solution[-1]
    model.get_layer("answers").set_weights([kernel[np.newaxis, np.newaxis], bias])
    return model


def write_run(folder, task, model, tests=150, validation=100, channels=3):
    """Writes a run folder of a model, with so many pictures of either kind; `None` for none."""
    watched = None if validation is None else pictures(task, validation, 2, channels)
    keras_micronet.write_run_folder(
        folder,
        model,
        CLASS_NAMES,
        pictures(task, 50, 0, channels),
        pictures(task, tests, 1, channels),
        task=task,
        validation=watched,
    )
    return folder
