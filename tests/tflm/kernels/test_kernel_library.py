# SPDX-License-Identifier: Apache-2.0
"""Fused operators in the interpreter of the tflite-micro wheel: results and refusals."""

import ctypes
import dataclasses
import os
import re
import subprocess

import numpy as np
import pytest
from tflite_micro import runtime

from tests.tflm.kernels.fused_models import model_of, quantization_of, quantizations
from tests.tflm.kernels.sample_operations import OPERATORS
from tests.tflm.kernels.sample_operations import sample as any_sample
from tflm.kernels.registry import KERNELS
from tflm.kernels.residual_add import ResidualAdd
from tflm.micro import interpreter, wheel_kernels
from tflm.micro.interpreter import MicroInterpreterError
from tflm.toolchains import host_compiler

pytestmark = pytest.mark.slow

SHAPE = (5, 4, 3)


@pytest.fixture(autouse=True)
def cache(kernel_cache, monkeypatch):
    """Libraries go to the tests' own folder, not to the user's."""
    monkeypatch.setenv("KERAS_HOME", str(kernel_cache / "keras_home"))
    return kernel_cache / "keras_home" / "micronet_kernels"


@pytest.fixture
def sums():
    """Two sums, the second of the same input and the first one's output."""
    first = ResidualAdd.of_scales(SHAPE, (0.03, 0.03), (-9, -9), 0.05, -4)
    return first, ResidualAdd.of_scales(SHAPE, (0.03, 0.05), (-9, -4), 0.04, 7)


ACTIVATIONS_OF_SUMS = {"x": (0.03, -9), "m": (0.05, -4), "y": (0.04, 7)}


def random_inputs(shape, count=3):
    return np.random.default_rng(0).integers(-128, 128, (count, *shape)).astype(np.int8)


def sample(operator, seed=1):
    """A sample operation whose inputs may be one and the same tensor."""
    operation = any_sample(operator, seed)
    if not isinstance(operation, ResidualAdd):
        return operation
    multiplier, zero_point = operation.multipliers[0], operation.zero_points[0]
    return dataclasses.replace(
        operation, multipliers=(multiplier,) * 2, zero_points=(zero_point,) * 2
    )


def one_node(operator, change=lambda model: None, seed=1, **changes):
    """A model of one sample operation, changed behind its back."""
    operation = sample(operator, seed)
    activations = dict(zip("xy", quantizations(operation), strict=True))
    packed = dataclasses.replace(operation.packed(), **changes)
    return model_of([(packed, "x" * len(packed.input_shapes), "y")], activations, change)


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
    assert list(OPERATORS) == wheel_kernels.operators()


def test_operands_are_taken_in_order(sums):
    first, second = sums
    nodes = [(first.packed(), "xx", "m"), (second.packed(), "xm", "y")]
    model = model_of(nodes, ACTIVATIONS_OF_SUMS)
    inputs = random_inputs(SHAPE)
    outputs = interpreter.MultipleOutputInterpreter(model, ["residual_add_s8"]).run(inputs)[0]
    middle = [first.reference(value, value) for value in inputs]
    expected = [second.reference(*pair) for pair in zip(inputs, middle, strict=True)]
    np.testing.assert_array_equal(outputs, expected)
    swapped = [second.reference(*pair) for pair in zip(middle, inputs, strict=True)]
    assert not np.array_equal(expected, swapped)


def test_required_arena_suffices_with_fused_operators(sums):
    model = model_of([(sums[0].packed(), "xx", "m")], ACTIVATIONS_OF_SUMS)
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
    packed, name = sample(operator).packed(), KERNELS[operator].kind
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


