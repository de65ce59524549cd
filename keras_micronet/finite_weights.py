# SPDX-License-Identifier: Apache-2.0
"""Weights that are numbers: a model with others gives one answer to everything."""

import keras
import numpy as np


def non_finite_weights(model: keras.Model) -> list[str]:
    """Paths of the variables of a Keras model that hold NaN or infinity."""
    return [
        variable.path
        for variable in model.variables
        if "float" in str(variable.dtype) and not np.isfinite(np.array(variable)).all()
    ]


def require_finite_weights(model: keras.Model) -> None:
    """Raises `ValueError` unless all weights of a Keras model are finite; names those that are not.

    Args:
        model: a Keras model.
    """
    damaged = non_finite_weights(model)
    if damaged:
        raise ValueError(
            "Every weight must be finite: load weights of an earlier epoch, or train again with a "
            f"smaller learning rate. Received: NaN or infinity in {', '.join(damaged)}"
        )
