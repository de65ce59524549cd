"""Fused operators in the interpreter of the tflite-micro wheel: results and refusals."""

import ctypes
import dataclasses
import os
import subprocess

import numpy as np
import pytest
from tflite_micro import runtime

from tests.tflm.kernels.fused_models import model_of
from tests.tflm.kernels.sample_operations import OPERATORS, sample
from tflm import interpreter, kernel_library
from tflm.interpreter import MicroInterpreterError
from tflm.kernels.residual_add import ResidualAdd

SHAPE = (5, 4, 3)


@pytest.fixture(autouse=True)
def cache(kernel_cache, monkeypatch):
    """Libraries go to the tests' own folder, not to the user's."""
    monkeypatch.setenv("KERAS_HOME", str(kernel_cache / "keras_home"))
    return kernel_cache / "keras_home" / "micronet_kernels"


@pytest.fixture
def sums():
    """Two sums, one after the other, the second with operands of different scales."""
    first = ResidualAdd.of_scales(SHAPE, (0.02, 0.03), (3, -9), 0.035, -4)
    return first, ResidualAdd.of_scales(SHAPE, (0.03, 0.01), (-9, 5), 0.04, 7)


def random_inputs(shape, count=3):
    return np.random.default_rng(0).integers(-128, 128, (count, *shape)).astype(np.int8)


def one_node(operator, change=lambda model: None, seed=1, **changes):
    """A model of one sample operation, changed behind its back."""
    operation = dataclasses.replace(sample(operator, seed).packed(), **changes)
    activations = "x" * len(operation.input_shapes)
    return model_of([(operation, activations, "y")], change)


# Results


@pytest.mark.parametrize("operator", OPERATORS)
def test_operator_gives_what_the_reference_gives(operator):
    values = set()
    for seed in range(6):
        operation = sample(operator, seed)
        runner = interpreter.MicroInterpreter(one_node(operator, seed=seed), OPERATORS)
        inputs = random_inputs(runner.input_shape[1:])
        count = len(operation.packed().input_shapes)
        expected = np.array([operation.reference(*[value] * count) for value in inputs])
        np.testing.assert_array_equal(
            runner.run(inputs), expected.reshape(len(inputs), *runner.output_shape[1:])
        )
        values |= set(expected.ravel().tolist())
    assert len(values) > 50  # not all of them limits


def test_there_is_a_sample_of_every_operator():
    assert list(OPERATORS) == kernel_library.operators()


def test_operands_are_taken_in_order(sums):
    first, second = sums
    model = model_of([(first.packed(), "xx", "m"), (second.packed(), "xm", "y")])
    inputs = random_inputs(SHAPE)
    outputs = interpreter.MultipleOutputInterpreter(model, ["residual_add_s8"]).run(inputs)[0]
    middle = [first.reference(value, value) for value in inputs]
    expected = [second.reference(*pair) for pair in zip(inputs, middle, strict=True)]
    np.testing.assert_array_equal(outputs, expected)
    swapped = [second.reference(*pair) for pair in zip(middle, inputs, strict=True)]
    assert not np.array_equal(expected, swapped)


def test_required_arena_suffices_with_fused_operators(sums):
    model = model_of([(sums[0].packed(), "xx", "y")])
    runner = interpreter.MicroInterpreter(model, ["residual_add_s8"])
    required = interpreter.required_arena_bytes(model, runner.arena, ["residual_add_s8"])
    assert runner.arena.total_bytes <= required < runner.arena.total_bytes + 4096
    assert "Failed to allocate" in interpreter._words_of_trial(model, 256, ["residual_add_s8"])


# Refusals by the operators


def refused(model, words, operators=OPERATORS):
    with pytest.raises(MicroInterpreterError, match=words):
        interpreter.MicroInterpreter(model, operators)


