# SPDX-License-Identifier: Apache-2.0
"""Graphs with one fault each: all are refused, in words that name the fault."""

import ml_dtypes
import numpy as np
import pytest

from tests.tflm.hand_made_graphs import quantization
from tests.tflm.operator_cases import CASES
from tflm.graph.graph import Operation, Quantization
from tflm.graph.validation import validate

# Faults: functions that spoil a graph.


def rename_kind(graph):
    graph.operations[0].kind = "CONV_5D"


def name_missing_tensor(graph):
    graph.operations[0].inputs[1] = "nowhere"


def feed_another_tensor(graph):
    graph.inputs = ["z"]
    graph.add_tensor("z", (1, 20), None, quantization(0.1))


def swap_order(graph):
    for name in ("early", "late"):
        graph.add_tensor(name, (1, 6), None, quantization(0.03, -10))
    graph.operations.append(Operation("RELU6", ["late"], ["early"]))
    graph.operations.append(Operation("RELU6", ["y"], ["late"]))


def make_twice(graph):
    graph.operations.append(graph.operations[0])


def make_constant(graph):
    graph.operations[0].outputs = ["b"]


def feed_constant(graph):
    graph.inputs = ["w"]


def add_output_nobody_makes(graph):
    graph.outputs.append(graph.add_tensor("x2", (1, 2), None, quantization(0.1)))


def repeat_input(graph):
    graph.inputs.append("x")


def drop_operations(graph):
    graph.operations.clear()


def drop_graph_outputs(graph):
    graph.outputs.clear()


def drop_all_but_first_input(graph):
    del graph.operations[0].inputs[1:]


def add_second_output(graph):
    graph.operations[0].outputs.append(graph.add_tensor("y2", (1, 6), None, quantization(0.03)))


def give_bias_from_outside(graph):
    graph.tensors["b"].data = None
    graph.inputs.append("b")


def rename_tensor(graph):
    graph.tensors["x"].name = "z"


def data(name, values):
    def spoil(graph):
        graph.tensors[name].data = values

    return spoil


def shape(name, sizes):
    def spoil(graph):
        graph.tensors[name].shape = sizes

    return spoil


def option(name, value):
    def spoil(graph):
        graph.operations[0].options[name] = value

    return spoil


def no_option(name):
    def spoil(graph):
        del graph.operations[0].options[name]

    return spoil


def no_quantization(name):
    def spoil(graph):
        graph.tensors[name].quantization = None

    return spoil


def requantized(name, scale, zero_point, axis=None):
    def spoil(graph):
        graph.tensors[name].quantization = Quantization(
            np.asarray(scale, float), np.asarray(zero_point), axis
        )

    return spoil


def order(*values):
    return data("i", np.array(values, np.int32))


