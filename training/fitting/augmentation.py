# SPDX-License-Identifier: Apache-2.0
"""Random changes to training images: Keras's preprocessing layers, some of them made faster."""

from typing import Any

import keras
import tensorflow as tf

from training.recipes.recipes import Recipe

# What a shifted or turned image leaves uncovered is filled with its border, which looks like the
# background on digits as well as on photographs.
_FILL_MODE = "nearest"

_VALUE_RANGE = (0, 255)

# How bright red, green and blue are (ITU-R BT.601), one column for each channel of a grey image.
_BRIGHTNESS = [3 * [0.299], 3 * [0.587], 3 * [0.114]]


def random_changes(recipe: Recipe, seed: int) -> list[keras.layers.Layer]:
    """The random transformations that a recipe asks for, in the order of application.

    They run as part of the training step: in the input pipeline their random state would forbid
    TensorFlow to decode images in parallel when runs must be repeatable. Random crops, which need
    no such state, are the input pipeline's.

    Args:
        recipe: a `recipes.Recipe`.
        seed: non-negative integer; the sequence of random changes repeats with it.

    Returns:
        A list of Keras layers, each for a dictionary of float `images` `(batch, height, width, 3)`
        in [0, 255] and one-hot `labels` `(batch, classes)`, which MixUp and CutMix change, too.
        Each layer changes every image of a batch on its own while training, apart from which two
        operations RandAugment draws: those are the batch's.
    """
    return list(_layers(recipe, seed))


def _layers(recipe, seed):
    if recipe.rotation:
        yield keras.layers.RandomRotation(recipe.rotation, fill_mode=_FILL_MODE, seed=seed)
    if recipe.translation:
        yield keras.layers.RandomTranslation(
            recipe.translation, recipe.translation, fill_mode=_FILL_MODE, seed=seed + 1
        )
    if recipe.zoom:
        yield keras.layers.RandomZoom(recipe.zoom, fill_mode=_FILL_MODE, seed=seed + 2)
    if recipe.horizontal_flip:
        yield RandomFlip(seed=seed + 3)
    yield from colour_changes(recipe, seed)
    if recipe.rand_augment:
        yield RandAugment(recipe.rand_augment, seed=seed + 4)
    # A pair of equal numbers is a fixed one; of a single number Keras draws up to it.
    if recipe.random_erasing:
        probability = (recipe.random_erasing, recipe.random_erasing)
        yield keras.layers.RandomErasing(probability, value_range=_VALUE_RANGE, seed=seed + 5)
    if recipe.mixup:
        yield keras.layers.MixUp(recipe.mixup, seed=seed + 6)
    if recipe.cutmix:
        yield keras.layers.CutMix((recipe.cutmix, recipe.cutmix), seed=seed + 7)


def colour_changes(recipe: Recipe, seed: int) -> list[keras.layers.Layer]:
    """Those of the random transformations that leave everything in its place.

    Args:
        recipe, seed: as for `random_changes`.
    """
    layers: list[keras.layers.Layer] = []
    if recipe.brightness:
        layers.append(keras.layers.RandomBrightness(recipe.brightness, _VALUE_RANGE, seed=seed + 8))
    if recipe.contrast:
        part = (recipe.contrast, recipe.contrast)
        layers.append(keras.layers.RandomContrast(part, _VALUE_RANGE, seed=seed + 9))
    if recipe.saturation:
        layers.append(RandomSaturation(recipe.saturation, seed=seed + 10))
    return layers


class RandomFlip(keras.layers.RandomFlip):
    """Keras's horizontal RandomFlip, four times as fast on a CPU.

    TensorFlow is slow where the innermost axis has a few channels only: here whole rows of pixels
    are turned round, and whole images chosen.

    Args:
        seed: non-negative integer.
    """

    def __init__(self, seed: int) -> None:
        super().__init__("horizontal", seed=seed)

    def transform_images(
        self, images: tf.Tensor, transformation: dict[str, Any], training: bool = True
    ) -> tf.Tensor:
        images = tf.cast(images, self.compute_dtype)
        if not training:
            return images
        batch, height, width, channels = tf.unstack(tf.shape(images))
        rows = tf.reshape(images, [batch * height, width, channels])
        mirrored = tf.reshape(tf.reverse(rows, [1]), [batch, -1])
        flips = tf.reshape(transformation["flips"], [batch, 1])
        chosen = tf.where(flips, mirrored, tf.reshape(images, [batch, -1]))
        return tf.ensure_shape(tf.reshape(chosen, tf.shape(images)), images.shape)


