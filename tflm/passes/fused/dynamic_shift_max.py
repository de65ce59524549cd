# SPDX-License-Identifier: Apache-2.0
"""Dynamic Shift-Max with both of its dense layers.

Nothing within is rounded to 8 bits: the mean has 6 fraction bits, what is squeezed 15 bits and the
coefficients up to 16.
"""

import dataclasses

import numpy as np

from keras_micronet.layers.dynamic_shift_max import coefficient_layers
from keras_micronet.quantization import fused_shift_max, scales
from keras_micronet.quantization.plan import ShiftMaxNames
from keras_micronet.quantization.schemes import DENSE
from tflm.kernels.dynamic_shift_max import DESCRIPTION, DynamicShiftMax
from tflm.passes.fused.fusion import Fusion, Match
from tflm.passes.fused.operands import Layer, zero_point
from tflm.passes.scales import affine


def _match(graph, position):
    operation = graph.operations[position]
    if operation.kind != "DYNAMIC_SHIFT_MAX":
        return None
    options = operation.options
    names = ShiftMaxNames(operation.outputs[0], len(options["initial_values"]) // 2)
    return Match(
        1,
        operation.inputs,
        {
            "result": names.result,
            "names": names,
            "shift": options["permutation"],
            "initial_values": options["initial_values"],
            "input_factors": options.get("input_factors"),
            "output_factors": options.get("output_factors"),
        },
    )


def _quantize(operands):
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
        input_zero_point=zero_point(source),
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
        output_zero_point=zero_point(output),
        output_positions=operands.output_positions,
        **_channel_factors(options),
        **operands.limits(output),
    )
    return integers, output


def _channel_factors(options):
    """Channel factors as the kernel takes them, as keyword arguments."""
    if options["input_factors"] is None:
        return {}
    return {
        "input_factors": fused_shift_max.input_factor_steps(options["input_factors"]),
        "output_factors": fused_shift_max.output_factor_steps(options["output_factors"]),
    }


def _joined(layers):
    layers = list(layers)
    return Layer(
        *(
            np.concatenate([getattr(layer, field.name) for layer in layers])
            for field in dataclasses.fields(Layer)
        )
    )


def _largest_coefficient(options, limits):
    """The largest magnitude of a coefficient, with and without the channels' factors."""
    factors = fused_shift_max.coefficient_factors(
        options["shift"], options["input_factors"], options["output_factors"]
    )
    factor = max(float(np.max(each)) for each in (1.0, *factors))
    return max(abs(limit) for pair in limits for limit in pair) * factor


FUSION = Fusion(DESCRIPTION.kind, DESCRIPTION.absorbs, _match, _quantize)
