# SPDX-License-Identifier: Apache-2.0
"""What a model costs: parameters and multiply-adds, layer by layer."""

import dataclasses
import math
from collections.abc import Sequence

import keras

from keras_micronet import layers

# By the exact type: what a class that is derived from one of them computes, nobody else knows.
_CONVOLUTIONS = (
    layers.NormalizedConv2D,
    layers.NormalizedDepthwiseConv2D,
    layers.GroupedPointwiseConv2D,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
)
_SEQUENCES = (
    layers.FactorizedDepthwiseConv2D,
    layers.FactorizedPointwiseConv2D,
    layers.FactorizedStem,
    layers.MicroBlock,
)


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """One line of a summary.

    Attributes:
        name: the layer's name, behind the names of the layers that contain it.
        type: name of the layer's class.
        output_shape: without the batch; `None` for layers with several outputs.
        parameters: number of elements of all its weights.
        trainable_parameters: of those, the trainable ones.
        multiply_adds: of convolutions and dense layers, for one input.
    """

    name: str
    type: str
    output_shape: tuple[int | None, ...] | None
    parameters: int
    trainable_parameters: int
    multiply_adds: int


@dataclasses.dataclass(frozen=True)
class ModelSummary:
    """The cost of a model: `rows` with one `LayerCost` a layer; `str()` is a table."""

    name: str
    rows: tuple[LayerCost, ...]

    @property
    def parameters(self) -> int:
        """Number of elements of all weights, moving statistics included."""
        return sum(row.parameters for row in self.rows)

    @property
    def trainable_parameters(self) -> int:
        """Number of elements of the trainable weights."""
        return sum(row.trainable_parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of all convolutions and dense layers for one input."""
        return sum(row.multiply_adds for row in self.rows)

    def __str__(self):
        header = ("layer", "type", "output shape", "parameters", "multiply-adds")
        lines = [_cells(row) for row in self.rows]
        total = ("total", "", "", f"{self.parameters:,}", f"{self.multiply_adds:,}")
        widths = [max(len(line[i]) for line in (header, *lines, total)) for i in range(5)]
        rule = "-" * (sum(widths) + 8)
        return "\n".join(
            [
                self.name,
                rule,
                _aligned(header, widths),
                rule,
                *(_aligned(line, widths) for line in lines),
                rule,
                _aligned(total, widths),
                f"trainable parameters: {self.trainable_parameters:,}",
            ]
        )


def summarize(model: keras.Model, input_shape: Sequence[int] | None = None) -> ModelSummary:
    """Counts parameters and multiply-adds of every layer of a model.

    Args:
        model: a functional or sequential Keras model of this library's layers,
            Keras's convolutions and dense layers, and layers without
            multiply-adds. Models inside it are counted layer by layer, for the
            sizes they are called with.
        input_shape: shape of one input without the batch, for a model that
            leaves sizes open.

    Returns:
        A `ModelSummary`. Batch normalization, activations, pooling and the
        fusions of Dynamic Shift-Max count no multiply-adds, as in the paper. A
        layer that is called twice has two rows, the second without parameters.

    Raises:
        ValueError: if sizes are open and `input_shape` is not given, or a
            layer's multiply-adds are not known.
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(
            "`model` must be a functional Keras model, or a sequential one with a known input. "
            f"Received: model of type {type(model).__name__}"
        )
    input_shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if input_shape is not None:
        input_shapes = [(None, *_checked_shape(input_shape, input_shapes))]
    return ModelSummary(model.name, tuple(_model_rows(model, input_shapes, "", set())))


def _checked_shape(input_shape, known_shapes):
    received = tuple(input_shape)
    expected = known_shapes[0][1:]
    agree = len(known_shapes) == 1 and len(received) == len(expected)
    if not agree or any(k not in (None, size) for k, size in zip(expected, received, strict=True)):
        raise ValueError(
            "`input_shape` must agree with the one input of the model. "
            f"Received: input_shape={received}, model input shapes={known_shapes}"
        )
    return received


@dataclasses.dataclass(frozen=True)
class _Call:
    """A layer as it stands in a model: shapes with the batch in front."""

    layer: keras.Layer
    input_shapes: list
    output_shape: tuple | None


class _Probe(keras.Layer):
    """Stands for a layer in a copy of its model, and notes the calls of the layer in `calls`."""

    def __init__(self, layer, calls):
        super().__init__(name=layer.name)
        self._output_spec = layer.compute_output_spec
        self._note = lambda *shapes: calls.append(_Call(layer, *shapes))

    def compute_output_spec(self, *args, **kwargs):
        outputs = self._output_spec(*args, **kwargs)
        output_shapes = _shapes(outputs)
        self._note(_shapes((args, kwargs)), output_shapes[0] if len(output_shapes) == 1 else None)
        return outputs


def _shapes(structure):
    """Shapes of the tensors anywhere in a structure, in order."""
    values = keras.tree.flatten(structure)
    return [tuple(value.shape) for value in values if keras.utils.is_keras_tensor(value)]


def _model_rows(model, input_shapes, prefix, counted):
    for call in _calls(model, input_shapes):
        yield from _layer_rows(call, prefix, counted)


def _calls(model, input_shapes):
    """The calls of the layers of a model for inputs of the given shapes, in order."""
    inputs = [
        keras.Input(batch_shape=shape, dtype=tensor.dtype)
        for shape, tensor in zip(input_shapes, model.inputs, strict=True)
    ]
    # A new model of the same layers: a compiled one would have its loss copied too.
    bare = keras.Model(model.inputs, model.outputs)
    calls = []
    keras.models.clone_model(
        bare,
        input_tensors=inputs,
        clone_function=lambda layer: (
            _Probe(layer, calls) if isinstance(layer, keras.Layer) else layer
        ),
    )
    return calls


def _layer_rows(call, prefix, counted):
    layer = call.layer
    name = prefix + layer.name
    if type(layer) in _SEQUENCES:
        for inner in _steps(layer, call.input_shapes[0]):
            yield from _layer_rows(inner, f"{name}/", counted)
    elif isinstance(layer, keras.Model):
        yield from _model_rows(layer, call.input_shapes, f"{name}/", counted)
    else:
        is_new = id(layer) not in counted
        counted.add(id(layer))
        yield LayerCost(
            name,
            type(layer).__name__,
            None if call.output_shape is None else call.output_shape[1:],
            _count(layer.weights) if is_new else 0,
            _count(layer.trainable_weights) if is_new else 0,
            _multiply_adds(call),
        )


def _steps(layer, input_shape):
    for inner, shape in layer.steps_with_shapes(_channels_last(layer, input_shape)):
        yield _Call(inner, [shape], tuple(inner.compute_output_shape(shape)))


def _multiply_adds(call):
    layer = call.layer
    if type(layer) is layers.DynamicShiftMax:
        return _kernel_size(layer.squeeze) + _kernel_size(layer.excite)
    if type(layer) is keras.layers.Dense:
        return _kernel_size(layer) * _positions(layer, call.output_shape[1:-1])
    if type(layer) in _CONVOLUTIONS:
        height, width = _channels_last(layer, call.output_shape)[1:3]
        return _kernel_size(layer) * _positions(layer, (height, width))
    if any(len(weight.shape) > 1 for weight in layer.weights):
        raise ValueError(
            "Multiply-adds are known for this library's layers and for Keras's Dense, Conv2D and "
            f"DepthwiseConv2D. Received: layer {layer.name!r} of type {type(layer).__name__}"
        )
    return 0


def _kernel_size(layer):
    return math.prod(layer.kernel.shape)


def _positions(layer, sizes):
    if None in sizes:
        raise ValueError(
            "The model leaves image sizes open: `input_shape` must say for which size to count. "
            f"Received: layer {layer.name!r} with sizes {tuple(sizes)}"
        )
    return math.prod(sizes)


def _channels_last(layer, shape):
    if layer.data_format == "channels_last":
        return shape
    batch, channels, height, width = shape
    return (batch, height, width, channels)


def _count(weights):
    return sum(math.prod(weight.shape) for weight in weights)


def _cells(row):
    return (
        row.name,
        row.type,
        "" if row.output_shape is None else " x ".join(str(size) for size in row.output_shape),
        f"{row.parameters:,}",
        f"{row.multiply_adds:,}",
    )


def _aligned(cells, widths):
    left = "  ".join(cell.ljust(width) for cell, width in zip(cells[:3], widths[:3], strict=True))
    right = "  ".join(cell.rjust(width) for cell, width in zip(cells[3:], widths[3:], strict=True))
    return f"{left}  {right}"