@pytest.mark.parametrize(
    "operator", [name for name in OPERATORS if sample(name).packed().constants]
)
def test_constants_that_do_not_fit_are_refused(operator):
    packed, name = sample(operator).packed(), KERNELS[operator].kind
    for index, constant in enumerate(packed.constants):
        constants = list(packed.constants)
        constants[index] = constant.ravel()[:-1]
        size = constants[index].nbytes
        refused(
            one_node(operator, constants=tuple(constants)),
            "(?s)a constant of the operator has the wrong length"
            f".*constant {index} has {size} bytes",
        )
    # The factors of Dynamic Shift-Max's channels, its last constant, may be left out.
    optional = operator == "dynamic_shift_max_s8" and len(packed.constants) == 8
    fewer = packed.constants[: -2 if optional else -1]
    refused(one_node(operator, constants=fewer), f"{name}: .* {len(fewer)} constants")


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


# Refusals of activations' shapes


def tensor_of(model, role):
    """The first input or the output of a model's only node, in the schema's form."""
    node = model.subgraphs[0].operators[0]
    index = (node.inputs if role == "an input" else node.outputs)[0]
    return model.subgraphs[0].tensors[index]


def with_shape(role, shape):
    """A change of a model."""

    def change(model):
        tensor_of(model, role).shape = list(shape)

    return change


def natural_shape(operation, role):
    """As the sample's model has it."""
    packed = operation.packed()
    return (1, *(packed.input_shapes[0] if role == "an input" else packed.output_shape))


def wrong_shapes(operator, shape):
    """Each breaks one rule."""
    batch, first, *others = shape
    yield (2, first, *others)  # the batch
    yield (batch, first + 1, *others)  # the number of elements: more
    if first > 1:
        yield (batch, first - 1, *others)  # and fewer
    yield (batch, *[1] * (4 - len(shape)), 1, first, *others)  # five dimensions
    yield (np.prod(shape),)
    if operator != "residual_add_s8":  # it does not know its channels
        yield (batch, np.prod(shape), 1)
    if operator.startswith("factorized"):
        yield (batch, others[0], first, others[1])
        yield (batch, first * others[0], others[1])


ROLES = ("an input", "the output")
SEED_OF_OBLONG = 9  # of samples whose maps are not square and have several channels


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_activations_of_another_shape_are_refused(operator, role):
    name = KERNELS[operator].kind
    shape = natural_shape(sample(operator, SEED_OF_OBLONG), role)
    assert shape[-1] > 1
    assert not operator.startswith("factorized") or shape[1] != shape[2]
    known = shape[1] if operator.startswith("factorized") else -1
    channels = -1 if operator == "residual_add_s8" else shape[-1]
    for wrong in wrong_shapes(operator, shape):
        dimensions = ", ".join(map(str, [*wrong, 0, 0, 0][:4]))
        refused(
            one_node(operator, with_shape(role, wrong), SEED_OF_OBLONG),
            f"{name}: {role} must have a batch of 1, height {known}, {channels} channels and "
            f"{np.prod(shape)} elements, where -1 is any. "
            rf"Received: {len(wrong)} dimensions, \({dimensions}\)",
        )


def test_shape_with_negative_sizes_is_refused():
    """TensorFlow Lite's verifier refuses it before, but a device does not have that."""
    height, width, channels = sample("residual_add_s8").shape
    change = with_shape("the output", (1, -height, -width, channels))
    with pytest.raises(RuntimeError), interpreter._native_messages() as messages:
        try:
            runtime.Interpreter.from_bytes(
                one_node("residual_add_s8", change),
                custom_op_registerers=wheel_kernels.load(["residual_add_s8"]),
                arena_size=1 << 16,
            )
        finally:
            assert f"Received: 4 dimensions, (1, -{height}, -{width}, " in messages()


@pytest.mark.parametrize(
    "operator", ["dynamic_shift_max_s8", "global_average_pool_s8", "grouped_pointwise_conv_s8"]
)
def test_pixels_may_stand_in_any_shape(operator):
    operation = sample(operator)
    _, height, width, channels = natural_shape(operation, "an input")
    model = one_node(operator, with_shape("an input", (1, height * width, channels)))
    inputs = random_inputs((height * width, channels))
    outputs = interpreter.MicroInterpreter(model, OPERATORS).run(inputs)
    images = inputs.reshape(-1, height, width, channels)
    expected = [operation.reference(image) for image in images]
    np.testing.assert_array_equal(outputs, np.reshape(expected, outputs.shape))


