"""Random changes to training images, made of Keras's own preprocessing layers."""

import keras

# What a shifted or turned image leaves uncovered is filled with its border, which looks like the
# background on digits as well as on photographs.
_FILL_MODE = "nearest"


def random_changes(recipe, seed):
    """The random transformations that a recipe asks for, in the order of application.

    They run as part of the training step: in the input pipeline their random state would forbid
    TensorFlow to decode images in parallel when runs must be repeatable.

    Args:
        recipe: a `recipes.Recipe`.
        seed: non-negative integer; the sequence of random changes repeats with it.

    Returns:
        A list of Keras layers. Each changes every image of a batch on its own while training.
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
        yield keras.layers.RandomFlip("horizontal", seed=seed + 3)
