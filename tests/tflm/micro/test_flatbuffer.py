# SPDX-License-Identifier: Apache-2.0
"""Every operator, written to a file and run by two interpreters, and the file itself."""

import flatbuffers
import ml_dtypes
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.tflm.hand_made_graphs import (
    add_bias,
    add_weights,
    chain_of_two_convolutions,
    random_inputs,
)
from tests.tflm.interpreters import run_desktop, run_micro
from tests.tflm.operator_cases import CASES
from tflm.graph import operators
from tflm.graph.graph import Quantization
from tflm.micro import flatbuffer

# Operators whose integers must come out exactly as the real numbers say: they move
# integers. The others may be off by one where roundings meet.
EXACT = {"MAXIMUM", "RELU6", "GATHER"}


@pytest.mark.parametrize("name", CASES)
def test_operator_computes_its_definition_in_both_interpreters(name):
    graph, define = CASES[name]()
    inputs = random_inputs(graph)
    reals = [
        graph.tensors[n].quantization.dequantize(values).astype(np.float64)
        for n, values in zip(graph.inputs, inputs, strict=True)
    ]
    (output,) = graph.outputs
    expected = graph.tensors[output].quantization.quantize(define(*reals)).astype(int)
    assert len(np.unique(expected)) > 2, "a test that says nothing"
    model = flatbuffer.serialize(graph)
    tolerance = 0 if graph.operations[0].kind in EXACT else 1
    for (result,) in (run_micro(model, inputs), run_desktop(model, inputs)):
        assert result.dtype == np.int8
        assert result.shape == expected.shape
        assert np.abs(result.astype(int) - expected).max() <= tolerance


def test_every_builtin_operator_is_tested():
    tested = {CASES[name]()[0].operations[0].kind for name in CASES}
    builtin = {kind for kind, row in operators.OPERATORS.items() if not row.is_custom}
    assert tested == builtin


# The file


def parse(model):
    return schema.ModelT.InitFromPackedBuf(model, 0)


def test_file_is_schema_version_3_with_identifier_and_ends():
    graph, _ = CASES["add_row_of_channels"]()
    data = flatbuffer.serialize(graph, description="a description")
    model = parse(data)
    assert data[4:8] == b"TFL3"
    assert model.version == 3
    assert model.description == b"a description"
    subgraph = model.subgraphs[0]
    assert [tuple(subgraph.tensors[i].shape) for i in subgraph.inputs] == [
        (1, 3, 4, 5),
        (1, 5),
    ]
    assert [tuple(subgraph.tensors[i].shape) for i in subgraph.outputs] == [(1, 3, 4, 5)]
    assert all(tensor.name is None for tensor in subgraph.tensors)
    assert all(tensor.quantization.min is None for tensor in subgraph.tensors)


def test_same_graph_gives_same_bytes():
    assert flatbuffer.serialize(chain_of_two_convolutions()) == flatbuffer.serialize(
        chain_of_two_convolutions()
    )


def test_equal_constants_become_one_tensor_and_one_buffer():
    model = parse(flatbuffer.serialize(chain_of_two_convolutions()))
    assert len(model.buffers) == 3  # empty, weights, bias
    assert len(model.subgraphs[0].tensors) == 5  # x, m, y, weights, bias
    first, second = (operator.inputs for operator in model.subgraphs[0].operators)
    assert list(first[1:]) == list(second[1:])


def test_equal_bytes_with_other_quantization_share_only_the_buffer():
    graph = chain_of_two_convolutions()
    for name, factor in (("w1", 2), ("b1", 2)):
        old = graph.tensors[name].quantization
        scale = old.scale * factor
        graph.tensors[name].quantization = Quantization(scale, old.zero_point, old.axis)
    model = parse(flatbuffer.serialize(graph))
    assert len(model.buffers) == 3
    assert len(model.subgraphs[0].tensors) == 7


def test_second_layer_of_equal_parameters_costs_next_to_nothing():
    """An operator, its ends, and places in two lists, but no parameters."""
    graph = chain_of_two_convolutions()
    both = len(flatbuffer.serialize(graph))
    graph.operations.pop()
    graph.outputs = ["m"]
    assert both - len(flatbuffer.serialize(graph)) <= 64


def test_file_is_smaller_than_what_the_schemas_own_writer_makes_of_it():
    data = flatbuffer.serialize(chain_of_two_convolutions())
    builder = flatbuffers.Builder()
    builder.Finish(parse(data).Pack(builder), b"TFL3")
    assert len(data) < len(builder.Output())


def test_constants_start_at_multiples_of_16():
    graph = chain_of_two_convolutions()
    data = flatbuffer.serialize(graph)
    for name in ("w0", "b0"):
        assert data.find(graph.tensors[name].data.tobytes()) % 16 == 0
    assert len(data) % 16 == 0


def test_quantization_is_stored_in_full():
    graph = chain_of_two_convolutions()
    model = parse(flatbuffer.serialize(graph))
    tensors = model.subgraphs[0].tensors
    weights = tensors[model.subgraphs[0].operators[0].inputs[1]].quantization
    np.testing.assert_array_equal(weights.scale, graph.tensors["w0"].quantization.scale)
    np.testing.assert_array_equal(weights.zeroPoint, np.zeros(6))
    assert weights.quantizedDimension == 0
    inputs = tensors[model.subgraphs[0].inputs[0]].quantization
    assert (inputs.scale, inputs.zeroPoint) == (np.float32(0.02), -7)


def test_int4_holds_two_values_a_byte_low_bits_first():
    graph, _ = CASES["dense_with_int4_weights_of_odd_number"]()
    graph.tensors["w"].data = (np.arange(35).reshape(7, 5) % 16 - 8).astype(ml_dtypes.int4)
    data = flatbuffer.serialize(graph)
    expected = [((2 * i - 8) & 15) | ((2 * i - 7) & 15) << 4 for i in range(8)] * 2
    assert bytes(expected) + bytes([0x98, 0x0A]) in data


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("convolution_with_same_padding_on_even_sizes", 3),
        ("convolution_with_groups", 6),
        ("depthwise_convolution", 3),
        ("dense", 4),
        ("dense_from_rank_four_to_two", 4),
        ("dense_that_keeps_rank_four", 5),
        ("dense_without_bias", 6),
        ("dense_with_int4_weights_of_odd_number", 10),
        ("multiply", 2),
        ("multiply_with_scales_above_one", 3),
        ("gather_channels", 2),
        ("hard_swish_of_features", 1),
    ],
)
def test_operator_gets_the_lowest_version_that_suffices(name, version):
    """Versions as in TensorFlow's op_version.cc."""
    graph, _ = CASES[name]()
    model = parse(flatbuffer.serialize(graph))
    assert [code.version for code in model.operatorCodes] == [version]
    assert flatbuffer.operator_versions(graph) == {graph.operations[0].kind: version}


@pytest.mark.parametrize(("position", "source"), [(0, "x"), (1, "m")])
def test_one_code_serves_operations_of_two_versions(position, source):
    graph = chain_of_two_convolutions()
    weights = add_weights(graph, "grouped", (6, 1, 1, 3), axis=0)
    bias = add_bias(graph, "grouped_bias", weights, source)
    graph.operations[position].inputs[1:] = [weights, bias]
    model = parse(flatbuffer.serialize(graph))
    assert [code.version for code in model.operatorCodes] == [6]


def test_tensors_in_no_operation_are_left_out():
    graph, _ = CASES["dense"]()
    size = len(flatbuffer.serialize(graph))
    graph.add_constant("forgotten", np.zeros(1000, np.int8))
    assert len(flatbuffer.serialize(graph)) == size
