# SPDX-License-Identifier: Apache-2.0
"""Removes channel permutations by giving each tensor its own channel order.

A permutation costs a device a pass over the whole map, yet depthwise
convolutions, Dynamic Shift-Max, dense convolutions and dense layers work as
well on channels in any order if their weights are permuted instead. So a
shuffle is first only noted down, as the order in which a tensor's channels are
stored, and becomes a `GATHER` only where grouped convolutions or the two
operands of a residual sum insist on an order.
"""

import numpy as np

from tflm.graph.graph import Graph

# Instructions on a Cortex-M4 with CMSIS-NN, measured: a grouped 1x1 convolution for each output,
# a dense one for each multiply-add and each output, a GATHER for each element.
_GROUPED_PER_OUTPUT = 84
_DENSE_PER_MULTIPLY_ADD = 1.5
_DENSE_PER_OUTPUT = 10
_GATHER_PER_ELEMENT = 27
# Zeros that a dense expression may add to the flash for one layer, bytes.
_MOST_ADDED_ZEROS = 8192


def fold_permutations(graph: Graph) -> Graph:
    """Rewrites a float deployment graph without `CHANNEL_PERMUTATION`.

    Args:
        graph: a `Graph` of `lowering`.

    Returns:
        An equivalent `Graph`. Its input and output keep their channel order; a
        grouped convolution is either fed by a `GATHER` or, where that is
        estimated to be faster, dense with zeros between the groups.
    """
    return _Rewriter(graph).rewrite()


