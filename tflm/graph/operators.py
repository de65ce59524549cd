# SPDX-License-Identifier: Apache-2.0
"""What the exporter knows of operators, TensorFlow Lite's and those of `tflm.kernels`: a row each.

A row says which inputs an operator takes, how its options are written, which
version of the operator they need, what shape comes out, what it costs, and which
method of TensorFlow Lite Micro's op resolver registers it. To teach the exporter
an operator is to add a row to `OPERATORS`.

The functions in a row take an `Operation`, its options with the defaults filled
in, and the graph's tensors by name.
"""

import collections.abc
import dataclasses
import math
import typing

import numpy as np

from tflm.graph.graph import Operation, Options, Shape, Tensors
from tflm.kernels.fused_kernel import FusedKernel
from tflm.kernels.registry import KERNELS

# What an input is.
ACTIVATION = "activation"  # int8 with one scale; computed, or a constant
WEIGHTS = "weights"  # constant int8, one scale, or one per output channel
BIAS = "bias"  # constant int32 at scale input * weights
INDEX = "index"  # constant int32 without quantization
PACKED = "packed"  # constant int8, int16 or int32 in a kernel's own order, without quantization

REQUIRED = object()  # stands for the default of an option that has none

ACTIVATION_FUNCTIONS = ("NONE", "RELU", "RELU6")
PADDINGS = ("SAME", "VALID")

Fields = dict[str, typing.Any]  # of an options table
# What a row computes of an operation, its options with the defaults filled in, and the tensors.
_Value = typing.TypeVar("_Value")
Function = collections.abc.Callable[[Operation, Options, Tensors], _Value]


def _write_nothing(operation: Operation, options: Options, tensors: Tensors) -> Fields:
    return {}


def _int8_version(operation: Operation, options: Options, tensors: Tensors) -> int:
    """Most operators take int8 from their second version on."""
    return 2


def _first_version(operation: Operation, options: Options, tensors: Tensors) -> int:
    return 1


def _no_multiply_adds(operation: Operation, options: Options, tensors: Tensors) -> int:
    return 0


@dataclasses.dataclass(frozen=True)
class OperatorRow:
    """One operator.

    Attributes:
        resolver_method: method of `tflite::MicroMutableOpResolver` that adds it.
        roles: what each input is, in order.
        output_shapes: function -> shapes that an output may have.
        options: each option's name with its default, or with `REQUIRED`.
        options_table: the schema's options table, `None` if nothing is written.
        write_options: function -> the options table's fields with their values;
            an enumeration's value by name.
        version: function -> lowest version of the operator that suffices, by
            TensorFlow's own rules (op_version.cc).
        multiply_adds: function -> exact number of multiply-adds.
        copies_integers: the kernel moves or compares integers and never
            rescales, so all its activations must share scale and zero point.
        channel_axis: axis of the output channels in the weights.
        optional_inputs: how many of the last inputs may be left out.
        last_role_repeats: the last role may occur any number of times.
        custom_options: of an operator of `tflm.kernels`, function of an `Operation` -> its
            options' bytes; its custom code is its kind. `None` for builtin operators.
    """

    resolver_method: str
    roles: tuple[str, ...]
    output_shapes: Function[list[Shape]]
    options: Options = dataclasses.field(default_factory=dict)
    options_table: str | None = None
    write_options: Function[Fields] = _write_nothing
    version: Function[int] = _int8_version
    multiply_adds: Function[int] = _no_multiply_adds
    copies_integers: bool = False
    channel_axis: int = 0
    optional_inputs: int = 0
    last_role_repeats: bool = False
    custom_options: collections.abc.Callable[[Operation], bytes] | None = None

    @property
    def is_custom(self) -> bool:
        """Whether it is an operator of `tflm.kernels`."""
        return self.custom_options is not None

    def role_of(self, position: int) -> str:
        """What the input at `position` is."""
        return self.roles[min(position, len(self.roles) - 1)]

    def complete_options(self, operation: Operation) -> Options:
        """The operation's options, with defaults for those it leaves out."""
        return {**self.options, **operation.options}


# Output shapes


def _shape(operation: Operation, tensors: Tensors, position: int = 0) -> Shape:
    return tensors[operation.inputs[position]].shape


def _same_shape(operation: Operation, options: Options, tensors: Tensors) -> list[Shape]:
    return [_shape(operation, tensors)]


def _broadcast_shape(operation: Operation, options: Options, tensors: Tensors) -> list[Shape]:
    return [np.broadcast_shapes(_shape(operation, tensors, 0), _shape(operation, tensors, 1))]


