"""The one way in which images of any size become the model's input."""

import tensorflow as tf


def crop_and_resize(image, image_size):
    """Cuts out the largest centred part with the right proportions and resizes it smoothly.

    Args:
        image: uint8 `(any_height, any_width, channels)`, values in [0, 255].
        image_size: height and width of the result, in pixels.

    Returns:
        uint8 `(height, width, channels)`, values in [0, 255].
    """
    height, width = image_size
    shape = tf.shape(image)
    crop_height = tf.clip_by_value(shape[1] * height // width, 1, shape[0])
    crop_width = tf.clip_by_value(shape[0] * width // height, 1, shape[1])
    top = (shape[0] - crop_height) // 2
    left = (shape[1] - crop_width) // 2
    crop = image[top : top + crop_height, left : left + crop_width]
    # Antialiasing matters when a photograph shrinks tenfold; cubic interpolation can overshoot.
    resized = tf.image.resize(crop, image_size, method="bicubic", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)
