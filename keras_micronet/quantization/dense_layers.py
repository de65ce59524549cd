# SPDX-License-Identifier: Apache-2.0
"""The dense layers of a chain as plain matrices, those within Dynamic Shift-Max among them."""

import dataclasses
from collections.abc import Iterable, Iterator

import keras
import numpy as np

from keras_micronet.layer_chain import INPUT
from keras_micronet.layers.normalized_conv2d import folded_normalization
from keras_micronet.quantization.plan import PlannedStep, ShiftMaxNames


@dataclasses.dataclass(frozen=True)
class DenseLayer:
    """A dense layer as a device computes it.

    Attributes:
        name: of what it computes, as in `plan`.
        source: name of the value that it reads.
        matrix: float array `(inputs, outputs)`, batch normalization folded in.
    """

    name: str
    source: str
    matrix: np.ndarray


def dense_layers(planned: Iterable[PlannedStep]) -> Iterator[DenseLayer]:
    """Yields a `DenseLayer` for each dense layer of a plan, in order."""
    source = INPUT
    for item in planned:
        step = item.step
        if step.kind == "dense":
            yield DenseLayer(step.name, source, _folded_kernel(step))
        elif step.kind == "shift_max":
            layer, names = step.layer, ShiftMaxNames.of(step)
            yield DenseLayer(names.squeeze, names.pool, _numpy(layer.squeeze.kernel))
            for name, each in zip(names.coefficients, layer.coefficient_layers(), strict=True):
                yield DenseLayer(name, names.squeeze, _numpy(each.kernel))
        if item.stores_something:
            source = item.result or step.name


def _folded_kernel(step):
    kernel = _numpy(step.layer.kernel)
    if step.normalization is None:
        return kernel
    scale, _ = folded_normalization(step.normalization)
    return kernel * _numpy(scale)


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)
