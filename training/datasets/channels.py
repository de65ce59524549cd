# SPDX-License-Identifier: Apache-2.0
"""The one way in which pictures in colour become gray ones, before they are cropped and resized.

A gray camera's frames are gray before they are resized, too. `image_files.read_image` does the same
while it reads a file.
"""

import tensorflow as tf

from keras_micronet.luma import LUMA_BITS, LUMA_WEIGHTS


def with_channels(image: tf.Tensor, channels: int) -> tf.Tensor:
    """A picture in gray or in colour.

    Args:
        image: uint8 `(height, width, any_channels)`: gray, RGB, or RGB and what is ignored.
        channels: 1 for gray, see `keras_micronet.luma`; 3 for RGB.

    Returns:
        uint8 `(height, width, channels)`.
    """
    if image.shape[-1] == 1:
        return image if channels == 1 else tf.image.grayscale_to_rgb(image)
    image = image[..., :3]
    if channels == 3:
        return image
    weighted = tf.cast(image, tf.int32) * tf.constant(LUMA_WEIGHTS)
    sums = tf.reduce_sum(weighted, axis=-1, keepdims=True) + (1 << LUMA_BITS - 1)
    return tf.cast(tf.bitwise.right_shift(sums, LUMA_BITS), tf.uint8)
