# SPDX-License-Identifier: Apache-2.0
"""Small pictures of discs and squares, to be found, filled and pointed at by small grid models."""

import keras
import numpy as np

import keras_micronet
from keras_micronet import layers
from keras_micronet.grid import GridCrossentropy, HeatmapCrossentropy
from keras_micronet.grid_answers.labels import cell_answers
from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT

# Neither side is a multiple of the stride.
SIZE = (42, 54)
STRIDE = 4
CLASS_NAMES = ("disc", "square")
_RADIUS = 5
_MOST_OBJECTS = 3


def pictures(task, count, seed, channels=3):
    """Discs and squares on noise.

    Args:
        task: what is to be answered.
        count: number of pictures.
        seed: of all that is random.
        channels: 3 or 1.

    Returns:
        uint8 images `(count, *SIZE, channels)`, and their labels for the task. To find joints, each
        picture has one disc and at most one square; else up to three objects.
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
            where = _inside(shape, y, x)
            # Both are lighter or darker by chance: only their form tells them apart.
            images[image][where] += generator.uniform(50, 80) * generator.choice([-1, 1])
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


def _inside(shape, y, x):
    rows, columns = np.indices(SIZE) + 0.5
    down, right = rows - y, columns - x
    if shape == 0:
        return down**2 + right**2 <= _RADIUS**2
    return np.maximum(abs(down), abs(right)) <= _RADIUS


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
    x = layers.FactorizedStem((4, 2))(x)
    x = layers.MicroBlock(
        16,
        strides=2,
        expansion=(2, 2),
        expand_groups=(0, 8),
        project_groups=(4, 4),
        fusions=(0, 2, 1),
        name="block",
    )(x)
    x = layers.GroupedPointwiseConv2D(16, 1, name="head")(x)
    x = keras.layers.ReLU(6.0, name="head_relu6")(x)
    is_heatmap = task == KEYPOINTS
    x = keras.layers.Conv2D(len(CLASS_NAMES) + (not is_heatmap), 1, name="answers")(x)
    outputs = keras.layers.Activation("sigmoid" if is_heatmap else "softmax")(x)
    return keras.Model(inputs, outputs, name=f"small_{task}")


def trained_model(task, count=400, epochs=12, channels=3):
    """A `small_model` that has learned pictures."""
    keras.utils.set_random_seed(0)
    images, labels = pictures(task, count, 0, channels)
    model = small_model(task, channels)
    answers = np.stack(
        [cell_answers(task, label, SIZE, STRIDE, len(CLASS_NAMES)) for label in labels]
    )
    weight = 1.0 if task == SEGMENT else 20.0
    loss = HeatmapCrossentropy(weight) if task == KEYPOINTS else GridCrossentropy(weight)
    model.compile(keras.optimizers.AdamW(1e-2), loss)
    model.fit(images, answers, batch_size=25, epochs=epochs, verbose=0)
    return keras.Model(model.inputs, model.outputs, name=model.name)


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