@pytest.mark.parametrize(
    ("operator", "role"),
    [
        ("dense_s4", "an input"),
        ("dense_s4", "the output"),
        ("dense_s8", "an input"),
        ("dense_s8", "the output"),
        ("global_average_pool_s8", "the output"),
    ],
)
def test_vectors_may_have_two_or_four_dimensions(operator, role):
    size = natural_shape(sample(operator), role)[-1]
    for shape in ((1, size), (1, 1, 1, size)):
        runner = interpreter.MicroInterpreter(
            one_node(operator, with_shape(role, shape)), OPERATORS
        )
        found = runner.input_shape if role == "an input" else runner.output_shape
        assert tuple(found) == shape


def test_sum_in_another_shape_than_its_operands_is_refused():
    height, width, channels = sample("residual_add_s8").shape
    assert height > 1
    for shape in ((1, height * width, channels), (1, height * width, 1, channels)):
        dimensions = ", ".join(map(str, [*shape, 0][:4]))
        refused(
            one_node("residual_add_s8", with_shape("the output", shape)),
            rf"MICRONET_RESIDUAL_ADD_S8: an input must have the output's shape \({dimensions}\), "
            rf"where 0 is none. Received: \(1, {height}, {width}, {channels}\)",
        )


def test_second_operand_in_another_shape_than_the_sum_is_refused(sums):
    def change(model):
        tensor = model.subgraphs[0].tensors[model.subgraphs[0].operators[1].inputs[1]]
        assert tensor is model.subgraphs[0].tensors[model.subgraphs[0].operators[0].outputs[0]]
        model.subgraphs[0].operators = model.subgraphs[0].operators[1:]
        model.subgraphs[0].inputs = list(model.subgraphs[0].operators[0].inputs)
        tensor.shape = [1, SHAPE[0] * SHAPE[1], 1, SHAPE[2]]

    first, second = sums
    nodes = [(first.packed(), "xx", "m"), (second.packed(), "xm", "y")]
    refused(
        model_of(nodes, ACTIVATIONS_OF_SUMS, change),
        rf"an input must have the output's shape .* Received: \(1, {SHAPE[0] * SHAPE[1]}, 1, ",
    )


# Refusals of activations' quantization


def with_quantization(role, scales, zero_points):
    """A change of a model."""

    def change(model):
        tensor_of(model, role).quantization = quantization_of(scales, zero_points)

    return change


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(
    ("scales", "zero_points", "received"),
    [
        ([], [], "0 scales"),
        ([0.0], [0], "1 scales, zero point 0, scale 0.000000000"),
        ([-0.5], [0], "1 scales, zero point 0, scale -0.500000000"),
        ([np.inf], [0], "1 scales, zero point 0, scale inf"),
        ([np.nan], [0], "1 scales, zero point 0, scale -?nan"),
        ([0.5], [128], "1 scales, zero point 128,"),
        ([0.5], [-129], "1 scales, zero point -129,"),
    ],
)
def test_activations_without_one_valid_quantization_are_refused(
    operator, role, scales, zero_points, received
):
    refused(
        one_node(operator, with_quantization(role, scales, zero_points)),
        f"{KERNELS[operator].kind}: {role} must have one scale, positive, and a zero "
        f"point of -128 to 127. Received: {received}",
    )


@pytest.mark.parametrize("role", ROLES)
def test_activation_with_a_scale_for_each_channel_is_refused(role):
    count = natural_shape(sample("dense_s8"), role)[-1]

    def change(model):
        quantization = quantization_of([0.5] * count, [0] * count)
        quantization.quantizedDimension = 1
        tensor_of(model, role).quantization = quantization

    assert count > 1
    refused(
        one_node("dense_s8", change), f"{role} must have one scale.* Received: {count} scales, "
    )


