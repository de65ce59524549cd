# SPDX-License-Identifier: Apache-2.0
"""Scaling and normalization of channels, over whole rows of pixels."""

import tensorflow as tf

from keras_micronet.expressions import reductions, views


def scale_and_offset(images: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """`images * scale + offset`.

    Args:
        images: `(batch, height, width, channels)`.
        scale: `(channels,)`.
        offset: `(channels,)`.

    Returns:
        A tensor of the shape of `images`.
    """
    _, _, width, _ = views.sizes(images)
    scaled = views.rows(images) * tf.tile(scale, [width]) + tf.tile(offset, [width])
    return views.like(scaled, images)


def batch_normalization(
    images: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float, synchronized: bool = False
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalizes each channel by its mean and variance over the batch.

    Statistics are float32 (float64 for float64 images) whatever the images are. All passes over
    the images go over whole rows of pixels, and the gradient is written out: a third of the time
    of `tf.nn.moments` and its gradient where channels are few.

    Args:
        images: `(batch, height, width, channels)`.
        gamma: `(channels,)`, the standard deviation of the result.
        beta: `(channels,)`, the mean of the result.
        epsilon: added to the variance.
        synchronized: whether the batch is that of all replicas of a `tf.distribute.Strategy`
            together, each of which must have as many images; otherwise that of this replica.

    Returns:
        The normalized images, in the dtype of `images`, and the mean and the (biased) variance
        of each channel, through which no gradient flows.
    """
    dtype = reductions.precise_dtype(images.dtype)
    outputs, mean, variance = _normalize(
        tf.cast(images, dtype),
        tf.cast(gamma, dtype),
        tf.cast(beta, dtype),
        epsilon,
        _mean_over_replicas if synchronized else tf.identity,
    )
    return tf.cast(outputs, images.dtype), tf.stop_gradient(mean), tf.stop_gradient(variance)


def _mean_over_replicas(tensor):
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, tensor)


def _normalize(images, gamma, beta, epsilon, over_replicas):
    _, _, width, channels = views.sizes(images)

    def along_rows(per_channel):
        return tf.tile(per_channel, [width])

    def channel_means(matrix, row_count):
        means = reductions.sum_over_rows(matrix, row_count) / tf.cast(row_count, matrix.dtype)
        return tf.reduce_mean(tf.reshape(means, [width, channels]), axis=0)

    @tf.custom_gradient
    def normalize(images, gamma, beta):
        inputs = views.rows(images)
        row_count = reductions.row_count(inputs)
        mean = over_replicas(channel_means(inputs, row_count))
        mean_row = along_rows(mean)
        squares = tf.math.squared_difference(inputs, mean_row)
        variance = over_replicas(channel_means(squares, row_count))
        reciprocal = tf.math.rsqrt(variance + epsilon)
        scale = gamma * reciprocal
        outputs = inputs * along_rows(scale) + along_rows(beta - mean * scale)

        def gradient(upstream, *_):
            count = tf.cast(row_count * width, inputs.dtype)
            upstream = views.rows(upstream)
            centred = inputs - mean_row
            upstream_mean = channel_means(upstream, row_count)
            covariance = channel_means(upstream * centred, row_count)
            # The losses of all replicas depend on these images, through mean and variance.
            whole = over_replicas(tf.stack([upstream_mean, covariance]))
            whole_mean, whole_covariance = tf.unstack(whole)
            inputs_gradient = (
                upstream * along_rows(scale)
                - centred * along_rows(scale * reciprocal * reciprocal * whole_covariance)
                - along_rows(scale * whole_mean)
            )
            return (
                views.like(inputs_gradient, images),
                count * covariance * reciprocal,
                count * upstream_mean,
            )

        return (views.like(outputs, images), mean, variance), gradient

    return normalize(images, gamma, beta)
