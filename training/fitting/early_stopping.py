# SPDX-License-Identifier: Apache-2.0
"""Ending a training that no longer gets better, with the weights of its best epoch."""

from collections.abc import Iterable
from typing import Protocol

import keras
import tensorflow as tf

from training.fitting.epoch_record import AnyRecord
from training.fitting.weight_average import WeightAverage


class Epochs(Protocol):
    """The epochs so far.

    Attributes:
        records: one record for each, see `epoch_record`.
    """

    records: list[AnyRecord]


class EarlyStopping(keras.callbacks.Callback):
    """Stops after some epochs without a better validation score and keeps the best weights.

    The best epoch is the first with the highest validation score. It follows from the records
    of all epochs, so that a checkpoint needs to hold nothing but those and `variables`.

    To come after the callbacks that validate and record, and after `WeightAverage`, whose average
    it keeps in place of the last weights.

    Args:
        network: Keras model; its weights have been made.
        patience: epochs without a better validation score after which the training ends, at
            least 1.
        epochs: the `Epochs` so far.
        average: `None`, or the `WeightAverage` that is validated in place of the weights.
    """

    def __init__(
        self,
        network: keras.Model,
        patience: int,
        epochs: Epochs,
        average: WeightAverage | None = None,
    ) -> None:
        super().__init__()
        self._patience = patience
        self._epochs = epochs
        self._weights = network.weights
        self._validated = average.variables if average else network.weights
        self.variables = [tf.Variable(weight.value, trainable=False) for weight in self._weights]
        self._keep = tf.function(self._keep_weights)

    @property
    def is_over(self) -> bool:
        """Whether the epochs so far have exhausted the patience."""
        records = self._epochs.records
        return bool(records) and len(records) - best_record(records).epoch >= self._patience

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if best_record(self._epochs.records) is self._epochs.records[-1]:
            self._keep()
        if self.is_over:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """The network gets the best epoch's weights, for good."""
        if self._epochs.records:
            for weight, best in zip(self._weights, self.variables, strict=True):
                weight.assign(best)

    def _keep_weights(self):
        for best, value in zip(self.variables, self._validated, strict=True):
            best.assign(tf.convert_to_tensor(value))


def best_record(records: Iterable[AnyRecord]) -> AnyRecord:
    """The first record with the highest validation score, such as the accuracy."""
    return max(records, key=lambda record: record.validation_score)