class RandomSaturation(keras.layers.RandomSaturation):
    """Moves colours away from the grey of their brightness, or towards it; as torchvision does.

    Keras's own goes by way of hues, which takes eight times as long, and for images in [0, 255] it
    raises saturations beyond what there is.

    Args:
        part: colours are multiplied by 1 - part to 1 + part, the same in a whole image.
        seed: non-negative integer.
    """

    def __init__(self, part: float, seed: int) -> None:
        super().__init__(0.5, _VALUE_RANGE, seed=seed)
        self._part = part

    def get_random_transformation(
        self, data: dict[str, Any], training: bool = True, seed: Any = None
    ) -> dict[str, Any]:
        if seed is None:
            seed = self._get_seed_generator(self.backend._backend)
        shape = (keras.ops.shape(data["images"])[0], 1, 1, 1)
        return {"factor": keras.random.uniform(shape, 1 - self._part, 1 + self._part, seed=seed)}

    def transform_images(
        self, images: tf.Tensor, transformation: Any = None, training: bool = True
    ) -> tf.Tensor:
        if not training:
            return images
        # One product of matrices is faster than a sum over the last axis, which is short.
        grey = tf.tensordot(images, tf.constant(_BRIGHTNESS, images.dtype), 1)
        changed = grey + tf.cast(transformation["factor"], images.dtype) * (images - grey)
        return tf.clip_by_value(changed, *_VALUE_RANGE)


class RandAugment(keras.layers.RandAugment):
    """Keras's RandAugment, eleven times as fast, with strengths that begin at no change.

    Keras computes every operation for each one drawn. And its strengths are one-sided, or are the
    greatest at small magnitudes; here they are about those of the paper (arXiv 1909.13719). All
    images of a batch undergo the same two operations, each with a strength of its own.

    Args:
        magnitude: from 0 to 1. At 1 images turn by up to 30 degrees, shift and shear by up to 0.3
            of a side, keep at least 4 bits, and change in brightness, contrast and sharpness by up
            to a half. Spreading the histogram knows no strength.
        seed: non-negative integer.
    """

    def __init__(self, magnitude: float, seed: int) -> None:
        super().__init__(_VALUE_RANGE, factor=magnitude, seed=seed)
        part, half = 0.3 * magnitude, 0.5 * magnitude
        layers = keras.layers
        self.random_rotation = layers.RandomRotation(magnitude / 12, fill_mode=_FILL_MODE)
        self.random_translation = layers.RandomTranslation(part, part, fill_mode=_FILL_MODE)
        self.random_shear = layers.RandomShear(part, part, fill_mode=_FILL_MODE)
        self.random_brightness = layers.RandomBrightness(half, _VALUE_RANGE)
        self.random_contrast = layers.RandomContrast((half, half), _VALUE_RANGE)
        # Of sharpness, 0.5 is the image as it is.
        self.random_sharpness = layers.RandomSharpness(
            (0.5 - half / 2, 0.5 + half / 2), _VALUE_RANGE
        )
        self.random_posterization = layers.RandomPosterization(
            (8 - round(4 * magnitude), 8), _VALUE_RANGE
        )
        self.solarization = _Solarization(magnitude)
        self.equalization = _Equalization(_VALUE_RANGE)

    def transform_images(
        self, images: tf.Tensor, transformation: dict[str, Any], training: bool = True
    ) -> tf.Tensor:
        if not training:
            return images

        def branch(name, values):
            return lambda: getattr(self, name).transform_images(images, values)

        for chosen in tf.unstack(transformation["layer_idxes"]):
            branches = [branch(*item) for item in transformation["transforms"].items()]
            images = tf.ensure_shape(tf.switch_case(chosen, branches), images.shape)
        return images


class _Solarization(keras.layers.Solarization):
    """Inverts what is brighter than a threshold that is drawn near to white.

    Keras's own draws it near to black for small strengths, and inverts nearly all.
    """

    def __init__(self, magnitude):
        super().__init__(0.0, magnitude, _VALUE_RANGE)
        self._magnitude = magnitude

    def get_random_transformation(self, data, training=True, seed=None):
        count = keras.ops.shape(data["images"])[0]
        draws = keras.random.uniform((count, 1, 1, 1), seed=seed)
        # The brightest value is below the largest threshold, which therefore inverts nothing.
        return {"additions": 0.0, "thresholds": 256.0 * (1.0 - self._magnitude * draws)}


class _Equalization(keras.layers.Equalization):
    """Spreads the levels of each channel of each image; Keras takes a whole batch as one image."""

    def transform_images(self, images, transformation, training=True):
        shape = tf.shape(images)
        levels = tf.cast(tf.round(images), tf.int32)
        channels = tf.reshape(tf.transpose(levels, [0, 3, 1, 2]), [shape[0] * shape[3], -1])
        below = tf.cumsum(
            tf.math.bincount(channels, minlength=256, maxlength=256, axis=-1), axis=-1
        )
        darkest = tf.reduce_min(tf.where(below > 0, below, shape[1] * shape[2]), -1, keepdims=True)
        others = shape[1] * shape[2] - darkest
        table = tf.round(255 * (below - darkest) / tf.maximum(1, others))
        # A channel of a single level stays as it is.
        table = tf.where(others > 0, table, tf.range(256, dtype=table.dtype))
        spread = tf.gather(table, channels, batch_dims=1)
        spread = tf.transpose(tf.reshape(spread, tf.gather(shape, [0, 3, 1, 2])), [0, 2, 3, 1])
        return tf.cast(spread, images.dtype)
