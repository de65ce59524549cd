# SPDX-License-Identifier: Apache-2.0
"""Where the variables of a MicroNet stand in the state dicts of its two public implementations.

The authors (repository liyunsheng13/micronet, MIT) publish one state dict for each variant; its
keys are the names of their module tree. PaddleClas has the same tree in PaddlePaddle, of which two
names and the matrices' order differ. Everything is checked, key by key and shape by shape, before
the first variable is assigned.
"""

import dataclasses
from collections.abc import Mapping

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
from keras_micronet.weights.messages import one_line
from keras_micronet.weights.stored_array import StoredArray

CLASSIFIER_LAYERS = ("classifier_dense", "classifier_normalization")
_TOP_PREFIX = "classifier."
_CLASSIFIER_PREFIX = "classifier.2."
_CLASSIFIER_BIAS = "classifier.2.linear.0.bias"


@dataclasses.dataclass(frozen=True)
class _Layout:
    """How a framework writes a state dict.

    Attributes:
        mean, variance: what it calls the running statistics of batch normalization.
        matrix_axes: the axes of a dense layer's matrix in the order in which Keras has them, inputs
            before outputs.
    """

    mean: str
    variance: str
    matrix_axes: tuple


_PYTORCH = _Layout(mean="running_mean", variance="running_var", matrix_axes=(1, 0))
_PADDLE = _Layout(mean="_mean", variance="_variance", matrix_axes=(0, 1))


def assign_state(
    model: keras.Model, state: Mapping[str, StoredArray], *, skip_classifier: bool = False
) -> None:
    """Sets a model's variables to a state dict's values, all of them or none.

    Args:
        model: a MicroNet built by this library.
        state: mapping from the keys of either implementation to `StoredArray`.
        skip_classifier: `True` leaves the last dense layer and its batch normalization as they are.

    Raises:
        ValueError: if a key is missing, left over or of another shape, or a value is not finite.
    """
    for variable, value in checked_values(model, state, skip_classifier=skip_classifier):
        variable.assign(value)


def checked_values(
    model: keras.Model, state: Mapping[str, StoredArray], *, skip_classifier: bool = False
) -> list[tuple[keras.Variable, np.ndarray]]:
    """The variables with the values that `assign_state` would give them; changes nothing.

    Returns:
        List of pairs of a Keras variable and a NumPy array of its shape.
    """
    targets = _targets(model, _layout(state))
    skipped_prefix = None
    if not any(key.startswith(_TOP_PREFIX) for key in targets):
        skipped_prefix = _TOP_PREFIX
    elif skip_classifier:
        skipped_prefix = _CLASSIFIER_PREFIX
    if skipped_prefix is not None:
        state = _without_prefix(state, skipped_prefix)
        targets = _without_prefix(targets, skipped_prefix)
    _check_keys(set(state), set(targets))
    _check_shapes(state, targets)
    values = {key: state[key].read() for key in sorted(targets)}
    _check_values(values)
    return [(targets[key].variable, targets[key].convert(value)) for key, value in values.items()]


def count_classes(state: Mapping[str, StoredArray]) -> int | None:
    """The number of classes that a state dict's classifier tells apart; `None` without one."""
    bias = state.get(_CLASSIFIER_BIAS)
    return bias.shape[0] if bias is not None and len(bias.shape) == 1 else None


def _layout(state):
    return _PADDLE if any(key.endswith(f".{_PADDLE.mean}") for key in state) else _PYTORCH


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


def _check_shapes(state, targets):
    different = [key for key in sorted(targets) if state[key].shape != targets[key].shape]
    if not different:
        return
    key = different[0]
    more = f" (and {len(different) - 1} more arrays)" if len(different) > 1 else ""
    hint = ""
    if all(key.startswith(_CLASSIFIER_PREFIX) for key in different):
        hint = "; for other classes pass `skip_classifier=True` to `load_checkpoint`"
    raise ValueError(
        f"The checkpoint's {key} must have shape {targets[key].shape} for this model{hint}. "
        f"Received: shape={state[key].shape}{more}"
    )


