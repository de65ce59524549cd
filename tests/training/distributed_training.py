# SPDX-License-Identifier: Apache-2.0
"""A training of a small network of MicroNet's layers on several devices, for tests.

Arguments: `one`, `mirrored` (two CPU devices in this process) or `worker` (TF_CONFIG says which);
the file to write the weights to; the folder of checkpoints.
"""

import dataclasses
import json
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_micronet import layers
from tests.training.conftest import TINY_SIZE, make_tiny_dataset
from training.fitting.checkpoints import CheckpointFolder
from training.fitting.strategies import make_strategy
from training.fitting.trainer import make_reproducible, train
from training.recipes.recipes import SMALL_IMAGES


def build_network():
    """Layers whose batch normalization sees the batch; nothing random."""
    return keras.Sequential(
        [
            keras.layers.Input((*TINY_SIZE, 3)),
            keras.layers.Rescaling(1 / 127.5, offset=-1.0),
            layers.FactorizedStem((2, 2)),
            layers.DynamicShiftMax(groups=2),
            layers.FactorizedDepthwiseConv2D(3, depth_multipliers=(2, 1)),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ],
        name="small_network",
    )


def two_devices():
    """A strategy for two devices, both this computer's processor."""
    (processor,) = tf.config.list_physical_devices("CPU")
    device = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(processor, [device, device])
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


STRATEGIES = {
    "one": lambda: make_strategy("one-device"),
    "mirrored": two_devices,
    "worker": lambda: make_strategy("auto"),
}


def main(kind, weights_file, checkpoints_folder):
    strategy = STRATEGIES[kind]()
    make_reproducible(3)
    changes = {"rotation": 0.0, "translation": 0.0, "zoom": 0.0, "image_size": TINY_SIZE}
    changes |= {"smallest_crop": 0.5}  # random, but the same for any number of workers
    # Adam would make weights of rounding errors where a gradient is 0.
    changes |= {"optimizer": "sgd", "learning_rate": 0.05, "average_decay": 0.5}
    recipe = dataclasses.replace(SMALL_IMAGES, epochs=2, batch_size=8, **changes)
    with strategy.scope():
        network = build_network()
    checkpoints = CheckpointFolder(checkpoints_folder, dataclasses.asdict(recipe), print)
    result = train(
        network, make_tiny_dataset(), recipe, 3, strategy=strategy, checkpoints=checkpoints
    )
    np.savez(weights_file, *[weight.numpy() for weight in network.weights])
    history = [dataclasses.asdict(record) for record in result.history]
    pathlib.Path(weights_file).with_suffix(".json").write_text(json.dumps(history))


if __name__ == "__main__":
    main(*sys.argv[1:])
