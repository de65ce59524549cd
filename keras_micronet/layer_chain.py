"""A model as the flat chain of steps that a device runs.

Blocks and nested models are unrolled into their layers, each with a name that
says where it stands ("block_1/expand"). Quantization decides by these steps
which values are rounded, and deployment translates the same steps, so that both
mean the same value by the same name.
"""

import dataclasses

import keras

from keras_micronet.keras_convolution import KerasConvolution
from keras_micronet.layers.channel_shuffle import ChannelShuffle
from keras_micronet.layers.dynamic_shift_max import DynamicShiftMax
from keras_micronet.layers.image_layer import ImageLayerSequence
from keras_micronet.layers.micro_block import MicroBlock
from keras_micronet.layers.normalized_conv2d import NormalizedConv2D, NormalizedDepthwiseConv2D

INPUT = "images"
_SUPPORTED = (
    "the layers of keras_micronet, Conv2D, DepthwiseConv2D and Dense (each followed by "
    "BatchNormalization or not), GlobalAveragePooling2D, ReLU, hard-swish, Dropout, and softmax "
    "at the end"
)
_ACTIVATIONS = {
    "linear": "linear",
    "relu": "relu",
    "relu6": "relu6",
    "hard_silu": "hard_swish",
    "softmax": "softmax",
}
_LAYER_KINDS = (
    (NormalizedDepthwiseConv2D, "depthwise"),
    (NormalizedConv2D, "convolution"),
    (ChannelShuffle, "shuffle"),
    (DynamicShiftMax, "shift_max"),
    (keras.layers.GlobalAveragePooling2D, "pool"),
    (keras.layers.Dropout, "dropout"),
)


@dataclasses.dataclass(frozen=True)
class Step:
    """One layer of the chain, or what a block adds to its layers.

    Attributes:
        name: path of the layer in the model, unique.
        kind: "normalization" (of the images), "convolution", "depthwise",
            "shuffle", "shift_max", "pool", "dense", "relu", "relu6",
            "hard_swish", "softmax", "dropout" or "residual".
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


def unroll(model):
    """The steps of a model, in order.

    Args:
        model: a functional Keras model: one chain of supported layers from one
            image input `(height, width, channels)` with known sizes,
            channels-last, to one output.

    Returns:
        A list of `Step`s.

    Raises:
        ValueError: if the model is not such a chain; names the layer.
    """
    layers = _layers(model)
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or None in shape:
        raise ValueError(
            "The model's input must be an image (height, width, channels) of known size: "
            f"build it with `input_shape`. Received: input of shape {shape}"
        )
    chain = _Chain()
    for layer in layers:
        chain.add(layer)
    return chain.steps


def _layers(model):
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
        layers = (_layers(layer) if nested else [layer]) + layers
    return layers


class _Chain:
    """Steps collected so far."""

    def __init__(self):
        self.steps = []

    def add(self, layer):
        if self.steps and self.steps[-1].kind == "softmax":
            raise ValueError(
                "A softmax must be the last layer. "
                f"Received: layer {layer.name!r} of type {type(layer).__name__} after it"
            )
        if isinstance(layer, MicroBlock):
            shortcut = self.steps[-1].name if self.steps else INPUT
            self._add_sequence(layer, layer.name)
            if layer.has_residual:
                self._append(f"{layer.name}/sum", "residual", layer, shortcut=shortcut)
        elif isinstance(layer, ImageLayerSequence):
            self._add_sequence(layer, layer.name)
        else:
            self._add_leaf(layer, layer.name)

    def _add_sequence(self, sequence, name):
        for step in sequence.steps:
            step_name = f"{name}/{step.name}"
            if isinstance(step, ImageLayerSequence):
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
        kind = next((kind for cls, kind in _LAYER_KINDS if isinstance(layer, cls)), None)
        if kind is not None:
            self._append(name, kind, layer)
        elif isinstance(layer, keras.layers.Normalization) and not self.steps:
            self._append(name, "normalization", layer)
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            convolution = KerasConvolution(layer)
            kind = "depthwise" if convolution.is_depthwise else "convolution"
            self._append(name, kind, convolution)
            self._add_activation(layer, f"{name}/activation")
        elif isinstance(layer, keras.layers.Dense):
            self._append(name, "dense", layer)
            self._add_activation(layer, f"{name}/activation")
        elif isinstance(layer, keras.layers.BatchNormalization):
            self._add_normalization(layer, name)
        elif isinstance(layer, keras.layers.ReLU):
            self._add_relu(layer, name)
        elif isinstance(layer, keras.layers.Activation):
            self._add_activation(layer, name)
        else:
            raise _unsupported(layer, name)

    def _add_normalization(self, layer, name):
        """Attaches a batch normalization to the layer before it, which has none yet."""
        step = self.steps[-1] if self.steps else None
        if step is not None and step.kind == "dense" and step.normalization is None:
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
            raise _unsupported(layer, name)
        self._append(name, "relu" if layer.max_value is None else "relu6", layer)

    def _add_activation(self, layer, name):
        kind = _ACTIVATIONS.get(getattr(layer.activation, "__name__", None))
        if kind is None:
            raise _unsupported(layer, name)
        if kind != "linear":
            self._append(name, kind, layer)

    def _append(self, name, kind, layer, **fields):
        if name in [INPUT, *(step.name for step in self.steps)]:
            raise ValueError(
                "Each layer of the model must have a name of its own and be used once; "
                f"{INPUT!r} is the input. "
                f"Received: layer {name!r} of type {type(layer).__name__} twice"
            )
        self.steps.append(Step(name, kind, layer, **fields))


def _unsupported(layer, name):
    return ValueError(
        f"The model must consist of {_SUPPORTED}: build it of these, or quantize and export only "
        f"the part that is. Received: layer {name!r} of type {type(layer).__name__}"
    )
