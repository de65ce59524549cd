# SPDX-License-Identifier: Apache-2.0
"""Weights for a MicroNet, wherever they are."""

import collections.abc
import os
from typing import Any, TypeGuard

import keras

from keras_micronet.variants import Variant
from keras_micronet.weights import files, keras_files, release_layout
from keras_micronet.weights.cache import load_imagenet

IMAGENET = "imagenet"
_SUFFIXES = (*keras_files.SUFFIXES, *files.SUFFIXES)


def load_checkpoint(
    model: keras.Model,
    source: str | os.PathLike[str] | collections.abc.Mapping[str, Any],
    *,
    skip_classifier: bool = False,
) -> None:
    """Loads weights from a file or a mapping into a MicroNet.

    Nothing in a file is run, and neither PyTorch nor PaddlePaddle is needed. Everything is checked,
    key by key and shape by shape, before the first variable is assigned.

    Args:
        model: a MicroNet built by this library, with or without its top. A model without the top
            takes no weights of the two dense layers.
        source: a path or a mapping. Paths: `.pth`, `.pt` or `.pth.tar`, a state dict as PyTorch
            saves it; `.pdparams`, one as PaddlePaddle does; `.npz`, arrays under a state dict's
            keys; `.keras` or `.weights.h5`, which must be of a model like this one. A mapping has a
            state dict's keys, and arrays or tensors. Keys and matrices are those of the authors'
            release or of PaddleClas; a `module.` prefix and an enclosing `state_dict` entry are
            accepted.
        skip_classifier: `True` leaves the classifier (the last dense layer and its batch
            normalization) as it is, so that weights for other classes serve for fine-tuning.

    Raises:
        ValueError: if the source is damaged or something else, a key is missing, left over or of
            another shape, or a value is not finite. The model is unchanged then.
    """
    if _is_keras_file(source):
        keras_files.load_keras_file(model, source, skip_classifier=skip_classifier)
    else:
        state = files.read_state(source)
        release_layout.assign_state(model, state, skip_classifier=skip_classifier)


def load_torch_checkpoint(
    model: keras.Model,
    source: str | os.PathLike[str] | collections.abc.Mapping[str, Any],
    *,
    skip_classifier: bool = False,
) -> None:
    """Loads weights into a MicroNet: the earlier name of `load_checkpoint`.

    Args:
        model: see `load_checkpoint`.
        source: see `load_checkpoint`.
        skip_classifier: see `load_checkpoint`.
    """
    load_checkpoint(model, source, skip_classifier=skip_classifier)


def count_classes(
    model: keras.Model, source: str | os.PathLike[str] | collections.abc.Mapping[str, Any]
) -> int | None:
    """The number of classes of a checkpoint's classifier, which reads no values.

    Args:
        model: a MicroNet with the top, of the checkpoint's variant.
        source: as for `load_checkpoint`.

    Returns:
        A number; `None` if the checkpoint has no classifier for this model.

    Raises:
        ValueError: if the source is no checkpoint.
    """
    if _is_keras_file(source):
        return keras_files.count_classes(model, source)
    return release_layout.count_classes(files.read_state(source))


def check_weights_argument(weights: str | os.PathLike[str] | None) -> None:
    """Raises `ValueError` unless `weights` is `None`, "imagenet" or an existing weights file."""
    if weights is None or weights == IMAGENET:
        return
    rule = f"`weights` must be None, 'imagenet' or the path of a file ending in {_SUFFIXES}"
    if not isinstance(weights, (str, os.PathLike)) or not os.fspath(weights).endswith(_SUFFIXES):
        raise ValueError(f"{rule}. Received: weights={weights!r}")
    if not os.path.isfile(weights):
        raise ValueError(f"{rule}; no such file exists. Received: weights={os.fspath(weights)!r}")


def load_weights(
    model: keras.Model,
    variant: Variant,
    weights: str | os.PathLike[str] | None,
    *,
    skip_classifier: bool = False,
) -> None:
    """Loads what the `weights` argument of a builder names.

    Args:
        model: the freshly built model.
        variant: its `Variant`.
        weights: `None`, `"imagenet"` or a path that `check_weights_argument` accepts.
        skip_classifier: `True` leaves the classifier as it is.
    """
    if weights is None:
        return
    if weights == IMAGENET:
        load_imagenet(model, variant, skip_classifier=skip_classifier)
    else:
        load_checkpoint(model, weights, skip_classifier=skip_classifier)


def _is_keras_file(source: object) -> TypeGuard[str | os.PathLike[str]]:
    if isinstance(source, collections.abc.Mapping) or not isinstance(source, (str, os.PathLike)):
        return False
    return os.fspath(source).endswith(keras_files.SUFFIXES) and os.path.isfile(source)
