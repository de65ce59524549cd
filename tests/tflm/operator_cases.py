# SPDX-License-Identifier: Apache-2.0
"""A graph of each operator, beside the operator's definition.

The definitions compute with real numbers, in float64, as a textbook would. They
share no code and no fixed-point arithmetic with any interpreter.
"""

import ml_dtypes
import numpy as np

from tests.tflm.hand_made_graphs import (
    add_bias,
    add_index,
    add_input,
    add_output,
    add_weights,
    quantization,
    real,
)
from tflm.graph.graph import Graph

# The operators' definitions


def activate(values, activation):
    if activation == "NONE":
        return values
    return np.clip(values, 0, 6 if activation == "RELU6" else np.inf)


def window_starts(size, window, stride, padding):
    """Start of each window, in an axis that goes on with zeros."""
    if padding == "VALID":
        return range(0, size - window + 1, stride)
    count = -(-size // stride)
    missing = max((count - 1) * stride + window - size, 0)
    return range(-(missing // 2), -(missing // 2) + count * stride, stride)


def patches(images, window, strides, padding, outside):
    """Array of shape (batch, rows, columns, height, width, channels)."""
    margin = max(window)
    margins = [(0, 0), (margin, margin), (margin, margin), (0, 0)]
    padded = np.pad(images, margins, constant_values=outside)
    starts = [
        window_starts(size, length, stride, padding)
        for size, length, stride in zip(images.shape[1:3], window, strides, strict=True)
    ]
    return np.stack(
        [
            np.stack(
                [
                    padded[:, top + margin :, left + margin :][:, : window[0], : window[1]]
                    for left in starts[1]
                ],
                axis=1,
            )
            for top in starts[0]
        ],
        axis=1,
    )


def convolve(images, filters, bias, strides, padding, activation="NONE"):
    groups = images.shape[-1] // filters.shape[-1]
    regions = patches(images, filters.shape[1:3], strides, padding, 0.0)
    parts = zip(np.split(regions, groups, axis=-1), np.split(filters, groups), strict=True)
    result = np.concatenate([np.einsum("nrchwi,ohwi->nrco", *part) for part in parts], axis=-1)
    return activate(result + bias, activation)


def convolve_depthwise(
    images, filters, bias, strides, padding, depth_multiplier, activation="NONE"
):
    images = np.repeat(images, depth_multiplier, -1)
    regions = patches(images, filters.shape[1:3], strides, padding, 0.0)
    return activate(np.einsum("nrchwo,hwo->nrco", regions, filters[0]) + bias, activation)


def average(images, filter, strides, padding, activation="NONE"):
    regions = patches(images, filter, strides, padding, np.nan)
    return activate(np.nanmean(regions, axis=(3, 4)), activation)


def hard_swish(values):
    return values * np.clip(values + 3, 0, 6) / 6


# Cases: name -> function that makes a graph and its definition.
# A definition takes real inputs and gives a real output.

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def convolution_case(shape, filters, axis=0, **options):
    graph = Graph()
    add_input(graph, "x", shape, 0.02, -7)
    weights = add_weights(graph, "w", filters, axis)
    bias = add_bias(graph, "b", weights, channels=filters[0])
    args = real(graph, "w"), real(graph, "b")

    def define(x):
        return convolve(x, *args, **options)

    output = define(np.zeros(shape)).shape
    add_output(graph, "CONV_2D", ["x", weights, bias], output, 0.04, -20, **options)
    return graph, define


@case
def convolution_with_stride_and_same_padding_on_odd_sizes():
    return convolution_case((1, 7, 9, 3), (4, 3, 3, 3), strides=(2, 2), padding="SAME")


@case
def convolution_with_same_padding_on_even_sizes():
    return convolution_case(
        (1, 8, 6, 3), (4, 5, 3, 3), strides=(2, 2), padding="SAME", activation="RELU"
    )


@case
def convolution_with_unequal_strides_and_valid_padding():
    return convolution_case(
        (1, 8, 6, 2), (4, 3, 1, 2), strides=(2, 1), padding="VALID", activation="RELU6"
    )


@case
def convolution_with_groups():
    return convolution_case((1, 3, 4, 6), (9, 1, 1, 2), strides=(1, 1), padding="VALID")


@case
def convolution_with_one_scale():
    return convolution_case((1, 5, 5, 2), (3, 3, 3, 2), None, strides=(1, 1), padding="SAME")


def depthwise_case(shape, filters, axis=3, **options):
    graph = Graph()
    add_input(graph, "x", shape, 0.02, 11)
    weights = add_weights(graph, "w", filters, axis)
    bias = add_bias(graph, "b", weights, channels=filters[-1])
    args = real(graph, "w"), real(graph, "b")

    def define(x):
        return convolve_depthwise(x, *args, **options)

    output = define(np.zeros(shape)).shape
    add_output(graph, "DEPTHWISE_CONV_2D", ["x", weights, bias], output, 0.04, -20, **options)
    return graph, define


@case
def depthwise_convolution():
    return depthwise_case(
        (1, 6, 6, 5),
        (1, 3, 1, 5),
        strides=(2, 1),
        padding="SAME",
        depth_multiplier=1,
        activation="RELU6",
    )


@case
def depthwise_convolution_with_multiplier():
    return depthwise_case(
        (1, 4, 7, 3), (1, 1, 5, 6), strides=(1, 2), padding="SAME", depth_multiplier=2
    )


@case
def depthwise_convolution_with_one_scale():
    return depthwise_case(
        (1, 4, 4, 3), (1, 3, 3, 3), None, strides=(1, 1), padding="VALID", depth_multiplier=1
    )


def dense_case(shape, output, axis=None, with_bias=True, dtype=np.int8, **options):
    graph = Graph()
    add_input(graph, "x", shape, 0.02, 5)
    weights = add_weights(graph, "w", (output[-1], shape[-1]), axis)
    if dtype != np.int8:
        values = np.random.default_rng(4).integers(-8, 8, (output[-1], shape[-1]))
        graph.tensors["w"].data = values.astype(dtype)
    kernel, bias, inputs = real(graph, "w"), 0.0, ["x", weights]
    if with_bias:
        inputs.append(add_bias(graph, "b", weights, channels=output[-1]))
        bias = real(graph, "b")

    def define(x):
        return activate((x @ kernel.T + bias).reshape(output), options.get("activation", "NONE"))

    add_output(graph, "FULLY_CONNECTED", inputs, output, 0.03, -10, **options)
    return graph, define


@case
def dense():
    return dense_case((1, 20), (1, 6), activation="RELU")


@case
def dense_from_rank_four_to_two():
    return dense_case((1, 1, 1, 12), (1, 5), activation="RELU6")


@case
def dense_that_keeps_rank_four():
    return dense_case((1, 1, 1, 12), (1, 1, 1, 5))


@case
def dense_at_every_pixel():
    return dense_case((1, 2, 3, 8), (1, 2, 3, 5))


@case
def dense_with_one_scale_per_channel():
    return dense_case((1, 16), (1, 7), axis=0)


@case
def dense_without_bias():
    return dense_case((1, 16), (1, 7), with_bias=False)


@case
def dense_with_int4_weights_of_odd_number():
    return dense_case((1, 5), (1, 7), dtype=ml_dtypes.int4)


def pool_case(shape, output, **options):
    graph = Graph()
    add_input(graph, "x", shape)
    add_output(graph, "AVERAGE_POOL_2D", ["x"], output, **options)
    return graph, lambda x: average(x, **options)


@case
def average_pool_over_everything():
    return pool_case((1, 7, 5, 4), (1, 1, 1, 4), filter=(7, 5), strides=(1, 1), padding="VALID")


@case
def average_pool_with_same_padding():
    return pool_case(
        (1, 5, 4, 3), (1, 3, 2, 3), filter=(3, 3), strides=(2, 2), padding="SAME", activation="RELU"
    )


def binary_case(kind, function, shapes, scales=(0.05, 0.02, 0.06), constant=False, **options):
    graph = Graph()
    add_input(graph, "x", shapes[0], scales[0], -9)
    if constant:
        data = np.random.default_rng(5).integers(-128, 128, shapes[1]).astype(np.int8)
        graph.add_tensor("c", shapes[1], data, quantization(scales[1], 4))
        other = real(graph, "c")
    else:
        add_input(graph, "c", shapes[1], scales[1], 4)
    output = np.broadcast_shapes(*shapes)
    add_output(graph, kind, ["x", "c"], output, scales[2], -12, **options)

    def define(x, c=None):
        result = function(x, other if c is None else c)
        return activate(result, options.get("activation", "NONE"))

    return graph, define


@case
def add():
    return binary_case("ADD", np.add, [(1, 3, 4, 5), (1, 3, 4, 5)])


@case
def add_row_of_channels():
    return binary_case("ADD", np.add, [(1, 3, 4, 5), (1, 5)], activation="RELU")


@case
def add_constant():
    return binary_case("ADD", np.add, [(1, 3, 4, 5), (5,)], constant=True, activation="RELU6")


@case
def multiply():
    return binary_case("MUL", np.multiply, [(1, 3, 4, 5), (1, 3, 4, 5)])


@case
def multiply_by_row_of_channels():
    return binary_case("MUL", np.multiply, [(1, 3, 4, 5), (1, 1, 1, 5)], activation="RELU6")


@case
def multiply_by_row_of_lower_rank():
    return binary_case("MUL", np.multiply, [(1, 3, 4, 5), (1, 5)])


@case
def multiply_with_scales_above_one():
    return binary_case("MUL", np.multiply, [(1, 900), (1, 900)], scales=(1.5, 1.0, 1.2))


@case
def multiply_by_constant():
    return binary_case("MUL", np.multiply, [(1, 3, 4, 5), (1, 1, 1, 5)], constant=True)


def maximum_case(first, second):
    graph = Graph()
    add_input(graph, "x", first)
    add_input(graph, "c", second)
    add_output(graph, "MAXIMUM", ["x", "c"], np.broadcast_shapes(first, second))
    return graph, np.maximum


@case
def maximum():
    return maximum_case((1, 3, 4, 5), (1, 3, 4, 5))


@case
def maximum_with_row_of_channels():
    return maximum_case((1, 3, 4, 5), (1, 5))


def unary_case(
    kind, function, shape, output=None, scale=(0.05, 0.05), zero_point=(3, 3), **options
):
    graph = Graph()
    add_input(graph, "x", shape, scale[0], zero_point[0])
    add_output(graph, kind, ["x"], output or shape, scale[1], zero_point[1], **options)
    return graph, function


@case
def hard_swish_of_features():
    return unary_case("HARD_SWISH", hard_swish, (1, 64), None, (0.06, 0.03), (-10, -115))


@case
def relu6():
    return unary_case("RELU6", lambda x: np.clip(x, 0, 6), (1, 3, 3, 4))


@case
def relu_to_another_scale():
    return unary_case(
        "RELU", lambda x: np.maximum(x, 0), (1, 3, 3, 4), None, (0.05, 0.03), (3, -128)
    )


def indexed_case(kind, function, shape, index, output, scale=0.05, zero_point=3, **options):
    graph = Graph()
    add_input(graph, "x", shape)
    inputs = ["x", add_index(graph, "i", index)]
    add_output(graph, kind, inputs, output, scale, zero_point, **options)
    return graph, function


@case
def gather_channels():
    order = [4, 0, 3, 1, 2, 0]
    return indexed_case(
        "GATHER", lambda x: x[..., order], (1, 2, 3, 5), order, (1, 2, 3, 6), axis=3
    )


@case
def gather_rows_counted_from_the_end():
    return indexed_case(
        "GATHER", lambda x: x[:, [1, 0]], (1, 2, 3, 5), [1, 0], (1, 2, 3, 5), axis=-3
    )
