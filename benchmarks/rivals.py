# SPDX-License-Identifier: Apache-2.0
"""Networks that users of microcontrollers pick beside MicroNet, of Keras's own layers.

All take raw RGB images in [0, 255] and give probabilities. What a device computes is `core`, which
takes the images divided by 127.5 less one.
"""

import functools

import keras

RESNET8 = "ResNet8"
MOBILENET_V2 = "MobileNetV2 0.35"
MOBILENET_V3 = "MobileNetV3-Small 0.35"
RIVALS = (RESNET8, MOBILENET_V2, MOBILENET_V3)
ALPHA = 0.35
_CORE = "core"
_HALF_RANGE = 127.5


def build(name, size, classes):
    """A rival with random weights.

    Args:
        name: one of `RIVALS`.
        size: height and width of the images, in pixels.
        classes: number of classes.

    Returns:
        A Keras model from images `(batch, size, size, 3)` in [0, 255] to `(batch, classes)`.
    """
    images = keras.Input((size, size, 3), name="images")
    normalized = keras.layers.Rescaling(1 / _HALF_RANGE, -1.0, name="normalization")(images)
    core = _BUILDERS[name](input_shape=(size, size, 3), classes=classes, name=_CORE)
    return keras.Model(images, core(normalized), name=name.replace(" ", "_"))


def core(model):
    """The part of a rival that runs on a device, a Keras model of normalized images."""
    return model.get_layer(_CORE)


def normalize(images):
    """What `core` takes of raw images."""
    return images.astype("float32") / _HALF_RANGE - 1.0


def resnet8(input_shape, classes, name=None, layers=keras.layers, model_class=keras.Model):
    """MLPerf Tiny's network for image classification (arXiv 2106.07597, section 4.2).

    ResNet version 1 (arXiv 1512.03385) with three stacks of one residual block of 16, 32 and 64
    channels; shortcuts that change the shape are 1 x 1 convolutions without batch normalization.

    Args:
        input_shape: height, width and channels; 32 x 32 in the benchmark.
        classes: number of classes.
        name: of the model.
        layers, model_class: of Keras, or of Keras 2.

    Returns:
        A model from normalized images to probabilities.
    """

    def convolution(x, filters, kernel_size=3, strides=1):
        return layers.Conv2D(
            filters, kernel_size, strides, padding="same", kernel_initializer="he_normal"
        )(x)

    def normalized(x, filters, strides=1):
        return layers.BatchNormalization()(convolution(x, filters, strides=strides))

    images = layers.Input(input_shape)
    x = layers.ReLU()(normalized(images, 16))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        y = layers.ReLU()(normalized(x, filters, strides))
        y = normalized(y, filters)
        shortcut = x if strides == 1 else convolution(x, filters, 1, strides)
        x = layers.ReLU()(layers.Add()([shortcut, y]))
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(classes, activation="softmax", kernel_initializer="he_normal")(x)
    return model_class(images, outputs, name=name)


_BUILDERS = {
    RESNET8: resnet8,
    MOBILENET_V2: functools.partial(keras.applications.MobileNetV2, alpha=ALPHA, weights=None),
    MOBILENET_V3: functools.partial(
        keras.applications.MobileNetV3Small,
        alpha=ALPHA,
        weights=None,
        include_preprocessing=False,
    ),
}
