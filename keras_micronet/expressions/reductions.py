# SPDX-License-Identifier: Apache-2.0
"""Sums over pixels."""

import tensorflow as tf

from keras_micronet.expressions import devices


def precise_dtype(dtype: tf.DType) -> tf.DType:
    """The dtype to sum values of `dtype` in: half precision overflows over a large map."""
    return tf.float64 if dtype == tf.float64 else tf.float32


def row_count(matrices: tf.Tensor) -> int | tf.Tensor:
    """Number of rows of `(..., rows, columns)`: an integer where known, else a scalar tensor."""
    known = matrices.shape[-2]
    return tf.shape(matrices)[-2] if known is None else known


def sum_over_rows(matrices: tf.Tensor, count: int | tf.Tensor | None = None) -> tf.Tensor:
    """Sum of each column of `(..., rows, columns)`, in at least float32.

    A product with a row of ones is the fastest sum on a CPU.

    Args:
        matrices: `(..., rows, columns)`.
        count: their `row_count`, for whoever sums several of as many rows.
    """
    matrices = tf.cast(matrices, precise_dtype(matrices.dtype))
    if not devices.matrix_products_are_exact():
        return tf.reduce_sum(matrices, axis=-2)
    ones = tf.ones([1, row_count(matrices) if count is None else count], matrices.dtype)
    return tf.squeeze(tf.matmul(ones, matrices), axis=-2)
