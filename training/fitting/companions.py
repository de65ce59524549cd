# SPDX-License-Identifier: Apache-2.0
"""Models that a network learns from, or together with, while it is trained.

Their losses are Keras's, which divide by the number of a strategy's replicas as the network's own
loss does: the gradients of all replicas are added.
"""

import keras
import tensorflow as tf

_LEAST_PROBABILITY = 1e-7


class Partner(keras.layers.Layer):
    """Mutual learning: a second network is trained at the same time, each towards the other.

    Deep Mutual Learning (https://arxiv.org/abs/1706.00384), with which the MicroNet paper trains
    its best models. Each network's loss is its own cross-entropy and the Kullback-Leibler
    divergence of its prediction from the other's, which is taken as given.

    Args:
        network: Keras model with the inputs and outputs of the first network, in the paper its
            full-rank form. Its weights are trained along.
        loss: Keras loss of labels and probabilities.
        weight: of both divergences, above 0; 1 in Deep Mutual Learning.
    """

    def __init__(self, network: keras.Model, loss: keras.losses.Loss, weight: float = 1.0) -> None:
        super().__init__(name="partner")
        self.network = network
        self.loss = loss
        self.weight = weight
        self.divergence = keras.losses.KLDivergence()
        self.accuracy = keras.metrics.CategoricalAccuracy(name="partner_accuracy")
        self.built = True

    def join_loss(
        self, loss: tf.Tensor, images: tf.Tensor, labels: tf.Tensor, probabilities: tf.Tensor
    ) -> tf.Tensor:
        """The loss of both networks.

        Args:
            loss: the first network's cross-entropy, a scalar.
            images: float images `(batch, height, width, 3)`.
            labels: `(batch, classes)`; each row adds up to 1.
            probabilities: the first network's `(batch, classes)`.
        """
        others = self.network(images, training=True)
        self.accuracy.update_state(labels, others)
        towards_other = self.divergence(tf.stop_gradient(others), probabilities)
        towards_first = self.divergence(tf.stop_gradient(probabilities), others)
        return loss + self.loss(labels, others) + self.weight * (towards_other + towards_first)


class Teacher(keras.layers.Layer):
    """Distillation: a trained network, which stays as it is, shows what it sees.

    Knowledge distillation (https://arxiv.org/abs/1503.02531): the loss is a mix of the
    cross-entropy with the labels and of the divergence from the teacher's prediction, both
    predictions softened by a temperature.

    Args:
        network: Keras model from the same images to probabilities of the same classes. It is no
            longer trainable afterwards.
        weight: of the divergence, from 0 to 1; the cross-entropy has the rest.
        temperature: at least 1. Probabilities to the power 1 / temperature, made to add up to 1
            again, are those of logits divided by it. The divergence is multiplied by the square.
    """

    def __init__(self, network: keras.Model, weight: float = 0.5, temperature: float = 2.0) -> None:
        super().__init__(name="teacher")
        self.network = network
        self.trainable = False
        self.weight = weight
        self.temperature = temperature
        self.divergence = keras.losses.KLDivergence()
        self.built = True

    def join_loss(
        self, loss: tf.Tensor, images: tf.Tensor, labels: tf.Tensor, probabilities: tf.Tensor
    ) -> tf.Tensor:
        """The mixed loss; arguments as for `Partner.join_loss`."""
        taught = self.soften(self.network(images, training=False))
        divergence = self.divergence(tf.stop_gradient(taught), self.soften(probabilities))
        return (1 - self.weight) * loss + self.weight * self.temperature**2 * divergence

    def soften(self, probabilities: tf.Tensor) -> tf.Tensor:
        """Probabilities `(batch, classes)` at the temperature."""
        powers = tf.maximum(probabilities, _LEAST_PROBABILITY) ** (1 / self.temperature)
        return powers / tf.reduce_sum(powers, axis=-1, keepdims=True)
