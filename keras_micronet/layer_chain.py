# SPDX-License-Identifier: Apache-2.0
"""A model as the flat chain of steps that a device runs.

Blocks and nested models are unrolled into their layers, each with a name that
says where it stands ("block_1/expand"). Quantization decides by these steps
which values are rounded, and deployment translates the same steps, so that both
mean the same value by the same name.
"""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from keras_micronet import layers
from keras_micronet.keras_convolution import KerasConvolution
from keras_micronet.layers.image_normalization import ImageNormalization

INPUT = "images"
SOFTMAX, SIGMOID = "softmax", "sigmoid"
# Kinds of steps that make probabilities of the last values, which devices leave out, and how.
PROBABILITIES = {SOFTMAX: tf.nn.softmax, SIGMOID: tf.sigmoid}
_SUPPORTED = (
    "the layers of keras_micronet, Conv2D, DepthwiseConv2D and Dense (each followed by "
    "BatchNormalization or not), GlobalAveragePooling2D, ReLU, hard-swish, Dropout, Normalization "
    "and Rescaling at the beginning, and softmax or sigmoid at the end"
)
_ACTIVATIONS = {
    keras.activations.linear: "linear",
    keras.activations.relu: "relu",
    keras.activations.relu6: "relu6",
    keras.activations.hard_silu: "hard_swish",
    keras.activations.softmax: SOFTMAX,
    keras.activations.sigmoid: SIGMOID,
    keras.ops.relu: "relu",
    keras.ops.relu6: "relu6",
    keras.ops.hard_silu: "hard_swish",
    keras.ops.softmax: SOFTMAX,
    keras.ops.sigmoid: SIGMOID,
    tf.nn.relu: "relu",
    tf.nn.relu6: "relu6",
    tf.nn.softmax: SOFTMAX,
    tf.nn.sigmoid: SIGMOID,
}
# By the exact type: what a class that is derived from one of them computes, in its `call`,
# `convolution_op`, `build` or a property, only that class knows.
_LAYER_KINDS = {
    layers.NormalizedDepthwiseConv2D: "depthwise",
    layers.NormalizedConv2D: "convolution",
    layers.GroupedPointwiseConv2D: "convolution",
    layers.ChannelShuffle: "shuffle",
    layers.DynamicShiftMax: "shift_max",
    keras.layers.GlobalAveragePooling2D: "pool",
    keras.layers.Dropout: "dropout",
    keras.layers.SpatialDropout2D: "dropout",
}
_SEQUENCES = (
    layers.FactorizedDepthwiseConv2D,
    layers.FactorizedPointwiseConv2D,
    layers.FactorizedStem,
    layers.MicroBlock,
)
_NORMALIZATIONS = (keras.layers.Normalization, keras.layers.Rescaling, ImageNormalization)
_ACTIVATION_LAYERS = (keras.layers.ReLU, keras.layers.Softmax, keras.layers.Activation)
_OF_MAPS = ("convolution", "depthwise", "shuffle", "shift_max", "pool", "residual")


@dataclasses.dataclass(frozen=True)
class Step:
    """One layer of the chain, or what a block adds to its layers.

    Attributes:
        name: path of the layer in the model, unique.
        kind: "normalization" (of the images, first of all), "convolution", "depthwise",
            "shuffle", "shift_max", "pool", "dense", "relu", "relu6",
            "hard_swish", "softmax", "sigmoid", "dropout" or "residual".
        layer: the Keras layer; of a residual sum, the block; of Keras's own
            convolutions, a `KerasConvolution`.
        normalization: the batch normalization that follows a dense layer, or
            `None`.
        shortcut: name of the step whose output a residual sum adds, `INPUT`
            for the model's input; else `None`.
    """

    name: str
    kind: str
    layer: keras.layers.Layer
    normalization: keras.layers.BatchNormalization | None = None
    shortcut: str | None = None


def unroll(model: keras.Model) -> list[Step]:
    """The steps of a model, in order.

    Args:
        model: a functional or sequential Keras model: one chain of supported layers from one
            image input `(height, width, channels)` with known sizes,
            channels-last, to one output.

    Returns:
        A list of `Step`s.

    Raises:
        ValueError: if the model is not such a chain; names every layer that does not fit.
    """
    called = _called_layers(model)
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or None in shape:
        raise ValueError(
            "The model's input must be an image (height, width, channels) of known size: "
            f"build it with `input_shape`. Received: input of shape {shape}"
        )
    chain = _Chain()
    for layer, input_shape in called:
        chain.add(layer, input_shape)
    if chain.complaints:
        raise ValueError("\n".join(chain.complaints))
    return chain.steps


