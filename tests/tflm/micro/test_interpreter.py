# SPDX-License-Identifier: Apache-2.0
"""The wrapper of the tflite-micro wheel: results, memory figures, and refusals."""

import os
import sys

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_micro import runtime

from tests.tflm.hand_made_graphs import (
    add_bias,
    add_input,
    add_output,
    add_weights,
    chain_of_two_convolutions,
    random_inputs,
)
from tests.tflm.interpreters import run_desktop
from tests.tflm.operator_cases import CASES
from tflm.graph.graph import Graph
from tflm.micro import flatbuffer, interpreter


@pytest.fixture(scope="module")
def model():
    return flatbuffer.serialize(chain_of_two_convolutions())


def changed(model, change):
    """The model after `change` of its object form, behind the exporter's back."""
    parsed = schema.ModelT.InitFromPackedBuf(model, 0)
    change(parsed)
    builder = flatbuffers.Builder()
    builder.Finish(parsed.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def convolution_on_large_image():
    graph = Graph()
    add_input(graph, "x", (1, 64, 64, 3), 0.02, -7)
    weights = add_weights(graph, "w", (8, 3, 3, 3), axis=0)
    inputs = ["x", weights, add_bias(graph, "b", weights)]
    add_output(graph, "CONV_2D", inputs, (1, 32, 32, 8), strides=(2, 2), padding="SAME")
    return graph


# Results


def test_batch_gives_what_desktop_gives_one_by_one(model):
    images = np.random.default_rng(0).integers(-128, 128, (5, 4, 4, 6)).astype(np.int8)
    results = interpreter.MicroInterpreter(model).run(images)
    assert results.dtype == np.int8
    assert results.shape == (5, 4, 4, 6)
    for image, result in zip(images, results, strict=True):
        np.testing.assert_array_equal(result, run_desktop(model, [image[np.newaxis]])[0][0])


def test_no_inputs_give_no_outputs(model):
    runner = interpreter.MicroInterpreter(model)
    assert runner.run(np.zeros((0, 4, 4, 6), np.int8)).shape == (0, 4, 4, 6)


@pytest.mark.parametrize(
    "inputs",
    [
        np.zeros((1, 4, 4, 6), np.float32),
        np.zeros((1, 4, 4, 6), np.uint8),
        np.zeros((4, 4, 6), np.int8),
        np.zeros((1, 4, 5, 6), np.int8),
    ],
)
def test_inputs_of_another_kind_are_refused(model, inputs):
    runner = interpreter.MicroInterpreter(model)
    with pytest.raises(ValueError, match=r"int8 of shape \(number, 4, 4, 6\)\. Received: "):
        runner.run(inputs)


def test_every_output_is_given_in_the_models_order():
    """A tensor on the way, made an output, is what the model that ends there gives."""
    graph = chain_of_two_convolutions()
    images = np.random.default_rng(0).integers(-128, 128, (3, 4, 4, 6)).astype(np.int8)
    last = interpreter.MicroInterpreter(flatbuffer.serialize(graph)).run(images)
    graph.outputs = ["y", "m"]
    both = interpreter.MultipleOutputInterpreter(flatbuffer.serialize(graph))
    assert both.output_shapes == ((1, 4, 4, 6), (1, 4, 4, 6))
    outputs = both.run(images)
    graph.operations.pop()
    graph.outputs = ["m"]
    middle = interpreter.MicroInterpreter(flatbuffer.serialize(graph)).run(images)
    assert not np.array_equal(last, middle)
    for output, expected in zip(outputs, (last, middle), strict=True):
        np.testing.assert_array_equal(output, expected)


def test_outputs_of_different_shapes_without_inputs():
    graph = convolution_on_large_image()
    pool = {"filter": (32, 32), "strides": (1, 1), "padding": "VALID"}
    graph.add_operation("AVERAGE_POOL_2D", ["y"], "pooled", (1, 1, 1, 8), **pool)
    graph.tensors["pooled"].quantization = graph.tensors["y"].quantization
    graph.outputs.append("pooled")
    runner = interpreter.MultipleOutputInterpreter(flatbuffer.serialize(graph))
    outputs = runner.run(np.zeros((0, 64, 64, 3), np.int8))
    assert [output.shape for output in outputs] == [(0, 32, 32, 8), (0, 1, 1, 8)]


# Memory


def test_activations_take_what_the_planner_cannot_avoid():
    """Input and output of the convolution are alive together, and nothing else."""
    model = flatbuffer.serialize(convolution_on_large_image())
    arena = interpreter.MicroInterpreter(model).arena
    assert arena.activation_bytes == 64 * 64 * 3 + 32 * 32 * 8
    assert arena.total_bytes == arena.activation_bytes + arena.persistent_bytes


def test_persistent_bytes_grow_by_what_a_layer_keeps():
    """On 64 bits: a node (64), an activation (24), and 8 bytes a channel, besides its own data."""
    graph = chain_of_two_convolutions()
    both = interpreter.MicroInterpreter(flatbuffer.serialize(graph)).arena
    graph.operations.pop()
    graph.outputs = ["m"]
    one = interpreter.MicroInterpreter(flatbuffer.serialize(graph)).arena
    assert both.persistent_bytes - one.persistent_bytes >= 64 + 24 + 8 * 6
    assert both.wider_bytes - one.wider_bytes == 32 + 12


@pytest.mark.parametrize(
    ("graph", "is_reported_total"),
    [(chain_of_two_convolutions(), False), (convolution_on_large_image(), True)],
)
def test_required_arena_suffices(graph, is_reported_total):
    model = flatbuffer.serialize(graph)
    runner = interpreter.MicroInterpreter(model)
    required = interpreter.required_arena_bytes(model, runner.arena)
    assert required % 16 == 0
    assert (required - runner.arena.total_bytes < 16) == is_reported_total
    images = random_inputs(graph)[0]
    exact = runtime.Interpreter.from_bytes(model, arena_size=required)
    exact.set_input(images, 0)
    exact.invoke()
    np.testing.assert_array_equal(exact.get_output(0), runner.run(images))


def test_arena_that_never_suffices_is_reported(model, monkeypatch):
    monkeypatch.setattr(interpreter, "_words_of_trial", lambda *arguments: "no room")
    arena = interpreter.MicroInterpreter(model).arena
    with pytest.raises(interpreter.MicroInterpreterError, match="cannot load.*no room"):
        interpreter.required_arena_bytes(model, arena)


def test_trial_in_too_small_an_arena_says_so(model):
    assert "TFLM failed to allocate tensors" in interpreter._words_of_trial(model, 512)


# Refusals


def test_missing_wheel_is_named(model, monkeypatch):
    monkeypatch.setattr(interpreter, "runtime", None)
    with pytest.raises(ImportError, match="pip install tflite-micro"):
        interpreter.MicroInterpreter(model)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda model: b"", "TFL3 at offset 4. Received: 0 bytes"),
        (lambda model: model[:4], "Received: 4 bytes"),
        (lambda model: b"\x89PNG\r\n\x1a\n" + model, "TFL3"),
        (lambda model: model[:4] + b"TFL2" + model[8:], "TFL3"),
        (lambda model: b"\xf0\xff\xff\x7f" + model[4:], "offset 2147483632 in"),
        (lambda model: b"\x00\x00\x00\x00" + model[4:], "offset 0 in"),
        (lambda model: b"\x19\x00\x00\x00" + model[4:], "divisible by 4. Received: offset 25"),
        (lambda model: model[: len(model) // 2], "verifier"),
        (lambda model: model[:8] + bytes(len(model) - 8), "verifier"),
    ],
)
def test_file_that_is_no_model_is_refused(model, spoil, words):
    with pytest.raises(ValueError, match=words):
        interpreter.MicroInterpreter(spoil(model))


