# SPDX-License-Identifier: Apache-2.0
"""Checks a quantized graph before it is written to a file.

Much of what is wrong in a graph is not noticed by an interpreter: TensorFlow Lite
Micro's MAXIMUM, for example, compares integers of two different scales without a
word. So everything that the file format or a kernel takes for granted is checked
here, and what is wrong is named.
"""

import collections
import collections.abc
import math

import numpy as np

from tflm.graph import operators
from tflm.graph.graph import Graph, Operation, Quantization, Tensor, Tensors
from tflm.graph.operators import (
    ACTIVATION,
    BIAS,
    INDEX,
    OPERATORS,
    PACKED,
    REQUIRED,
    WEIGHTS,
    OperatorRow,
)

_ACTIVATION_DTYPES = ("int8",)
_WEIGHT_DTYPES = ("int8", "int4")
_UNQUANTIZED_DTYPES = {INDEX: ("int32",), PACKED: ("int8", "int16", "int32")}

# A dense layer with one scale is refused by the interpreters if its bias' scale is
# far from input * weights; all of them compute as if it were equal.
_BIAS_SCALE_TOLERANCE = 1e-5

LEAST_RELU6_SCALE = 6 / 2**30


def validate(graph: Graph) -> None:
    """Checks that `graph` can be written and will run.

    Args:
        graph: a quantized `Graph` in the vocabulary of `operators.OPERATORS`.

    Raises:
        ValueError: the graph breaks a rule. The message names the operation or
            tensor, the rule, and what was received.
    """
    _check_ends(graph)
    for name, tensor in graph.tensors.items():
        _check_tensor(name, tensor)
    _check_order(graph)
    for position, operation in enumerate(graph.operations):
        _check_operation(f"operation {position} ({operation.kind})", operation, graph.tensors)


def _require(condition: object, rule: str, received: str) -> None:
    if not condition:
        raise ValueError(f"{rule}. Received: {received}")


def _check_ends(graph: Graph) -> None:
    _require(graph.operations, "A graph must have operations", "none")
    for role, names in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        _require(names, f"A graph must have {role}", f"{role}={names!r}")
        _require(len(set(names)) == len(names), f"A graph's {role} must differ", f"{names!r}")
        for name in names:
            _require_tensor(name, f"the graph's {role}", graph.tensors)
    for name in graph.inputs:
        _require(
            not graph.tensors[name].is_constant,
            "A graph's input must be an activation",
            f"the constant tensor {name!r}",
        )


def _require_tensor(name: str, where: str, tensors: Tensors) -> None:
    _require(
        name in tensors,
        f"Every tensor named in {where} must be in the graph",
        f"{name!r}, which is not",
    )


# Tensors


def _check_tensor(name: str, tensor: Tensor) -> None:
    _require(tensor.name == name, f"Tensor {name!r} must bear its own name", repr(tensor.name))
    _require(
        all(size >= 1 for size in tensor.shape),
        f"Tensor {name!r} must have sizes of at least 1",
        f"shape={tensor.shape}",
    )
    if tensor.data is not None:
        _require(
            tuple(tensor.data.shape) == tuple(tensor.shape),
            f"The data of tensor {name!r} must have the tensor's shape {tuple(tensor.shape)}",
            f"data of shape {tensor.data.shape}",
        )
    if tensor.quantization is not None:
        _check_quantization(name, tensor, tensor.quantization)


def _check_quantization(name: str, tensor: Tensor, quantization: Quantization) -> None:
    scale, zero_point, axis = quantization.scale, quantization.zero_point, quantization.axis
    _require(
        scale.ndim == 1 and scale.shape == zero_point.shape,
        f"Tensor {name!r} must have as many zero points as scales, in one dimension",
        f"scales of shape {scale.shape}, zero points of shape {zero_point.shape}",
    )
    _require(
        np.all(np.isfinite(np.float32(scale)) & (np.float32(scale) > 0)),
        f"Scales of tensor {name!r} must be positive and finite in float32",
        f"scales from {scale.min()} to {scale.max()}",
    )
    _require(
        np.all((zero_point >= -128) & (zero_point <= 127)),
        f"Zero points of tensor {name!r} must lie in [-128, 127]",
        f"zero points from {zero_point.min()} to {zero_point.max()}",
    )
    if axis is None:
        _require(
            scale.size == 1,
            f"Tensor {name!r} must have one scale if its quantization has no axis",
            f"{scale.size} scales",
        )
        return
    _require(
        0 <= axis < len(tensor.shape) and scale.size == tensor.shape[axis],
        f"Tensor {name!r} must have one scale per channel of an axis, or one",
        f"axis={axis} with {scale.size} scales in a tensor of shape {tuple(tensor.shape)}",
    )


