# SPDX-License-Identifier: Apache-2.0
"""Run by `test_new_process`: loads a quantized model, then trains on one device and on two.

Takes a folder with `model.keras`, `images.npy` and its `outputs.npy`; prints what happened as JSON.
"""

import json
import os
import pathlib
import subprocess
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

import keras_micronet  # alone makes the model known to Keras

VARIABLE = "TF_USE_LEGACY_KERAS"
CHILD = f"import os; print({VARIABLE!r} in os.environ)"


def loaded_model_gives(folder):
    """Whether the saved model gives the same outputs bit for bit."""
    model = keras.saving.load_model(folder / "model.keras")
    outputs = model(np.load(folder / "images.npy")).numpy()
    return bool(np.array_equal(outputs, np.load(folder / "outputs.npy")))


def side_effects():
    """What importing tensorflow-model-optimization would change, and has not."""
    command = [sys.executable, "-c", CHILD]
    child = subprocess.run(command, capture_output=True, text=True, check=True)
    return {
        "imported": "tensorflow_model_optimization" in sys.modules,
        "variable": os.environ.get(VARIABLE),
        "variable in children": child.stdout.strip(),
        "tf.keras is Keras 3": tf.keras.Model is keras.Model,
    }


def trained(strategy, *fractions):
    """A model after two epochs for each pair of fractions of its freezing, and the losses."""
    from tests.keras_micronet import models
    from tests.keras_micronet.quantization import chains

    images, labels = models.red_or_blue_images(32, 8)
    images = images / 127.5 - 1.0
    with strategy.scope():
        float_model = chains.chain(
            (8, 8, 3),
            keras_micronet.layers.NormalizedConv2D(4, 3, strides=2),
            keras.layers.ReLU(6.0),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(6),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.Dense(2),
        )
        tf.config.run_functions_eagerly(True)  # to trace takes longer than to run once
        model = keras_micronet.quantization.quantize_aware(float_model, images[:8])
        tf.config.run_functions_eagerly(False)
        model.compile(
            keras.optimizers.SGD(0.05, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
    start, weights, losses, ranges = model.get_weights(), [], [], []
    for pair in fractions:
        schedule = keras_micronet.quantization.FreezeSchedule(*pair)
        options = {"batch_size": 16, "shuffle": False, "verbose": 0, "callbacks": [schedule]}
        losses += model.fit(images, labels, epochs=2, **options).history["loss"]
        weights.append(model.get_weights())
        ranges.append(model.activation_ranges)
    return start, weights, losses, ranges


def largest_difference(weights, others):
    return float(max(np.abs(a - b).max() for a, b in zip(weights, others, strict=True)))


def two_devices():
    """Frozen, one device and two must agree; free, the ranges must move and the model learn."""
    start, (single,), _, _ = trained(tf.distribute.get_strategy(), (0, 0))
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    _, (frozen, _), losses, (before, after) = trained(strategy, (0, 0), (1, 1))
    return {
        "moved": largest_difference(start, single),
        "difference": largest_difference(single, frozen),
        "losses": losses,
        "ranges that moved": sum(before[name] != after[name] for name in before),
        "ranges": len(before),
    }


def main(folder):
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    result = {"same outputs": loaded_model_gives(pathlib.Path(folder))}
    result |= side_effects()
    result |= two_devices()
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
