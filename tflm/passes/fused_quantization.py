# SPDX-License-Identifier: Apache-2.0
"""Integers of the fused operations: ranges and weights become operands of `tflm.kernels`.

Weights are the same integers as of builtin operators. `fused` has the rules for each kernel.
"""

import collections.abc

from keras_micronet.quantization.schemes import WeightRounding
from tflm.graph.graph import Graph, Operation
from tflm.passes.fused import BY_KIND
from tflm.passes.fused.operands import Operands
from tflm.passes.scales import Ranges


def append(
    graph: Graph,
    source: Graph,
    operation: Operation,
    ranges: Ranges,
    weight_roundings: collections.abc.Mapping[str, WeightRounding],
) -> None:
    """Appends an operation of `fused_operations`, in integers.

    Args:
        graph: the quantized `Graph` so far.
        source: the float `Graph`.
        operation: of `source`; its kind is in `fused.BY_KIND`.
        ranges, weight_roundings: as for `quantization.quantize`.

    Raises:
        ValueError: if a range is missing or not finite, or the kernel cannot hold the operands.
    """
    operands = Operands(graph, source, operation, ranges, weight_roundings)
    try:
        integers, output = BY_KIND[operation.kind].quantize(operands)
    except ValueError as error:
        raise ValueError(
            f"{error}, for the layer {operation.outputs[0]!r}. Where a fused kernel cannot hold a "
            "layer, TensorFlow Lite Micro's operators may: --kernels builtin"
        ) from error
    packed = integers.packed()
    name = operation.outputs[0]
    inputs = [name for name in operation.inputs if not source.tensors[name].is_constant]
    inputs += [graph.add_constant(f"{name}/packed", value) for value in packed.constants]
    graph.add_tensor(name, source.tensors[name].shape, None, output)
    kind = integers.description.kind
    layer = operation.options["layer"]
    graph.operations.append(Operation(kind, inputs, [name], {"integers": integers}, layer))