# Order


def _check_order(graph: Graph) -> None:
    """Every activation is made once, before it is used."""
    made = set(graph.inputs)
    producers = collections.Counter(
        name for operation in graph.operations for name in operation.outputs
    )
    for position, operation in enumerate(graph.operations):
        where = f"operation {position} ({operation.kind})"
        for name in operation.inputs:
            _require_tensor(name, where, graph.tensors)
            _require(
                graph.tensors[name].is_constant or name in made,
                f"An input of {where} must be a constant, an input of the graph, or made before",
                f"{name!r}, " + ("made later" if producers[name] else "never made"),
            )
        for name in operation.outputs:
            _require_tensor(name, where, graph.tensors)
            _require(
                not graph.tensors[name].is_constant and name not in made,
                f"An output of {where} must be an activation that nothing else makes",
                repr(name),
            )
            made.add(name)
    for name in graph.outputs:
        _require(name in made, "An output of the graph must be made by an operation", repr(name))


# Operations


def _check_operation(where: str, operation: Operation, tensors: Tensors) -> None:
    _require(
        operation.kind in OPERATORS,
        f"The kind of {where} must be one of {', '.join(OPERATORS)}",
        f"{operation.kind!r} with outputs {operation.outputs}",
    )
    row = OPERATORS[operation.kind]
    _check_counts(where, operation, row)
    for position, name in enumerate(operation.inputs):
        _check_role(where, row.role_of(position), name, tensors[name], row.channel_axis)
    for name in operation.outputs:
        _check_role(where, ACTIVATION, name, tensors[name], row.channel_axis)
    _check_options(where, operation, row)
    _check_shapes(where, operation, row, tensors)
    _check_same_quantization(where, operation, row, tensors)
    _check_fused_activation(where, operation, tensors)
    if BIAS in row.roles and len(operation.inputs) == len(row.roles):
        _check_bias(where, operation, row, tensors)
    if operation.kind in _SPECIAL_CHECKS:
        _SPECIAL_CHECKS[operation.kind](where, operation, row, tensors)


def _check_counts(where: str, operation: Operation, row: OperatorRow) -> None:
    most = math.inf if row.last_role_repeats else len(row.roles)
    least = len(row.roles) - row.optional_inputs
    number = str(least) if least == most else f"{least} to {most}"
    _require(
        least <= len(operation.inputs) <= most,
        f"{where} must have {number} inputs ({', '.join(row.roles)})",
        f"{len(operation.inputs)} inputs: {operation.inputs}",
    )
    _require(
        len(operation.outputs) == 1,
        f"{where} must have one output",
        f"{len(operation.outputs)} outputs: {operation.outputs}",
    )


def _check_role(where: str, role: str, name: str, tensor: Tensor, channel_axis: int) -> None:
    if role == ACTIVATION:
        _require_dtype(where, role, name, tensor, _ACTIVATION_DTYPES)
        _require_quantization(where, role, name, tensor, None)
        return
    _require(
        tensor.is_constant,
        f"The {role} of {where} must be a constant",
        f"the activation {name!r}",
    )
    if role == WEIGHTS:
        _require_dtype(where, role, name, tensor, _WEIGHT_DTYPES)
        _require_quantization(where, role, name, tensor, channel_axis)
        _require_symmetric(where, role, name, tensor)
    elif role == BIAS:
        _require_dtype(where, role, name, tensor, ("int32",))
        _require_quantization(where, role, name, tensor, 0)
        _require_symmetric(where, role, name, tensor)
    else:
        _require_dtype(where, role, name, tensor, _UNQUANTIZED_DTYPES[role])
        _require(
            tensor.quantization is None,
            f"The {role} input {name!r} of {where} must have no quantization",
            f"scale {tensor.quantization and tensor.quantization.scale}",
        )


def _require_dtype(
    where: str, role: str, name: str, tensor: Tensor, dtypes: collections.abc.Sequence[str]
) -> None:
    _require(
        tensor.data is None or tensor.data.dtype.name in dtypes,
        f"The {role} tensor {name!r} of {where} must be {' or '.join(dtypes)}",
        f"dtype={tensor.data is not None and tensor.data.dtype.name}",
    )


