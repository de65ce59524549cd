# SPDX-License-Identifier: Apache-2.0
"""Model files with fused operators, written with the schema alone."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflm.kernels.registry import KERNELS
from tflm.kernels.residual_add import SHIFT, ResidualAdd

TENSOR_TYPES = {
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
}
INPUT = "x"
INPUT_QUANTIZATION = (0.02, 3)
OUTPUT_QUANTIZATION = (0.035, -5)


def quantizations(operation):
    """A scale and a zero point for what an operation, not packed, reads first and makes.

    Those that its integers do not tell are arbitrary.
    """
    input_scale, input_zero_point = INPUT_QUANTIZATION
    output_scale, output_zero_point = OUTPUT_QUANTIZATION
    if isinstance(operation, ResidualAdd):
        first = (operation.multipliers[0] / 2**SHIFT * output_scale, operation.zero_points[0])
        return first, (output_scale, operation.output_zero_point)
    first = (input_scale, getattr(operation, "input_zero_point", input_zero_point))
    if getattr(operation, "table", None) is not None:
        return first, OUTPUT_QUANTIZATION
    if not hasattr(operation, "output_zero_point"):
        return first, first  # a mean
    return first, (output_scale, operation.output_zero_point)


def model_of(nodes, activations, change=lambda model: None):
    """A model with one input, "x", whose output is that of the last node.

    Args:
        nodes: list of (`PackedOperation`, names of activations, name of the output).
        activations: scale and zero point of each activation, by its name.
        change: called with the schema's object form before it is packed.

    Returns:
        The file's bytes.
    """
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    model.subgraphs = [graph]
    graph.tensors, graph.operators, model.operatorCodes = [], [], []
    indices = {INPUT: _add_activation(model, nodes[0][0].input_shapes[0], activations[INPUT])}
    names = sorted({operation.operator for operation, _, _ in nodes})
    model.operatorCodes = [_code(KERNELS[name].kind) for name in names]
    for operation, inputs, output in nodes:
        constants = [_add_constant(model, value) for value in operation.constants]
        indices[output] = _add_activation(model, operation.output_shape, activations[output])
        node = schema.OperatorT()
        node.opcodeIndex = names.index(operation.operator)
        node.inputs = [indices[name] for name in inputs] + constants
        node.outputs = [indices[output]]
        node.customOptions = np.frombuffer(operation.options, np.uint8)
        graph.operators.append(node)
    graph.inputs, graph.outputs = [indices[INPUT]], [indices[nodes[-1][2]]]
    change(model)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def quantization_of(scales, zero_points):
    """The schema's form of lists of scales and zero points."""
    quantization = schema.QuantizationParametersT()
    quantization.scale = list(scales)
    quantization.zeroPoint = list(zero_points)
    return quantization


def _code(name):
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = name
    code.version = 1
    return code


def _add_activation(model, shape, quantization):
    """Index of a new int8 tensor with a batch of 1."""
    tensor = schema.TensorT()
    tensor.shape = [1, *shape]
    tensor.type = schema.TensorType.INT8
    scale, zero_point = quantization
    tensor.quantization = quantization_of([scale], [zero_point])
    return _add_tensor(model, tensor)


def _add_constant(model, data):
    """Index of a new tensor with an array's values."""
    tensor = schema.TensorT()
    tensor.shape = list(data.shape)
    tensor.type = TENSOR_TYPES[data.dtype.name]
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)
    return _add_tensor(model, tensor)


def _add_tensor(model, tensor):
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1