def _called_layers(model):
    """The model's layers in order with the shapes of their inputs, nested models unrolled.

    The input layer is left out.
    """
    is_sequential = isinstance(model, keras.Sequential) and model.built
    is_functional = isinstance(model, keras.Model) and hasattr(model, "operations")
    if not is_sequential and not is_functional:
        raise ValueError(
            "`model` must be a Keras model that knows its layers' inputs: build it as "
            "`keras.Model(inputs, outputs)`, or as a `keras.Sequential` with a `keras.Input`. "
            f"Received: model of type {type(model).__name__}"
        )
    if not _has_call_of_keras(model):
        raise ValueError(
            "The model must compute what its layers do: build it as `keras.Model(inputs, outputs)`"
            f". Received: model {model.name!r} of type {type(model).__name__} with a `call` of its "
            "own"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "The model must have one input and one output. "
            f"Received: {len(model.inputs)} inputs and {len(model.outputs)} outputs"
        )
    if is_sequential:
        model = keras.Model(model.inputs, model.outputs)  # the same layers
    called = []
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
        called = (_called_layers(layer) if nested else [(layer, tuple(tensor.shape))]) + called
    return called


def _has_call_of_keras(model):
    """Whether no class of the user's computes something else than the layers that are recorded."""
    (defining, *_) = (cls for cls in type(model).__mro__ if "call" in vars(cls))
    return defining.__module__.split(".")[0] == "keras"


class _Chain:
    """Steps collected so far, and what is wrong with the layers."""

    def __init__(self):
        self.steps = []
        self.complaints = []
        self._last_is_refused = False

    def add(self, layer, input_shape):
        """Appends the steps of a layer on inputs of a shape, or a complaint."""
        try:
            self._add(layer, input_shape)
        except ValueError as error:
            # A normalization is the business of the layer before it.
            if not (self._last_is_refused and type(layer) is keras.layers.BatchNormalization):
                self.complaints.append(str(error))
            self._last_is_refused = True
        else:
            self._last_is_refused = False

    def _add(self, layer, input_shape):
        if self.steps and self.steps[-1].kind in PROBABILITIES:
            raise ValueError(
                f"A {self.steps[-1].kind} must be the last layer. "
                f"Received: layer {layer.name!r} of type {type(layer).__name__} after it"
            )
        _require_float_layer(layer)
        _require_call_of_its_type(layer)
        if type(layer) is layers.MicroBlock:
            shortcut = self.steps[-1].name if self.steps else INPUT
            self._add_sequence(layer, layer.name)
            if layer.has_residual:
                self._append(f"{layer.name}/sum", "residual", layer, shortcut=shortcut)
        elif type(layer) in _SEQUENCES:
            self._add_sequence(layer, layer.name)
        else:
            if type(layer) is keras.layers.Dense:
                _require_pooled(layer, input_shape)
            self._add_leaf(layer, layer.name)

    def _add_sequence(self, sequence, name):
        for step in sequence.steps:
            step_name = f"{name}/{step.name}"
            if type(step) in _SEQUENCES:
                self._add_sequence(step, step_name)
            else:
                self._add_leaf(step, step_name)

    def _add_leaf(self, layer, name):
        is_channels_first = getattr(layer, "data_format", "channels_last") == "channels_first"
        if is_channels_first or isinstance(layer, keras.layers.Permute):
            raise ValueError(
                "Devices take channels-last models: build it with Keras's image data format set "
                f"to 'channels_last'. Received: layer {name!r} of type {type(layer).__name__}"
            )
        kind = _LAYER_KINDS.get(type(layer))
        if kind is not None:
            self._append(name, kind, layer)
        elif type(layer) in _NORMALIZATIONS and self._is_at_the_beginning:
            _require_normalization_of_channels(layer)
            self._append(name, "normalization", layer)
        elif type(layer) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D):
            convolution = KerasConvolution(layer)
            kind = "depthwise" if convolution.is_depthwise else "convolution"
            self._append(name, kind, convolution)
            self._add_activation(layer, f"{name}/activation")
        elif type(layer) is keras.layers.Dense:
            self._append(name, "dense", layer)
            self._add_activation(layer, f"{name}/activation")
        elif type(layer) is keras.layers.BatchNormalization:
            self._add_normalization(layer, name)
        elif type(layer) is keras.layers.ReLU:
            self._add_relu(layer, name)
        elif type(layer) is keras.layers.Softmax:
            self._add_softmax(layer, name)
        elif type(layer) is keras.layers.Activation:
            self._add_activation(layer, name)
        else:
            raise _unsupported(layer, name)

    @property
    def _is_at_the_beginning(self):
        return all(step.kind == "normalization" for step in self.steps)

    def _add_normalization(self, layer, name):
        """Attaches a batch normalization to the layer before it, which has none yet."""
        step = self.steps[-1] if self.steps else None
        if step is not None and step.kind == "dense" and step.normalization is None:
            if tuple(layer.moving_mean.shape) != (step.layer.units,):
                raise ValueError(
                    "A batch normalization behind a dense layer must normalize its outputs. "
                    f"Received: layer {name!r} with axis={layer.axis}"
                )
            self.steps[-1] = dataclasses.replace(step, normalization=layer)
        elif step is not None and (
            isinstance(step.layer, KerasConvolution) and step.layer.batch_normalization is None
        ):
            convolution = KerasConvolution(step.layer.layer, layer)
            self.steps[-1] = dataclasses.replace(step, layer=convolution)
        else:
            raise _unsupported(layer, name)

    def _add_relu(self, layer, name):
        if layer.negative_slope != 0 or layer.threshold != 0 or layer.max_value not in (None, 6):
            options = ("negative_slope", "threshold", "max_value")
            raise _unsupported(layer, name, *options)
        self._append(name, "relu" if layer.max_value is None else "relu6", layer)

    def _add_softmax(self, layer, name):
        if layer.axis != -1:
            raise _unsupported(layer, name, "axis")
        self._append(name, SOFTMAX, layer)

    def _add_activation(self, layer, name):
        activation = layer.activation
        if type(activation) in _ACTIVATION_LAYERS:
            self._add_leaf(activation, name)
            return
        kind = None
        if not isinstance(activation, keras.Layer):
            kind = _ACTIVATIONS.get(activation)
        if kind is None:
            raise _unsupported(layer, name, "activation")
        if kind != "linear":
            self._append(name, kind, layer)

    def _append(self, name, kind, layer, **fields):
        if name in [INPUT, *(step.name for step in self.steps)]:
            raise ValueError(
                "Each layer of the model must have a name of its own and be used once; "
                f"{INPUT!r} is the input. "
                f"Received: layer {name!r} of type {type(layer).__name__} twice"
            )
        if kind in _OF_MAPS and any(step.kind == "dense" for step in self.steps):
            raise ValueError(
                "Layers of maps must stand before the first dense layer; a 1x1 convolution can "
                f"take its place. Received: layer {name!r} after a Dense"
            )
        self.steps.append(Step(name, kind, layer, **fields))


