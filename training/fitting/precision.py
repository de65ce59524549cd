# SPDX-License-Identifier: Apache-2.0
"""The numbers that a training computes with: float32, or half precision for most of it.

Half precision is Keras's mixed precision: weights, batch normalization's statistics, probabilities
and losses stay float32, what lies between is computed in 16 bits. It is for devices that compute
faster so; a finished model is always float32.
"""

import contextlib
from collections.abc import Iterator

import keras

from training.settings import FLOAT16, FLOAT32


@contextlib.contextmanager
def layers_compute_in(precision: str) -> Iterator[None]:
    """Lets the Keras layers that are made in the block compute in a precision.

    Args:
        precision: `"float32"`, `"bfloat16"` or `"float16"`.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision if precision == FLOAT32 else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def scale_losses(
    optimizer: keras.optimizers.Optimizer, precision: str
) -> keras.optimizers.Optimizer:
    """An optimizer for gradients in a precision.

    Float16 has so few exponents that small gradients would become 0: its losses are multiplied by a
    factor, and its gradients divided by it. Bfloat16 has float32's exponents.

    Args:
        optimizer: Keras optimizer.
        precision: as above.

    Returns:
        The optimizer, or one around it.
    """
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == FLOAT16 else optimizer