def name_tensor_beyond_the_last(parsed):
    parsed.subgraphs[0].operators[1].inputs = [99, 1, 2]


def name_tensor_before_the_first(parsed):
    parsed.subgraphs[0].outputs = [-1]


def shorten_constant(parsed):
    parsed.buffers[1].data = parsed.buffers[1].data[:-1]


def lengthen_shape(parsed):
    index = parsed.subgraphs[0].operators[0].inputs[1]
    parsed.subgraphs[0].tensors[index].shape = [6, 1, 1, 6000]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (name_tensor_beyond_the_last, r"tensor index must be in \[0, 5\). Received: 99"),
        (name_tensor_before_the_first, r"tensor index must be in \[0, 5\). Received: -1"),
        (shorten_constant, "verifier"),
        (lengthen_shape, "verifier"),
    ],
)
def test_model_that_would_read_beyond_its_bounds_is_refused(model, change, words):
    interpreter.check_model(changed(model, lambda parsed: None))
    with pytest.raises(ValueError, match=words):
        interpreter.MicroInterpreter(changed(model, change))


def test_model_must_be_bytes(model):
    with pytest.raises(TypeError, match="bytearray"):
        interpreter.MicroInterpreter(bytearray(model))


def test_model_with_two_inputs_is_refused():
    model = flatbuffer.serialize(CASES["add"]()[0])
    for runner in (interpreter.MicroInterpreter, interpreter.MultipleOutputInterpreter):
        with pytest.raises(ValueError, match="one input.*more than one"):
            runner(model)


