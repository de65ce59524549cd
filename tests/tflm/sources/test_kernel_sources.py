# SPDX-License-Identifier: Apache-2.0
"""Which files a device needs for which graph."""

import re

from tests.tflm.hand_made_graphs import chain_of_two_convolutions
from tflm.graph.graph import Graph, Operation
from tflm.graph.operators import OPERATORS
from tflm.sources import kernel_sources


def graph_of(*kinds):
    return Graph(operations=[Operation(kind, ["x"], ["y"]) for kind in kinds])


def test_builtin_graph_needs_no_sources():
    graph = chain_of_two_convolutions()
    assert kernel_sources.operators(graph) == ()
    assert kernel_sources.kernel_sources(graph) == {}


def test_every_operator_has_its_kernel_and_its_glue():
    kinds = [kind for kind, row in OPERATORS.items() if row.is_custom]
    names = kernel_sources.operators(graph_of(*kinds))
    assert len(names) == len(kinds)
    files = kernel_sources.kernel_sources(graph_of(*kinds))
    for name in names:
        for file in (f"{name}.c", f"{name}.h", f"{name}_bind.c", f"micronet_{name}_op.cc"):
            assert f"kernels/{file}" in files


def test_every_header_of_ours_that_is_included_is_there():
    files = kernel_sources.kernel_sources(graph_of("MICRONET_DYNAMIC_SHIFT_MAX_S8"))
    included = {
        header for text in files.values() for header in re.findall(r'#include "([^"/]+)"', text)
    }
    assert {f"kernels/{header}" for header in included} <= set(files)
    assert not [name for name in files if "dense_s8" in name]


def c_files_of(kernels):
    files = kernel_sources.computing_sources(kernels)
    return {name.removeprefix("kernels/") for name in files if name.endswith(".c")}


def test_program_that_knows_operands_needs_only_what_computes():
    assert c_files_of(["global_average_pool_s8"]) == {
        "global_average_pool_s8.c",
        "micronet_status_message.c",
        "micronet_version.c",
    }


def test_form_of_an_operator_comes_without_the_operators_own_function():
    parts = {
        f"dynamic_shift_max_s8_{part}.c"
        for part in (
            "coefficients_dsp",
            "coefficients_scalar",
            "fuse_dsp",
            "fuse_mve",
            "fuse_scalar",
        )
    }
    parts |= {"micronet_status_message.c", "micronet_version.c"}
    apart, in_place = "dynamic_shift_max_s8", "dynamic_shift_max_in_place_s8"
    assert c_files_of([apart]) == parts | {f"{apart}.c"}
    assert c_files_of([in_place]) == parts | {f"{in_place}.c"}
    assert c_files_of([apart, in_place]) == parts | {f"{apart}.c", f"{in_place}.c"}


def test_operator_for_a_model_file_comes_without_its_other_forms():
    files = kernel_sources.kernel_sources(graph_of("MICRONET_DYNAMIC_SHIFT_MAX_S8"))
    assert not [name for name in files if "in_place" in name]
