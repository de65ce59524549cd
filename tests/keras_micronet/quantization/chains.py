# SPDX-License-Identifier: Apache-2.0
"""Models small enough to run eagerly in which every kind of step occurs."""

import keras
import numpy as np

from keras_micronet import layers
from tests.keras_micronet import models


def random_images(model, count, seed=0):
    """Normal values in the shape that a model takes, float32."""
    shape = (count, *model.input_shape[1:])
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def chain(input_shape, *steps, name="chain"):
    """A functional model of layers, one after another, every weight random."""
    inputs = keras.Input(input_shape)
    x = inputs
    for step in steps:
        x = step(x)
    model = keras.Model(inputs, x, name=name)
    models.randomize(model)
    return model


def stem():
    """A ReLU6 after a shuffle, on an image of odd sides."""
    return chain((9, 11, 3), layers.FactorizedStem((2, 2)))


def full_rank_stem():
    return chain((8, 8, 3), layers.FactorizedStem((2, 2), full_rank=True))


def block_a():
    """Two fusions and one, after a depthwise convolution that multiplies the channels."""
    return chain(
        (8, 8, 4),
        layers.MicroBlock(
            8,
            strides=2,
            expansion=(2, 2),
            expand_groups=(0, 4),
            project_groups=(2, 2),
            fusions=(0, 2, 1),
        ),
    )


def residual_blocks():
    """Two Micro-Blocks that add what they take: the model's images, then a shuffled map."""
    options = {"expansion": (1, 2), "expand_groups": (4, 4), "project_groups": (4, 2)}
    return chain(
        (6, 6, 8),
        layers.MicroBlock(8, fusions=(2, 2, 1), initial_b=(0.5, 0.0), **options),
        layers.MicroBlock(8, fusions=(1, 0, 0), **options),
        keras.layers.ReLU(),
    )


def residual_of_an_activation():
    """A block that adds a map whose ReLU6 is computed by the convolution before it."""
    return chain(
        (4, 4, 3),
        layers.NormalizedConv2D(4, 3),
        keras.layers.ReLU(6.0),
        layers.MicroBlock(4, expansion=(2, 1), expand_groups=(0, 2), fusions=(0, 0, 0)),
    )


def last_row():
    """Expansion alone, with one fusion that ReLU6 follows, as MicroNet ends."""
    return chain(
        (4, 4, 8),
        layers.MicroBlock(16, expand_groups=(4, 4), project_groups=(0, 0), fusions=(0, 0, 1)),
        keras.layers.ReLU(6.0),
        keras.layers.GlobalAveragePooling2D(),
    )


def keras_convolutions():
    """Keras's own convolutions in every form that a chain takes."""
    return chain(
        (9, 8, 3),
        keras.layers.Conv2D(8, 3, strides=2, padding="same"),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(6.0),
        keras.layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
        keras.layers.BatchNormalization(scale=False),
        layers.ChannelShuffle(4),
        keras.layers.Conv2D(12, 1, groups=4, activation="relu"),
        keras.layers.DepthwiseConv2D((1, 2), padding="same"),
        keras.layers.GlobalAveragePooling2D(),
    )


def head(dropout=0.0):
    """Dense layers of every kind, and a ReLU that no operation computes."""
    return chain(
        (4, 4, 6),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.ReLU(),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dense(10),
        keras.layers.BatchNormalization(),
        keras.layers.Activation("hard_swish"),
        keras.layers.Dropout(dropout),
        keras.layers.Dense(5, use_bias=False),
        keras.layers.BatchNormalization(center=False, scale=False),
        keras.layers.Dense(4, activation="softmax"),
    )


def nested():
    """A backbone within a model, behind the library's normalization of raw images."""
    backbone = chain(
        (8, 8, 3),
        layers.FactorizedStem((2, 4)),
        layers.MicroBlock(8, fusions=(0, 0, 0)),
        name="backbone",
    )
    return chain(
        (8, 8, 3),
        keras.layers.Normalization(mean=[0.5, 0.0, -0.5], variance=[0.5, 1.0, 2.0]),
        backbone,
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3),
    )


CHAINS = [
    stem,
    full_rank_stem,
    block_a,
    residual_blocks,
    residual_of_an_activation,
    last_row,
    keras_convolutions,
    head,
    nested,
]


def classifier():
    """The quickest model that learns to tell `models.red_or_blue_images` apart, in logits."""
    inputs = keras.Input((8, 8, 3))
    x = layers.NormalizedConv2D(4, 3, strides=2)(inputs)
    x = keras.layers.ReLU(6.0)(x)
    x = layers.DynamicShiftMax(2, fusions=1, reduction_ratio=1)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(6)(x)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x), name="classifier")