def test_activations_without_quantization_are_refused():
    def change(model):
        tensor_of(model, "the output").quantization = None

    refused(one_node("dense_s8", change), "the output must have one scale.* Received: 0 scales")


KNOWN_ZERO_POINTS = [
    ("dense_s4", "the output"),
    ("dense_s8", "the output"),
    ("dynamic_shift_max_s8", "an input"),
    ("dynamic_shift_max_s8", "the output"),
    ("factorized_depthwise_conv_s8", "an input"),
    ("factorized_depthwise_conv_s8", "the output"),
    ("factorized_stem_s8", "an input"),
    ("factorized_stem_s8", "the output"),
    ("grouped_pointwise_conv_s8", "the output"),
]


def seed_of(operator, has_table):
    """Of a sample that has a table, or has none."""
    for seed in range(20):
        if (getattr(sample(operator, seed), "table", None) is not None) == has_table:
            return seed
    raise AssertionError(operator)


@pytest.mark.parametrize(("operator", "role"), KNOWN_ZERO_POINTS)
def test_zero_points_other_than_those_of_the_options_are_refused(operator, role):
    seed = seed_of(operator, has_table=False)
    operation = sample(operator, seed)
    known = operation.input_zero_point if role == "an input" else operation.output_zero_point
    for wrong in {-128, known - 1, known + 1, 127} & set(range(-128, 128)) - {known}:
        refused(
            one_node(operator, with_quantization(role, [0.5], [wrong]), seed),
            f"{KERNELS[operator].kind}: {role} must have the zero point of the "
            f"options, {known}. Received: {wrong} ",
        )


@pytest.mark.parametrize("operator", ["dense_s4", "dense_s8", "global_average_pool_s8"])
def test_quantization_behind_a_table_is_free(operator):
    change = with_quantization("the output", [0.5], [99])
    model = one_node(operator, change, seed_of(operator, has_table=True))
    interpreter.MicroInterpreter(model, OPERATORS)


@pytest.mark.parametrize(("scale", "zero_point"), [(0.02, 4), (0.0200001, 3), (0.5, 3)])
def test_mean_of_another_quantization_than_the_map_is_refused(scale, zero_point):
    seed = seed_of("global_average_pool_s8", has_table=False)
    change = with_quantization("the output", [scale], [zero_point])
    refused(
        one_node("global_average_pool_s8", change, seed),
        "MICRONET_GLOBAL_AVERAGE_POOL_S8: without a table, the output must have the input's scale "
        f"and zero point. Received: zero points 3 and {zero_point}, scales 0.0200.* and {scale}",
    )


def sum_with(role, scale_factor=1.0, zero_point_step=0):
    """A model of one sum, one of whose tensors has another quantization."""
    quantization = quantizations(sample("residual_add_s8"))[ROLES.index(role)]
    scale, zero_point = quantization[0] * scale_factor, quantization[1] + zero_point_step
    return one_node("residual_add_s8", with_quantization(role, [scale], [zero_point]))


@pytest.mark.parametrize(
    ("role", "factor", "multiplier"),
    # 2341 is the multiplier. It becomes larger with the input's scale, smaller with the output's.
    [
        ("an input", 2339 / 2341, 2339),
        ("an input", 2343 / 2341, 2343),
        ("the output", 2341 / 2343, 2343),
        ("an input", 1e6, 65536),
        ("an input", 1e-6, 0),
        ("the output", 1e-36, 65536),  # the ratio is infinite
    ],
)
def test_sum_whose_multipliers_are_not_those_of_the_scales_is_refused(role, factor, multiplier):
    assert sample("residual_add_s8").multipliers == (2341, 2341)
    refused(
        sum_with(role, factor),
        "MICRONET_RESIDUAL_ADD_S8: the multipliers must be the scales / the output's, times 4096: "
        f"{multiplier} and {multiplier}. Received: 2341 and 2341",
    )


