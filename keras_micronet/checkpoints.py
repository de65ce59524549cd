"""Weights from files: the authors' PyTorch checkpoints, and the ImageNet cache.

The authors (repository liyunsheng13/micronet, MIT) publish one state dict for
each variant; its keys are the names of their module tree. Everything is checked,
key by key and shape by shape, before the first variable is assigned.
"""

import collections.abc
import dataclasses
import os
import tempfile
import zipfile
import zlib

import keras
import numpy as np

from keras_micronet.layers import (
    DynamicShiftMax,
    FactorizedDepthwiseConv2D,
    FactorizedStem,
    MicroBlock,
    NormalizedConv2D,
    NormalizedDepthwiseConv2D,
)

WEIGHTS_URL_VARIABLE = "KERAS_MICRONET_WEIGHTS_URL"
AUTHORS_URL = "http://www.svcl.ucsd.edu/projects/micronet/assets"
_TORCH_SUFFIXES = (".pth", ".pt", ".pth.tar")
_KERAS_SUFFIXES = (".weights.h5", ".keras")
_ARRAYS_SUFFIX = ".npz"


def load_torch_checkpoint(model, source, *, skip_classifier=False):
    """Loads weights in the authors' layout into a MicroNet.

    Args:
        model: a MicroNet built by this library, with or without its top. A
            model without the top takes no weights of the two dense layers.
        source: path of a `.pth` file (needs the `torch` extra; only tensors are
            unpickled, never code), path of a `.npz` file with the state dict's
            keys, or a mapping from those keys to arrays. A `module.` prefix and
            an enclosing `state_dict` entry are accepted.
        skip_classifier: `True` leaves the classifier (the last dense layer and
            its batch normalization) as it is, so that a checkpoint for other
            classes serves for fine-tuning.

    Raises:
        ValueError: if the file is not such a checkpoint, or a key is missing,
            left over or of another shape. The model is unchanged then.
        ImportError: if `source` is a `.pth` file and torch is not installed.
    """
    targets = _targets(model)
    state = _read_state(source)
    skipped_prefix = None
    if not any(key.startswith("classifier.") for key in targets):
        skipped_prefix = "classifier."
    elif skip_classifier:
        skipped_prefix = "classifier.2."
    if skipped_prefix is not None:
        state = _without_prefix(state, skipped_prefix)
        targets = _without_prefix(targets, skipped_prefix)
    _check_keys(set(state), set(targets))
    values = {key: targets[key].convert(key, state[key]) for key in sorted(targets)}
    for key, value in values.items():
        targets[key].variable.assign(value)


def check_weights_argument(weights):
    """Raises `ValueError` unless `weights` is `None`, "imagenet" or an existing weights file."""
    if weights is None or weights == "imagenet":
        return
    suffixes = (*_KERAS_SUFFIXES, *_TORCH_SUFFIXES, _ARRAYS_SUFFIX)
    rule = f"`weights` must be None, 'imagenet' or the path of a file ending in {suffixes}"
    if not isinstance(weights, (str, os.PathLike)) or not os.fspath(weights).endswith(suffixes):
        raise ValueError(f"{rule}. Received: weights={weights!r}")
    if not os.path.isfile(weights):
        raise ValueError(f"{rule}; no such file exists. Received: weights={os.fspath(weights)!r}")


def load_weights(model, variant, weights):
    """Loads what the `weights` argument of a builder names.

    Args:
        model: the freshly built model.
        variant: its `Variant`.
        weights: `None`, `"imagenet"` or a path that `check_weights_argument`
            accepts.
    """
    if weights is None:
        return
    if weights == "imagenet":
        _load_imagenet(model, variant)
    elif os.fspath(weights).endswith(_KERAS_SUFFIXES):
        _load_keras_file(model, weights)
    else:
        load_torch_checkpoint(model, weights)


def _load_keras_file(model, path):
    try:
        model.load_weights(path)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            "`weights` must be a whole file of weights for this very model. "
            f"Received: weights={os.fspath(path)!r} ({error})"
        ) from error