class _Rewriter:
    """Walks a graph; `order[name][i]` is the channel that is stored at i."""

    def __init__(self, graph):
        self.source = graph
        self.result = Graph()
        self.name = {}
        self.order = {}

    def rewrite(self):
        for name in self.source.inputs:
            tensor = self.source.tensors[name]
            self._set(name, self.result.add_tensor(name, tensor.shape), np.arange(tensor.shape[-1]))
        self.result.inputs = [self.name[name] for name in self.source.inputs]
        for index, operation in enumerate(self.source.operations):
            self._rewrite_operation(index, operation)
        self.result.outputs = [
            self._stored(name, np.arange(self.source.tensors[name].shape[-1]))
            for name in self.source.outputs
        ]
        return self.result

    def _rewrite_operation(self, index, operation):
        output = operation.outputs[0]
        first = operation.inputs[0]
        if operation.kind == "CHANNEL_PERMUTATION":
            inverse = np.argsort(operation.options["permutation"])
            self._set(output, self.name[first], inverse[self.order[first]])
        elif operation.kind == "DEPTHWISE_CONV_2D":
            self._depthwise(operation)
        elif operation.kind == "CONV_2D":
            self._convolution(index, operation)
        elif operation.kind == "FULLY_CONNECTED":
            weights, bias = self._constants(operation)
            self._append(operation, [weights[:, self.order[first]], bias], np.arange(len(bias)))
        elif operation.kind == "DYNAMIC_SHIFT_MAX":
            self._shift_max(operation)
        elif operation.kind == "ADD":
            order = self.order[operation.inputs[1]]
            operands = [self._stored(name, order) for name in operation.inputs]
            name = self.result.add_operation(
                "ADD", operands, output, self._shape(output), **operation.options
            )
            self._set(output, name, order)
        else:  # elementwise or pooling: every channel by itself
            order, ceilings = self.order[first], operation.options.get("ceilings")
            changed = {} if ceilings is None else {"ceilings": ceilings[order]}
            self._append(operation, [], order, **changed)

    def _depthwise(self, operation):
        weights, bias = self._constants(operation)
        order = self.order[operation.inputs[0]]
        multiplier = len(bias) // len(order)
        outputs = (order[:, np.newaxis] * multiplier + np.arange(multiplier)).flatten()
        self._append(operation, [weights[..., outputs], bias[outputs]], outputs)

    def _shift_max(self, operation):
        squeeze_weights, squeeze_bias, excite_weights, excite_bias = self._constants(operation)
        order = self.order[operation.inputs[0]]
        position = np.argsort(order)
        count = len(operation.options["initial_values"])
        rows = (np.arange(count)[:, np.newaxis] * len(order) + order).flatten()
        constants = [
            squeeze_weights[:, order],
            squeeze_bias,
            excite_weights[rows],
            excite_bias[rows],
        ]
        changed = {"permutation": position[operation.options["permutation"][order]]}
        for name in ("input_factors", "output_factors"):
            if name in operation.options:
                changed[name] = operation.options[name][order]
        self._append(operation, constants, order, **changed)

    def _convolution(self, index, operation):
        weights, bias = self._constants(operation)
        name = operation.inputs[0]
        order = self.order[name]
        groups = len(order) // weights.shape[-1]
        if groups == 1:
            self._append(operation, [weights[..., order], bias], np.arange(len(bias)))
            return
        needs_gather = not np.array_equal(order // weights.shape[-1], _blocks(len(order), groups))
        if self._prefers_dense(operation, groups, needs_gather):
            outputs = self._wanted_order(index, operation)
            dense = _dense_weights(weights, groups)[outputs][..., order]
            self._append(operation, [dense, bias[outputs]], outputs)
            return
        if needs_gather:
            self._set(name, self._stored(name, np.arange(len(order))), np.arange(len(order)))
            order = self.order[name]
        within_group = (order % weights.shape[-1]).reshape(groups, -1)
        per_group = np.split(weights, groups)
        sorted_weights = [
            part[..., inner] for part, inner in zip(per_group, within_group, strict=True)
        ]
        self._append(operation, [np.concatenate(sorted_weights), bias], np.arange(len(bias)))

    def _prefers_dense(self, operation, groups, needs_gather):
        outputs = self._shape(operation.outputs[0])[-1]
        inputs = self._shape(operation.inputs[0])[-1]
        added_zeros = inputs * outputs * (groups - 1) // groups
        dense = outputs * (inputs * _DENSE_PER_MULTIPLY_ADD + _DENSE_PER_OUTPUT)
        grouped = outputs * _GROUPED_PER_OUTPUT + needs_gather * inputs * _GATHER_PER_ELEMENT
        return added_zeros <= _MOST_ADDED_ZEROS and dense < grouped

    def _wanted_order(self, index, operation):
        """Output order that lets the operations behind a dense convolution do without a GATHER."""
        channels = self._shape(operation.outputs[0])[-1]
        shuffled = np.arange(channels)  # channel that a later tensor has at each place
        tensor = operation.outputs[0]
        for later in self.source.operations[index + 1 :]:
            if later.kind == "CHANNEL_PERMUTATION":
                shuffled = shuffled[later.options["permutation"]]
            elif later.kind == "ADD" and tensor in later.inputs:
                other = [name for name in later.inputs if name != tensor]
                return shuffled[self.order[other[0]]] if other else shuffled
            elif later.kind == "CONV_2D" or self._shape(later.outputs[0])[-1] != channels:
                return shuffled
            tensor = later.outputs[0]
        return shuffled

    def _stored(self, name, order):
        """Name of the tensor with its channels stored in `order`; gathers them if need be."""
        if np.array_equal(self.order[name], order):
            return self.name[name]
        position = np.argsort(self.order[name])
        indices = self.result.add_constant(f"{name}/indices", position[order].astype(np.int32))
        return self.result.add_operation(
            "GATHER", [self.name[name], indices], f"{name}/gathered", self._shape(name), axis=3
        )

    def _append(self, operation, constants, order, **changed_options):
        names = [
            self.result.add_constant(name, value)
            for name, value in zip(operation.inputs[1:], constants, strict=True)
        ]
        output = operation.outputs[0]
        name = self.result.add_operation(
            operation.kind,
            [self.name[operation.inputs[0]], *names],
            output,
            self._shape(output),
            **{**operation.options, **changed_options},
        )
        self._set(output, name, order)

    def _set(self, source_name, name, order):
        self.name[source_name] = name
        self.order[source_name] = order
        factors = self.source.tensors[source_name].channel_factors
        if factors is not None:
            self.result.tensors[name].channel_factors = factors[order]

    def _constants(self, operation):
        return [self.source.tensors[name].data for name in operation.inputs[1:]]

    def _shape(self, name):
        return self.source.tensors[name].shape


def _blocks(channels, groups):
    return np.arange(channels) // (channels // groups)


def _dense_weights(weights, groups):
    """The weights (out, 1, 1, in) of a grouped convolution, with zeros between the groups."""
    same_group = _blocks(len(weights), groups)[:, np.newaxis] == _blocks(
        weights.shape[-1] * groups, groups
    )
    return np.tile(weights, groups) * same_group[:, np.newaxis, np.newaxis, :]
