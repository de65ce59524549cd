"""Sums over pixels."""

import tensorflow as tf

from keras_micronet.expressions import devices


def precise_dtype(dtype):
    """The dtype to sum values of `dtype` in: half precision overflows over a large map."""
    return tf.float64 if dtype == tf.float64 else tf.float32


def sum_over_rows(matrices):
    """Sum of each column of `(..., rows, columns)`, in at least float32.

    A product with a row of ones is the fastest sum on a CPU.
    """
    matrices = tf.cast(matrices, precise_dtype(matrices.dtype))
    if not devices.matrix_products_are_exact():
        return tf.reduce_sum(matrices, axis=-2)
    ones = tf.ones([1, tf.shape(matrices)[-2]], matrices.dtype)
    return tf.squeeze(tf.matmul(ones, matrices), axis=-2)
