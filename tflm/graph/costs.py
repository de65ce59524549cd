# SPDX-License-Identifier: Apache-2.0
"""What the operations of a graph take, exactly: multiply-adds, constants, and RAM over time."""

import dataclasses
import math

from tflm.graph.graph import Graph, Operation, Shape, Tensor, Tensors
from tflm.graph.operators import OPERATORS
from tflm.graph.validation import validate

_ACTIVATION_ALIGNMENT = 16  # of TensorFlow Lite Micro's memory planner


@dataclasses.dataclass(frozen=True)
class OperationCost:
    """What one operation takes.

    Attributes:
        position: index in the order of execution.
        kind: TensorFlow Lite's name of the operator.
        name: what it is called in the model; see `Operation.name`.
        output_shape: shape of that output.
        multiply_adds: of convolutions and dense layers; 0 for other operators.
        constant_bytes: weights, biases and indices that it reads from flash.
        output_bytes: activations that it writes to RAM.
    """

    position: int
    kind: str
    name: str
    output_shape: Shape
    multiply_adds: int
    constant_bytes: int
    output_bytes: int


def operation_costs(graph: Graph) -> tuple[OperationCost, ...]:
    """Computes what each operation takes, exactly, from shapes.

    Args:
        graph: a quantized `Graph`.

    Returns:
        A tuple of `OperationCost`, in order of execution.

    Raises:
        ValueError: the graph is not valid; see `validation.validate`.
    """
    validate(graph)
    return tuple(
        _cost(graph, position, operation) for position, operation in enumerate(graph.operations)
    )


def live_bytes(graph: Graph) -> tuple[int, ...]:
    """Computes the RAM that activations need while each operation runs.

    An activation lives from the operation that makes it to the last that reads
    it; the graph's inputs live from the beginning, and its outputs to the end.
    Sizes count in steps of 16 bytes, as TensorFlow Lite Micro allocates them.
    The largest element is a bound that no memory plan for this order gets below.

    Args:
        graph: a quantized `Graph`.

    Returns:
        A tuple of bytes, one element for each operation.

    Raises:
        ValueError: the graph is not valid; see `validation.validate`.
    """
    validate(graph)
    first = dict.fromkeys(graph.inputs, 0)
    last = dict(first)
    for position, operation in enumerate(graph.operations):
        for name in operation.outputs:
            first[name] = last[name] = position
        for name in operation.inputs:
            if not graph.tensors[name].is_constant:
                last[name] = position
    last.update(dict.fromkeys(graph.outputs, len(graph.operations) - 1))

    live = [0] * len(graph.operations)
    for name in first:
        size = _aligned(_bytes(graph.tensors[name]))
        for position in range(first[name], last[name] + 1):
            live[position] += size
    return tuple(live)


def _cost(graph: Graph, position: int, operation: Operation) -> OperationCost:
    row, tensors = OPERATORS[operation.kind], graph.tensors
    return OperationCost(
        position=position,
        kind=operation.kind,
        name=operation.name,
        output_shape=tuple(tensors[operation.outputs[0]].shape),
        multiply_adds=row.multiply_adds(operation, row.complete_options(operation), tensors),
        constant_bytes=sum(_bytes(tensors[name]) for name in _constants(operation, tensors)),
        output_bytes=sum(_bytes(tensors[name]) for name in operation.outputs),
    )


def _constants(operation: Operation, tensors: Tensors) -> list[str]:
    return [name for name in dict.fromkeys(operation.inputs) if tensors[name].is_constant]


def _bytes(tensor: Tensor) -> int:
    """Bytes of a constant as stored, or of an int8 activation."""
    elements = math.prod(tensor.shape)
    if tensor.data is None:
        return elements
    if tensor.data.dtype.name == "int4":
        return -(-elements // 2)
    return elements * tensor.data.dtype.itemsize


def _aligned(size: int) -> int:
    return -(-size // _ACTIVATION_ALIGNMENT) * _ACTIVATION_ALIGNMENT
