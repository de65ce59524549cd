# SPDX-License-Identifier: Apache-2.0
"""Gives the channels of a float graph's maps scales of their own, by exact changes of weights.

A map with channel factors holds its values divided by them. The weights before and behind it take
the factors along; Dynamic Shift-Max takes them on both sides, since its coefficients are each
channel's own. ReLU6 gets an option `ceilings`, where each channel ends. The function from input to
output stays the same. Quantized with one scale, such a
map has a scale for each channel in effect (Nagel et al. 2019, arXiv 1906.04721).
"""

import collections.abc
import dataclasses

import numpy as np

from keras_micronet.quantization.plan import ShiftMaxNames
from tflm.graph.graph import Graph


def scale_channels(graph: Graph, factors: collections.abc.Mapping[str, np.ndarray]) -> Graph:
    """Rewrites a graph of `lowering`.

    Args:
        graph: a float `Graph`.
        factors: positive float arrays `(channels,)` by the names of values, as
            `QuantizeAwareModel.channel_factors` has them.

    Returns:
        An equivalent `Graph` with the same names, whose tensors have their `channel_factors`.

    Raises:
        ValueError: if an operation reads factors that it cannot take.
    """
    rewriter = _Rewriter(graph, factors)
    for operation in graph.operations:
        rewriter.rewrite(operation)
    return rewriter.result


class _Rewriter:
    """Walks a graph."""

    def __init__(self, graph, factors):
        self._source = graph
        self._factors = {name: np.asarray(each, np.float64) for name, each in factors.items()}
        self.result = Graph(
            tensors={name: dataclasses.replace(each) for name, each in graph.tensors.items()},
            inputs=list(graph.inputs),
            outputs=list(graph.outputs),
        )

    def rewrite(self, operation):
        options = dict(operation.options)
        output = operation.outputs[0]
        inputs = self.result.tensors[operation.inputs[0]].channel_factors
        if operation.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            made = self._factors.get(output)
            self._scale_convolution(operation, inputs, made)
        elif operation.kind == "DYNAMIC_SHIFT_MAX":
            fusions = len(options["initial_values"]) // 2
            made = self._factors.get(ShiftMaxNames(output, fusions).result)
            if inputs is not None or made is not None:
                ones = np.ones(self._source.tensors[output].shape[-1])
                options["input_factors"] = ones if inputs is None else inputs
                options["output_factors"] = ones if made is None else made
                self._scale(operation.inputs[1], options["input_factors"])
        elif operation.kind == "CHANNEL_PERMUTATION":
            made = None if inputs is None else inputs[options["permutation"]]
        elif operation.kind in ("RELU", "RELU6"):
            made = inputs
            if operation.kind == "RELU6" and inputs is not None:
                options["ceilings"] = 6.0 / inputs
        else:
            made = None
            self._refuse_factors(operation)
        self.result.tensors[output].channel_factors = made
        self.result.operations.append(dataclasses.replace(operation, options=options))

    def _scale_convolution(self, operation, inputs, outputs):
        _, weights, bias = operation.inputs
        shape = self._source.tensors[weights].shape
        if inputs is not None:
            self._scale(weights, _of_weights(operation.kind, inputs, shape))
        if outputs is not None:
            axis = 3 if operation.kind == "DEPTHWISE_CONV_2D" else 0
            sizes = [1] * len(shape)
            sizes[axis] = -1
            self._scale(weights, 1.0 / outputs.reshape(sizes))
            self._scale(bias, 1.0 / outputs)

    def _scale(self, name, amounts):
        tensor = self.result.tensors[name]
        tensor.data = (tensor.data.astype(np.float64) * amounts).astype(np.float32)

    def _refuse_factors(self, operation):
        tensors = self.result.tensors
        scaled = [name for name in operation.inputs if tensors[name].channel_factors is not None]
        if scaled:
            raise ValueError(
                "Only convolutions and Dynamic Shift-Max take a map whose channels have factors. "
                f"Received: {', '.join(scaled)} read by {operation.kind}"
            )


def _of_weights(kind, factors, shape):
    """The factors of a convolution's inputs, in the shape of its weights."""
    if kind == "DEPTHWISE_CONV_2D":  # (1, height, width, channels * multiplier)
        return np.repeat(factors, shape[3] // len(factors))
    groups = len(factors) // shape[3]  # (filters, height, width, channels / groups)
    by_group = factors.reshape(groups, 1, 1, 1, -1)
    by_filter = np.broadcast_to(by_group, (groups, shape[0] // groups, 1, 1, shape[3]))
    return by_filter.reshape(shape[0], 1, 1, shape[3])
