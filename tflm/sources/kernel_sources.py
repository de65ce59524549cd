# SPDX-License-Identifier: Apache-2.0
"""Which operators of `tflm.kernels` a graph uses, and the sources that a device needs for them."""

import collections.abc
import pathlib
import re

from tflm.graph.graph import Graph
from tflm.kernels import c_files
from tflm.kernels.c_files import GLUE_FOLDER
from tflm.kernels.registry import BY_KIND, FORMS
from tflm.sources import kernel_version

OUTPUT_FOLDER = "kernels"
_INCLUDE = re.compile(r'^#include "([^"/]+)"', re.MULTILINE)


def operators(graph: Graph) -> tuple[str, ...]:
    """Names of the operators of `tflm.kernels` that a graph uses.

    Args:
        graph: a quantized `Graph`.

    Returns:
        A sorted tuple of names such as "residual_add_s8".
    """
    kinds = {operation.kind for operation in graph.operations}
    return tuple(sorted(BY_KIND[kind].name for kind in kinds if kind in BY_KIND))


def kernel_sources(graph: Graph) -> dict[str, str]:
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


def computing_sources(kernels: collections.abc.Iterable[str]) -> dict[str, str]:
    """The sources of kernels for a program that knows their operands itself.

    Without what reads operands from a model file, and without glue.

    Args:
        kernels: names of operators and of other forms of them, `registry.FORMS`: those whose
            function the program calls.

    Returns:
        Mapping from file name to text, all in a folder `kernels`.
    """
    kernels = set(kernels)
    needed = kernels | {FORMS[name] for name in kernels if name in FORMS}
    paths = [c_files.find("micronet_status_message.c")]
    for name in sorted(needed):
        paths += c_files.operator_sources(name)
    unneeded = {f"{name}{part}.c" for name in needed for part in ("_bind", "_get_buffer_size")}
    unneeded |= {f"{name}.c" for name in needed - kernels}
    version = {f"{OUTPUT_FOLDER}/{name}": text for name, text in kernel_version.sources().items()}
    return _with_headers(path for path in paths if path.name not in unneeded) | version


def _with_headers(paths: collections.abc.Iterable[pathlib.Path]) -> dict[str, str]:
    ours = {path.name: path for path in [*c_files.headers(), *GLUE_FOLDER.glob("*.h")]}
    texts: dict[str, str] = {}
    for path in paths:
        _add_with_headers(path, ours, texts)
    return {f"{OUTPUT_FOLDER}/{name}": texts[name] for name in sorted(texts)}


def _add_with_headers(
    path: pathlib.Path, ours: dict[str, pathlib.Path], texts: dict[str, str]
) -> None:
    """Adds a file and all headers of ours that it includes, by name."""
    if path.name in texts:
        return
    texts[path.name] = path.read_text(encoding="utf-8")
    for header in _INCLUDE.findall(texts[path.name]):
        if header in ours:
            _add_with_headers(ours[header], ours, texts)