@pytest.mark.parametrize("operator", OPERATORS)
def test_operands_that_do_not_fit_are_refused(operator):
    packed, name = sample(operator).packed(), kernel_library.custom_name(operator)
    options = packed.options
    refused(
        one_node(operator, options=options[:-4]),
        f"{name}: the operator's options have the wrong length. Received: {len(options) - 4} bytes",
    )
    refused(one_node(operator, options=b""), f"{name}: .* Received: 0 bytes of options")
    refused(
        one_node(operator, options=b"\x7f" + options[1:]),
        f"{name}: the operator's options are of a version",
    )
    extra = (*packed.constants, np.zeros(4, np.int8))
    refused(
        one_node(operator, constants=extra),
        f"{name}: the operator has the wrong number of constants. Received: {len(options)} bytes "
        f"of options, {len(extra)} constants",
    )
    height, *others = packed.output_shape
    refused(
        one_node(operator, output_shape=(height + 1, *others)),
        f"{name}: the output must be an int8 activation of {np.prod(packed.output_shape)} bytes. "
        f"Received: an activation of type INT8, {np.prod((height + 1, *others))} bytes",
    )
    shapes = [(shape[0] + 1, *shape[1:]) for shape in packed.input_shapes]
    refused(
        one_node(operator, input_shapes=tuple(shapes)),
        f"{name}: an input must be an int8 activation of {np.prod(packed.input_shapes[0])} bytes",
    )


@pytest.mark.parametrize(
    "operator", [name for name in OPERATORS if sample(name).packed().constants]
)
def test_constants_that_do_not_fit_are_refused(operator):
    packed, name = sample(operator).packed(), kernel_library.custom_name(operator)
    for index, constant in enumerate(packed.constants):
        constants = list(packed.constants)
        constants[index] = constant.ravel()[:-1]
        size = constants[index].nbytes
        refused(
            one_node(operator, constants=tuple(constants)),
            "(?s)a constant of the operator has the wrong length"
            f".*constant {index} has {size} bytes",
        )
    refused(
        one_node(operator, constants=packed.constants[:-1]),
        f"{name}: .* {len(packed.constants) - 1} constants",
    )


def without_inputs(model):
    model.subgraphs[0].operators[0].inputs = []


def with_two_outputs(model):
    model.subgraphs[0].operators[0].outputs *= 2


def with_many_inputs(model):
    model.subgraphs[0].operators[0].inputs *= 10


def with_optional_input(model):
    model.subgraphs[0].operators[0].inputs[1] = -1


def with_int16_activations(model):
    model.subgraphs[0].tensors[model.subgraphs[0].operators[0].inputs[0]].type = 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_inputs, "must have 2 to 18 inputs and 1 output. Received: 0 and 1"),
        (with_two_outputs, "must have 2 to 18 inputs and 1 output. Received: 2 and 2"),
        (with_many_inputs, "must have 2 to 18 inputs and 1 output. Received: 20 and 1"),
        (with_optional_input, "an input must be .* Received: no tensor"),
        (with_int16_activations, "an input must be .* Received: an activation of type INT16"),
    ],
)
def test_nodes_of_another_form_are_refused(change, words):
    refused(one_node("residual_add_s8", change), f"MICRONET_RESIDUAL_ADD_S8.*{words}")


def test_activation_in_a_constants_place_is_refused():
    def change(model):
        inputs = model.subgraphs[0].operators[0].inputs
        inputs[1] = inputs[0]

    refused(
        one_node("grouped_pointwise_conv_s8", change),
        "input 1 must be a constant, int8, int16 or int32. Received: an activation of type INT8",
    )


def test_constant_in_an_activations_place_is_refused():
    def change(model):
        inputs = model.subgraphs[0].operators[0].inputs
        inputs[0] = inputs[1]

    refused(one_node("grouped_pointwise_conv_s8", change), "an input must be .* a constant")


def test_operator_that_is_not_loaded_is_refused():
    model = one_node("residual_add_s8")
    refused(model, "Failed to get registration from op code CUSTOM", ["grouped_pointwise_conv_s8"])


