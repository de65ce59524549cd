# SPDX-License-Identifier: Apache-2.0
"""When statistics stop moving in quantization-aware training."""

import keras

from keras_micronet.quantization.quantize_aware_model import QuantizeAwareModel


class FreezeSchedule(keras.callbacks.Callback):
    """Freezes batch normalization's statistics, then the ranges of activations.

    The last steps of a training then see the integers that the device stores. At
    each freezing TensorFlow traces the training step anew, which takes as long
    as the first step; equal fractions freeze both at once.

    In a single epoch of unknown length nothing can freeze before its end.

    Args:
        batch_normalization: fraction of all steps of `fit` after which batch
            normalization uses the moving statistics and leaves them as they
            are; 0 for from the start, 1 for never.
        ranges: the same for the ranges of activations.

    Raises:
        ValueError: if a fraction is not in [0, 1], or no `QuantizeAwareModel`
            is, or is a layer of, the model that is trained.
    """

    def __init__(self, batch_normalization: float = 0.5, ranges: float = 0.5) -> None:
        super().__init__()
        self.fractions = {
            "batch_normalization_is_frozen": _fraction("batch_normalization", batch_normalization),
            "ranges_are_frozen": _fraction("ranges", ranges),
        }
        self._models: list[QuantizeAwareModel] = []
        self._epoch = 0
        self._batches = 0  # of this epoch so far
        self._steps: int | None = None  # of an epoch

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._steps = self.params.get("steps")  # of some datasets unknown until an epoch is over
        self._models = _quantize_aware_models(self.model)
        if not self._models:
            raise ValueError(
                "FreezeSchedule must train a model of `quantize_aware`. "
                f"Received: model {self.model.name!r} of type {type(self.model).__name__}"
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._steps = self._batches

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._batches = batch + 1

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        steps = self._steps
        progress = (self._epoch + (batch / steps if steps else 0)) / self.params["epochs"]
        if self._freeze(progress):
            self.model.make_train_function(force=True)

    def _freeze(self, progress):
        """Sets what is due; returns whether anything changed."""
        changed = False
        for attribute, fraction in self.fractions.items():
            due = progress >= fraction and fraction < 1
            for model in self._models:
                changed |= getattr(model, attribute) != due
                setattr(model, attribute, due)
        return changed


def _quantize_aware_models(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, QuantizeAwareModel)]


def _fraction(name, value):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be a number in [0, 1]. Received: {name}={value!r}")
    return float(value)
