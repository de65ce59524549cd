"""Model files with fused operators, written with the schema alone."""

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from tflm import kernel_library

TENSOR_TYPES = {
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
}
INPUT = "x"


def model_of(nodes, change=lambda model: None):
    """A model with one input, "x", whose output is that of the last node.

    Args:
        nodes: list of (`FusedOperation`, names of activations, name of the output).
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
    indices = {INPUT: _add_tensor(model, nodes[0][0].input_shapes[0])}
    names = sorted({operation.operator for operation, _, _ in nodes})
    model.operatorCodes = [_code(kernel_library.custom_name(name)) for name in names]
    for operation, activations, output in nodes:
        constants = [_add_tensor(model, value.shape, value) for value in operation.constants]
        indices[output] = _add_tensor(model, operation.output_shape)
        node = schema.OperatorT()
        node.opcodeIndex = names.index(operation.operator)
        node.inputs = [indices[name] for name in activations] + constants
        node.outputs = [indices[output]]
        node.customOptions = np.frombuffer(operation.options, np.uint8)
        graph.operators.append(node)
    graph.inputs, graph.outputs = [indices[INPUT]], [indices[nodes[-1][2]]]
    change(model)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _code(name):
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = name
    code.version = 1
    return code


def _add_tensor(model, shape, data=None):
    """Index of a new tensor: an int8 activation with a batch of 1, or a constant."""
    tensor = schema.TensorT()
    tensor.shape = [1, *shape] if data is None else list(shape)
    tensor.type = schema.TensorType.INT8
    if data is not None:
        tensor.type = TENSOR_TYPES[data.dtype.name]
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        tensor.buffer = len(model.buffers)
        model.buffers.append(buffer)
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1
