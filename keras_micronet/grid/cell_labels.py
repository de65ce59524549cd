# SPDX-License-Identifier: Apache-2.0
"""What users give as labels of cells."""

from typing import Any

import keras


def cell_labels(y_true: Any, y_pred: Any) -> Any:
    """The classes of cells as int32 `(batch, rows, columns)`.

    Args:
        y_true: numbers of that shape, or with a last dimension of 1, as Keras may add it.
        y_pred: probabilities `(batch, rows, columns, classes + 1)`.
    """
    labels = keras.ops.cast(y_true, "int32")
    if len(labels.shape) == len(y_pred.shape):
        return keras.ops.squeeze(labels, -1)
    return labels
