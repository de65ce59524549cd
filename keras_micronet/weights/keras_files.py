# SPDX-License-Identifier: Apache-2.0
"""Keras's own `.keras` and `.weights.h5` files of a MicroNet; the classifier may be left out.

Keras itself reads them, into a twin of the model: nothing is assigned before all is known to fit.
"""

import io
import os
import zipfile

import h5py
import keras

from keras_micronet.files.archives import check_model_file, check_weights_file
from keras_micronet.finite_weights import non_finite_weights
from keras_micronet.weights.files import LARGEST_FILE
from keras_micronet.weights.messages import one_line
from keras_micronet.weights.release_layout import CLASSIFIER_LAYERS

SUFFIXES = (".weights.h5", ".keras")
_MODEL_SUFFIX = ".keras"
_WEIGHTS_MEMBER = "model.weights.h5"
_CLASSIFIER = CLASSIFIER_LAYERS[0]


def load_keras_file(
    model: keras.Model, path: str | os.PathLike[str], *, skip_classifier: bool = False
) -> None:
    """Sets a model's variables to those of a file, all of them or none.

    Args:
        model: a MicroNet built by this library.
        path: of a file of the same model, which may tell other classes apart if `skip_classifier`.
        skip_classifier: `True` leaves the last dense layer and its batch normalization as they are.

    Raises:
        ValueError: if the file is damaged or of another model, or a value is not finite.
    """
    try:
        _check_file(path)
        classes = count_classes(model, path)
        expected = _classifier_units(model)
        if not skip_classifier and None not in (classes, expected) and classes != expected:
            raise ValueError(
                f"it is for {classes} classes, the model for {expected}: build it with "
                "`weights=None` and call `load_checkpoint(model, path, skip_classifier=True)`"
            )
        twin = _twin(model, classes)
        twin.load_weights(path)
        damaged = non_finite_weights(twin)
        if damaged:
            raise ValueError(f"{damaged[0]} has NaN or infinite values")
    except Exception as error:  # Keras and h5py raise many types for damaged files
        raise ValueError(
            "`weights` must be a whole file of weights for this very model. "
            f"Received: weights={os.fspath(path)!r} ({one_line(error)})"
        ) from error
    for layer, source in zip(model.layers, twin.layers, strict=True):
        if not (skip_classifier and layer.name in CLASSIFIER_LAYERS):
            layer.set_weights(source.get_weights())


def _check_file(path):
    """Raises unless a file holds no more than it seems to: Keras allocates what it claims."""
    if os.fspath(path).endswith(_MODEL_SUFFIX):
        check_model_file(path, LARGEST_FILE)
    else:
        check_weights_file(path, LARGEST_FILE)


def count_classes(model: keras.Model, path: str | os.PathLike[str]) -> int | None:
    """The number of classes that a file's classifier tells apart.

    Args:
        model: a MicroNet with the top, of the file's variant.
        path: of the file.

    Returns:
        A number; `None` if the file is damaged or has no classifier for the model's features.
    """
    if _classifier_units(model) is None:
        return None
    features = model.get_layer(_CLASSIFIER).kernel.shape[0]
    try:
        matrices = [shape for shape in _shapes(path) if len(shape) == 2 and shape[0] == features]
    except Exception:  # as above; whoever loads the file says what is wrong with it
        return None
    return matrices[0][1] if len(matrices) == 1 else None


def _shapes(path):
    """The shapes of all arrays of a file; no values are read."""
    if os.fspath(path).endswith(_MODEL_SUFFIX):
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_WEIGHTS_MEMBER).compress_type != zipfile.ZIP_STORED:
                return []  # Keras compresses nothing
            source = io.BytesIO(archive.read(_WEIGHTS_MEMBER))
    else:
        source = path
    shapes = []
    with h5py.File(source, "r") as file:
        file.visititems(
            lambda _, item: shapes.append(item.shape) if isinstance(item, h5py.Dataset) else None
        )
    return shapes


def _classifier_units(model):
    names = {layer.name for layer in model.layers}
    return model.get_layer(_CLASSIFIER).units if _CLASSIFIER in names else None


def _twin(model, classes):
    """A model like the given one, with random weights and the file's number of classes."""

    def clone(layer):
        config = layer.get_config()
        if layer.name == _CLASSIFIER and classes is not None:
            config["units"] = classes
        return layer.__class__.from_config(config)

    return keras.models.clone_model(model, clone_function=clone)
