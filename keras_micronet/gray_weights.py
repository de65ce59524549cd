# SPDX-License-Identifier: Apache-2.0
"""Weights of a model of RGB images for one of gray images, which computes the same."""

import keras
import numpy as np

from keras_micronet.image_statistics import channel_statistics

_PREPROCESSING, _STEM = "preprocessing", "stem"


def copy_to_gray(source: keras.Model, target: keras.Model) -> None:
    """Gives a gray MicroNet the weights of one of RGB images, for any input size.

    For gray images it then computes what the source does for the same images with three equal
    channels: the stem's kernel is summed over them. They are normalized each by its own mean and
    deviation, which the sum and the mean of batch normalization take in. Only in the rows at the
    top and the bottom whose windows reach outside, where padding is the mean of each channel, the
    results differ a little.

    Args:
        source: a MicroNet with inputs `(height, width, 3)`, not of full rank.
        target: the same network for inputs `(height, width, 1)`, whose weights are replaced.
    """
    for layer in source.layers:
        if layer.weights and layer.name not in (_PREPROCESSING, _STEM):
            target.get_layer(layer.name).set_weights(layer.get_weights())
    stems = source.get_layer(_STEM), target.get_layer(_STEM)
    (colour, *others), (gray, *gray_others) = (stem.convolutions for stem in stems)
    for layer, gray_layer in zip(others, gray_others, strict=True):
        gray_layer.set_weights(layer.get_weights())
    normalization = gray.batch_normalization
    normalization.set_weights(colour.batch_normalization.get_weights())
    kernel = np.asarray(colour.kernel, np.float64)  # (k, 1, 3, channels)
    (means, deviations), ((mean,), (deviation,)) = map(channel_statistics, (3, 1))
    slopes = deviation / np.array(deviations)
    offsets = (mean - np.array(means)) / np.array(deviations)
    gray.kernel.assign(np.einsum("kjic,i->kjc", kernel, slopes)[:, :, np.newaxis])
    shift = np.einsum("kjic,i->c", kernel, offsets)
    normalization.moving_mean.assign(np.asarray(normalization.moving_mean) - shift)
