# SPDX-License-Identifier: Apache-2.0
"""What `fit` trains: a network, random changes of its images, and perhaps a companion.

The same class serves one device and any `tf.distribute.Strategy`.
"""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from training.fitting.companions import Partner, Teacher


class TrainingModel(keras.Model):
    """A network that is trained on randomly changed images.

    To be made outside the scope of a strategy, and compiled and fitted within it: a Keras model
    made within would read a whole batch of all replicas when `fit` begins, which several workers
    cannot do (https://github.com/keras-team/keras/issues/20585). The variables of the network
    must be made within.

    Args:
        network: Keras model from float images `(batch, height, width, 3)` in [0, 255] to
            probabilities `(batch, classes)`.
        changes: Keras preprocessing layers, applied in this order while training, to a dictionary
            of `images` and one-hot `labels`.
        companion: `None`, or a model to learn from or with: a `companions.Partner` or a
            `companions.Teacher`.
    """

    train_function: Callable[..., Any] | None  # of Keras

    def __init__(
        self,
        network: keras.Model,
        changes: Iterable[keras.layers.Layer] = (),
        companion: Partner | Teacher | None = None,
    ) -> None:
        super().__init__(name=f"training_{network.name}")
        self.network = network
        self.changes = list(changes)
        self.companion = companion

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if not self.network.built:
            self.network.build(input_shape)
        self.built = True

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.network(images, training=training)

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        images, labels = data
        changed = {"images": images, "labels": labels}
        for layer in self.changes:
            changed = layer(changed, training=True)
        return super().train_step((changed["images"], changed["labels"]))

    def compute_loss(
        self,
        x: tf.Tensor | None = None,
        y: tf.Tensor | None = None,
        y_pred: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        own_loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if self.companion is None or not training:
            return own_loss
        return self.companion.join_loss(own_loss, x, y, y_pred)

    def make_train_function(self, force: bool = False) -> Callable[..., Any]:
        """Replaces Keras's own, which reduces scalars along an axis that they do not have."""
        if self.train_function is not None and not force:
            return self.train_function
        strategy = self.distribute_strategy

        def step(iterator):
            results = strategy.run(self.train_step, args=(iterator.get_next(),))
            return {
                name: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
                for name, value in results.items()
            }

        self.train_function = (
            step
            if self.run_eagerly
            else tf.function(
                # Keras keeps its steps from AutoGraph, too: nothing in them needs it.
                step,
                autograph=False,
                jit_compile=self.jit_compile,
                reduce_retracing=True,
            )
        )
        return self.train_function
