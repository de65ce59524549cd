"""A trained Keras model as a deployment graph: the one place that knows both worlds.

The result is float, small and free of Keras: batch normalization is folded,
convolutions are symmetrically padded, channel shuffles and Dynamic Shift-Max are
one operation each. Kinds besides TensorFlow Lite's own:

- `CHANNEL_PERMUTATION`: channel i of the output is channel `permutation[i]`.
- `DYNAMIC_SHIFT_MAX` [x, squeeze weights and bias, excite weights and bias]:
  `permutation` of the shift, `initial_values` a1, b1 (, a2, b2).
- `GLOBAL_AVERAGE_POOL`.

Convolutions have the options `strides` and `padding="SYMMETRIC"`.
"""

import keras
import numpy as np

from keras_micronet.layers import (
    ChannelShuffle,
    DynamicShiftMax,
    MicroBlock,
    NormalizedConv2D,
    NormalizedDepthwiseConv2D,
)
from keras_micronet.layers.image_layer import ImageLayerSequence
from tflm.graph import Graph
from tflm.input_normalization import InputNormalization

_SUPPORTED = (
    "the layers of keras_micronet, Dense (followed by BatchNormalization or not), "
    "GlobalAveragePooling2D, ReLU, hard-swish, Dropout, and softmax at the end"
)
_ACTIVATION_KINDS = {"relu": "RELU", "relu6": "RELU6", "hard_silu": "HARD_SWISH"}


def lower(model):
    """Translates a model.

    Args:
        model: a functional Keras model: one chain of supported layers from one
            image input `(height, width, channels)` with known sizes,
            channels-last, to one output.

    Returns:
        A float `Graph`. Its input is the image after the model's normalization
        layer, if it begins with one (`input_normalization`); a softmax at the end is left out:
        the output is what goes into it.

    Raises:
        ValueError: if the model is not such a chain; names the layer.
    """
    layers = _chain(model)
    builder = _Builder(model)
    for layer in layers:
        builder.lower_layer(layer)
    return builder.finish()


def input_normalization(model):
    """How the model's graph wants raw RGB images normalized.

    Args:
        model: a model that `lower` takes.

    Returns:
        An `InputNormalization`: that of the model's first layer if this is a
        `keras.layers.Normalization` of 3 channels, else ImageNet's.
    """
    if not normalizes_inside(model):
        return InputNormalization.of_imagenet()
    first = _chain(model)[0]
    mean = keras.ops.convert_to_numpy(first.mean).reshape(-1)
    deviation = np.sqrt(keras.ops.convert_to_numpy(first.variance).reshape(-1))
    if len(mean) != 3 or first.invert:
        raise ValueError(
            "The model's normalization must be one of 3 channels. "
            f"Received: layer {first.name!r} with {len(mean)} channels and invert={first.invert}"
        )
    return InputNormalization(mean, deviation)


def normalizes_inside(model):
    """Whether the model takes raw RGB and begins with its own normalization."""
    return isinstance(_chain(model)[0], keras.layers.Normalization)


def _chain(model):
    """The model's layers in order, nested models unrolled; the input layer is left out."""
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise ValueError(
            "`model` must be a functional Keras model. "
            f"Received: model of type {type(model).__name__}"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "The model must have one input and one output. "
            f"Received: {len(model.inputs)} inputs and {len(model.outputs)} outputs"
        )
    layers = []
    tensor = model.outputs[0]
    while tensor is not model.inputs[0]:
        layer, call_index, _ = tensor._keras_history
        inputs = layer._inbound_nodes[call_index].input_tensors
        if len(inputs) != 1:
            raise ValueError(
                "The model must be one chain of layers, each fed by the one before it. "
                f"Received: layer {layer.name!r} of type {type(layer).__name__} "
                f"with {len(inputs)} inputs"
            )
        tensor = inputs[0]
        nested = isinstance(layer, keras.Model)
        layers = (_chain(layer) if nested else [layer]) + layers
    return layers