@pytest.mark.parametrize("multiplier", [2340, 2341, 2342])
def test_multipliers_of_a_sum_may_be_off_by_one(multiplier):
    interpreter.MicroInterpreter(sum_with("an input", multiplier / 2341), OPERATORS)


@pytest.mark.parametrize("index", [0, 1])
def test_each_multiplier_of_a_sum_is_checked(index):
    operation = sample("residual_add_s8")
    multipliers = list(operation.multipliers)
    multipliers[index] += 2
    changed = dataclasses.replace(operation, multipliers=tuple(multipliers)).packed()
    refused(
        one_node("residual_add_s8", options=changed.options),
        f"2341 and 2341. Received: {multipliers[0]} and {multipliers[1]}",
    )


@pytest.mark.parametrize(("role", "change"), [("an input", -2 * 2341), ("the output", 4096)])
def test_sum_whose_offset_is_not_that_of_the_zero_points_is_refused(role, change):
    offset = sample("residual_add_s8").offset
    refused(
        sum_with(role, zero_point_step=1),
        "MICRONET_RESIDUAL_ADD_S8: the offset must be that of the zero points, "
        f"{offset + change}. Received: {offset} ",
    )


# Refusals of what is no activation, or no constant


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
    (name,) = wheel_kernels.load(["residual_add_s8"])
    with interpreter._native_messages() as messages:
        with pytest.raises(RuntimeError, match=name):
            runtime.Interpreter.from_bytes(
                one_node("residual_add_s8"), custom_op_registerers=[name, name], arena_size=1 << 16
            )
        assert f"{name} must be registered once. Received: a second time" in messages()


# Building and loading


def test_names_are_those_of_the_files():
    assert wheel_kernels.load(["residual_add_s8"]) == ["MICRONET_RESIDUAL_ADD_S8"]
    assert wheel_kernels.load([]) == []


@pytest.mark.parametrize("names", [["residual_add"], ["residual_add_s8"] * 2, ["../x"]])
def test_unknown_and_repeated_operators_are_refused(names):
    with pytest.raises(ValueError, match=r"must be among .*residual_add_s8.*Received: "):
        wheel_kernels.load(names)


def test_library_is_built_once_and_by_default_in_the_users_folder(cache):
    library = wheel_kernels.build(["residual_add_s8"])
    assert library.parent == cache
    time = library.stat().st_mtime_ns
    assert wheel_kernels.build(("residual_add_s8",)) == library
    assert library.stat().st_mtime_ns == time


# What others can have written

POISON = """
#include <unistd.h>
__attribute__((constructor)) static void run(void) { _exit(66); }
"""


@pytest.fixture
def poisoned(tmp_path):
    """A library that ends the process that loads it."""
    (tmp_path / "poison.c").write_text(POISON)
    path = tmp_path / "poison.so"
    subprocess.run(["gcc", "-shared", "-fPIC", tmp_path / "poison.c", "-o", path], check=True)
    return path


def changed_mode(path):
    path.chmod(0o666)


def others(path):
    os.chown(path, 4321, 4321)


def link_to_others(path):
    target = path.with_suffix(".target")
    path.rename(target)
    path.symlink_to(target)


@pytest.mark.parametrize("change", [changed_mode, others, link_to_others])
def test_library_that_others_can_have_written_is_not_run_but_replaced(poisoned, tmp_path, change):
    """In the folder of everybody, under the name that the next export looks for."""
    if change is others and os.geteuid() != 0:
        pytest.skip("only root can give files away")
    folder = tmp_path / "cache"
    target = wheel_kernels.build(["residual_add_s8"], folder)
    os.replace(poisoned, target)
    change(target)
    with pytest.raises(wheel_kernels.KernelLibraryError, match="set KERAS_HOME to a folder of"):
        wheel_kernels.connect(target)
    folder.chmod(0o777)
    assert wheel_kernels.load(["residual_add_s8"], folder) == ["MICRONET_RESIDUAL_ADD_S8"]
    assert not target.is_symlink() and target.stat().st_uid == os.geteuid()
    assert not target.stat().st_mode & 0o022