FAULTS = [
    # (name of the case, what spoils it, words of the message)
    #
    # names and order
    ("dense", rename_kind, r"operation 0 \(CONV_5D\) must be one of .*Received: 'CONV_5D'"),
    ("dense", name_missing_tensor, r"0 \(FULLY_CONNECTED\) must be in the graph.*'nowhere'"),
    ("dense", feed_another_tensor, "or made before. Received: 'x', never made"),
    ("dense", swap_order, r"operation 1 \(RELU6\).*'late', made later"),
    ("dense", make_twice, "an activation that nothing else makes. Received: 'y'"),
    ("dense", make_constant, "an activation that nothing else makes. Received: 'b'"),
    ("dense", feed_constant, "must be an activation. Received: the constant tensor 'w'"),
    ("dense", add_output_nobody_makes, "must be made by an operation. Received: 'x2'"),
    ("dense", drop_graph_outputs, "must have outputs"),
    ("dense", repeat_input, "inputs must differ"),
    ("dense", drop_operations, "must have operations"),
    ("dense", rename_tensor, "Tensor 'x' must bear its own name. Received: 'z'"),
    # inputs and outputs of an operation
    ("dense", drop_all_but_first_input, "must have 2 to 3 inputs.*1 inputs"),
    ("maximum", drop_all_but_first_input, "must have 2 inputs.*1 inputs"),
    ("dense", add_second_output, "must have one output. Received: 2"),
    ("dense", give_bias_from_outside, "bias of .* must be a constant. .*activation 'b'"),
    # dtypes
    ("dense", data("w", np.zeros((6, 20), np.float32)), "'w' .*must be int8 or int4.*float32"),
    ("dense", data("b", np.zeros(6, np.int64)), "bias tensor 'b' .*must be int32.*int64"),
    ("gather_channels", data("i", np.zeros(6, np.int64)), "index tensor 'i' .*int32.*int64"),
    ("add_constant", data("c", np.zeros(5, np.int32)), "activation tensor 'c' .*int8.*int32"),
    # quantization
    ("dense", no_quantization("x"), "'x' of operation 0 .*must have quantization.*none"),
    ("dense", no_quantization("y"), "'y' of operation 0 .*must have quantization.*none"),
    ("dense", no_quantization("w"), "weights tensor 'w' .*must have quantization.*none"),
    ("dense", no_quantization("b"), "bias tensor 'b' .*must have quantization.*none"),
    ("gather_channels", requantized("i", [1.0], [0]), "'i' .*must have no quantization"),
    ("dense", requantized("x", [0.0], [0]), "Scales of tensor 'x' must be positive"),
    ("dense", requantized("x", [np.inf], [0]), "Scales of tensor 'x' must be .*finite"),
    ("dense", requantized("x", [1e-50], [0]), "positive and finite in float32"),
    ("dense", requantized("x", [0.1], [128]), r"lie in \[-128, 127\]"),
    ("dense", requantized("x", [0.1, 0.1], [0, 0]), "must have one scale if"),
    ("dense", requantized("x", [0.1, 0.1], [0]), "as many zero points as scales"),
    ("dense", requantized("x", [0.1] * 20, [0] * 20, 1), "one scale. Received: 20 scales"),
    ("dense", requantized("w", [0.1] * 20, [0] * 20, 1), "one per channel of axis 0"),
    ("dense", requantized("w", [0.1] * 5, [0] * 5, 0), "one scale per channel.*5 scales in"),
    ("dense", requantized("w", [0.004], [3]), "weights tensor 'w' .*zero point 0"),
    ("dense", requantized("b", [0.1], [0]), "bias 'b' .*the input's times the weights'"),
    ("depthwise_convolution", requantized("b", [0.1], [0]), "as many scales as the weights"),
    ("maximum", requantized("c", [0.06], [3]), "must share scale and zero point"),
    ("gather_channels", requantized("y", [0.05], [4]), "must share scale and zero point"),
    ("average_pool_over_everything", requantized("y", [0.06], [3]), "must share scale"),
    ("add_constant", requantized("y", [1e-8], [0]), "must be more than 1/2"),
    ("hard_swish_of_features", requantized("y", [0.0004], [0]), "more than 1/128"),
    ("multiply_by_row_of_channels", requantized("y", [1e-9], [0]), "with RELU6 .* at least"),
    # options
    ("dense", option("stride", 2), r"must be among \['activation'\]. Received: \['stride'\]"),
    ("dense", option("activation", "SIGN_BIT"), "activation .*one of NONE, RELU, RELU6"),
    ("depthwise_convolution", option("padding", "FULL"), "padding .*one of SAME, VALID"),
    ("depthwise_convolution", option("strides", (0, 1)), "strides .*at least 1"),
    ("average_pool_over_everything", option("filter", (3,)), "filter .*a height and a width"),
    ("depthwise_convolution", no_option("strides"), r"must have options.*no \['strides'\]"),
    ("depthwise_convolution", option("depth_multiplier", 2), "depth_multiplier=2"),
    # shapes
    ("dense", data("w", np.zeros((6, 19), np.int8)), r"must have the tensor's shape \(6, 20\)"),
    ("dense", shape("y", (1, 5)), r"'y' of operation 0 .*must have shape \(1, 6\)"),
    ("maximum", shape("x", (1, 3, 4, 6)), "must have shapes that fit together"),
    ("dense", shape("x", (1, 0)), "sizes of at least 1"),
    ("dense", shape("x", (1, 10)), r"must have shape \(out, 10\)"),
    ("convolution_with_groups", shape("x", (1, 3, 4, 7)), "into groups. Received: 7 input"),
    ("gather_channels", order(4, 0, 3, 1, 2, 5), r"lie in \[0, 5\). Received: .*0 to 5"),
]


@pytest.mark.parametrize(("name", "spoil", "words"), FAULTS)
def test_fault_is_refused_by_name(name, spoil, words):
    graph, _ = CASES[name]()
    validate(graph)
    spoil(graph)
    with pytest.raises(ValueError, match=words):
        validate(graph)


def test_int4_weights_per_channel_are_refused():
    graph, _ = CASES["dense_with_one_scale_per_channel"]()
    graph.tensors["w"].data = np.zeros((7, 16), ml_dtypes.int4)
    with pytest.raises(ValueError, match="int4 weights .* must have one scale.*--kernels fused"):
        validate(graph)


@pytest.mark.parametrize("name", CASES)
def test_sound_graph_is_accepted(name):
    validate(CASES[name]()[0])