def convert(parsed, kind):
    """Makes a conversion of the only operator, which has one input and no options."""
    code = getattr(schema.BuiltinOperator, kind)
    parsed.operatorCodes[0].builtinCode = parsed.operatorCodes[0].deprecatedBuiltinCode = code
    parsed.operatorCodes[0].version = 2


def change_scale(parsed):
    """Within int8."""
    convert(parsed, "QUANTIZE")


def take_float(parsed):
    convert(parsed, "QUANTIZE")
    parsed.subgraphs[0].tensors[parsed.subgraphs[0].inputs[0]].type = schema.TensorType.FLOAT32


def give_float(parsed):
    convert(parsed, "DEQUANTIZE")
    parsed.subgraphs[0].tensors[parsed.subgraphs[0].outputs[0]].type = schema.TensorType.FLOAT32


@pytest.mark.parametrize("change", [take_float, give_float])
@pytest.mark.parametrize(
    "runner", [interpreter.MicroInterpreter, interpreter.MultipleOutputInterpreter]
)
def test_model_with_a_float_end_is_refused(runner, change):
    model = changed(flatbuffer.serialize(CASES["relu_to_another_scale"]()[0]), change)
    with pytest.raises(ValueError, match=r"must be int8 .*Received: float32 of shape \(1, "):
        runner(model)


def test_model_with_two_outputs_is_refused():
    graph = chain_of_two_convolutions()
    graph.outputs = ["m", "y"]
    model = flatbuffer.serialize(graph)
    with pytest.raises(ValueError, match="one output.*more than one"):
        interpreter.MicroInterpreter(model)


def test_operator_that_micro_has_not_is_named(model, capfd):
    def use_tile(parsed):
        parsed.operatorCodes[0].builtinCode = schema.BuiltinOperator.TILE
        parsed.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.TILE
        parsed.operatorCodes[0].version = 1

    with pytest.raises(interpreter.MicroInterpreterError, match="Didn't find op .*TILE"):
        interpreter.MicroInterpreter(changed(model, use_tile))
    assert capfd.readouterr().err == ""


def test_refusal_holds_micros_own_words():
    def rescale(parsed):
        parsed.subgraphs[0].tensors[parsed.subgraphs[0].outputs[0]].quantization.scale = [0.5]

    model = changed(flatbuffer.serialize(CASES["average_pool_over_everything"]()[0]), rescale)
    with pytest.raises(interpreter.MicroInterpreterError, match="scale_diff .* was not true"):
        interpreter.MicroInterpreter(model)


# Standard error


def test_standard_error_is_restored(model, capfd):
    interpreter.MicroInterpreter(model)
    with pytest.raises(ValueError, match="verifier"):
        interpreter.check_model(model[:400])
    os.write(2, b"after")
    sys.stderr.write(" all")
    assert capfd.readouterr().err == "after all"


def test_messages_are_collected_even_if_standard_error_is_closed():
    saved = os.dup(2)
    os.close(2)
    try:
        with interpreter._native_messages() as messages:
            os.write(2, b"words")
            assert messages() == "words"
            os.write(2, b" more")
            assert messages() == "words more"
        with pytest.raises(OSError):
            os.fstat(2)
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def test_printout_without_figures_is_an_error():
    with pytest.raises(interpreter.MicroInterpreterError, match="'nothing'"):
        interpreter._parse_arena("nothing")
