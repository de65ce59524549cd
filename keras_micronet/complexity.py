"""What a model costs: parameters and multiply-adds, layer by layer."""

import dataclasses
import math

import keras

from keras_micronet.layers import DynamicShiftMax, NormalizedConv2D, NormalizedDepthwiseConv2D
from keras_micronet.layers.image_layer import ImageLayer, ImageLayerSequence


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
    output_shape: tuple | None
    parameters: int
    trainable_parameters: int
    multiply_adds: int


@dataclasses.dataclass(frozen=True)
class ModelSummary:
    """The cost of a model: `rows` with one `LayerCost` a layer; `str()` is a table."""

    name: str
    rows: tuple

    @property
    def parameters(self):
        """Number of elements of all weights, moving statistics included."""
        return sum(row.parameters for row in self.rows)

    @property
    def trainable_parameters(self):
        """Number of elements of the trainable weights."""
        return sum(row.trainable_parameters for row in self.rows)

    @property
    def multiply_adds(self):
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


def summarize(model, input_shape=None):
    """Counts parameters and multiply-adds of every layer of a model.

    Args:
        model: a functional or sequential Keras model of this library's layers,
            Keras's convolutions and dense layers, and layers without
            multiply-adds. Layers that contain layers are counted inside.
        input_shape: shape of one input without the batch, for a model that
            leaves sizes open.

    Returns:
        A `ModelSummary`. Batch normalization, activations, pooling and the
        fusions of Dynamic Shift-Max count no multiply-adds, as in the paper.

    Raises:
        ValueError: if sizes are open and `input_shape` is not given, or a
            layer's multiply-adds are not known.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`model` must be a Keras model. Received: model of type {type(model).__name__}"
        )
    if input_shape is not None:
        inputs = keras.Input(tuple(input_shape), name="summarized_input")
        model = keras.models.clone_model(model, input_tensors=inputs)
    return ModelSummary(model.name, tuple(_model_rows(model, "")))


def _model_rows(model, prefix):
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        yield from _layer_rows(layer, _input_shape(layer), prefix)


def _input_shape(layer):
    tensors = layer.input
    if isinstance(tensors, (list, tuple)):
        return tuple(tensors[0].shape) if len(tensors) == 1 else None
    return tuple(tensors.shape)


def _layer_rows(layer, input_shape, prefix):
    name = prefix + layer.name
    if isinstance(layer, ImageLayerSequence):
        for inner, shape in layer.steps_with_shapes(_channels_last(layer, input_shape)):
            yield from _layer_rows(inner, shape, f"{name}/")
    elif isinstance(layer, keras.Model):
        yield from _model_rows(layer, f"{name}/")
    else:
        yield LayerCost(
            name,
            type(layer).__name__,
            _output_shape(layer, input_shape),
            _count(layer.weights),
            _count(layer.trainable_weights),
            _multiply_adds(layer, input_shape),
        )


def _output_shape(layer, input_shape):
    if input_shape is None:
        return tuple(layer.output.shape[1:])
    shape = layer.compute_output_shape(input_shape)
    return None if isinstance(shape, list) else tuple(shape[1:])


def _multiply_adds(layer, input_shape):
    if isinstance(layer, DynamicShiftMax):
        return _kernel_size(layer.squeeze) + _kernel_size(layer.excite)
    if isinstance(layer, (NormalizedConv2D, NormalizedDepthwiseConv2D)):
        shape = _channels_last(layer, layer.compute_output_shape(input_shape))
        return _kernel_size(layer) * _positions(layer, shape[1:3])
    if isinstance(layer, keras.layers.Dense):
        return _kernel_size(layer) * _positions(layer, input_shape[1:-1])
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
        return _kernel_size(layer) * _positions(layer, _output_positions(layer, input_shape))
    if any(len(weight.shape) > 1 for weight in layer.weights):
        raise ValueError(
            "Multiply-adds are known for this library's layers and for Keras's Dense, Conv2D and "
            f"DepthwiseConv2D. Received: layer {layer.name!r} of type {type(layer).__name__}"
        )
    return 0


def _kernel_size(layer):
    return math.prod(layer.kernel.shape)


def _output_positions(layer, input_shape):
    shape = layer.compute_output_shape(input_shape)
    return shape[1:3] if layer.data_format == "channels_last" else shape[2:]


def _positions(layer, sizes):
    if None in sizes:
        raise ValueError(
            "The model leaves image sizes open: `input_shape` must say for which size to count. "
            f"Received: layer {layer.name!r} with sizes {tuple(sizes)}"
        )
    return math.prod(sizes)


def _channels_last(layer, shape):
    if isinstance(layer, ImageLayer) and layer.data_format == "channels_first":
        batch, channels, height, width = shape
        return (batch, height, width, channels)
    return tuple(shape)


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
    left = "  ".join(cell.ljust(width) for cell, width in zip(cells[:3], widths[:3]))
    right = "  ".join(cell.rjust(width) for cell, width in zip(cells[3:], widths[3:]))
    return f"{left}  {right}"
