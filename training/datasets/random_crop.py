# SPDX-License-Identifier: Apache-2.0
"""Random parts of images, as torchvision's RandomResizedCrop draws them."""

import math

import tensorflow as tf

_TRIES = 10
_LARGEST_STRETCH = 4 / 3


def narrowest_crop(
    height: int, width: int, image_size: tuple[int, int], smallest_part: float
) -> float:
    """The shorter side, in pixels, of the smallest and most stretched part that may be drawn.

    Args:
        height, width: of the image, in pixels.
        image_size, smallest_part: as for `random_crop`.
    """
    area = smallest_part * height * width
    proportions = image_size[1] / image_size[0]
    flattest = min(proportions, 1 / proportions) / _LARGEST_STRETCH
    return min(math.sqrt(area * flattest), height, width)


def random_crop(
    height: tf.Tensor,
    width: tf.Tensor,
    image_size: tuple[int, int],
    smallest_part: float,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Draws the part of an image that is to be cut out and resized.

    Its area is uniform between `smallest_part` of the image's and all of it. Its proportions are
    those of the result, stretched by 3/4 to 4/3 with a uniform logarithm. Its place is uniform.
    After ten draws that do not fit into the image it is the largest centred part that is stretched
    no further. For a square result all this is what torchvision does.

    Args:
        height: of the image, in pixels, an int32 scalar.
        width: the same.
        image_size: height and width of the result, in pixels.
        smallest_part: smallest fraction of the image's area, above 0 and at most 1.
        seed: integer tensor `(2,)`, which decides everything.

    Returns:
        int32 tensor `(4,)` of the part's top, left, height and width, in pixels.
    """
    draws = tf.random.stateless_uniform((4, _TRIES), seed)
    sides = tf.cast([height, width], tf.float32)
    proportions = image_size[1] / image_size[0]
    areas = tf.reduce_prod(sides) * (smallest_part + (1.0 - smallest_part) * draws[0])
    ratios = proportions * tf.exp(math.log(_LARGEST_STRETCH) * (2.0 * draws[1] - 1.0))
    # (tries, 2): heights and widths.
    parts = tf.round(tf.sqrt(tf.stack([areas / ratios, areas * ratios], axis=1)))
    fits = tf.reduce_all((parts >= 1.0) & (parts <= sides), axis=1)
    first = tf.argmax(tf.cast(fits, tf.int32))
    part = parts[first]
    # A product with the largest number below 1 may be rounded up to one place too many.
    places = tf.minimum(tf.floor(draws[2:, first] * (sides - part + 1.0)), sides - part)
    widest = tf.stack([sides[1] / proportions, sides[0] * proportions]) * _LARGEST_STRETCH
    central = tf.clip_by_value(tf.round(widest), 1.0, sides)
    central_places = tf.floor((sides - central) / 2.0)
    drawn = tf.concat([places, part], axis=0)
    fallback = tf.concat([central_places, central], axis=0)
    return tf.cast(tf.where(tf.reduce_any(fits), drawn, fallback), tf.int32)
