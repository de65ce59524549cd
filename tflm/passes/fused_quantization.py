# SPDX-License-Identifier: Apache-2.0
"""Integers of the fused operations: ranges and weights become operands of `tflm.kernels`.

Weights are the same integers as of builtin operators. Between the halves of a
factorized convolution there is the same int8 as between two operators. Within
Dynamic Shift-Max nothing is rounded to 8 bits: the mean has 6 fraction bits,
what is squeezed 15 bits and the coefficients up to 16.
"""

import dataclasses

import numpy as np

from keras_micronet.layers.dynamic_shift_max import coefficient_layers
from keras_micronet.quantization import fused_shift_max, scales
from keras_micronet.quantization.schemes import CONVOLUTION, DENSE, WeightRounding
from tflm.graph.graph import Operation
from tflm.kernels.dense import Dense
from tflm.kernels.dynamic_shift_max import DynamicShiftMax
from tflm.kernels.factorized_depthwise_conv import FactorizedDepthwiseConv
from tflm.kernels.factorized_stem import FactorizedStem
from tflm.kernels.global_average_pool import GlobalAveragePool
from tflm.kernels.grouped_pointwise_conv import GroupedPointwiseConv
from tflm.kernels.requantization import integer_multipliers
from tflm.kernels.residual_add import ResidualAdd
from tflm.passes import fused_operations
from tflm.passes.scales import affine, quantize_layer, range_of


def append(graph, source, operation, ranges, weight_roundings):
    """Appends an operation of `fused_operations`, in integers.

    Args:
        graph: the quantized `Graph` so far.
        source: the float `Graph`.
        operation: of `source`; its kind is in `KINDS`.
        ranges, weight_roundings: as for `quantization.quantize`.

    Raises:
        ValueError: if a range is missing or not finite, or the kernel cannot hold the operands.
    """
    operands = _Operands(graph, source, operation, ranges, weight_roundings)
    try:
        integers, output = KINDS[operation.kind](operands)
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


@dataclasses.dataclass(frozen=True)
class _Layer:
    """Weights of one layer in integers.

    Attributes:
        weights: int8 array, output channels first.
        biases: int32 array `(channels,)`.
        product_scales: float64 array `(channels,)`, of the sums.
    """

    weights: np.ndarray
    biases: np.ndarray
    product_scales: np.ndarray

    def multipliers(self, scale):
        """Requantization multipliers to values of one scale."""
        return integer_multipliers(self.product_scales / scale)

    def output(self, low, high):
        """Quantization of a range, with steps that no sum's single step exceeds half of."""
        return affine(low, high, scales.least_scale_of_sums(self.product_scales))


class _Operands:
    """What one float operation is made of."""

    def __init__(self, graph, source, operation, ranges, weight_roundings):
        self._graph = graph
        self._source = source
        self._operation = operation
        self._ranges = ranges
        self._weight_roundings = weight_roundings
        self.options = operation.options

    @property
    def name(self):
        return self._operation.outputs[0]

    @property
    def input_shape(self):
        return self.input_shapes[0]

    @property
    def input_shapes(self):
        """Shapes without the batch."""
        return [self._graph.tensors[name].shape[1:] for name in self._activations]

    @property
    def inputs(self):
        """Quantization of each activation that is read."""
        return [self._graph.tensors[name].quantization for name in self._activations]

    @property
    def _activations(self):
        names = self._operation.inputs
        return [name for name in names if not self._source.tensors[name].is_constant]

    @property
    def constants(self):
        names = self._operation.inputs
        return [
            self._source.tensors[name].data
            for name in names
            if self._source.tensors[name].is_constant
        ]

    def range_of(self, name):
        return range_of(name, self._ranges)

    def rounding(self, name, default):
        return self._weight_roundings.get(name, WeightRounding(default))

    def layer(self, name, weights, bias, input_scale, default):
        """A layer's float weights, output channels first, in the format of the layer's name."""
        layer = quantize_layer(weights, bias, 0, input_scale, self.rounding(name, default))
        product_scales = np.broadcast_to(layer.bias_quantization.scale, bias.shape)
        return _Layer(layer.weights, layer.biases, product_scales)

    def limits(self, output):
        """The ends of the output that its activation leaves, as keyword arguments."""
        limits = {"lowest": -128, "highest": 127}
        zero_point, scale = int(output.zero_point[0]), output.scale[0]
        if self.options["activation"] in ("RELU", "RELU6"):
            limits["lowest"] = zero_point
        if self.options["activation"] == "RELU6":
            limits["highest"] = int(min(np.round(6 / scale) + zero_point, 127))
        return limits

    @property
    def output_positions(self):
        """Where each channel goes, in the order in which the operation computes them."""
        return np.argsort(self.options["permutation"])

    def hard_swish_table(self, quantization):
        """int8 table of the activation, or `None`, and the quantization of what comes out."""
        if self.options["activation"] != "HARD_SWISH":
            return None, quantization
        least = quantization.scale[0] / scales.MOST_STEPS_OF_AN_ARGUMENT
        output = affine(*self.range_of(self.options["activation_result"]), least)
        reals = quantization.dequantize(np.arange(-128, 128)).astype(np.float64)
        return output.quantize(reals * np.clip(reals + 3, 0, 6) / 6), output


