"""Which files a device needs for which graph."""

import re

from tests.tflm.hand_made_graphs import chain_of_two_convolutions
from tflm import kernel_sources
from tflm.graph import Graph, Operation
from tflm.operator_table import OPERATORS


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
