# SPDX-License-Identifier: Apache-2.0
"""Run by `test_training`: trains and evaluates on one device, then on two at once.

In a process of its own, because TensorFlow decides when it is imported whether oneDNN's kernels,
for which it rewrites graphs, are on (TF_ENABLE_ONEDNN_OPTS), and can abort the process.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import tensorflow as tf

from tests.keras_micronet import models


def trained(full_rank=False):
    """Losses of the first and the last epoch, and then by a graph and without one."""
    images, labels = models.red_or_blue_images(32, 16)
    images = images / 127.5 - 1.0
    model = models.small_classifier(full_rank=full_rank)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, jit_compile=False)
    history = model.fit(images, labels, batch_size=16, epochs=6, verbose=0).history["loss"]
    evaluated = model.evaluate(images, labels, verbose=0)
    return history[0], history[-1], evaluated, float(loss(labels, model(images, training=False)))


def main():
    """Prints one line for each way of training: its name and losses.

    Two devices have batch statistics of their own, so that their last two losses differ.
    """
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    keras.utils.set_random_seed(1)
    print("one_device", *trained())
    print("full_rank", *trained(full_rank=True))
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        print("two_devices", *trained()[:2])


if __name__ == "__main__":
    main()