def test_operator_twice_is_refused_by_its_registerer():
    """`load` does not let this happen, but the function is open to everyone."""
    (name,) = kernel_library.load(["residual_add_s8"])
    with interpreter._native_messages() as messages:
        with pytest.raises(RuntimeError, match=name):
            runtime.Interpreter.from_bytes(
                one_node("residual_add_s8"), custom_op_registerers=[name, name], arena_size=1 << 16
            )
        assert f"{name} must be registered once. Received: a second time" in messages()


# Building and loading


def test_names_are_those_of_the_files():
    assert kernel_library.load(["residual_add_s8"]) == ["MICRONET_RESIDUAL_ADD_S8"]
    assert kernel_library.load([]) == []


@pytest.mark.parametrize("names", [["residual_add"], ["residual_add_s8"] * 2, ["../x"]])
def test_unknown_and_repeated_operators_are_refused(names):
    with pytest.raises(ValueError, match=r"must be among .*residual_add_s8.*Received: "):
        kernel_library.load(names)


def test_library_is_built_once_and_by_default_in_the_users_folder(cache):
    library = kernel_library.build(["residual_add_s8"])
    assert library.parent == cache
    time = library.stat().st_mtime_ns
    assert kernel_library.build(("residual_add_s8",)) == library
    assert library.stat().st_mtime_ns == time


def test_library_shows_only_what_others_call(kernel_cache):
    library = kernel_library.build(OPERATORS, kernel_cache / "all")
    listed = subprocess.run(
        ["nm", "--dynamic", "--defined-only", library], capture_output=True, text=True, check=True
    ).stdout
    names = {line.split()[-1] for line in listed.splitlines()}
    expected = {kernel_library.custom_name(operator) for operator in OPERATORS}
    assert names == {*expected, "micronet_connect"}


def test_missing_compiler_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(kernel_library.KernelLibraryError, match="apt-get install gcc"):
        kernel_library.build(["residual_add_s8"], tmp_path)


def test_sources_that_do_not_compile_are_reported_and_leave_nothing(tmp_path, monkeypatch):
    source = tmp_path / "broken.c"
    source.write_text("int function(void) { return unknown; }")
    monkeypatch.setattr(kernel_library, "_COMMON_SOURCES", (source,))
    with pytest.raises(kernel_library.KernelLibraryError, match="unknown. undeclared"):
        kernel_library.build(["residual_add_s8"], tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("count", [0, 1, 40, 199, 200, 2**32 - 1])
def test_table_of_another_layout_is_not_written_to(count):
    """Its entries are not where the wheel's own look-up finds them."""
    (name,) = kernel_library.load(["residual_add_s8"])
    table = ctypes.create_string_buffer(16_384)
    place_of_count = 8 + 200 * 56  # behind a pointer and the entries
    table[place_of_count : place_of_count + 4] = count.to_bytes(4, "little")
    before = table.raw
    registerer = getattr(ctypes.CDLL(kernel_library.build(["residual_add_s8"])), name)
    registerer.restype = ctypes.c_bool
    with interpreter._native_messages() as messages:
        assert not registerer(table)
        assert f"Received: another layout, or {count} operators" in messages()
    assert table.raw == before


def compiled_wheel(folder, code):
    """A library that takes the wheel's place."""
    (folder / "wheel.cc").write_text(code)
    path = folder / "wheel.so"
    subprocess.run(["g++", "-shared", "-fPIC", folder / "wheel.cc", "-o", path], check=True)
    return path


def test_wheel_without_a_function_is_refused(tmp_path, monkeypatch):
    path = compiled_wheel(tmp_path, "int nothing;")
    library = kernel_library.build(["residual_add_s8"], tmp_path / "cache")
    monkeypatch.setattr(runtime._runtime, "__file__", str(path))
    with pytest.raises(kernel_library.KernelLibraryError, match="a release without /"):
        kernel_library.connect(library)
    ctypes.CDLL(str(path))
    with pytest.raises(kernel_library.KernelLibraryError, match="AllocatePersistentBuffer"):
        kernel_library.connect(library)
