# SPDX-License-Identifier: Apache-2.0
"""Deployment operations in the vocabulary of `tflm.kernels`: few and large.

Channel shuffles and activations go into the operation before them, the two halves
of a factorized convolution become one operation, and a map's channels are always
stored in the order in which the model counts them. What no kernel of ours
computes stays as `lowering` has it and becomes a builtin operator.
"""

import dataclasses

import numpy as np

from tflm.graph.graph import Graph
from tflm.graph.rewriter import GraphRewriter
from tflm.kernels.description import LIMITS, PERMUTATION, TABLE
from tflm.passes.fused import BY_KIND, FUSIONS

_CLAMPING = ("RELU", "RELU6")


def fuse(graph: Graph) -> Graph:
    """Rewrites a float deployment graph.

    Args:
        graph: a `Graph` of `lowering`.

    Returns:
        An equivalent float `Graph` without `CHANNEL_PERMUTATION`. Operations whose
        kind begins with MICRONET have the options `layer` (what of the model they compute),
        `result` (the name by which the range of their result is known), `activation` ("NONE",
        "RELU", "RELU6", "HARD_SWISH"), for the last `activation_result` (the name of its range),
        and `permutation`: channel i of the output is channel `permutation[i]` of the operation.
        Their outputs have the name of the last operation that went into them.
    """
    builder = _Builder(graph)
    position = 0
    while position < len(graph.operations):
        position += builder.translate(position)
    return builder.finish()


def float_reference(lowered: Graph, operations: Graph) -> Graph:
    """A float graph whose activations are, by name, those of fused and builtin operations.

    Args:
        lowered: the `Graph` that was fused.
        operations: what `builtin_operations.to_builtin` made of the fused graph. It lets builtin
            operators compute the activation that follows.

    Returns:
        A `Graph` that `float_execution` runs.
    """
    activations = {
        operation.outputs[0]: operation.options["activation"]
        for operation in operations.operations
        if operation.kind not in BY_KIND and "activation" in operation.options
    }
    result = dataclasses.replace(lowered, operations=[])
    for operation in lowered.operations:
        activation = activations.get(operation.outputs[0], "NONE")
        if activation != "NONE":
            options = {**operation.options, "activation": activation}
            operation = dataclasses.replace(operation, options=options)
        result.operations.append(operation)
    return result


class _Builder(GraphRewriter):
    def translate(self, position):
        """Translates the operation at `position`; returns how many it took."""
        operation = self.source.operations[position]
        for fusion in FUSIONS:
            match = fusion.match(self.source, position)
            if match is not None:
                return self._fused(fusion, match, position)
        if operation.kind == "CHANNEL_PERMUTATION":
            self._gather(operation)
        else:
            (output,) = operation.outputs
            self._emit(operation.kind, operation.inputs, output, **operation.options)
        return 1

    def _fused(self, fusion, match, position):
        """Emits one operation for those that match and those after them that it can absorb."""
        count, absorbs = match.count, fusion.absorbs
        last = self.source.operations[position + count - 1]
        first = self.source.operations[position]
        options = {"layer": _layer(first, last), "result": last.outputs[0], "activation": "NONE"}
        options |= match.options
        permutation = np.arange(self.shape(last.outputs[0])[-1])
        while (following := self._only_reader(position + count - 1)) is not None:
            if following.kind == "CHANNEL_PERMUTATION" and PERMUTATION in absorbs:
                permutation = permutation[following.options["permutation"]]
            elif options["activation"] != "NONE":
                break
            elif following.kind in _CLAMPING and LIMITS in absorbs:
                ends_with_range = "ceilings" in following.options
                options["activation"] = "RELU" if ends_with_range else following.kind
            elif following.kind == "HARD_SWISH" and TABLE in absorbs:
                options["activation"] = following.kind
                options["activation_result"] = following.outputs[0]
            else:
                break
            count += 1
        if PERMUTATION in absorbs:
            options["permutation"] = permutation
        last = self.source.operations[position + count - 1]
        self._emit(fusion.kind, match.inputs, last.outputs[0], **options)
        return count

    def _only_reader(self, position):
        """The operation after `position`, if it and nobody else reads the output there."""
        output = self.source.operations[position].outputs[0]
        readers = [other for other in self.source.operations if output in other.inputs]
        if len(readers) != 1 or output in self.source.outputs:
            return None
        following = self.source.operations[position + 1]
        return following if following is readers[0] and len(following.inputs) == 1 else None

    def _gather(self, operation):
        name = operation.outputs[0]
        indices = operation.options["permutation"].astype(np.int32)
        tensors = [
            self.name[operation.inputs[0]],
            self.result.add_constant(f"{name}/indices", indices),
        ]
        shape = self.shape(name)
        self.name[name] = self.result.add_operation("GATHER", tensors, name, shape, axis=3)

    def _emit(self, kind, inputs, output, **options):
        names = [self.translated(name) for name in inputs]
        shape = self.shape(output)
        self.name[output] = self.result.add_operation(kind, names, output, shape, **options)


def _layer(first, last):
    """Name of the layer of which these are the first and the last operation."""
    name, other = last.outputs[0], first.outputs[0]
    layer = name.rpartition("/")[0]
    is_pair = first is not last and layer and layer == other.rpartition("/")[0]
    return layer if is_pair else name
