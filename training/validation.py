"""Measuring a network on images that it does not learn from."""

import keras
import numpy as np
import tensorflow as tf


class Measurement:
    """Loss and accuracy of a network, on one device: the first of a strategy's in each process.

    Args:
        network: Keras model from float images to probabilities `(batch, classes)`.
        loss: Keras loss of one-hot labels and probabilities.
    """

    def __init__(self, network, loss):
        self._network = network
        self._loss = loss
        self._measure_batch = tf.function(self._measure_batch, reduce_retracing=True)

    def measure(self, batches):
        """Means over all images of batches such as `input_pipeline.evaluation_batches` gives.

        Returns:
            The loss and the top-1 accuracy, the latter in [0, 1].
        """
        sums, count = np.zeros(2), 0
        for images, labels in batches:
            sums += self._measure_batch(images, labels).numpy()
            count += len(labels)
        loss, accuracy = sums / count
        return float(loss), float(accuracy)

    def _measure_batch(self, images, labels):
        probabilities = tf.cast(self._network(images, training=False), tf.float32)
        # The values of each image: a loss as a whole would be divided among a strategy's replicas.
        losses = self._loss.call(labels, probabilities)
        right = tf.argmax(labels, axis=-1) == tf.argmax(probabilities, axis=-1)
        return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(tf.cast(right, tf.float32))])


class Validation(keras.callbacks.Callback):
    """Measures the network after each epoch, as `val_loss` and `val_accuracy` of the logs.

    To be the first of the callbacks that read them.

    Args:
        measurement: a `Measurement`.
        batches: of images that are not learned from.
        average: `None`, or the `WeightAverage` to measure in place of the last weights.
    """

    def __init__(self, measurement, batches, average=None):
        super().__init__()
        self._measurement = measurement
        self._batches = batches
        self._average = average

    def on_epoch_end(self, epoch, logs=None):
        if self._average is not None:
            self._average.swap()
        logs["val_loss"], logs["val_accuracy"] = self._measurement.measure(self._batches)
        if self._average is not None:
            self._average.swap()
