# SPDX-License-Identifier: Apache-2.0
"""Attaches TensorFlow Lite's int8 quantization to a float graph.

Activations: asymmetric, one scale and zero point each. Weights: symmetric in
[-127, 127], or [-7, 7] for 4 bits, with one scale for the layer or one for each
output channel. Biases: int32 at the scale of input times weights. Ranges and
formats come from a `keras_micronet.quantization.QuantizeAwareModel`.

Reference: Jacob et al. 2018, arXiv 1712.05877; TensorFlow Lite's 8-bit
quantization specification.
"""

import collections.abc
import copy

import ml_dtypes
import numpy as np

from keras_micronet.quantization.scales import (
    MOST_STEPS_OF_A_TERM,
    MOST_STEPS_OF_AN_ARGUMENT,
    least_scale_of_sums,
)
from keras_micronet.quantization.schemes import (
    BUILTIN,
    CONVOLUTION,
    DENSE,
    FUSED,
    WeightRounding,
)
from tflm.graph.graph import Graph
from tflm.graph.validation import LEAST_RELU6_SCALE
from tflm.passes import fused_quantization
from tflm.passes.fused import BY_KIND
from tflm.passes.scales import Ranges, affine, quantize_layer, range_of

_HAS_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_WEIGHT_TYPES = {8: np.int8, 4: ml_dtypes.int4}
_COPIES_INTEGERS = ("GATHER", "AVERAGE_POOL_2D", "RELU", "RELU6")
# What one step of an input may be at most, in steps of the output.
_MOST_INPUT_STEPS = {"ADD": MOST_STEPS_OF_A_TERM, "HARD_SWISH": MOST_STEPS_OF_AN_ARGUMENT}


def quantize(
    graph: Graph,
    ranges: Ranges,
    weight_roundings: collections.abc.Mapping[str, WeightRounding] | None = None,
    kernels: str = BUILTIN,
) -> Graph:
    """Quantizes a graph.

    Args:
        graph: a float `Graph` of TensorFlow Lite kinds and those of `fused_operations`.
        ranges: pair (low, high) of every activation, by name, but of those that
            copy integers and of the operands of a MAXIMUM. Within an option
            `output_range`, where the operation has one.
        weight_roundings: `WeightRounding`s by the name of the layer's output;
            layers without one have 8-bit weights, convolutions with a scale for
            each output channel and dense layers with one scale.
        kernels: one of `schemes.KERNELS`, by whose rules builtin operators have their scales, too:
            those of the simulation.

    Returns:
        A new `Graph` with integer constants, int32 biases and a `Quantization`
        on every tensor but indices and what is packed for a fused kernel.

    Raises:
        ValueError: if a range is missing or not finite.
    """
    return _Quantizer(graph, ranges, weight_roundings or {}, kernels).quantize()


class _Quantizer:
    """Copies a graph, operation by operation."""

    def __init__(self, source, ranges, weight_roundings, kernels):
        self.source = source
        self.ranges = ranges
        self.weight_roundings = weight_roundings
        self.kernels = kernels
        self.result = Graph(inputs=list(source.inputs), outputs=list(source.outputs))
        self.products = {
            operation.outputs[0] for operation in source.operations if operation.kind == "MUL"
        }
        self.maxima = {
            name: operation.outputs[0]
            for operation in source.operations
            if operation.kind == "MAXIMUM"
            for name in operation.inputs
        }

    def quantize(self):
        for name in self.source.inputs:
            self._add_activation(name, affine(*range_of(name, self.ranges)))
        for operation in self.source.operations:
            if operation.kind in BY_KIND:
                fused_quantization.append(
                    self.result, self.source, operation, self.ranges, self.weight_roundings
                )
            else:
                self._append(copy.deepcopy(operation))
        return self.result

    def _append(self, operation):
        output = operation.outputs[0]
        for name in operation.inputs:
            if name not in self.result.tensors:
                constant = self.source.tensors[name]
                self.result.add_tensor(name, constant.shape, constant.data)
        if operation.kind in _HAS_WEIGHTS:
            default = DENSE if operation.kind == "FULLY_CONNECTED" else CONVOLUTION
            rounding = self.weight_roundings.get(output, WeightRounding(default))
            _quantize_constants(self.result, operation, rounding)
        if operation.kind in _COPIES_INTEGERS:
            quantization = self.result.tensors[operation.inputs[0]].quantization
        else:
            ends = range_of(self.maxima.get(output, output), self.ranges)
            quantization = affine(*ends, self._least_scale(operation))
        self._add_activation(output, quantization)
        _drop_needless_six(operation, quantization)
        operation.options.pop("output_range", None)  # from here on, int8's own saturation
        self.result.operations.append(operation)

    def _least_scale(self, operation):
        """What the scale of an operation's output must be at least."""
        quantizations = [self.result.tensors[name].quantization for name in operation.inputs]
        if operation.kind in _HAS_WEIGHTS:
            sums = quantizations[-1].scale
            return least_scale_of_sums(sums) if self.kernels == FUSED else 0.0
        if operation.kind in _MOST_INPUT_STEPS and not self.products & set(operation.inputs):
            largest = max(quantization.scale[0] for quantization in quantizations)
            return largest / _MOST_INPUT_STEPS[operation.kind]
        return 0.0

    def _add_activation(self, name, quantization):
        self.result.add_tensor(name, self.source.tensors[name].shape, None, quantization)


def _drop_needless_six(operation, quantization):
    """A range that ends long before 6 needs no limit there, which kernels hold in int32."""
    if quantization.scale[0] >= LEAST_RELU6_SCALE:
        return
    if operation.options.get("activation") == "RELU6":
        operation.options["activation"] = "RELU"
    if operation.kind == "RELU6":
        operation.kind = "RELU"


def _quantize_constants(graph, operation, rounding):
    inputs, weights, bias = (graph.tensors[name] for name in operation.inputs)
    axis = 3 if operation.kind == "DEPTHWISE_CONV_2D" else 0
    input_scale = inputs.quantization.scale[0]
    layer = quantize_layer(weights.data, bias.data, axis, input_scale, rounding)
    weights.data = layer.weights.astype(_WEIGHT_TYPES[rounding.weight_format.bits])
    weights.quantization = layer.weight_quantization
    bias.data, bias.quantization = layer.biases, layer.bias_quantization
