"""Random changes to training images, made of Keras's own preprocessing layers."""

import keras

# What a shifted or turned image leaves uncovered is filled with its border, which looks like the
# background on digits as well as on photographs.
_FILL_MODE = "nearest"


def add_augmentation(model, recipe, seed):
    """Puts the random transformations that a recipe asks for in front of a model.

    They run as part of the training step: in the input pipeline their random state would forbid
    TensorFlow to decode images in parallel when runs must be repeatable.

    Args:
        model: Keras model from images `(batch, height, width, 3)` in [0, 255].
        recipe: a `recipes.Recipe`.
        seed: non-negative integer; the sequence of random changes repeats with it.

    Returns:
        A Keras model with the same weights, inputs and outputs. It changes each image on its own
        while it is trained, and no image otherwise.
    """
    images = keras.Input(model.input_shape[1:], name="training_images")
    changed = images
    for layer in _layers(recipe, seed):
        changed = layer(changed)
    return keras.Model(images, model(changed), name=f"augmented_{model.name}")


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
        yield keras.layers.RandomFlip("horizontal", seed=seed + 3)
