"""Which operators of `tflm.kernels` a graph uses, and the sources that a device needs for them."""

import pathlib
import re

from tflm.operator_table import OPERATORS

OUTPUT_FOLDER = "kernels"
FOLDER = pathlib.Path(__file__).resolve().parent / "kernels"
GLUE = FOLDER / "glue"
_PREFIX = "MICRONET_"
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
            kind.removeprefix(_PREFIX).lower()
            for kind in kinds
            if kind in OPERATORS and OPERATORS[kind].custom_options is not None
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
    paths = [*FOLDER.glob("micronet_*.c"), *GLUE.glob("kernel_*.cc")]
    for name in names:
        paths += [FOLDER / f"{name}.c", *FOLDER.glob(f"{name}_*.c")]
        paths.append(GLUE / f"micronet_{name}_op.cc")
    return _with_headers(paths)


def computing_sources(graph):
    """The sources of exactly those kernels for a program that knows their operands itself.

    Without what reads operands from a model file, and without glue.

    Args:
        graph: a quantized `Graph`.

    Returns:
        Mapping from file name to text, all in a folder `kernels`.
    """
    paths = [FOLDER / "micronet_status_message.c"]
    for name in operators(graph):
        parts = {*FOLDER.glob(f"{name}_*.c")}
        parts -= {FOLDER / f"{name}_{part}.c" for part in ("bind", "get_buffer_size")}
        paths += [FOLDER / f"{name}.c", *parts]
    return _with_headers(paths)


def _with_headers(paths):
    texts = {}
    for path in paths:
        _add_with_headers(path, texts)
    return {f"{OUTPUT_FOLDER}/{name}": texts[name] for name in sorted(texts)}


def _add_with_headers(path, texts):
    """Adds a file and all of ours that it includes, by name."""
    if path.name in texts:
        return
    texts[path.name] = path.read_text(encoding="utf-8")
    for header in _INCLUDE.findall(texts[path.name]):
        for folder in (FOLDER, GLUE):
            if (folder / header).is_file():
                _add_with_headers(folder / header, texts)
