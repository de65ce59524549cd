# SPDX-License-Identifier: Apache-2.0
"""Measuring a network on images that it does not learn from."""

from collections.abc import Iterable

import keras
import tensorflow as tf

from training.fitting.evaluation import Evaluator
from training.fitting.weight_average import WeightAverage


class Validation(keras.callbacks.Callback):
    """Measures the network after each epoch, as `val_loss` and `val_accuracy` of the logs.

    To be the first of the callbacks that read them.

    Args:
        evaluator: an `evaluation.Evaluator`.
        batches: of images that are not learned from.
        average: `None`, or the `WeightAverage` to measure in place of the last weights.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        batches: Iterable[tuple[tf.Tensor, tf.Tensor]],
        average: WeightAverage | None = None,
    ) -> None:
        super().__init__()
        self._evaluator = evaluator
        self._batches = batches
        self._average = average

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self._average is not None:
            self._average.swap()
        logs["val_loss"], logs["val_accuracy"] = self._evaluator.measure(self._batches)
        if self._average is not None:
            self._average.swap()
