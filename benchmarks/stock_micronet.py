# SPDX-License-Identifier: Apache-2.0
"""A MicroNet written with the layers that Keras ships: the obvious port, to compare with.

Every convolution is a grouped `keras.layers.Conv2D` followed by `keras.layers.BatchNormalization`,
every shuffle and shift is a gather, and Dynamic Shift-Max is spelled out in elementary operations.
"""

import keras
import numpy as np

from keras_micronet import layers
from keras_micronet.layers.image_layer import ImageLayerSequence


def stock_copy(model):
    """The same network with the same weights, of stock Keras layers only.

    Args:
        model: a channels-last model of `keras_micronet`.

    Returns:
        A functional `keras.Model` from the same inputs to the same outputs.
    """
    inputs = keras.Input(model.input_shape[1:])
    outputs = inputs
    for layer in model.layers[1:]:
        outputs = _stock(layer, outputs)
    return keras.Model(inputs, outputs, name=f"stock_{model.name}")


def _stock(layer, images):
    if isinstance(layer, layers.MicroBlock):
        outputs = _sequence(layer, images)
        return keras.layers.Add()([outputs, images]) if layer.has_residual else outputs
    if isinstance(layer, ImageLayerSequence):
        return _sequence(layer, images)
    if isinstance(layer, layers.NormalizedConv2D):
        return _convolution(layer, images, layer.filters, layer.groups)
    if isinstance(layer, layers.NormalizedDepthwiseConv2D):
        channels = images.shape[-1]
        return _convolution(layer, images, channels * layer.depth_multiplier, channels)
    if isinstance(layer, layers.ChannelShuffle):
        return keras.ops.take(images, layer.permutation.astype("int32"), axis=-1)
    if isinstance(layer, layers.DynamicShiftMax):
        return _shift_max(layer, images)
    if isinstance(layer, keras.layers.Normalization):
        mean, variance = np.ravel(layer.mean), np.ravel(layer.variance)
        return keras.layers.Normalization(mean=mean, variance=variance)(images)
    return _copied(layer, images)


def _sequence(sequence, images):
    for layer in sequence.steps:
        images = _stock(layer, images)
    return images


def _convolution(layer, images, filters, groups):
    padding = [size // 2 for size in layer.kernel_size]
    if any(padding):
        images = keras.layers.ZeroPadding2D(padding)(images)
    convolution = keras.layers.Conv2D(
        filters, layer.kernel_size, strides=layer.strides, groups=groups, use_bias=False
    )
    images = convolution(images)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    convolution.set_weights([kernel.reshape(convolution.kernel.shape)])
    return _copied(layer.batch_normalization, images)


def _shift_max(layer, images):
    channels = images.shape[-1]
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True)(images)
    logits = _copied(layer.excite, _copied(layer.squeeze, pooled))
    initial = np.repeat(layer.initial_coefficients(), channels).astype("float32")
    coefficients = 4.0 * (keras.ops.hard_sigmoid(logits) - 0.5) + initial
    shifted = keras.ops.take(images, layer.permutation.astype("int32"), axis=-1)
    parts = keras.ops.split(coefficients, 2 * layer.fusions, axis=-1)
    fused = [a * images + b * shifted for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return fused[0] if len(fused) == 1 else keras.ops.maximum(*fused)


def _copied(layer, inputs):
    """A new stock layer like `layer`, with its weights, applied to `inputs`."""
    config = layer.get_config()
    del config["name"]
    copy = type(layer).from_config(config)
    outputs = copy(inputs)
    copy.set_weights(layer.get_weights())
    return outputs