def _load_imagenet(model, variant):
    """Loads the ImageNet weights of a variant; fetches and converts them first if need be.

    The cache is Keras's (`KERAS_HOME`, else `.keras` in the home folder). The
    authors' file is downloaded from their address, or from the one in the
    environment variable `KERAS_MICRONET_WEIGHTS_URL`. What fits the model, and
    only that, is cached as arrays: torch is needed the first time only.
    """
    file_name = f"micronet-{variant.name.lower()}.pth"
    folder = os.path.join(_keras_home(), "models")
    arrays_path = os.path.join(folder, file_name.replace(".pth", f"-imagenet{_ARRAYS_SUFFIX}"))
    if os.path.exists(arrays_path):
        load_torch_checkpoint(model, arrays_path)
        return
    path = os.path.join(folder, file_name)
    try:
        state = _read_state(path) if os.path.exists(path) else _downloaded(path)
        load_torch_checkpoint(model, state)
    except ValueError as error:
        raise ValueError(
            f"The ImageNet weights of {model.name!r} must be the authors' file. "
            f"Received: {path if os.path.exists(path) else _origin(file_name)} ({error})"
        ) from error
    _save_arrays(arrays_path, state)


def _downloaded(path):
    """State dict of the authors' file that belongs at `path`."""
    folder = os.path.dirname(path)
    _import_torch(path)  # no use in downloading without it
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        return _read_state(_fetched(path, scratch))


def _fetched(path, folder):
    """Path, in `folder`, of the downloaded file that belongs at `path`."""
    file_name = os.path.basename(path)
    try:
        return keras.utils.get_file(
            file_name, _origin(file_name), cache_dir=folder, cache_subdir=""
        )
    except Exception as error:  # Keras raises bare exceptions for failed downloads
        raise OSError(
            f"The ImageNet weights {file_name} are not cached and could not be downloaded. "
            f"They come from {_origin(file_name)}; put the file at {path}, or set "
            f"{WEIGHTS_URL_VARIABLE} to the address of a folder that holds it. ({error})"
        ) from error


def _origin(file_name):
    address = os.environ.get(WEIGHTS_URL_VARIABLE) or AUTHORS_URL
    return f"{address.rstrip('/')}/{file_name}"


def _keras_home():
    return os.environ.get("KERAS_HOME", os.path.join(os.path.expanduser("~"), ".keras"))


def _save_arrays(path, state):
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        temporary = os.path.join(scratch, name)
        np.savez(temporary, **state)
        os.replace(temporary, path)


def _read_state(source):
    if isinstance(source, collections.abc.Mapping):
        state = source
    elif not isinstance(source, (str, os.PathLike)) or not os.path.isfile(source):
        raise ValueError(
            "`source` must be an existing checkpoint file or a mapping from keys to arrays. "
            f"Received: source={source!r}"
        )
    elif os.fspath(source).endswith(_ARRAYS_SUFFIX):
        state = _read_arrays(source)
    else:
        state = _read_torch(source)
    if isinstance(state.get("state_dict"), collections.abc.Mapping):
        state = state["state_dict"]
    return {
        str(key).removeprefix("module."): _as_array(key, value)
        for key, value in state.items()
        if not str(key).endswith(".num_batches_tracked")
    }


def _as_array(key, value):
    if hasattr(value, "detach"):  # a torch tensor, maybe a parameter or of half precision
        value = value.detach().cpu().float()
    try:
        return np.asarray(value, np.float32)
    except (TypeError, ValueError):
        raise ValueError(
            "Every entry of a checkpoint must be an array of numbers. "
            f"Received: {key} of type {type(value).__name__}"
        ) from None


def _read_arrays(path):
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _not_a_checkpoint(path, error) from error


def _import_torch(source):
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "Reading a PyTorch checkpoint needs torch: pip install keras_micronet[torch]. "
            f"Received: source={os.fspath(source)!r}"
        ) from error
    return torch