def test_library_of_a_generous_umask_is_not_writable_by_others(tmp_path):
    before = os.umask(0)
    try:
        target = wheel_kernels.build(["residual_add_s8"], tmp_path / "cache")
    finally:
        os.umask(before)
    assert not target.stat().st_mode & 0o022
    wheel_kernels.connect(target)


def test_file_that_was_looked_at_is_the_one_that_is_loaded(poisoned, tmp_path, monkeypatch):
    """Another one that takes its name in between is not run."""
    target = wheel_kernels.build(["residual_add_s8"], tmp_path / "cache")
    fstat = os.fstat

    def replace_meanwhile(descriptor):
        status = fstat(descriptor)
        if target.exists() and os.path.samestat(status, target.stat()):
            os.replace(poisoned, target)
        return status

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", replace_meanwhile)
        wheel_kernels.connect(target)
    assert target.stat().st_ino != 0 and not poisoned.exists()  # it was replaced


def test_folder_of_another_is_named_with_what_to_do(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(wheel_kernels.KernelLibraryError, match="KERAS_HOME.*Permission denied"):
        wheel_kernels.build(["residual_add_s8"], tmp_path / "cache")


def test_interpreters_do_not_open_more_and_more_files():
    wheel_kernels.load(["residual_add_s8"])
    count = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        wheel_kernels.load(["residual_add_s8"])
    assert len(os.listdir("/proc/self/fd")) == count


def test_library_shows_only_what_others_call(kernel_cache):
    library = wheel_kernels.build(OPERATORS, kernel_cache / "all")
    listed = subprocess.run(
        ["nm", "--dynamic", "--defined-only", library], capture_output=True, text=True, check=True
    ).stdout
    names = {line.split()[-1] for line in listed.splitlines()}
    expected = {KERNELS[operator].kind for operator in OPERATORS}
    assert names == {*expected, "micronet_connect"}


def test_missing_compiler_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(host_compiler.HostCompilerError, match="apt-get install gcc"):
        wheel_kernels.build(["residual_add_s8"], tmp_path)


def test_sources_that_do_not_compile_are_reported_and_leave_nothing(tmp_path, monkeypatch):
    source = tmp_path / "broken.c"
    source.write_text("int function(void) { return unknown; }")
    monkeypatch.setattr(wheel_kernels, "_COMMON_SOURCES", (source,))
    with pytest.raises(host_compiler.HostCompilerError, match="unknown. undeclared"):
        wheel_kernels.build(["residual_add_s8"], tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("count", [0, 1, 40, 199, 200, 2**32 - 1])
def test_table_of_another_layout_is_not_written_to(count):
    """Its entries are not where the wheel's own look-up finds them."""
    (name,) = wheel_kernels.load(["residual_add_s8"])
    table = ctypes.create_string_buffer(16_384)
    place_of_count = 8 + 200 * 56  # behind a pointer and the entries
    table[place_of_count : place_of_count + 4] = count.to_bytes(4, "little")
    before = table.raw
    registerer = getattr(ctypes.CDLL(wheel_kernels.build(["residual_add_s8"])), name)
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
    library = wheel_kernels.build(["residual_add_s8"], tmp_path / "cache")
    monkeypatch.setattr(runtime._runtime, "__file__", str(path))
    with pytest.raises(wheel_kernels.KernelLibraryError, match=r"release 0\.dev\d+, without /"):
        wheel_kernels.connect(library)
    ctypes.CDLL(str(path))
    message = f"pip install '{re.escape(wheel_kernels.RELEASES)}', .*AllocatePersistentBuffer"
    with pytest.raises(wheel_kernels.KernelLibraryError, match=message):
        wheel_kernels.connect(library)
