# SPDX-License-Identifier: Apache-2.0
"""Libraries of static_c, compiled and run: right to the byte, and nothing outside the arena."""

import dataclasses
import itertools
import pathlib
import struct
import subprocess

import numpy as np
import pytest

from benchmarks.export_size import settle
from keras_micronet.layer_chain import INPUT, unroll
from keras_micronet.quantization.plan import plan, range_names
from keras_micronet.quantization.schemes import DENSE, SCHEMES, WeightRounding
from tests.tflm import fused_models
from tests.tflm.hand_made_graphs import chain_of_two_convolutions
from tests.tflm.hand_made_graphs import quantization as scale_of
from tests.tflm.kernels.sample_operations import OPERATORS, sample
from tests.tflm.micronets import BUILDERS, random_micronet
from tflm.graph.graph import Graph, Operation
from tflm.kernels import c_files, kernel_runner
from tflm.kernels.dynamic_shift_max import DynamicShiftMax
from tflm.kernels.residual_add import ResidualAdd
from tflm.passes import builtin_operations, fused_operations, lowering, quantization
from tflm.passes.fused import dense
from tflm.sources import c_arrays
from tflm.static import c_library, library_operands, library_plan
from tflm.toolchains import emulator

pytestmark = pytest.mark.slow

CHECK_PROGRAM = pathlib.Path(__file__).with_name("static_library_check.c")
ODD, FULL = (45, 58, 3), (224, 224, 3)
FOUR_BITS = SCHEMES["int8_head4_per_channel"].head
# Names of libraries, and the variants, input shapes and weights of the head that they are made of.
LIBRARIES = {
    "m0_odd": ("M0", ODD, DENSE),
    "m1_odd": ("M1", ODD, FOUR_BITS),
    "m2_odd": ("M2", ODD, DENSE),
    "m3_odd": ("M3", ODD, DENSE),
    "m0_full": ("M0", FULL, DENSE),
    "m1_full": ("M1", FULL, FOUR_BITS),
    "m2_full": ("M2", FULL, DENSE),
    "m3_full": ("M3", FULL, DENSE),
}
# Those that one program has: all would be too large for the flash of the emulated boards.
GROUPS = (
    ("m0_odd", "m1_odd", "m2_odd", "m0_full"),
    ("m1_full", "m2_full"),
    ("m3_odd", "m3_full"),
)
# Bytes at 224x224 with the image in the arena and without. Image and stem take 150528 + 2272 (M0);
# if the first depthwise convolution's output overlaps the stem's, it lies before that, and the
# image behind (M2: 29568 + 224 more). Where the two are apart, they are 112 * 112 * 6, 56 * 56 * 24
# and a buffer of 3648 (M1).
# Without the image, what the largest operation needs with its buffer: a pointwise convolution of
# 56 * 56 * (16 + 8) + 2048 (M0) and 56 * 56 * (24 + 8) + 3120 (M1), a depthwise one of
# (28 * 28 + 14 * 14) * 144 + 1024 (M2) and 14 * 14 * (480 + 480) + 576, beside 14 * 14 * 80 for a
# sum (M3).
ARENA_BYTES = {
    "M0": (152_800, 77_312),
    "M1": (154_176, 103_472),
    "M2": (182_592, 142_144),
    "M3": (204_416, 204_416),
}
# Of a run of M0 at 224x224, a little more than it takes.
MOST_INSTRUCTIONS = {emulator.Core.CORTEX_M4: 7.9e6, emulator.Core.CORTEX_M55: 4.1e6}
WRONG_ALIGNMENTS = 15
WAYS = ("image", "rows")
IN_PLACE = "dynamic_shift_max_in_place_s8"
HOST_FLAGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")
INCLUDES = [word for folder in c_files.include_folders() for word in ("-I", folder)]
SANITIZERS = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# What compilers call on their own, for loops that fill or copy and for 64-bit divisions.
COMPILERS_OWN = {"memcpy", "memset", "__aeabi_ldivmod", "__aeabi_uldivmod"}


