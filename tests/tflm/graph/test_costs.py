# SPDX-License-Identifier: Apache-2.0
"""Costs and lifetimes of a graph's operations against counts by hand."""

import pytest

from tests.tflm.hand_made_graphs import (
    chain_of_two_convolutions,
    early_output,
    long_graph,
    residual,
)
from tests.tflm.operator_cases import CASES
from tflm.graph.costs import live_bytes, operation_costs
from tflm.micro import flatbuffer
from tflm.micro.interpreter import MicroInterpreter


@pytest.mark.parametrize(
    ("name", "multiply_adds", "constant_bytes", "output_bytes"),
    [
        # outputs * elements of a filter; weights + 4 bytes for each bias
        ("convolution_with_groups", 3 * 4 * 9 * 2, 9 * 2 + 9 * 4, 3 * 4 * 9),
        ("convolution_with_same_padding_on_even_sizes", 4 * 3 * 4 * 45, 180 + 16, 4 * 3 * 4),
        ("depthwise_convolution", 3 * 6 * 5 * 3, 15 + 20, 3 * 6 * 5),
        ("depthwise_convolution_with_multiplier", 4 * 4 * 6 * 5, 30 + 24, 4 * 4 * 6),
        ("dense", 20 * 6, 120 + 24, 6),
        ("dense_at_every_pixel", 6 * 8 * 5, 40 + 20, 6 * 5),
        ("dense_without_bias", 16 * 7, 16 * 7, 7),
        ("dense_with_int4_weights_of_odd_number", 35, 18 + 28, 7),
        ("multiply", 0, 0, 60),
        ("multiply_by_constant", 0, 5, 60),
        ("gather_channels", 0, 6 * 4, 36),
        ("average_pool_over_everything", 0, 0, 4),
    ],
)
def test_costs_are_exact(name, multiply_adds, constant_bytes, output_bytes):
    graph, _ = CASES[name]()
    (cost,) = operation_costs(graph)
    assert cost.kind == graph.operations[0].kind
    assert cost.name == graph.outputs[0]
    assert cost.output_shape == graph.tensors[graph.outputs[0]].shape
    assert cost.multiply_adds == multiply_adds
    assert cost.constant_bytes == constant_bytes
    assert cost.output_bytes == output_bytes


def test_costs_keep_the_order_of_execution():
    costs = operation_costs(residual())
    assert [(cost.position, cost.name) for cost in costs] == [(0, "a"), (1, "b"), (2, "sum")]


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (residual(), (64, 96, 96)),  # x a | x a b | x b sum, 32 bytes each
        (early_output(), (128, 192, 192)),  # x kept | x kept r | kept r last, 64 bytes each
        (chain_of_two_convolutions(), (192, 192)),
    ],
)
def test_live_bytes_follow_lifetimes(graph, expected):
    assert live_bytes(graph) == expected


@pytest.mark.parametrize("graph", [residual(), chain_of_two_convolutions(), long_graph(20)])
def test_peak_is_what_micros_planner_reserves(graph):
    """In a chain the planner reaches the bound."""
    arena = MicroInterpreter(flatbuffer.serialize(graph)).arena
    assert arena.activation_bytes == max(live_bytes(graph))


def test_invalid_graph_has_no_costs():
    graph = residual()
    graph.operations[0].kind = "CONV_5D"
    for function in (operation_costs, live_bytes):
        with pytest.raises(ValueError, match="CONV_5D"):
            function(graph)