def _zero_point(quantization):
    return int(quantization.zero_point[0])


def _factorized_depthwise_conv(operands):
    vertical_weights, *others = operands.constants  # (1, taps, 1, channels)
    return _factorized(FactorizedDepthwiseConv, operands, [vertical_weights[0, :, 0].T, *others])


def _factorized_stem(operands):
    vertical_weights, *others = operands.constants  # (channels, taps, 1, inputs)
    return _factorized(FactorizedStem, operands, [vertical_weights[:, :, 0], *others])


def _factorized(kernel, operands, constants):
    vertical_weights, vertical_bias, horizontal_weights, horizontal_bias = constants
    horizontal_weights = horizontal_weights[0, 0].T
    (source,), options = operands.inputs, operands.options
    vertical = operands.layer(
        options["middle"], vertical_weights, vertical_bias, source.scale[0], CONVOLUTION
    )
    middle = vertical.output(*operands.range_of(options["middle"]))
    horizontal = operands.layer(
        options["result"], horizontal_weights, horizontal_bias, middle.scale[0], CONVOLUTION
    )
    output = horizontal.output(*operands.range_of(options["result"]))
    integers = kernel(
        input_shape=operands.input_shape,
        vertical_weights=vertical.weights,
        vertical_biases=vertical.biases,
        vertical_multipliers=vertical.multipliers(middle.scale[0]),
        vertical_stride=options["strides"][0],
        middle_zero_point=_zero_point(middle),
        horizontal_weights=horizontal.weights,
        horizontal_biases=horizontal.biases,
        horizontal_multipliers=horizontal.multipliers(output.scale[0]),
        horizontal_stride=options["strides"][1],
        input_zero_point=_zero_point(source),
        output_zero_point=_zero_point(output),
        output_positions=operands.output_positions,
        **operands.limits(output),
    )
    return integers, output


def _grouped_pointwise_conv(operands):
    weights, bias = operands.constants
    (source,), result = operands.inputs, operands.options["result"]
    layer = operands.layer(result, weights[:, 0, 0], bias, source.scale[0], CONVOLUTION)
    output = layer.output(*operands.range_of(result))
    integers = GroupedPointwiseConv(
        input_shape=operands.input_shape,
        groups=operands.input_shape[-1] // weights.shape[-1],
        weights=layer.weights,
        biases=layer.biases,
        multipliers=layer.multipliers(output.scale[0]),
        input_zero_point=_zero_point(source),
        output_zero_point=_zero_point(output),
        output_positions=operands.output_positions,
        **operands.limits(output),
    )
    return integers, output


def _dense(operands):
    weights, bias = operands.constants
    (source,), result = operands.inputs, operands.options["result"]
    layer = operands.layer(result, weights, bias, source.scale[0], DENSE)
    computed = layer.output(*operands.range_of(result))
    table, output = operands.hard_swish_table(computed)
    integers = Dense(
        bits=operands.rounding(result, DENSE).weight_format.bits,
        weights=layer.weights,
        biases=layer.biases,
        multipliers=layer.multipliers(computed.scale[0]),
        input_zero_point=_zero_point(source),
        output_zero_point=_zero_point(computed),
        table=table,
        **operands.limits(computed),
    )
    return integers, output


