# SPDX-License-Identifier: Apache-2.0
"""Measuring a network on images that it does not learn from."""

from typing import Any

import keras

from training.fitting.epoch_record import Score
from training.fitting.objectives import MeasuresParts
from training.fitting.weight_average import WeightAverage


class Validation(keras.callbacks.Callback):
    """Measures the network after each epoch, as `val_loss` and the score of the logs, such as
    `val_accuracy`.

    To be the first of the callbacks that read them.

    Args:
        evaluator: what an `objectives.Objective` judges the network by.
        batches: of images that are not learned from.
        score: what the evaluator measures.
        average: `None`, or the `WeightAverage` to measure in place of the last weights.
    """

    def __init__(
        self,
        evaluator: MeasuresParts,
        batches: Any,
        score: Score,
        average: WeightAverage | None = None,
    ) -> None:
        super().__init__()
        self._evaluator = evaluator
        self._batches = batches
        self._key = f"val_{score.key}"
        self._average = average

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self._average is not None:
            self._average.swap()
        logs["val_loss"], logs[self._key] = self._evaluator.measure(self._batches)
        if self._average is not None:
            self._average.swap()