def _require_quantization(
    where: str, role: str, name: str, tensor: Tensor, channel_axis: int | None
) -> None:
    """One scale, or one per channel of `channel_axis` unless that is `None`."""
    rule = f"The {role} tensor {name!r} of {where} must have quantization"
    _require(tensor.quantization is not None, rule, "none")
    quantization = tensor.quantized_by
    _require(
        not quantization.is_per_channel or quantization.axis == channel_axis,
        f"{rule} with one scale"
        + ("" if channel_axis is None else f", or one per channel of axis {channel_axis}"),
        f"{quantization.scale.size} scales along axis {quantization.axis}",
    )


def _require_symmetric(where: str, role: str, name: str, tensor: Tensor) -> None:
    zero_point = tensor.quantized_by.zero_point
    _require(
        not np.any(zero_point),
        f"The {role} tensor {name!r} of {where} must have zero point 0",
        f"zero points from {zero_point.min()} to {zero_point.max()}",
    )


def _check_options(where: str, operation: Operation, row: OperatorRow) -> None:
    unknown = set(operation.options) - set(row.options)
    _require(
        not unknown,
        f"Options of {where} must be among {sorted(row.options)}",
        f"{sorted(unknown)}",
    )
    options = row.complete_options(operation)
    missing = [name for name, value in options.items() if value is REQUIRED]
    _require(not missing, f"{where} must have options {sorted(row.options)}", f"no {missing}")
    for name, values in (
        ("activation", operators.ACTIVATION_FUNCTIONS),
        ("padding", operators.PADDINGS),
    ):
        if name in options:
            _require(
                options[name] in values,
                f"Option {name} of {where} must be one of {', '.join(values)}",
                repr(options[name]),
            )
    for name in ("strides", "filter"):
        if name in options:
            _require(
                len(options[name]) == 2 and min(options[name]) >= 1,
                f"Option {name} of {where} must be a height and a width of at least 1",
                repr(options[name]),
            )


def _check_shapes(where: str, operation: Operation, row: OperatorRow, tensors: Tensors) -> None:
    shapes = {name: tuple(tensors[name].shape) for name in operation.inputs}
    try:
        allowed = row.output_shapes(operation, row.complete_options(operation), tensors)
    except (ValueError, IndexError, TypeError) as error:
        raise ValueError(
            f"The inputs of {where} must have shapes that fit together. Received: {shapes}"
        ) from error
    for name in operation.outputs:
        _require(
            tuple(tensors[name].shape) in [tuple(shape) for shape in allowed],
            f"The output {name!r} of {where}, with inputs {shapes}, must have shape "
            + " or ".join(str(tuple(shape)) for shape in dict.fromkeys(allowed)),
            str(tuple(tensors[name].shape)),
        )


def _check_same_quantization(
    where: str, operation: Operation, row: OperatorRow, tensors: Tensors
) -> None:
    if not row.copies_integers:
        return
    names = [
        name
        for position, name in enumerate(operation.inputs)
        if row.role_of(position) == ACTIVATION
    ]
    received = {name: _quantization_of(tensors[name]) for name in names + operation.outputs}
    _require(
        len(set(received.values())) == 1,
        f"{where} does not rescale, so its activations must share scale and zero point",
        f"{received}",
    )


def _quantization_of(tensor: Tensor) -> tuple[float, int]:
    """Scale (as the file stores it) and zero point of an activation."""
    quantization = tensor.quantized_by
    return float(np.float32(quantization.scale[0])), int(quantization.zero_point[0])


def _check_fused_activation(where: str, operation: Operation, tensors: Tensors) -> None:
    """Kernels compute the integer that 6 would be, in 32 bits, whether it fits in 8 or not."""
    if operation.options.get("activation") != "RELU6":
        return
    scale, _ = _quantization_of(tensors[operation.outputs[0]])
    _require(
        scale >= LEAST_RELU6_SCALE,
        f"The output scale of {where} with RELU6 must be at least {LEAST_RELU6_SCALE:.2g}",
        f"scale {scale}",
    )


