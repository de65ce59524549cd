"""Building the model to train, with the weights to start from."""

import os

import keras

import keras_micronet

IMAGENET = "imagenet"
_IMAGENET_CLASSES = 1000
_TORCH_SUFFIXES = (".pth", ".pt", ".pth.tar", ".npz")
_CLASSIFIER_PREFIX = "classifier_"


def check_request(variant, weights):
    """Raises `ValueError` if there is no such variant or weights file; builds and reads nothing."""
    if variant not in keras_micronet.VARIANTS:
        raise ValueError(
            f"model must be one of {', '.join(keras_micronet.VARIANTS)}. Received: model={variant}"
        )
    if weights not in (None, IMAGENET) and not os.path.isfile(weights):
        raise ValueError(
            f"weights must be none, {IMAGENET} or an existing file. Received: weights={weights}"
        )


def build_partner(variant, image_size, class_count):
    """Builds a variant's partner for mutual learning: as wide and deep, of full rank.

    Args:
        variant, image_size, class_count: as for `build_model`.

    Returns:
        A Keras model with the inputs and outputs of `build_model`'s.
    """
    constructor = getattr(keras_micronet, f"MicroNet{variant}")
    return constructor(
        input_shape=(*image_size, 3), classes=class_count, weights=None, full_rank=True
    )


def load_teacher(path, image_size, class_count):
    """Loads a trained model to learn from, without running code that its file may contain.

    Args:
        path: of a `.keras` file.
        image_size, class_count: of the model that shall learn.

    Returns:
        A Keras model from images `(batch, height, width, 3)` in [0, 255] to probabilities.

    Raises:
        ValueError: if the file is damaged or its model takes or gives something else.
    """
    try:
        teacher = keras.saving.load_model(path, compile=False, safe_mode=True)
        shapes = teacher.input_shape, teacher.output_shape
    except Exception as error:  # Keras raises many types for damaged files
        raise ValueError(
            f"teacher must be a whole Keras model without code of its own. Received: {path} "
            f"({error})"
        ) from error
    expected = (None, *image_size, 3), (None, class_count)
    if shapes != expected:
        raise ValueError(
            "teacher must take images and give probabilities of the shapes "
            f"{expected}. Received: {path} with {shapes}"
        )
    return teacher


def build_model(variant, image_size, class_count, weights=None):
    """Builds a MicroNet that takes raw RGB images in [0, 255].

    Args:
        variant: `"M0"` to `"M3"`.
        image_size: height and width of the input, in pixels.
        class_count: number of classes.
        weights: `None` for random weights; `"imagenet"` or a path of a checkpoint in the authors'
            layout, whose classifier is left out if `class_count` is not ImageNet's; or the path of
            a `.keras` or `.weights.h5` file, which must be of the same model.

    Returns:
        A Keras model with softmax output `(batch, class_count)`.

    Raises:
        ValueError: if the variant is unknown or the weights do not fit.
        OSError: if the ImageNet weights are neither cached nor downloadable.
    """
    check_request(variant, weights)

    def build(weights, classes=class_count):
        constructor = getattr(keras_micronet, f"MicroNet{variant}")
        return constructor(input_shape=(*image_size, 3), classes=classes, weights=weights)

    new_classifier = class_count != _IMAGENET_CLASSES
    if weights == IMAGENET and new_classifier:
        model = build(None)
        _copy_all_but_classifier(build(IMAGENET, _IMAGENET_CLASSES), model)
        return model
    if weights is not None and weights.endswith(_TORCH_SUFFIXES):
        model = build(None)
        keras_micronet.load_torch_checkpoint(model, weights, skip_classifier=new_classifier)
        return model
    return build(weights)


def _copy_all_but_classifier(source, target):
    for layer in target.layers:
        if not layer.name.startswith(_CLASSIFIER_PREFIX):
            layer.set_weights(source.get_layer(layer.name).get_weights())
