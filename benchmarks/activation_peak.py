# SPDX-License-Identifier: Apache-2.0
"""The most bytes of activations that a flatbuffer's operators have to keep at once."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

_INT8, _INT32 = schema.TensorType.INT8, schema.TensorType.INT32
_BYTES = {_INT8: 1, _INT32: 4}


def peak_bytes(model):
    """Operators run in their order, each with its inputs, its outputs and what later ones need.

    No planner of whole tensors can do with less; kernels' own buffers come on top.

    Args:
        model: bytes of a flatbuffer of one subgraph.

    Returns:
        The number of bytes.
    """
    graph = schema.Model.GetRootAs(model, 0).Subgraphs(0)
    operators = [graph.Operators(index) for index in range(graph.OperatorsLength())]
    outputs = [set(operator.OutputsAsNumpy().tolist()) for operator in operators]
    activations = set(graph.InputsAsNumpy().tolist()).union(*outputs)
    inputs = [set(operator.InputsAsNumpy().tolist()) & activations for operator in operators]
    needed = set(graph.OutputsAsNumpy().tolist())
    peak = 0
    for reads, writes in zip(reversed(inputs), reversed(outputs), strict=True):
        live = needed | reads | writes
        peak = max(peak, sum(_tensor_bytes(graph.Tensors(index)) for index in live))
        needed = (needed - writes) | reads
    return peak


def _tensor_bytes(tensor):
    return int(np.prod(tensor.ShapeAsNumpy())) * _BYTES[tensor.Type()]