def _read_torch(path):
    torch = _import_torch(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen unrelated types for damaged files
        raise _not_a_checkpoint(path, error) from error
    if not isinstance(content, collections.abc.Mapping):
        raise _not_a_checkpoint(path, f"it holds a {type(content).__name__}")
    return content


def _not_a_checkpoint(path, reason):
    return ValueError(
        "`source` must be a whole file that holds a state dict of tensors and nothing else. "
        f"Received: source={os.fspath(path)!r} ({reason})"
    )


def _without_prefix(entries, prefix):
    return {key: value for key, value in entries.items() if not key.startswith(prefix)}


def _check_keys(received, expected):
    missing, unexpected = sorted(expected - received), sorted(received - expected)
    if missing or unexpected:
        raise ValueError(
            "The keys of the checkpoint must be those of the model. "
            f"Received: {len(missing)} missing {_some(missing)}, "
            f"{len(unexpected)} unexpected {_some(unexpected)}"
        )


def _some(keys):
    shown = keys[:4]
    return str(shown) if len(keys) <= 4 else f"[{', '.join(map(repr, shown))}, ...]"


@dataclasses.dataclass(frozen=True)
class _Target:
    """A variable, and how PyTorch lays out its value.

    Attributes:
        variable: the Keras variable.
        torch_shape: shape of the checkpoint's array.
        axes: the checkpoint's axes in the order in which the variable has them.
    """

    variable: keras.Variable
    torch_shape: tuple
    axes: tuple

    def convert(self, key, value):
        """`value` as the variable takes it; raises `ValueError` if it has another shape."""
        if value.shape != self.torch_shape:
            raise ValueError(
                f"The checkpoint's {key} must have shape {self.torch_shape} for this model. "
                f"Received: shape={value.shape}"
            )
        return value.transpose(self.axes).reshape(self.variable.shape)


def _targets(model):
    """The authors' keys, each with the variable it sets."""
    targets = {}
    for index, layer in enumerate(_feature_layers(model)):
        prefix = f"features.{index}"
        if isinstance(layer, FactorizedStem):
            targets |= _convolutions(f"{prefix}.stem.0.conv", layer.convolutions)
        else:
            targets |= _block(f"{prefix}.layers", layer)
    names = {layer.name for layer in model.layers}
    if "classifier_dense" in names:
        for position, name in ((0, "head"), (2, "classifier")):
            prefix = f"classifier.{position}.linear"
            targets |= _dense(f"{prefix}.0", model.get_layer(f"{name}_dense"))
            targets |= _normalization(f"{prefix}.1", model.get_layer(f"{name}_normalization"))
    return targets


def _feature_layers(model):
    layers = getattr(model, "layers", [])
    features = [layer for layer in layers if isinstance(layer, (FactorizedStem, MicroBlock))]
    if not features or not isinstance(features[0], FactorizedStem):
        names = _some([layer.name for layer in layers])
        raise ValueError(
            "`model` must be a MicroNet of this library: a stem followed by blocks. "
            f"Received: model of type {type(model).__name__} with layers {names}"
        )
    if any(layer.full_rank for layer in features):
        raise ValueError(
            "Released checkpoints are of the factorized model, built with `full_rank=False`. "
            f"Received: the full-rank partner {model.name!r}"
        )
    return features


def _block(prefix, block):
    """Targets of a block; the numbers are positions in the release's `nn.Sequential`."""
    if block.is_expansion_only:
        positions = {0: block.expand, 1: block.expand_activation}
    elif block.expand is None:
        positions = {
            0: block.depthwise,
            1: block.depthwise_activation,
            4: block.project,
            5: block.project_activation,
        }
    else:
        positions = {
            0: block.expand,
            1: block.expand_activation,
            3: block.depthwise,
            5: block.depthwise_activation,
            7: block.project,
            8: block.project_activation,
        }
    targets = {}
    for position, layer in positions.items():
        if isinstance(layer, DynamicShiftMax):
            targets |= _dense(f"{prefix}.{position}.fc.0", layer.squeeze)
            targets |= _dense(f"{prefix}.{position}.fc.2", layer.excite)
        elif isinstance(layer, FactorizedDepthwiseConv2D):
            targets |= _convolutions(f"{prefix}.{position}.conv", layer.steps)
        elif isinstance(layer, NormalizedConv2D):
            targets |= _convolutions(f"{prefix}.{position}.conv", [layer])
    return targets


def _convolutions(prefix, layers):
    targets = {}
    for index, layer in enumerate(layers):
        targets[f"{prefix}.{2 * index}.weight"] = _kernel(layer)
        targets |= _normalization(f"{prefix}.{2 * index + 1}", layer.batch_normalization)
    return targets


def _kernel(layer):
    height, width, inputs, outputs = layer.kernel.shape
    if isinstance(layer, NormalizedDepthwiseConv2D):
        # PyTorch has (in * multiplier, 1, height, width), the variable (height, width, in,
        # multiplier).
        return _Target(layer.kernel, (inputs * outputs, 1, height, width), (2, 3, 0, 1))
    return _Target(layer.kernel, (outputs, inputs, height, width), (2, 3, 1, 0))


def _dense(prefix, layer):
    inputs, outputs = layer.kernel.shape
    return {
        f"{prefix}.weight": _Target(layer.kernel, (outputs, inputs), (1, 0)),
        f"{prefix}.bias": _Target(layer.bias, (outputs,), (0,)),
    }


def _normalization(prefix, layer):
    variables = {
        "weight": layer.gamma,
        "bias": layer.beta,
        "running_mean": layer.moving_mean,
        "running_var": layer.moving_variance,
    }
    return {
        f"{prefix}.{name}": _Target(variable, tuple(variable.shape), (0,))
        for name, variable in variables.items()
    }
