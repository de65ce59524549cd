# SPDX-License-Identifier: Apache-2.0
"""Losses of grid models: most cells are background, and must not drown the others."""

from typing import Any

import keras

from keras_micronet.grid.cell_labels import are_shares, cell_labels
from keras_micronet.grid_answers.labels import IGNORED
from keras_micronet.layers import arguments

_OBJECT_WEIGHT = 10.0


class _WeightedLoss(keras.losses.Loss):
    """What both losses share.

    Args:
        object_weight: how much more a cell with an object counts than one of the background.
        focal_gamma: exponent of the focal loss (Lin et al. 2017, arXiv 1708.02002, equation 4): a
            cell's loss is multiplied by (1 - p) ** focal_gamma, p being the probability of the
            right answer; 0 for the plain cross-entropy.
        name, reduction: as for `keras.losses.Loss`.
    """

    def __init__(
        self,
        object_weight: float = _OBJECT_WEIGHT,
        focal_gamma: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_weight = _not_negative("object_weight", object_weight)
        self.focal_gamma = _not_negative("focal_gamma", focal_gamma)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "object_weight": self.object_weight,
            "focal_gamma": self.focal_gamma,
        }

    def _crossentropy(self, probability):
        """Of the right answer's probability."""
        epsilon = keras.config.epsilon()
        loss = -keras.ops.log(keras.ops.clip(probability, epsilon, 1.0))
        if self.focal_gamma == 0:
            return loss
        # Powers of 0 have no finite gradient, and a sure answer's probability is rounded to 1.
        return keras.ops.maximum(1.0 - probability, epsilon) ** self.focal_gamma * loss


@keras.saving.register_keras_serializable(package="keras_micronet")
class GridCrossentropy(_WeightedLoss):
    """Cross-entropy of each cell's class, for detection and segmentation.

    Args:
        object_weight: how much more a cell of a class counts than one of the background.
        focal_gamma: exponent of the focal loss; 0 for the plain cross-entropy.

    `y_true`: integers `(batch, rows, columns)`, 0 for the background, 1 to `classes` for classes,
    255 for cells that count as neither, whose loss is 0; or shares of one as `y_pred` has them, a
    cell's weight then lying between the two by the background's share.
    `y_pred`: probabilities `(batch, rows, columns, classes + 1)`.

    Raises:
        ValueError: if a number is negative or not finite.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each cell, `(batch, rows, columns)`."""
        answers = y_pred.shape[-1]
        if are_shares(y_true, y_pred):
            shares = keras.ops.cast(y_true, y_pred.dtype)
            weight = self.object_weight + (1.0 - self.object_weight) * shares[..., 0]
            return weight * keras.ops.sum(shares * self._crossentropy(y_pred), axis=-1)
        labels = cell_labels(y_true, y_pred)
        chosen = keras.ops.one_hot(labels, answers, dtype=y_pred.dtype)
        probability = keras.ops.sum(chosen * y_pred, axis=-1)
        weight = keras.ops.where(labels > 0, self.object_weight, 1.0)
        weight = keras.ops.where(labels == IGNORED, 0.0, weight)
        return keras.ops.cast(weight, y_pred.dtype) * self._crossentropy(probability)


@keras.saving.register_keras_serializable(package="keras_micronet")
class HeatmapCrossentropy(_WeightedLoss):
    """Cross-entropy of each cell of each joint's heatmap, for keypoints.

    Args:
        object_weight: how much more the joint's part of a cell counts than the rest.
        focal_gamma: exponent of the focal loss; 0 for the plain cross-entropy.

    `y_true`: numbers from 0 to 1 `(batch, rows, columns, joints)`: how much the joint is there.
    `y_pred`: probabilities of the same shape.

    Raises:
        ValueError: if a number is negative or not finite.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each cell, `(batch, rows, columns)`, the mean of all joints."""
        there = keras.ops.cast(y_true, y_pred.dtype)
        loss = self.object_weight * there * self._crossentropy(y_pred)
        loss += (1.0 - there) * self._crossentropy(1.0 - y_pred)
        return keras.ops.mean(loss, axis=-1)


def _not_negative(name, value):
    (number,) = arguments.finite_numbers(name, (value,), 1)
    if number < 0:
        raise ValueError(f"`{name}` must not be negative. Received: {name}={value!r}")
    return number