def fused_graph(variant, input_shape, head=DENSE):
    """A variant's quantized graph of fused kernels, with random weights and made-up ranges.

    Full-sized ones have a range from 0 on behind an activation, as calibration gives it; the
    others do not, for which the kernels have other code.
    """
    model = random_micronet(variant, input_shape, include_preprocessing=False)
    # Or activations would leave their ranges, and all images have the same output.
    settle(model, np.random.default_rng(0).standard_normal((8, *input_shape)).astype(np.float32))
    graph = builtin_operations.to_builtin(fused_operations.fuse(lowering.lower(model)))
    planned = plan(unroll(model))
    ranges = dict.fromkeys(range_names(planned, INPUT), (-3.0, 5.0))
    if input_shape == FULL:
        activated = [item.result for item in planned if item.activation in ("relu", "relu6")]
        ranges |= dict.fromkeys(activated, (0.0, 6.0))
    roundings = {
        operation.options["result"]: WeightRounding(head)
        for operation in graph.operations
        if operation.kind == dense.FUSION.kind
    }
    return quantization.quantize(graph, ranges, roundings)


@pytest.fixture(scope="module")
def graphs():
    return {name: fused_graph(*case) for name, case in LIBRARIES.items()}


@pytest.fixture(scope="module")
def folder(graphs, tmp_path_factory):
    """All libraries."""
    folder = tmp_path_factory.mktemp("libraries")
    for name, graph in graphs.items():
        c_arrays.write_files(c_library.static_library(graph, name), folder)
    return folder


def program_sources(folder, names):
    """C files of a program with these libraries; its include folder is `folder`."""
    includes = "".join(f'#include "{name}_rows.h"\n' for name in names)
    entries = " ".join(f"ENTRY({name}, {name.upper()})" for name in names)
    program = folder / f"check_{'_'.join(names)}.c"
    program.write_text(
        f'{includes}#define LIBRARIES(ENTRY) {entries}\n#include "{CHECK_PROGRAM}"\n'
    )
    return [program, *(folder / f"{name}.c" for name in names), *folder.glob("kernels/*.c")]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def runs(graphs):
    """For each library pairs of an image and of the output that it must give.

    Odd-sized ones run their first image twice.
    """
    generator = np.random.default_rng(0)
    runs = {}
    for name, (_, shape, _) in LIBRARIES.items():
        images = generator.integers(-128, 128, (2, *shape)).astype(np.int8)
        output = graphs[name].outputs[0]
        pairs = [(image, fused_models.run(graphs[name], image)[output].ravel()) for image in images]
        assert all(np.ptp(values.astype(int)) > 2 for _, values in pairs)  # no constant answers
        assert not np.array_equal(pairs[0][1], pairs[1][1]), f"{name} tells no images apart"
        runs[name] = [*pairs, pairs[0]] if shape == ODD else pairs[:1]
    return runs


