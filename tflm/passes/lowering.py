# SPDX-License-Identifier: Apache-2.0
"""A trained Keras model as a deployment graph: the one place that knows both worlds.

The result is float, small and free of Keras: batch normalization is folded,
convolutions are symmetrically padded, channel shuffles and Dynamic Shift-Max are
one operation each. Kinds besides TensorFlow Lite's own:

- `CHANNEL_PERMUTATION`: channel i of the output is channel `permutation[i]`.
- `DYNAMIC_SHIFT_MAX` [x, squeeze weights and bias, excite weights and bias]:
  `permutation` of the shift, `initial_values` a1, b1 (, a2, b2).
- `GLOBAL_AVERAGE_POOL`.

Convolutions have the options `strides` and `padding`: "SYMMETRIC" of the library's layers, "SAME"
or "VALID" of Keras's own.
"""

import keras
import numpy as np

from keras_micronet.finite_weights import require_finite_weights
from keras_micronet.layer_chain import INPUT, PROBABILITIES, unroll
from keras_micronet.layers.normalized_conv2d import folded_normalization
from tflm.graph.graph import Graph
from tflm.passes.input_normalization import InputNormalization

_ELEMENTWISE_KINDS = {"relu": "RELU", "relu6": "RELU6", "hard_swish": "HARD_SWISH"}


def lower(model: keras.Model) -> Graph:
    """Translates a model.

    Args:
        model: a functional or sequential Keras model: one chain of supported layers from one
            image input `(height, width, channels)` with known sizes,
            channels-last, to one output.

    Returns:
        A float `Graph`. Its input is the image after the model's normalization
        layers, if it begins with some (`input_normalization`); a softmax or sigmoid at the end is
        left out: the output is what goes into it. Values have the names of
        `keras_micronet.quantization`.

    Raises:
        ValueError: if the model is not such a chain, or a weight is not finite; names the layer.
    """
    steps = unroll(model)
    require_finite_weights(model)
    builder = _Builder(model)
    for step in steps:
        builder.lower_step(step)
    return builder.finish()


def input_normalization(model: keras.Model) -> InputNormalization:
    """How the model's graph wants raw RGB images.

    Args:
        model: a model that `lower` takes.

    Returns:
        An `InputNormalization`: what the layers `Normalization` and `Rescaling` at the model's
        beginning compute; without any, raw values stay what they are.
    """
    steps = [step.layer for step in unroll(model) if step.kind == "normalization"]
    return InputNormalization.of(*steps, channels=model.inputs[0].shape[-1])


def last_activation(model: keras.Model) -> str | None:
    """What makes probabilities of a model's last values, which alone its graph has.

    Returns:
        One of `layer_chain.PROBABILITIES`; `None` if the model's outputs are those values.
    """
    kind = unroll(model)[-1].kind
    return kind if kind in PROBABILITIES else None


class _Builder:
    """Appends steps to a graph."""

    def __init__(self, model):
        self.graph = Graph()
        self.tensor = self.graph.add_tensor(INPUT, (1, *model.inputs[0].shape[1:]))
        self.graph.inputs = [self.tensor]
        self.outputs = {INPUT: self.tensor}

    def lower_step(self, step):
        if step.kind == "convolution":
            self._convolution(step)
        elif step.kind == "depthwise":
            self._depthwise(step)
        elif step.kind == "shuffle":
            options = {"permutation": step.layer.permutation}
            self._append("CHANNEL_PERMUTATION", [self.tensor], step.name, self._shape, **options)
        elif step.kind == "shift_max":
            self._shift_max(step)
        elif step.kind == "residual":
            operands = [self.tensor, self.outputs[step.shortcut]]
            self._append("ADD", operands, step.name, self._shape)
        elif step.kind == "pool":
            shape = (1, 1, 1, self._shape[-1])
            self._append("GLOBAL_AVERAGE_POOL", [self.tensor], step.name, shape)
        elif step.kind == "dense":
            self._dense(step)
        elif step.kind in _ELEMENTWISE_KINDS:
            kind = _ELEMENTWISE_KINDS[step.kind]
            self._append(kind, [self.tensor], step.name, self._shape)
        # The rest computes nothing on a device: normalization is in the tables that convert a
        # frame, dropout is for training, and a softmax or sigmoid leaves the largest value the
        # largest.
        self.outputs[step.name] = self.tensor

    def finish(self):
        self.graph.outputs = [self.tensor]
        return self.graph

    def _convolution(self, step):
        kernel, bias = step.layer.folded_weights()
        self._append_convolution("CONV_2D", step, kernel.transpose(3, 0, 1, 2), bias)

    def _depthwise(self, step):
        kernel, bias = step.layer.folded_weights()
        weights = kernel.reshape(1, *kernel.shape[:2], -1)
        self._append_convolution("DEPTHWISE_CONV_2D", step, weights, bias)

    def _append_convolution(self, kind, step, weights, bias):
        layer, name = step.layer, step.name
        inputs = [
            self.tensor,
            self.graph.add_constant(f"{name}/weights", weights),
            self.graph.add_constant(f"{name}/bias", bias),
        ]
        shape = layer.compute_output_shape(self._shape)
        self._append(kind, inputs, name, shape, strides=layer.strides, padding=layer.padding)

    def _shift_max(self, step):
        layer, name = step.layer, step.name
        constants = [
            self.graph.add_constant(f"{name}/{dense.name}/{part}", value)
            for dense in (layer.squeeze, layer.excite)
            for part, value in zip(("weights", "bias"), _dense_weights(dense), strict=True)
        ]
        self._append(
            "DYNAMIC_SHIFT_MAX",
            [self.tensor, *constants],
            name,
            self._shape,
            permutation=layer.permutation,
            initial_values=tuple(layer.initial_coefficients()),
        )

    def _dense(self, step):
        weights, bias = _dense_weights(step.layer)
        if weights.shape[1] != int(np.prod(self._shape)):
            raise ValueError(
                "A dense layer must follow pooling. "
                f"Received: layer {step.name!r} on a map of shape {self._shape[1:]}"
            )
        if step.normalization is not None:
            weights, bias = _folded_into_dense(step.normalization, weights, bias)
        inputs = [
            self.tensor,
            self.graph.add_constant(f"{step.name}/weights", weights.astype(np.float32)),
            self.graph.add_constant(f"{step.name}/bias", bias.astype(np.float32)),
        ]
        self._append("FULLY_CONNECTED", inputs, step.name, (1, len(bias)))

    def _append(self, kind, inputs, name, shape, **options):
        self.tensor = self.graph.add_operation(kind, inputs, name, shape, **options)

    @property
    def _shape(self):
        return self.graph.tensors[self.tensor].shape


def _folded_into_dense(normalization, weights, bias):
    scale, offset = (
        keras.ops.convert_to_numpy(part) for part in folded_normalization(normalization)
    )
    return weights * scale[:, np.newaxis], bias * scale + offset


def _dense_weights(layer):
    weights = keras.ops.convert_to_numpy(layer.kernel).T
    bias = np.zeros(len(weights), np.float32)
    if layer.bias is not None:
        bias = keras.ops.convert_to_numpy(layer.bias)
    return weights, bias