def _check_bias(where: str, operation: Operation, row: OperatorRow, tensors: Tensors) -> None:
    inputs, weights, bias = (tensors[name] for name in operation.inputs)
    channels = weights.shape[row.channel_axis]
    _require(
        bias.shape == (channels,),
        f"The bias {bias.name!r} of {where} must have one element per output channel",
        f"shape {bias.shape} with {channels} output channels",
    )
    expected = inputs.quantized_by.scale * weights.quantized_by.scale
    scale = bias.quantized_by.scale
    _require(
        scale.size == expected.size,
        f"The bias {bias.name!r} of {where} must have as many scales as the weights",
        f"{scale.size} scales and {expected.size} scales of the weights",
    )
    _require(
        np.allclose(scale, expected, rtol=_BIAS_SCALE_TOLERANCE, atol=0),
        f"The scale of the bias {bias.name!r} of {where} must be the input's times the weights'",
        f"a ratio from {np.min(scale / expected)} to {np.max(scale / expected)}",
    )


def _check_convolution(
    where: str, operation: Operation, row: OperatorRow, tensors: Tensors
) -> None:
    inputs, weights = (tensors[name].shape for name in operation.inputs[:2])
    groups = inputs[-1] // weights[-1]
    _require(
        inputs[-1] % weights[-1] == 0 and weights[0] % groups == 0,
        f"The filter of {where} must split the input's and the output's channels into groups",
        f"{inputs[-1]} input channels, filter (out, kh, kw, in/groups) = {weights}",
    )


def _check_depthwise(where: str, operation: Operation, row: OperatorRow, tensors: Tensors) -> None:
    inputs, weights = (tensors[name].shape for name in operation.inputs[:2])
    multiplier = operation.options["depth_multiplier"]
    _require(
        weights[0] == 1 and weights[-1] == inputs[-1] * multiplier,
        f"The filter of {where} must have shape (1, kh, kw, {inputs[-1]} * depth_multiplier)",
        f"shape {weights}, depth_multiplier={multiplier}",
    )


def _check_dense(where: str, operation: Operation, row: OperatorRow, tensors: Tensors) -> None:
    inputs, weights = (tensors[name] for name in operation.inputs[:2])
    _require(
        inputs.shape[-1] == weights.shape[1],
        f"The weights of {where} must have shape (out, {inputs.shape[-1]})",
        str(weights.shape),
    )
    _require(
        weights.constant.dtype.name == "int8" or not weights.quantized_by.is_per_channel,
        f"int4 weights of {where} must have one scale: TensorFlow Lite Micro takes no more "
        "(fused kernels do: --kernels fused)",
        f"{weights.quantized_by.scale.size} scales",
    )


def _check_gather(where: str, operation: Operation, row: OperatorRow, tensors: Tensors) -> None:
    inputs, indices = (tensors[name] for name in operation.inputs)
    places = indices.constant
    size = inputs.shape[operation.options["axis"]]
    _require(
        np.all((places >= 0) & (places < size)),
        f"The indices {indices.name!r} of {where} must lie in [0, {size})",
        f"indices from {places.min()} to {places.max()}",
    )


def _check_hard_swish(where: str, operation: Operation, row: OperatorRow, tensors: Tensors) -> None:
    """The kernels hold 1/128 of the scales' ratio as a fraction below one."""
    inputs = _quantization_of(tensors[operation.inputs[0]])[0]
    output = _quantization_of(tensors[operation.outputs[0]])[0]
    _require(
        inputs / output < 128,
        f"The output scale of {where} must be more than 1/128 of its input scale",
        f"input scale {inputs}, output scale {output} of {operation.outputs[0]!r}",
    )


def _check_sum(where: str, operation: Operation, row: OperatorRow, tensors: Tensors) -> None:
    """The kernels shift inputs left by 20 bits and hold the rescaling of the sum below one."""
    inputs = max(_quantization_of(tensors[name])[0] for name in operation.inputs)
    output = _quantization_of(tensors[operation.outputs[0]])[0]
    _require(
        2 * inputs / output < 2**20,
        f"The output scale of {where} must be more than 1/2^19 of its larger input scale "
        "(fused kernels take more: --kernels fused)",
        f"input scale {inputs}, output scale {output} of {operation.outputs[0]!r}",
    )


_SPECIAL_CHECKS = {
    "ADD": _check_sum,
    "CONV_2D": _check_convolution,
    "DEPTHWISE_CONV_2D": _check_depthwise,
    "FULLY_CONNECTED": _check_dense,
    "GATHER": _check_gather,
    "HARD_SWISH": _check_hard_swish,
}