def compile_on_host(arguments):
    finished = subprocess.run(["gcc", *map(str, arguments)], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def run_on_host(program, data=b""):
    finished = subprocess.run([program], input=data, capture_output=True, timeout=60)
    assert finished.returncode == 0, finished.stderr.decode()
    return finished.stdout


def question(runs, names):
    calls = [
        struct.pack("<i", index) + image.tobytes()
        for index, name in enumerate(names)
        for image, _ in runs[name]
    ]
    return struct.pack("<i", len(calls)) + b"".join(calls)


def check_answer(answer, runs, names):
    """Checks every byte; returns the instructions of each library's last run, in both ways."""
    for name, way in itertools.product(names, WAYS):
        answer = check_offers(answer, name, way)
    instructions = {}
    for name in names:
        for (_, output), way in itertools.product(runs[name], WAYS):
            instructions[name, way] = struct.unpack_from("<Q", answer)[0]
            received = np.frombuffer(answer, np.int8, output.size, 8)
            np.testing.assert_array_equal(received, output)
            answer = answer[8 + output.size :]
    assert answer == b""
    return instructions


def check_offers(answer, name, way):
    """Checks what a library said about arenas; returns the rest of the answer."""
    null, alignment, size = 8, 9, 10  # in micronet_status.h
    statuses = (null, *[alignment] * WRONG_ALIGNMENTS, size, 0)
    arena_bytes, *received = struct.unpack_from(f"<{1 + len(statuses)}i", answer)
    assert tuple(received) == statuses
    variant, shape, _ = LIBRARIES[name]
    assert shape == ODD or arena_bytes == ARENA_BYTES[variant][WAYS.index(way)]
    return answer[4 * (1 + len(statuses)) :]


# Whole models


def test_libraries_compute_the_kernels_definitions(folder, cache, runs):
    """On this computer: sanitizers see every access outside arena and constants."""
    names = list(LIBRARIES)
    sources = program_sources(folder, names)
    includes = [f"-I{path}" for path in (folder, emulator.EMULATED_FOLDER)]
    host = c_files.RUNNER_FOLDER / "host_stdio.c"
    program = cache / "check"
    compile_on_host([*HOST_FLAGS, *SANITIZERS, *includes, host, *sources, "-o", program])
    check_answer(run_on_host(program, question(runs, names)), runs, names)


@pytest.mark.parametrize("names", GROUPS, ids=" ".join)
@pytest.mark.parametrize("core", MOST_INSTRUCTIONS, ids=lambda core: core.name)
def test_devices_give_the_same_bytes(folder, cache, runs, core, names):
    sources = program_sources(folder, names)
    program = emulator.build(core, sources, cache / core.name, [folder])
    answer = emulator.run(program, core, question(runs, names))
    instructions = check_answer(answer, runs, names)
    if "m0_full" in names:
        for way in WAYS:
            assert 1e6 < instructions["m0_full", way] <= MOST_INSTRUCTIONS[core]
    check_symbols(sources[1:], cache / core.name)


def check_symbols(sources, objects):
    """A program's libraries have no variables, and call nothing but themselves."""
    defined, needed = set(), set()
    for source in sources:
        (path,) = objects.glob(f"{source.stem}-*.o")
        command = [emulator.COMPILER.replace("gcc", "nm"), "--format=posix", path]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for symbol, kind, *_ in map(str.split, lines.splitlines()):
            assert kind not in "bBdDC", f"variable {symbol} in {source.name}"
            (needed if kind == "U" else defined).add(symbol)
    assert "micronet_status_message" in defined
    assert needed - defined <= COMPILERS_OWN


@pytest.mark.parametrize("variant", BUILDERS)
@pytest.mark.parametrize("shape", [ODD, FULL])
def test_arenas_are_as_small_as_the_largest_operation_allows(variant, shape, graphs):
    names = [name for name, case in LIBRARIES.items() if case[:2] == (variant, shape)]
    graph = graphs[names[0]] if names else fused_graph(variant, shape)
    memory = library_plan.plan_memory(graph)
    assert memory.rows_arena_bytes == memory.plan.lower_bound
    assert shape == ODD or (memory.arena_bytes, memory.rows_arena_bytes) == ARENA_BYTES[variant]
    # A report's peak is what is reserved, not what maps that share memory have together.
    occupied = library_plan.occupied_bytes(graph, memory)
    assert len(occupied) == len(graph.operations)
    assert 0.8 * memory.arena_bytes < max(occupied) <= memory.arena_bytes


# Operands


def sharing(operation):
    """A Dynamic Shift-Max with one multiplier for all coefficients: another form of operands."""
    multipliers = np.full_like(operation.excite_multipliers, operation.excite_multipliers.min())
    return dataclasses.replace(operation, excite_multipliers=multipliers)


def samples():
    operations = [sample(operator, seed) for operator in OPERATORS for seed in range(12)]
    shift_max = [sample("dynamic_shift_max_s8", seed) for seed in range(12, 16)]
    return [*operations, *map(sharing, shift_max)]


def comparison(index, packed):
    """C text: writes whether `bind` makes the same struct, and the buffer's size by the kernel."""
    variable, operator = f"operation_{index}", f"micronet_{packed.operator}"
    text = library_operands.params(packed, variable)
    arrays = [line.split()[3][:-2] for line in text.splitlines() if "[] WEIGHTS" in line]
    constants = ", ".join(f"{{{array}, sizeof({array})}}" for array in arrays) or "{0, 0}"
    options = ", ".join(map(str, packed.options))
    return f"""{text}
static void compare_{index}(void) {{
  static const uint8_t options[] = {{{options}}};
  static const micronet_constant constants[] = {{{constants}}};
  const micronet_operands operands = {{options, sizeof(options), constants, {len(arrays)}}};
  {operator}_params params;
  memset(&params, 0, sizeof(params));
  const int status = (int){operator}_bind(&operands, &params);
  const int is_different = memcmp(&params, &{variable}, sizeof(params)) != 0;
  printf("%d %d %d\\n", status, is_different, (int){operator}_get_buffer_size(&{variable}));
}}
"""


def test_structs_and_buffers_are_those_that_the_kernels_make(tmp_path):
    """Of all operators, with random sizes: `bind` reads the packed operands into the same bytes."""
    operations = samples()
    packed = [operation.packed() for operation in operations]
    includes = "".join(f'#include "{operator}.h"\n' for operator in OPERATORS)
    comparisons = "".join(comparison(index, each) for index, each in enumerate(packed))
    calls = "".join(f"  compare_{index}();\n" for index in range(len(packed)))
    program = tmp_path / "compare"
    program.with_suffix(".c").write_text(f"""#include <stdio.h>
#include <string.h>
{includes}
#define WEIGHTS __attribute__((aligned(16)))
{comparisons}int main(void) {{
{calls}  return 0;
}}
""")
    parts = [path for operator in OPERATORS for path in kernel_runner.sources(operator)]
    arguments = ["-std=c99", *INCLUDES, program.with_suffix(".c")]
    compile_on_host([*arguments, *dict.fromkeys(parts), "-o", program])
    lines = run_on_host(program).decode().splitlines()
    assert lines == [f"0 0 {operation.buffer_bytes}" for operation in operations]


def buffers(operations):
    """Pairs of a C expression of a buffer's size and the size, also of kernels in place."""
    pairs = []
    for index, each in enumerate(operations):
        sizes = {each.packed().operator: each.buffer_bytes}
        if isinstance(each, DynamicShiftMax):
            sizes[IN_PLACE] = each.in_place_buffer_bytes
        pairs += [(f"micronet_{name}_get_buffer_size(&o_{index})", sizes[name]) for name in sizes]
    return pairs


def test_buffers_of_the_models_are_as_large_as_the_kernels_say(graphs, tmp_path):
    """For the real shapes, of which bind needs not know: the sizes depend on options alone."""
    operations = [
        operation.options["integers"] for graph in graphs.values() for operation in graph.operations
    ]
    packed = [operation.packed() for operation in operations]
    short = [
        dataclasses.replace(each, constants=tuple(c.ravel()[:2] for c in each.constants))
        for each in packed
    ]
    kernels = [*OPERATORS, IN_PLACE]
    includes = "".join(f'#include "{kernel}.h"\n' for kernel in kernels)
    structs = "".join(
        library_operands.params(each, f"o_{index}") for index, each in enumerate(short)
    )
    expected = buffers(operations)
    calls = "".join(f'  printf("%d\\n", (int){call});\n' for call, _ in expected)
    program = tmp_path / "sizes"
    program.with_suffix(".c").write_text(
        f"#include <stdio.h>\n{includes}#define WEIGHTS\n{structs}"
        f"int main(void) {{\n{calls}  return 0;\n}}\n"
    )
    parts = [c_files.find(f"{each}_get_buffer_size.c") for each in kernels]
    compile_on_host(["-std=c99", *INCLUDES, program.with_suffix(".c"), *parts, "-o", program])
    sizes = list(map(int, run_on_host(program).split()))
    assert sizes == [size for _, size in expected]


# Text


def one_sum(output="y", shape=(4, 3, 2), tensor_shape=None):
    """A graph that adds its input to itself."""
    graph = Graph()
    graph.inputs = [graph.add_tensor("x", (1, *(tensor_shape or shape)), None, scale_of(0.05, 3))]
    graph.outputs = [graph.add_tensor(output, (1, *shape), None, scale_of(0.1, -4))]
    integers = ResidualAdd.of_scales(shape, (0.05, 0.05), (3, 3), 0.1, -4)
    options = {"integers": integers}
    graph.operations = [Operation("MICRONET_RESIDUAL_ADD_S8", ["x", "x"], [output], options)]
    return graph


def test_files_are_the_library_and_the_kernels_that_it_calls():
    files = c_library.static_library(one_sum(), "sum")
    assert sorted(files) == [
        "kernels/micronet_operands.h",
        "kernels/micronet_optimize.h",
        "kernels/micronet_shared.h",
        "kernels/micronet_status.h",
        "kernels/micronet_status_message.c",
        "kernels/micronet_version.c",
        "kernels/micronet_version.h",
        "kernels/processor.h",
        "kernels/residual_add_s8.c",
        "kernels/residual_add_s8.h",
        "kernels/residual_add_s8_dsp.c",
        "kernels/residual_add_s8_internal.h",
        "kernels/residual_add_s8_mve.c",
        "kernels/residual_add_s8_scalar.c",
        "sum.c",
        "sum.h",
    ]


def test_dynamic_shift_max_in_place_is_called_only_where_it_must_be(graphs):
    """M3's second and thirtieth operations need more than any other does; M0 has none such."""
    files = c_library.static_library(graphs["m3_full"], "m3")
    calls = [line for line in files["m3.c"].splitlines() if f"micronet_{IN_PLACE}(" in line]
    assert [call.split("&operation_")[1].split(",")[0] for call in calls] == ["2", "30"]
    assert f"kernels/{IN_PLACE}.c" in files and "kernels/dynamic_shift_max_s8.c" in files
    assert not [name for name in c_library.static_library(graphs["m0_full"]) if "in_place" in name]


def test_image_in_the_arena_has_operations_of_its_own_if_that_takes_less(graphs):
    """In M0 only: in M3 the places are the same."""
    for name, count in (("m0_full", 2), ("m3_full", 1)):
        text = c_library.static_library(graphs[name], name)[f"{name}.c"]
        assert text.count("status = micronet_dense_s8(&") == count * sum(
            operation.kind == "MICRONET_DENSE_S8" for operation in graphs[name].operations
        )


def test_lines_are_short_whatever_the_names(graphs):
    name = "n" * 30
    files = c_library.static_library(graphs["m3_odd"], name)
    own = [line for file in (f"{name}.h", f"{name}.c") for line in files[file].splitlines()]
    assert max(map(len, own)) <= 100


def test_names_of_tensors_cannot_leave_their_comment(tmp_path):
    graph = one_sum("*/ int x; /*\n#error \\ ??/" + "long" * 99)
    c_arrays.write_files(c_library.static_library(graph), tmp_path)
    compile_on_host([*HOST_FLAGS, "-fsyntax-only", tmp_path / "micronet_model.c"])


def test_header_tells_the_models_ends(tmp_path):
    """To C++, too: shapes, scales and zero points of the graph, which has one map of 24 bytes."""
    c_arrays.write_files(c_library.static_library(one_sum(), "sum", 0xFEDCBA98), tmp_path)
    (tmp_path / "ends.cc").write_text("""#include "sum.h"
static_assert(SUM_INPUT_HEIGHT == 4 && SUM_INPUT_WIDTH == 3 && SUM_INPUT_CHANNELS == 2, "");
static_assert(SUM_INPUT_BYTES == 24 && SUM_OUTPUT_BYTES == 24 && SUM_ARENA_BYTES == 32, "");
static_assert(SUM_INPUT_SCALE == 0.05f && SUM_INPUT_ZERO_POINT == 3, "");
static_assert(SUM_OUTPUT_SCALE == 0.1f && SUM_OUTPUT_ZERO_POINT == -4, "");
alignas(16) static std::uint8_t arena[SUM_ARENA_BYTES];
int main() {
  if (sum_init(arena, sizeof(arena)) != MICRONET_OK || sum_arena_size() != 32) return 1;
  if (sum_identifier != 0xFEDCBA98u) return 1;
  for (int i = 0; i < SUM_INPUT_BYTES; ++i) sum_input(arena)[i] = 13;
  // 2 * 0.05 * (13 - 3) is 10 steps of 0.1.
  return sum_run(arena) != MICRONET_OK || sum_output(arena)[23] != 10 - 4;
}
""")
    objects = [path.with_suffix(".o") for path in tmp_path.rglob("*.c")]
    for path in objects:
        compile_on_host([*HOST_FLAGS, "-c", path.with_suffix(".c"), "-o", path])
    flags = ["-std=c++11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-include", "cstdint"]
    program = tmp_path / "ends"
    compile_on_host([*flags, tmp_path / "ends.cc", *objects, "-o", program])
    run_on_host(program)


def test_kernels_of_another_version_do_not_compile(tmp_path):
    c_arrays.write_files(c_library.static_library(one_sum(), "sum"), tmp_path)
    header = tmp_path / "kernels" / "residual_add_s8.h"
    text = header.read_text()
    assert "MICRONET_RESIDUAL_ADD_S8_VERSION 1\n" in text
    header.write_text(text.replace("ADD_S8_VERSION 1\n", "ADD_S8_VERSION 2\n"))
    with pytest.raises(AssertionError, match="must be those that this file was generated with"):
        compile_on_host(["-fsyntax-only", tmp_path / "sum.c"])


# Refusals


def test_operation_of_tensorflow_lite_is_named():
    with pytest.raises(ValueError, match="TensorFlow Lite Micro instead.*Received: .*CONV_2D for"):
        c_library.static_library(chain_of_two_convolutions())


@pytest.mark.parametrize("identifier", [-1, 2**32, 1.5, None])
def test_identifier_must_be_a_32_bit_number(identifier):
    with pytest.raises(ValueError, match="identifier must be.*Received: "):
        c_library.static_library(one_sum(), "sum", identifier)


@pytest.mark.parametrize("name", ["", "Model", "2models", "a-b", "a" * 31, "a\n", "é"])
def test_name_must_be_one_of_c(name):
    with pytest.raises(ValueError, match="name must be"):
        c_library.static_library(one_sum(), name)


def test_graph_must_have_one_output():
    graph = one_sum()
    graph.outputs.append("x")
    with pytest.raises(ValueError, match="must have one output. Received: y, x"):
        c_library.static_library(graph)


def test_activations_must_have_the_size_that_the_kernel_reads():
    graph = one_sum(tensor_shape=(4, 3, 1))
    with pytest.raises(ValueError, match="must read activations of the shapes"):
        c_library.static_library(graph)


def test_operations_must_be_in_order():
    graph = one_sum()
    graph.operations[0].inputs = ["x", "y"]
    with pytest.raises(ValueError, match="made before"):
        c_library.static_library(graph)