def _residual_add(operands):
    least = max(source.scale[0] for source in operands.inputs) / scales.MOST_STEPS_OF_A_TERM
    output = affine(*operands.range_of(operands.options["result"]), least)
    integers = ResidualAdd.of_scales(
        shape=operands.input_shape,
        scales=tuple(float(source.scale[0]) for source in operands.inputs),
        zero_points=tuple(map(_zero_point, operands.inputs)),
        output_scale=float(output.scale[0]),
        output_zero_point=_zero_point(output),
        **operands.limits(output),
    )
    return integers, output


def _global_average_pool(operands):
    (source,) = operands.inputs
    table, output = operands.hard_swish_table(source)
    return GlobalAveragePool(input_shape=operands.input_shape, table=table), output


def _dynamic_shift_max(operands):
    (source,), options = operands.inputs, operands.options
    squeeze_weights, squeeze_bias, excite_weights, excite_bias = operands.constants
    names = options["names"]
    squeeze = operands.layer(
        names.squeeze,
        squeeze_weights,
        squeeze_bias,
        source.scale[0] / 2**fused_shift_max.MEAN_FRACTION_BITS,
        DENSE,
    )
    hidden_scale = float(
        fused_shift_max.hidden_scale(
            scales.stored_range(*operands.range_of(names.squeeze))[1],
            squeeze.product_scales.max(),
        )
    )
    layers = coefficient_layers(excite_weights.T, excite_bias, options["initial_values"])
    excite = _joined(
        operands.layer(name, each.kernel.numpy().T, each.bias.numpy(), hidden_scale, DENSE)
        for name, each in zip(names.coefficients, layers, strict=True)
    )
    limits = [each.limits for each in layers]
    largest, excite_scale = _largest_coefficient(options, limits), excite.product_scales.max()
    least = fused_shift_max.least_output_scale(source.scale[0], largest, excite_scale)
    output = affine(*operands.range_of(options["result"]), least)
    ratio = source.scale[0] / output.scale[0]
    shift = int(fused_shift_max.coefficient_shift(ratio, largest, excite_scale))
    unit = 2.0**-shift / ratio  # what one step of a coefficient stands for
    integers = DynamicShiftMax(
        input_shape=operands.input_shape,
        input_zero_point=_zero_point(source),
        squeeze_weights=squeeze.weights,
        squeeze_biases=squeeze.biases,
        squeeze_multipliers=squeeze.multipliers(hidden_scale),
        excite_weights=excite.weights,
        excite_biases=excite.biases,
        excite_multipliers=excite.multipliers(unit),
        coefficient_limits=tuple(
            tuple(int(np.round(limit / unit)) for limit in pair) for pair in limits
        ),
        shift=options["shift"],
        coefficient_shift=shift,
        output_zero_point=_zero_point(output),
        output_positions=operands.output_positions,
        **_shift_max_factors(options),
        **operands.limits(output),
    )
    return integers, output


def _shift_max_factors(options):
    """Channel factors as the kernel takes them, as keyword arguments."""
    if options["input_factors"] is None:
        return {}
    return {
        "input_factors": fused_shift_max.input_factor_steps(options["input_factors"]),
        "output_factors": fused_shift_max.output_factor_steps(options["output_factors"]),
    }


def _joined(layers):
    layers = list(layers)
    return _Layer(
        *(
            np.concatenate([getattr(layer, field.name) for layer in layers])
            for field in dataclasses.fields(_Layer)
        )
    )


def _largest_coefficient(options, limits):
    """The largest magnitude of a coefficient, with and without the channels' factors."""
    factors = fused_shift_max.coefficient_factors(
        options["shift"], options["input_factors"], options["output_factors"]
    )
    factor = max(float(np.max(each)) for each in (1.0, *factors))
    return max(abs(limit) for pair in limits for limit in pair) * factor


KINDS = {
    fused_operations.FACTORIZED_STEM: _factorized_stem,
    fused_operations.FACTORIZED_DEPTHWISE_CONV: _factorized_depthwise_conv,
    fused_operations.GROUPED_POINTWISE_CONV: _grouped_pointwise_conv,
    fused_operations.DYNAMIC_SHIFT_MAX: _dynamic_shift_max,
    fused_operations.RESIDUAL_ADD: _residual_add,
    fused_operations.GLOBAL_AVERAGE_POOL: _global_average_pool,
    fused_operations.DENSE: _dense,
}
