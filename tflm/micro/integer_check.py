# SPDX-License-Identifier: Apache-2.0
"""Asserts that a written model computes in integers only, from the first tensor to the last.

The model's file is read again for that, not the graph that it was written from: what
counts is what the device gets.
"""

from ai_edge_litert import schema_py_generated as schema

from tflm.graph.operators import ACTIVATION, BIAS, INDEX, OPERATORS, PACKED, WEIGHTS
from tflm.micro.interpreter import check_model

_CONVERTING_KINDS = ("QUANTIZE", "DEQUANTIZE")
_LEFT_OUT = -1  # index of an optional input that is not there
_TYPES = {
    ACTIVATION: ("INT8",),
    WEIGHTS: ("INT8", "INT4"),
    BIAS: ("INT32",),
    INDEX: ("INT32",),
    PACKED: ("INT8", "INT16", "INT32"),
}
_TYPE_NAMES = {
    value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")
}
_KIND_NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if name[:1] != "_"
}


def require_integers_only(model_bytes: bytes) -> None:
    """Checks that nothing in a model is float, and that nothing converts on the way.

    Activations must be int8, weights constant int8 or int4; int32 is for constant
    biases and indices, int16 for constants of the operators of `tflm.kernels`.
    QUANTIZE and DEQUANTIZE must not occur, nor operators that the exporter does not
    write (`operators.OPERATORS`).

    Args:
        model_bytes: bytes of a TensorFlow Lite flatbuffer.

    Raises:
        TypeError: `model_bytes` is not `bytes`.
        ValueError: it is not a valid TensorFlow Lite flatbuffer, or not one of
            integers only. The message names the operator or the tensor.
    """
    check_model(model_bytes)
    model = schema.Model.GetRootAs(model_bytes, 0)
    for number in range(model.SubgraphsLength()):
        _check_operators(model, model.Subgraphs(number))
        _check_tensors(model, model.Subgraphs(number))


def _check_operators(model, subgraph):
    for number in range(subgraph.OperatorsLength()):
        kind = _kind(model, subgraph.Operators(number))
        if kind in _CONVERTING_KINDS or kind not in OPERATORS:
            raise ValueError(
                f"No operator may be {' or '.join(_CONVERTING_KINDS)}, or of a kind that the "
                f"exporter does not write. Received: operator {number} ({kind})"
            )


def _check_tensors(model, subgraph):
    roles = _roles(model, subgraph)
    for index in range(subgraph.TensorsLength()):
        tensor = subgraph.Tensors(index)
        received = _TYPE_NAMES[tensor.Type()]
        name = f"tensor {index} {(tensor.Name() or b'').decode(errors='replace')!r}"
        if all(received not in types for types in _TYPES.values()):
            raise ValueError(
                f"Every tensor must be INT8, INT4, INT16 or INT32. Received: {name}, {received}"
            )
        is_constant = model.Buffers(tensor.Buffer()).DataLength() > 0
        for role, where in roles[index]:
            _check_role(role, received, is_constant, f"{name}, {received}, {where}")


def _check_role(role, tensor_type, is_constant, description):
    if tensor_type not in _TYPES[role]:
        types = " or ".join(_TYPES[role])
        raise ValueError(f"A tensor that is {role} must be {types}. Received: {description}")
    if role != ACTIVATION and not is_constant:
        raise ValueError(f"A tensor that is {role} must be constant. Received: {description}")


def _roles(model, subgraph):
    """What each tensor is to its operators: by index, (role, where it has that role)."""
    roles = [[] for _ in range(subgraph.TensorsLength())]
    for ends, where in (
        (subgraph.InputsAsNumpy(), "an input of the model"),
        (subgraph.OutputsAsNumpy(), "an output of the model"),
    ):
        for index in ends:
            roles[index].append((ACTIVATION, where))
    for number in range(subgraph.OperatorsLength()):
        operator = subgraph.Operators(number)
        kind = _kind(model, operator)
        for position in range(operator.InputsLength()):
            if operator.Inputs(position) != _LEFT_OUT:
                role = OPERATORS[kind].role_of(position)
                where = f"input {position} of operator {number} ({kind})"
                roles[operator.Inputs(position)].append((role, where))
        for index in operator.OutputsAsNumpy():
            roles[index].append((ACTIVATION, f"an output of operator {number} ({kind})"))
    return roles


def _kind(model, operator):
    code = model.OperatorCodes(operator.OpcodeIndex())
    # Readers take the larger of both fields; the old one holds a byte.
    kind = _KIND_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
    if kind != "CUSTOM":
        return kind
    return (code.CustomCode() or b"").decode(errors="replace")