class _Builder:
    """Appends layers to a graph, holding back what the next layer may fold."""

    def __init__(self, model):
        self.graph = Graph()
        shape = tuple(model.inputs[0].shape[1:])
        if len(shape) != 3 or None in shape:
            raise ValueError(
                "The model's input must be an image (height, width, channels) of known size: "
                f"build it with `input_shape`. Received: input of shape {shape}"
            )
        self.tensor = self.graph.add_tensor("images", (1, *shape))
        self.graph.inputs = [self.tensor]
        self.pending_dense = None
        self.is_finished = False

    def lower_layer(self, layer):
        if self.is_finished:
            raise ValueError(
                "A softmax must be the last layer. "
                f"Received: layer {layer.name!r} of type {type(layer).__name__} after it"
            )
        if isinstance(layer, keras.layers.BatchNormalization) and self.pending_dense:
            self._fold_into_dense(layer)
            return
        self._flush_dense()
        if isinstance(layer, MicroBlock):
            self._block(layer)
        elif isinstance(layer, ImageLayerSequence):
            self._sequence(layer, layer.name)
        else:
            self._leaf(layer, layer.name)

    def finish(self):
        self._flush_dense()
        self.graph.outputs = [self.tensor]
        return self.graph

    def _block(self, block):
        inputs = self.tensor
        self._sequence(block, block.name)
        if block.has_residual:
            self._append("ADD", [self.tensor, inputs], f"{block.name}/sum", self._shape)

    def _sequence(self, sequence, name):
        for step in sequence.steps:
            step_name = f"{name}/{step.name}"
            if isinstance(step, ImageLayerSequence):
                self._sequence(step, step_name)
            else:
                self._leaf(step, step_name)

    def _leaf(self, layer, name):
        if isinstance(layer, keras.layers.Normalization) and not self.graph.operations:
            return  # `input_normalization` puts it into the tables that convert a frame
        is_channels_first = getattr(layer, "data_format", "channels_last") == "channels_first"
        if is_channels_first or isinstance(layer, keras.layers.Permute):
            raise ValueError(
                "Devices take channels-last models: build it with Keras's image data format set "
                f"to 'channels_last'. Received: layer {name!r} of type {type(layer).__name__}"
            )
        if isinstance(layer, NormalizedDepthwiseConv2D):
            self._depthwise(layer, name)
        elif isinstance(layer, NormalizedConv2D):
            self._convolution(layer, name)
        elif isinstance(layer, ChannelShuffle):
            options = {"permutation": layer.permutation}
            self._append("CHANNEL_PERMUTATION", [self.tensor], name, self._shape, **options)
        elif isinstance(layer, DynamicShiftMax):
            self._shift_max(layer, name)
        elif isinstance(layer, keras.layers.GlobalAveragePooling2D):
            channels = self._shape[-1]
            self._append("GLOBAL_AVERAGE_POOL", [self.tensor], name, (1, 1, 1, channels))
        elif isinstance(layer, keras.layers.Dense):
            self._dense(layer, name)
        elif isinstance(layer, keras.layers.ReLU):
            self._relu(layer, name)
        elif isinstance(layer, keras.layers.Activation):
            self._activation(layer.activation, layer, name)
        elif not isinstance(layer, keras.layers.Dropout):
            raise _unsupported(layer, name)

    def _convolution(self, layer, name):
        kernel, bias = layer.folded_weights()
        weights = kernel.transpose(3, 0, 1, 2)
        self._append_convolution("CONV_2D", layer, name, weights, bias)

    def _depthwise(self, layer, name):
        kernel, bias = layer.folded_weights()
        weights = kernel.reshape(1, *kernel.shape[:2], -1)
        self._append_convolution("DEPTHWISE_CONV_2D", layer, name, weights, bias)

    def _append_convolution(self, kind, layer, name, weights, bias):
        inputs = [
            self.tensor,
            self.graph.add_constant(f"{name}/weights", weights),
            self.graph.add_constant(f"{name}/bias", bias),
        ]
        shape = layer.compute_output_shape(self._shape)
        self._append(kind, inputs, name, shape, strides=layer.strides, padding="SYMMETRIC")

    def _shift_max(self, layer, name):
        constants = [
            self.graph.add_constant(f"{name}/{dense.name}/{part}", value)
            for dense in (layer.squeeze, layer.excite)
            for part, value in zip(("weights", "bias"), _dense_weights(dense))
        ]
        self._append(
            "DYNAMIC_SHIFT_MAX",
            [self.tensor, *constants],
            name,
            self._shape,
            permutation=layer.permutation,
            initial_values=tuple(layer.initial_coefficients()),
        )

    def _dense(self, layer, name):
        weights, bias = _dense_weights(layer)
        if weights.shape[1] != int(np.prod(self._shape)):
            raise ValueError(
                "A dense layer must follow pooling. "
                f"Received: layer {name!r} on a map of shape {self._shape[1:]}"
            )
        self.pending_dense = (layer, name, weights, bias)

    def _fold_into_dense(self, normalization):
        layer, name, weights, bias = self.pending_dense
        if layer.activation is not keras.activations.linear:
            raise _unsupported(normalization, normalization.name)
        gamma = _numpy_or(normalization.gamma, 1.0)
        beta = _numpy_or(normalization.beta, 0.0)
        mean = np.asarray(normalization.moving_mean)
        variance = np.asarray(normalization.moving_variance)
        scale = gamma / np.sqrt(variance + normalization.epsilon)
        weights = weights * scale[:, np.newaxis]
        self.pending_dense = (layer, name, weights, (bias - mean) * scale + beta)

    def _flush_dense(self):
        if self.pending_dense is None:
            return
        layer, name, weights, bias = self.pending_dense
        self.pending_dense = None
        inputs = [
            self.tensor,
            self.graph.add_constant(f"{name}/weights", weights.astype(np.float32)),
            self.graph.add_constant(f"{name}/bias", bias.astype(np.float32)),
        ]
        self._append("FULLY_CONNECTED", inputs, name, (1, len(bias)))
        self._activation(layer.activation, layer, f"{name}/activation")

    def _relu(self, layer, name):
        if layer.negative_slope != 0 or layer.threshold != 0 or layer.max_value not in (None, 6):
            raise _unsupported(layer, name)
        kind = "RELU" if layer.max_value is None else "RELU6"
        self._append(kind, [self.tensor], name, self._shape)

    def _activation(self, activation, layer, name):
        if activation is keras.activations.linear:
            return
        if activation is keras.activations.softmax:
            self.is_finished = True
            return
        kind = _ACTIVATION_KINDS.get(getattr(activation, "__name__", None))
        if kind is None:
            raise _unsupported(layer, name)
        self._append(kind, [self.tensor], name, self._shape)

    def _append(self, kind, inputs, name, shape, **options):
        self.tensor = self.graph.add_operation(kind, inputs, name, shape, **options)

    @property
    def _shape(self):
        return self.graph.tensors[self.tensor].shape


def _dense_weights(layer):
    weights = keras.ops.convert_to_numpy(layer.kernel).T
    bias = np.zeros(len(weights), np.float32)
    if layer.bias is not None:
        bias = keras.ops.convert_to_numpy(layer.bias)
    return weights, bias


def _numpy_or(variable, default):
    return default if variable is None else keras.ops.convert_to_numpy(variable)


def _unsupported(layer, name):
    return ValueError(
        f"The model must consist of {_SUPPORTED}. "
        f"Received: layer {name!r} of type {type(layer).__name__}"
    )