def _check_values(values):
    infinite = [key for key, value in values.items() if not np.isfinite(value).all()]
    if infinite:
        raise ValueError(
            "The values of a checkpoint must be finite numbers. "
            f"Received: NaN or infinity in {_some(infinite)}"
        )
    names = tuple(f".{layout.variance}" for layout in (_PYTORCH, _PADDLE))
    negative = [key for key, value in values.items() if key.endswith(names) and (value < 0).any()]
    if negative:
        raise ValueError(
            "The variances of a checkpoint must not be negative. "
            f"Received: negative values in {_some(negative)}"
        )


def _some(keys):
    shown = [one_line(key, 80) for key in keys[:4]]
    return str(shown) if len(keys) <= 4 else f"[{', '.join(map(repr, shown))}, ...]"


@dataclasses.dataclass(frozen=True)
class _Target:
    """A variable, and how a state dict lays out its value.

    Attributes:
        variable: the Keras variable.
        shape: shape of the state dict's array.
        axes: the array's axes in the order in which the variable has them.
    """

    variable: keras.Variable
    shape: tuple
    axes: tuple

    def convert(self, value):
        """`value`, an array of `shape`, as the variable takes it."""
        return value.transpose(self.axes).reshape(self.variable.shape)


def _targets(model, layout):
    """The keys of a layout, each with the variable it sets."""
    targets = {}
    for index, layer in enumerate(_feature_layers(model)):
        prefix = f"features.{index}"
        if isinstance(layer, FactorizedStem):
            targets |= _convolutions(f"{prefix}.stem.0.conv", layer.convolutions, layout)
        else:
            targets |= _block(f"{prefix}.layers", layer, layout)
    names = {layer.name for layer in model.layers}
    if CLASSIFIER_LAYERS[0] in names:
        for position, name in ((0, "head"), (2, "classifier")):
            prefix = f"classifier.{position}.linear"
            normalization = model.get_layer(f"{name}_normalization")
            targets |= _dense(f"{prefix}.0", model.get_layer(f"{name}_dense"), layout)
            targets |= _normalization(f"{prefix}.1", normalization, layout)
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


def _block(prefix, block, layout):
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
            targets |= _dense(f"{prefix}.{position}.fc.0", layer.squeeze, layout)
            targets |= _dense(f"{prefix}.{position}.fc.2", layer.excite, layout)
        elif isinstance(layer, FactorizedDepthwiseConv2D):
            targets |= _convolutions(f"{prefix}.{position}.conv", layer.steps, layout)
        elif isinstance(layer, NormalizedConv2D):
            targets |= _convolutions(f"{prefix}.{position}.conv", [layer], layout)
    return targets


def _convolutions(prefix, layers, layout):
    targets = {}
    for index, layer in enumerate(layers):
        targets[f"{prefix}.{2 * index}.weight"] = _kernel(layer)
        normalization = layer.batch_normalization
        targets |= _normalization(f"{prefix}.{2 * index + 1}", normalization, layout)
    return targets


def _kernel(layer):
    height, width, inputs, outputs = layer.kernel.shape
    if isinstance(layer, NormalizedDepthwiseConv2D):
        # PyTorch has (in * multiplier, 1, height, width), the variable (height, width, in,
        # multiplier).
        return _Target(layer.kernel, (inputs * outputs, 1, height, width), (2, 3, 0, 1))
    return _Target(layer.kernel, (outputs, inputs, height, width), (2, 3, 1, 0))


def _dense(prefix, layer, layout):
    first, second = layout.matrix_axes
    shape = layer.kernel.shape[first], layer.kernel.shape[second]
    return {
        f"{prefix}.weight": _Target(layer.kernel, shape, layout.matrix_axes),
        f"{prefix}.bias": _Target(layer.bias, tuple(layer.bias.shape), (0,)),
    }


def _normalization(prefix, layer, layout):
    variables = {
        "weight": layer.gamma,
        "bias": layer.beta,
        layout.mean: layer.moving_mean,
        layout.variance: layer.moving_variance,
    }
    return {
        f"{prefix}.{name}": _Target(variable, tuple(variable.shape), (0,))
        for name, variable in variables.items()
    }