def _require_float_layer(layer):
    quantized = [
        f"{each.path} of type {type(each).__name__} with quantization_mode="
        f"{each.quantization_mode!r}"
        for each in layer._flatten_layers()
        if getattr(each, "quantization_mode", None) is not None
    ]
    if quantized:
        raise ValueError(
            "The model must be a float model, as it was before Keras's `model.quantize`: "
            "`quantize_aware` chooses the integers itself, for the device. "
            f"Received: {', '.join(quantized)}"
        )


def _require_call_of_its_type(layer):
    patched = [each for each in layer._flatten_layers() if "call" in vars(each)]
    if patched:
        raise ValueError(
            "A layer must compute what its type does: build the model without a `call` that is set "
            "on the layer itself. Received: "
            + ", ".join(f"layer {each.name!r} of type {type(each).__name__}" for each in patched)
        )


def _require_pooled(layer, input_shape):
    sizes = input_shape[1:-1]
    if None not in sizes and math.prod(sizes) != 1:
        raise ValueError(
            "A dense layer must follow pooling: put a GlobalAveragePooling2D before it, or let a "
            f"1x1 convolution take its place. Received: layer {layer.name!r} of type Dense on "
            f"inputs of shape {input_shape[1:]}"
        )


def _require_normalization_of_channels(layer):
    if isinstance(layer, keras.layers.Rescaling):
        parts = [np.shape(layer.scale), np.shape(layer.offset)]
    else:
        parts = [layer.mean.shape]
    if any(math.prod(shape[:-1]) != 1 for shape in parts):
        raise ValueError(
            "Images must be normalized by numbers of their channels. "
            f"Received: layer {layer.name!r} of type {type(layer).__name__} with numbers of shape "
            f"{', '.join(str(tuple(shape)) for shape in parts)}"
        )


def _unsupported(layer, name, *options):
    received = f"layer {name!r} of type {type(layer).__name__}"
    if options:
        values = (f"{option}={_described(getattr(layer, option))}" for option in options)
        received += f" with {', '.join(values)}"
    bases = [base.__name__ for base in type(layer).__mro__[1:] if base in _RECOGNIZED]
    if bases:
        received += f", which is derived from {bases[0]} and may compute something else"
    return ValueError(
        f"The model must consist of {_SUPPORTED}: build it of these, or quantize and export only "
        f"the part that is. Received: {received}"
    )


def _described(value):
    if isinstance(value, keras.Layer):
        return f"a layer of type {type(value).__name__}"
    return getattr(value, "__name__", repr(value))


_RECOGNIZED = (
    *_LAYER_KINDS,
    *_SEQUENCES,
    *_NORMALIZATIONS,
    *_ACTIVATION_LAYERS,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.Dense,
    keras.layers.BatchNormalization,
)
