# SPDX-License-Identifier: Apache-2.0
"""Views of image batches with a wide innermost axis: reshapes, which cost nothing.

A CPU works on vectors, and TensorFlow's kernels make them along the innermost axis. The largest
maps of a MicroNet have 2 to 16 channels; whole rows of pixels are wide.
"""

import tensorflow as tf


def sizes(images: tf.Tensor) -> list[int | tf.Tensor]:
    """Batch, height, width and channels, for shapes: integers where known, else scalar tensors.

    The batch is -1 if only it is unknown: a tensor for it would make a third of a model's graph.
    """
    known = images.shape.as_list()
    if None not in known[1:]:
        return [-1 if known[0] is None else known[0], *known[1:]]
    dynamic = tf.shape(images)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(known)]


def rows(images: tf.Tensor) -> tf.Tensor:
    """`images` as a matrix `(batch * height, width * channels)`."""
    _, _, width, channels = sizes(images)
    return tf.reshape(images, [-1, width * channels])


def pixels(images: tf.Tensor) -> tf.Tensor:
    """`images` as a matrix `(batch * height * width, channels)`."""
    return tf.reshape(images, [-1, images.shape[-1]])


def like(matrix: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """A view of `images` given back its shape, with the matrix's own channels."""
    batch, height, width, channels = sizes(images)
    return tf.reshape(matrix, [batch, height, width, channels])


def packing(width: int | None, channels: int, lanes: int) -> int:
    """How many neighbouring pixels of a row to view as one: a divisor of `width`.

    Args:
        width: pixels in a row, or `None`.
        channels: channels of one pixel.
        lanes: channels that the packed pixel may have.
    """
    most = max(1, lanes // channels)
    if width is None:
        return 1
    return max(count for count in range(1, most + 1) if width % count == 0)
