# SPDX-License-Identifier: Apache-2.0
"""Building the model to train, with the weights to start from."""

import os

import keras

import keras_micronet
from keras_micronet.files.archives import check_model_file
from keras_micronet.files.text import shorten
from keras_micronet.gray_weights import copy_to_gray
from keras_micronet.grid import MicroNetGrid
from keras_micronet.weights import check_weights_argument, count_classes, load_weights
from training.recipes.recipes import GridRecipe, Recipe

IMAGENET = "imagenet"
_IMAGENET_CLASSES = 1000


def check_request(variant: str, weights: str | None) -> None:
    """Raises `ValueError` if there is no such variant or weights file; builds and reads nothing."""
    if variant not in keras_micronet.VARIANTS:
        raise ValueError(
            f"model must be one of {', '.join(keras_micronet.VARIANTS)}. Received: model={variant}"
        )
    if weights not in (None, IMAGENET) and not os.path.isfile(weights):
        raise ValueError(
            f"weights must be none, {IMAGENET} or an existing file. Received: weights={weights}"
        )
    check_weights_argument(weights)


def build_partner(
    variant: str, image_size: tuple[int, int], class_count: int, channels: int = 3
) -> keras.Model:
    """Builds a variant's partner for mutual learning: as wide and deep, of full rank.

    Args:
        variant, image_size, class_count, channels: as for `build_model`.

    Returns:
        A Keras model with the inputs and outputs of `build_model`'s.
    """
    constructor = getattr(keras_micronet, f"MicroNet{variant}")
    return constructor(
        input_shape=(*image_size, channels), classes=class_count, weights=None, full_rank=True
    )


def load_teacher(
    path: str | os.PathLike[str],
    image_size: tuple[int, int],
    class_count: int,
    channels: int = 3,
) -> keras.Model:
    """Loads a trained model to learn from, without running code that its file may contain.

    Args:
        path: of a `.keras` file.
        image_size, class_count, channels: of the model that shall learn.

    Returns:
        A Keras model from images `(batch, height, width, channels)` in [0, 255] to probabilities.

    Raises:
        ValueError: if the file is damaged or its model takes or gives something else.
    """
    try:
        check_model_file(path)
        teacher = keras.saving.load_model(path, compile=False, safe_mode=True)
        shapes = teacher.input_shape, teacher.output_shape
    except Exception as error:  # Keras raises many types for damaged files
        raise ValueError(
            f"teacher must be a whole Keras model without code of its own. Received: {path} "
            f"({shorten(error)})"
        ) from error
    expected = (None, *image_size, channels), (None, class_count)
    if shapes != expected:
        raise ValueError(
            "teacher must take images and give probabilities of the shapes "
            f"{expected}. Received: {path} with {shapes}"
        )
    return teacher


def build_model(
    variant: str,
    image_size: tuple[int, int],
    class_count: int,
    weights: str | None = None,
    channels: int = 3,
) -> keras.Model:
    """Builds a MicroNet that takes raw images in [0, 255], RGB or gray.

    Args:
        variant: `"M0"` to `"M3"`.
        image_size: height and width of the input, in pixels.
        class_count: number of classes.
        weights: `None` for random weights, `"imagenet"` or the path of a file that
            `keras_micronet.load_checkpoint` reads. A classifier for another number of classes is
            left out: the model keeps its own, with random weights.
        channels: 3 for RGB, 1 for gray, for which ImageNet's weights are summed.

    Returns:
        A Keras model with softmax output `(batch, class_count)`.

    Raises:
        ValueError: if the variant is unknown or the weights do not fit.
        OSError: if the ImageNet weights are neither cached nor downloadable.
    """
    check_request(variant, weights)
    constructor = getattr(keras_micronet, f"MicroNet{variant}")
    model = constructor(input_shape=(*image_size, channels), classes=class_count, weights=None)
    if weights == IMAGENET and channels == 1:
        copy_to_gray(build_model(variant, image_size, class_count, weights), model)
        return model
    skip_classifier = _class_count(model, weights) not in (None, class_count)
    try:
        load_weights(
            model, keras_micronet.VARIANTS[variant], weights, skip_classifier=skip_classifier
        )
    except OSError as error:
        if weights != IMAGENET:
            raise
        raise OSError(
            f"{error}. Without them: --recipe photographs, or another recipe with --weights none, "
            "trains from scratch"
        ) from error
    return model


def build_grid_model(
    variant: str, recipe: GridRecipe, class_count: int, weights: str | None = None
) -> keras.Model:
    """Builds a MicroNet that answers for each cell of a grid, and takes raw images in [0, 255].

    Args:
        variant: `"M0"` to `"M3"`.
        recipe: a `GridRecipe`, which has the input's shape, the cells and the blocks.
        class_count: number of classes without the background, or of joints.
        weights: of the backbone, as for `build_model`.

    Returns:
        A Keras model from `(batch, height, width, channels)` to probabilities `(batch, rows,
        columns, answers)`.

    Raises:
        ValueError: if the variant is unknown, has fewer blocks, or the weights do not fit.
        OSError: if the ImageNet weights are neither cached nor downloadable.
    """
    check_request(variant, weights)
    check_blocks(variant, recipe)
    try:
        return MicroNetGrid(
            variant,
            recipe.task,
            input_shape=recipe.input_shape,
            classes=class_count,
            weights=weights,
            output_stride=recipe.output_stride,
            blocks=recipe.blocks,
            shift_max=recipe.shift_max,
            head_width=recipe.head_width,
        )
    except OSError as error:
        if weights != IMAGENET:
            raise
        raise OSError(f"{error}. Without them: --weights none trains from scratch") from error


def check_blocks(variant: str, recipe: Recipe) -> None:
    """Raises `ValueError` if a recipe names blocks that a variant does not have."""
    if not isinstance(recipe, GridRecipe):
        return
    most = len(keras_micronet.VARIANTS[variant].blocks)
    named = [recipe.blocks or 1]
    named += [] if isinstance(recipe.shift_max, bool) else recipe.shift_max
    if max(named) > most:
        raise ValueError(
            f"blocks and shift_max must be numbers of blocks up to {most} for {variant}. "
            f"Received: blocks={recipe.blocks}, shift_max={recipe.shift_max}"
        )


def _class_count(model, weights):
    """The number of classes that weights are for; `None` if they have no classifier."""
    if weights is None:
        return None
    return _IMAGENET_CLASSES if weights == IMAGENET else count_classes(model, weights)
