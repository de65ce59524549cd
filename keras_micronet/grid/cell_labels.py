# SPDX-License-Identifier: Apache-2.0
"""What users give as labels of cells."""

from typing import Any

import keras


def are_shares(y_true: Any, y_pred: Any) -> bool:
    """Whether labels are not classes but shares of the classes, of the shape of the probabilities.

    A last dimension of 1 is one that Keras may have added to classes.
    """
    return len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] != 1


def cell_labels(y_true: Any, y_pred: Any) -> Any:
    """The classes of cells as int32 `(batch, rows, columns)`.

    Args:
        y_true: numbers of that shape, or with a last dimension of 1, as Keras may add it.
        y_pred: probabilities `(batch, rows, columns, classes + 1)`.

    Raises:
        ValueError: if they are shares of the classes.
    """
    if are_shares(y_true, y_pred):
        raise ValueError(
            "cells must have integers (batch, rows, columns) as labels here; only losses take "
            f"shares of classes. Received: labels of shape {tuple(y_true.shape)}"
        )
    labels = keras.ops.cast(y_true, "int32")
    if len(labels.shape) == len(y_pred.shape):
        return keras.ops.squeeze(labels, -1)
    return labels
