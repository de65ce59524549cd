# SPDX-License-Identifier: Apache-2.0
"""An exponential moving average of a network's weights."""

import keras
import tensorflow as tf


class WeightAverage(keras.callbacks.Callback):
    """Follows all weights of a network, the statistics of batch normalization too.

    Small networks are noisy until the learning rate is small: the accuracy of one epoch says
    little. The average is what a lower learning rate would give, at every moment.

    After step n the average moves by 1 - min(decay, (1 + n) / (10 + n)) towards the weights, so
    that it forgets the random ones that the training began with.

    Args:
        network: Keras model; its weights have been made.
        decay: part of the average that each step keeps, at least 0 and below 1.
    """

    def __init__(self, network: keras.Model, decay: float) -> None:
        super().__init__()
        self._weights = network.weights
        self._decay = decay
        self.variables = [tf.Variable(weight.value, trainable=False) for weight in self._weights]
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._follow = tf.function(self._follow_weights)
        self.swap = tf.function(self._swap)

    @property
    def state(self) -> list[tf.Variable]:
        """All variables that a checkpoint must hold."""
        return [*self.variables, self.steps]

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._follow()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """The network gets the average, for good."""
        for weight, average in zip(self._weights, self.variables, strict=True):
            weight.assign(average)

    def _follow_weights(self):
        steps = tf.cast(self.steps, tf.float32)
        kept = tf.minimum(self._decay, (1 + steps) / (10 + steps))
        for weight, average in zip(self._weights, self.variables, strict=True):
            value = tf.convert_to_tensor(weight)
            moved = value + tf.cast(kept, value.dtype) * (average - value)
            average.assign(moved if value.dtype.is_floating else value)
        self.steps.assign_add(1)

    def _swap(self):
        """Exchanges the network's weights and the average."""
        for weight, average in zip(self._weights, self.variables, strict=True):
            value = tf.identity(weight)
            weight.assign(average)
            average.assign(value)
