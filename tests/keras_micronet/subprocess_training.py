"""Run by `test_training`: trains without oneDNN, then on two devices at once."""

import os

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import tensorflow as tf

from tests.keras_micronet import models


def trained(epochs):
    """Losses of the first and last epoch of a small model."""
    images, labels = models.red_or_blue_images(32, 16)
    model = models.small_classifier()
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    history = model.fit(images / 127.5 - 1.0, labels, batch_size=16, epochs=epochs, verbose=0)
    return history.history["loss"][0], history.history["loss"][-1]


def main():
    """Prints one line for each way of training: its name, first loss and last loss."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    keras.utils.set_random_seed(1)
    print("without_onednn", *trained(epochs=6))
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        print("two_devices", *trained(epochs=6))


if __name__ == "__main__":
    main()