def _windows(size: int, window: int, stride: int, padding: str) -> int:
    """Number of window positions along one axis."""
    if padding == "SAME":
        return math.ceil(size / stride)
    return math.ceil((size - window + 1) / stride)


def _windowed_shape(
    shape: Shape, window: collections.abc.Sequence[int], options: Options, channels: int
) -> Shape:
    batch, height, width, _ = shape
    return (
        batch,
        _windows(height, window[0], options["strides"][0], options["padding"]),
        _windows(width, window[1], options["strides"][1], options["padding"]),
        channels,
    )


def _convolution_shape(operation: Operation, options: Options, tensors: Tensors) -> list[Shape]:
    channels, height, width, _ = _shape(operation, tensors, 1)
    return [_windowed_shape(_shape(operation, tensors), (height, width), options, channels)]


def _depthwise_shape(operation: Operation, options: Options, tensors: Tensors) -> list[Shape]:
    _, height, width, channels = _shape(operation, tensors, 1)
    return [_windowed_shape(_shape(operation, tensors), (height, width), options, channels)]


def _pool_shape(operation: Operation, options: Options, tensors: Tensors) -> list[Shape]:
    shape = _shape(operation, tensors)
    return [_windowed_shape(shape, options["filter"], options, shape[-1])]


def _dense_shapes(operation: Operation, options: Options, tensors: Tensors) -> list[Shape]:
    inputs, (units, features) = _shape(operation, tensors), _shape(operation, tensors, 1)
    return [(math.prod(inputs) // features, units), (*inputs[:-1], units)]


def _gather_shape(operation: Operation, options: Options, tensors: Tensors) -> list[Shape]:
    inputs, indices = _shape(operation, tensors), _shape(operation, tensors, 1)
    axis = options["axis"] % len(inputs)
    return [(*inputs[:axis], *indices, *inputs[axis + 1 :])]


# Options


def _write_convolution(operation: Operation, options: Options, tensors: Tensors) -> Fields:
    return {
        "StrideH": options["strides"][0],
        "StrideW": options["strides"][1],
        "Padding": options["padding"],
        "FusedActivationFunction": options["activation"],
    }


def _write_depthwise(operation: Operation, options: Options, tensors: Tensors) -> Fields:
    fields = _write_convolution(operation, options, tensors)
    return {"DepthMultiplier": options["depth_multiplier"], **fields}


def _write_pool(operation: Operation, options: Options, tensors: Tensors) -> Fields:
    height, width = options["filter"]
    fields = _write_convolution(operation, options, tensors)
    return {"FilterHeight": height, "FilterWidth": width, **fields}


def _keeps_rank(operation: Operation, tensors: Tensors) -> bool:
    return len(tensors[operation.outputs[0]].shape) > 2


def _write_dense(operation: Operation, options: Options, tensors: Tensors) -> Fields:
    return {
        "FusedActivationFunction": options["activation"],
        "KeepNumDims": _keeps_rank(operation, tensors),
    }


def _write_activation(operation: Operation, options: Options, tensors: Tensors) -> Fields:
    return {"FusedActivationFunction": options["activation"]}


def _write_axis(operation: Operation, options: Options, tensors: Tensors) -> Fields:
    return {"Axis": options["axis"]}


# Versions


def _has_int4_weights(operation: Operation, tensors: Tensors) -> bool:
    return tensors[operation.inputs[1]].constant.dtype.name == "int4"


def _convolution_version(operation: Operation, options: Options, tensors: Tensors) -> int:
    if _shape(operation, tensors)[-1] != _shape(operation, tensors, 1)[-1]:
        return 6  # groups
    return 7 if _has_int4_weights(operation, tensors) else 3


def _depthwise_version(operation: Operation, options: Options, tensors: Tensors) -> int:
    return 7 if _has_int4_weights(operation, tensors) else 3


def _dense_version(operation: Operation, options: Options, tensors: Tensors) -> int:
    if _has_int4_weights(operation, tensors):
        return 10
    if len(operation.inputs) == 2:
        return 6
    return 5 if _keeps_rank(operation, tensors) else 4


def _mul_version(operation: Operation, options: Options, tensors: Tensors) -> int:
    first, second = (tensors[name].quantized_by.scale[0] for name in operation.inputs)
    output = tensors[operation.outputs[0]].quantized_by.scale[0]
    return 3 if np.float32(first) * np.float32(second) / np.float32(output) >= 1 else 2


def _high_rank_broadcast_version(operation: Operation, options: Options, tensors: Tensors) -> int:
    first, second = _shape(operation, tensors, 0), _shape(operation, tensors, 1)
    return 3 if first != second and max(len(first), len(second)) > 4 else 2


# Costs


def _convolution_multiply_adds(operation: Operation, options: Options, tensors: Tensors) -> int:
    """Each output takes one filter's elements."""
    output = tensors[operation.outputs[0]].shape
    return math.prod(output) * math.prod(_shape(operation, tensors, 1)[1:])


def _depthwise_multiply_adds(operation: Operation, options: Options, tensors: Tensors) -> int:
    output = tensors[operation.outputs[0]].shape
    return math.prod(output) * math.prod(_shape(operation, tensors, 1)[:3])


# Operators of `tflm.kernels`: option `integers` is the operator's own object.


def _fused_shape(operation: Operation, options: Options, tensors: Tensors) -> list[Shape]:
    integers: FusedKernel = options["integers"]
    shape = integers.packed().output_shape
    # A dense layer's output may stand as (batch, channels) or as a map of one pixel.
    return [(1, *shape), (1, shape[-1])] if math.prod(shape) == shape[-1] else [(1, *shape)]


def _fused_multiply_adds(operation: Operation, options: Options, tensors: Tensors) -> int:
    integers: FusedKernel = options["integers"]
    return integers.multiply_adds


def _fused_options(operation: Operation) -> bytes:
    integers: FusedKernel = operation.options["integers"]
    return integers.packed().options


def _fused_row(activations: int) -> OperatorRow:
    return OperatorRow(
        "AddCustom",
        (ACTIVATION,) * activations + (PACKED,),
        _fused_shape,
        {"integers": REQUIRED},
        version=_first_version,
        multiply_adds=_fused_multiply_adds,
        optional_inputs=1,
        last_role_repeats=True,
        custom_options=_fused_options,
    )


_STRIDED = {"strides": REQUIRED, "padding": REQUIRED, "activation": "NONE"}
_FUSED = {"activation": "NONE"}

OPERATORS = {
    "ADD": OperatorRow(
        "AddAdd",
        (ACTIVATION, ACTIVATION),
        _broadcast_shape,
        _FUSED,
        "AddOptions",
        _write_activation,
    ),
    "AVERAGE_POOL_2D": OperatorRow(
        "AddAveragePool2D",
        (ACTIVATION,),
        _pool_shape,
        {**_STRIDED, "filter": REQUIRED},
        "Pool2DOptions",
        _write_pool,
        copies_integers=True,  # sums and divides, but its scale stays
    ),
    "CONV_2D": OperatorRow(
        "AddConv2D",
        (ACTIVATION, WEIGHTS, BIAS),
        _convolution_shape,
        _STRIDED,
        "Conv2DOptions",
        _write_convolution,
        _convolution_version,
        _convolution_multiply_adds,
    ),
    "DEPTHWISE_CONV_2D": OperatorRow(
        "AddDepthwiseConv2D",
        (ACTIVATION, WEIGHTS, BIAS),
        _depthwise_shape,
        {**_STRIDED, "depth_multiplier": REQUIRED},
        "DepthwiseConv2DOptions",
        _write_depthwise,
        _depthwise_version,
        _depthwise_multiply_adds,
        channel_axis=3,
    ),
    "FULLY_CONNECTED": OperatorRow(
        "AddFullyConnected",
        (ACTIVATION, WEIGHTS, BIAS),
        _dense_shapes,
        _FUSED,
        "FullyConnectedOptions",
        _write_dense,
        _dense_version,
        _convolution_multiply_adds,
        optional_inputs=1,
    ),
    "GATHER": OperatorRow(
        "AddGather",
        (ACTIVATION, INDEX),
        _gather_shape,
        {"axis": REQUIRED},
        "GatherOptions",
        _write_axis,
        copies_integers=True,
    ),
    "HARD_SWISH": OperatorRow("AddHardSwish", (ACTIVATION,), _same_shape, version=_first_version),
    "MAXIMUM": OperatorRow(
        "AddMaximum",
        (ACTIVATION, ACTIVATION),
        _broadcast_shape,
        version=_high_rank_broadcast_version,
        copies_integers=True,
    ),
    **{kernel.kind: _fused_row(kernel.activations) for kernel in KERNELS.values()},
    "MUL": OperatorRow(
        "AddMul",
        (ACTIVATION, ACTIVATION),
        _broadcast_shape,
        _FUSED,
        "MulOptions",
        _write_activation,
        _mul_version,
    ),
    "RELU": OperatorRow("AddRelu", (ACTIVATION,), _same_shape),
    "RELU6": OperatorRow("AddRelu6", (ACTIVATION,), _same_shape, copies_integers=True),
}
