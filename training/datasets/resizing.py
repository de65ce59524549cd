# SPDX-License-Identifier: Apache-2.0
"""The one way in which images of any size become the model's input: bicubic with antialiasing.

It serves random crops, too, although the release's were bilinear: training and evaluation then see
equally sharp images. `image_files.read_image` can do the same while it reads a file.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from training.datasets.channels import with_channels


def crop_and_resize(
    image: tf.Tensor | np.ndarray, image_size: tuple[int, int], kept: float = 1.0
) -> tf.Tensor:
    """Cuts out a centred part with the right proportions and resizes it smoothly.

    Args:
        image: uint8 `(any_height, any_width, channels)`, values in [0, 255].
        image_size: height and width of the result, in pixels.
        kept: part of each side of the largest such part, above 0 and at most 1; 224 / 256 is what
            resizing to 256 pixels and then cropping to 224 keeps.

    Returns:
        uint8 `(height, width, channels)`, values in [0, 255].
    """
    shape = tf.shape(image)
    part = centred_part(shape[0], shape[1], image_size, kept)
    return crop_decoded(image, image_size, lambda *_: part)


def centred_part(
    height: tf.Tensor, width: tf.Tensor, image_size: tuple[int, int], kept: float = 1.0
) -> tf.Tensor:
    """The centred part of an image that `crop_and_resize` keeps.

    Args:
        height: of the image, in pixels, an int32 scalar.
        width: the same.
        image_size, kept: as for `crop_and_resize`.

    Returns:
        int32 tensor `(4,)` of the part's top, left, height and width, in pixels.
    """
    crop_height = tf.clip_by_value(width * image_size[0] // image_size[1], 1, height)
    crop_width = tf.clip_by_value(height * image_size[1] // image_size[0], 1, width)
    if kept < 1.0:
        crop_height, crop_width = _part(crop_height, kept), _part(crop_width, kept)
    return tf.stack(
        [(height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width]
    )


def _part(side, kept):
    """A part of a side, in whole pixels and at least one."""
    return tf.maximum(1, tf.cast(tf.round(kept * tf.cast(side, tf.float32)), tf.int32))


def resize(image: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """Resizes a whole image smoothly, whatever its proportions are.

    Args:
        image: uint8 `(any_height, any_width, channels)`, values in [0, 255].
        image_size: height and width of the result, in pixels.

    Returns:
        uint8 `(height, width, channels)`, values in [0, 255].
    """
    # Antialiasing matters when a photograph shrinks tenfold; cubic interpolation can overshoot.
    resized = tf.image.resize(image, image_size, method="bicubic", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def crop_decoded(
    image: tf.Tensor,
    image_size: tuple[int, int],
    choose_crop: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> tf.Tensor:
    """Cuts any part out of a decoded image and resizes it smoothly.

    Args:
        image: uint8 `(any_height, any_width, channels)`, values in [0, 255].
        image_size: height and width of the result, in pixels.
        choose_crop: called with the image's height and width, int32 scalars; returns the part's
            top, left, height and width, int32 `(4,)`, in pixels.

    Returns:
        uint8 `(height, width, channels)`, values in [0, 255].
    """
    shape = tf.shape(image)
    top, left, height, width = tf.unstack(choose_crop(shape[0], shape[1]))
    return resize(image[top : top + height, left : left + width], image_size)


def grey_decoders(
    image_size: tuple[int, int], kept: float, channels: int = 3
) -> tuple[Callable[..., tf.Tensor], Callable[..., tf.Tensor]]:
    """What a split of grey images in memory takes as its `decode` and `decode_crop`.

    Args:
        image_size: height and width of the results, in pixels.
        kept: as `crop_and_resize` takes it.
        channels: of the results: 1, or 3 for RGB.

    Returns:
        Two functions from uint8 images `(any_height, any_width)`.
    """

    def decode(image):
        image = crop_and_resize(image[..., tf.newaxis], image_size, kept)
        return with_channels(image, channels)

    def decode_crop(image, choose_crop):
        image = crop_decoded(image[..., tf.newaxis], image_size, choose_crop)
        return with_channels(image, channels)

    return decode, decode_crop
