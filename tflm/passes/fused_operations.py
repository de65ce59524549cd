# SPDX-License-Identifier: Apache-2.0
"""Deployment operations in the vocabulary of `tflm.kernels`: few and large.

Channel shuffles and activations go into the operation before them, the two halves
of a factorized convolution become one operation, and a map's channels are always
stored in the order in which the model counts them. What no kernel of ours
computes stays as `lowering` has it and becomes a builtin operator.
"""

import dataclasses

import numpy as np

from keras_micronet.quantization.plan import ShiftMaxNames
from tflm.graph.rewriter import GraphRewriter
from tflm.kernels import (
    dense,
    dynamic_shift_max,
    factorized_depthwise_conv,
    factorized_stem,
    global_average_pool,
    grouped_pointwise_conv,
    residual_add,
)
from tflm.kernels.description import LIMITS, PERMUTATION, TABLE
from tflm.kernels.registry import BY_KIND

FACTORIZED_STEM = factorized_stem.DESCRIPTION.kind
FACTORIZED_DEPTHWISE_CONV = factorized_depthwise_conv.DESCRIPTION.kind
GROUPED_POINTWISE_CONV = grouped_pointwise_conv.DESCRIPTION.kind
DYNAMIC_SHIFT_MAX = dynamic_shift_max.DESCRIPTION.kind
RESIDUAL_ADD = residual_add.DESCRIPTION.kind
GLOBAL_AVERAGE_POOL = global_average_pool.DESCRIPTION.kind
DENSE = "MICRONET_DENSE"  # of 8 or 4 bits: quantization decides

_KERNELS = BY_KIND | {DENSE: dense.DESCRIPTIONS[8]}
KINDS = (
    FACTORIZED_STEM,
    FACTORIZED_DEPTHWISE_CONV,
    GROUPED_POINTWISE_CONV,
    DYNAMIC_SHIFT_MAX,
    RESIDUAL_ADD,
    GLOBAL_AVERAGE_POOL,
    DENSE,
)

_TAPS = (1, 3, 5, 7)
_MOST_STRIDE = 4
_MOST_STEM_CHANNELS = 4
_FUSED_FROM = {
    "CONV_2D": GROUPED_POINTWISE_CONV,
    "DYNAMIC_SHIFT_MAX": DYNAMIC_SHIFT_MAX,
    "ADD": RESIDUAL_ADD,
    "GLOBAL_AVERAGE_POOL": GLOBAL_AVERAGE_POOL,
    "FULLY_CONNECTED": DENSE,
}
_CLAMPING = ("RELU", "RELU6")


def fuse(graph):
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


def float_reference(lowered, operations):
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
        if operation.kind not in KINDS and "activation" in operation.options
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
        if self._begins_factorized_pair(position):
            return self._factorized(position)
        if operation.kind == "CHANNEL_PERMUTATION":
            self._gather(operation)
            return 1
        kind = _FUSED_FROM.get(operation.kind)
        if kind is None or operation.kind == "CONV_2D" and not self._is_pointwise(operation):
            (output,) = operation.outputs
            self._emit(operation.kind, operation.inputs, output, **operation.options)
            return 1
        options = {}
        if kind == DYNAMIC_SHIFT_MAX:
            options["shift"] = operation.options["permutation"]
            options["initial_values"] = operation.options["initial_values"]
            options["names"] = _shift_max_names(operation)
            options["input_factors"] = operation.options.get("input_factors")
            options["output_factors"] = operation.options.get("output_factors")
        return self._fused(kind, position, 1, operation.inputs, **options)

    def _factorized(self, position):
        vertical, horizontal = self.source.operations[position : position + 2]
        return self._fused(
            FACTORIZED_STEM if vertical.kind == "CONV_2D" else FACTORIZED_DEPTHWISE_CONV,
            position,
            2,
            [*vertical.inputs, *horizontal.inputs[1:]],
            strides=(vertical.options["strides"][0], horizontal.options["strides"][1]),
            middle=vertical.outputs[0],
        )

    def _fused(self, kind, position, count, inputs, **options):
        """Emits one operation for `count` of the source and those after them that it can absorb."""
        last = self.source.operations[position + count - 1]
        first = self.source.operations[position]
        options |= {"layer": _layer(first, last), "result": _result(last), "activation": "NONE"}
        channels = self.shape(last.outputs[0])[-1]
        permutation = np.arange(channels)
        absorbs = _KERNELS[kind].absorbs
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
        self._emit(kind, inputs, last.outputs[0], **options)
        return count

    def _only_reader(self, position):
        """The operation after `position`, if it and nobody else reads the output there."""
        output = self.source.operations[position].outputs[0]
        readers = [other for other in self.source.operations if output in other.inputs]
        if len(readers) != 1 or output in self.source.outputs:
            return None
        following = self.source.operations[position + 1]
        return following if following is readers[0] and len(following.inputs) == 1 else None

    def _begins_factorized_pair(self, position):
        if position + 1 >= len(self.source.operations):
            return False
        first, second = self.source.operations[position : position + 2]
        if second.kind != "DEPTHWISE_CONV_2D" or self._only_output_of(first) != second.inputs[0]:
            return False
        if first.kind == "CONV_2D":
            channels = self.shape(first.inputs[0])[-1]
            is_dense = self.shape(first.inputs[1])[-1] == channels
            if not is_dense or channels > _MOST_STEM_CHANNELS:
                return False
        elif first.kind != "DEPTHWISE_CONV_2D":
            return False
        return self._is_one_dimensional(first, 0) and self._is_one_dimensional(second, 1)

    def _only_output_of(self, operation):
        """The operation's output, if one operation reads it and the model does not give it away."""
        output = operation.outputs[0]
        readers = sum(other.inputs.count(output) for other in self.source.operations)
        return output if readers == 1 and output not in self.source.outputs else None

    def _is_one_dimensional(self, operation, axis):
        """Whether a convolution has taps along one axis only: 0 for height, 1 for width."""
        taps = self.shape(operation.inputs[1])[1:3]
        strides = operation.options["strides"]
        return (
            operation.options["padding"] == "SYMMETRIC"
            and taps[axis] in _TAPS
            and strides[axis] <= _MOST_STRIDE
            and taps[1 - axis] == strides[1 - axis] == 1
        )

    def _is_pointwise(self, operation):
        return self.shape(operation.inputs[1])[1:3] == (1, 1) and tuple(
            operation.options["strides"]
        ) == (1, 1)

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


def _result(operation):
    """Name under which the range of an operation's result is known."""
    if operation.kind == "DYNAMIC_SHIFT_MAX":
        return _shift_max_names(operation).result
    return operation.outputs[0]


def _layer(first, last):
    """Name of the layer of which these are the first and the last operation."""
    name, other = last.outputs[0], first.outputs[0]
    layer = name.rpartition("/")[0]
    is_pair = first is not last and layer and layer == other.rpartition("/")[0]
    return layer if is_pair else name


def _shift_max_names(operation):
    return ShiftMaxNames(operation.outputs[0], len(operation.options["initial_values"]) // 2)
