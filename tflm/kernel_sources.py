"""Which operators of `tflm.kernels` a graph uses, and the sources that a device needs for them."""

import re

from tflm.kernels import c_files
from tflm.kernels.c_files import GLUE_FOLDER
from tflm.kernels.fused_operation import operator_of
from tflm.operator_table import OPERATORS

OUTPUT_FOLDER = "kernels"
STEM, STEM_BY_ROWS = "factorized_stem_s8", "factorized_stem_rows_s8"
_INCLUDE = re.compile(r'^#include "([^"/]+)"', re.MULTILINE)


def operators(graph):
    """Names of the operators of `tflm.kernels` that a graph uses.

    Args:
        graph: a quantized `Graph`.

    Returns:
        A sorted tuple of names such as "residual_add_s8".
    """
    kinds = {operation.kind for operation in graph.operations}
    return tuple(
        sorted(
            operator_of(kind) for kind in kinds if kind in OPERATORS and OPERATORS[kind].is_custom
        )
    )


def kernel_sources(graph):
    """The sources of exactly those kernels, with the glue that registers them.

    Args:
        graph: a quantized `Graph`.

    Returns:
        Mapping from file name to text, all in a folder `kernels`; empty if the graph uses none.
    """
    names = operators(graph)
    if not names:
        return {}
    paths = [*c_files.common_sources(), *GLUE_FOLDER.glob("kernel_*.cc")]
    for name in names:
        paths += c_files.operator_sources(name)
        paths.append(GLUE_FOLDER / f"micronet_{name}_op.cc")
    return _with_headers(paths)


def computing_sources(graph, stem_takes_rows=False):
    """The sources of exactly those kernels for a program that knows their operands itself.

    Without what reads operands from a model file, and without glue.

    Args:
        graph: a quantized `Graph`.
        stem_takes_rows: whether the program gives `factorized_stem_rows_s8` what the graph has
            for `factorized_stem_s8`.

    Returns:
        Mapping from file name to text, all in a folder `kernels`.
    """
    paths = [c_files.find("micronet_status_message.c")]
    unneeded = set()
    for name in operators(graph):
        paths += c_files.operator_sources(name)
        unneeded |= {f"{name}_bind.c", f"{name}_get_buffer_size.c"}
    if stem_takes_rows:
        paths += c_files.operator_sources(STEM_BY_ROWS)
        unneeded |= {f"{STEM}.c", f"{STEM_BY_ROWS}_get_buffer_size.c"}
    return _with_headers(path for path in paths if path.name not in unneeded)


def _with_headers(paths):
    ours = {path.name: path for path in [*c_files.headers(), *GLUE_FOLDER.glob("*.h")]}
    texts = {}
    for path in paths:
        _add_with_headers(path, ours, texts)
    return {f"{OUTPUT_FOLDER}/{name}": texts[name] for name in sorted(texts)}


def _add_with_headers(path, ours, texts):
    """Adds a file and all headers of ours that it includes, by name."""
    if path.name in texts:
        return
    texts[path.name] = path.read_text(encoding="utf-8")
    for header in _INCLUDE.findall(texts[path.name]):
        if header in ours:
            _add_with_headers(ours[header], ours, texts)
