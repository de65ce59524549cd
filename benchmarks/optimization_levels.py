# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.optimization_levels`: what a project's optimisation costs a model.

M0 at 96x96 with 10 classes as a static library, compiled with each level as users' projects are,
and with kernels that leave the level as it is (`-DMICRONET_KEEP_OPTIMIZATION`). Instructions are
counted on emulated processors and are the same in every run; each output must be that of the
kernels' definitions in NumPy, byte for byte.
"""

import argparse
import dataclasses
import pathlib
import tempfile

import numpy as np

from benchmarks import models
from benchmarks.results_file import RESULTS, write_text
from tflm.sources import c_arrays
from tflm.static import c_library
from tflm.toolchains.emulator import Core

TABLE = RESULTS / "optimization_levels.md"
LEVELS = ("-O2", "-O3", "-Os", "-Og", "-O1", "-O0")
CORES = (Core.CORTEX_M4, Core.CORTEX_M55)
KEEP = "-DMICRONET_KEEP_OPTIMIZATION"
_NAME = "optimized"


@dataclasses.dataclass(frozen=True)
class Compiled:
    """What a model takes when it is compiled with some flags.

    Attributes:
        instructions: for one image that comes row by row.
        stack_bytes: of it.
        code_bytes: of the flash.
    """

    instructions: int
    stack_bytes: int
    code_bytes: int


def measure(graph, cores, flags, folder):
    """Measures a model.

    Args:
        graph: a quantized `Graph` of fused kernels that begins with a stem.
        cores: `Core`s to run it on.
        flags: lists of words for the compiler.
        folder: for sources and compiled programs.

    Returns:
        Mapping from pairs of a core and a tuple of flags to what was `Compiled`.

    Raises:
        MeasurementError: an output is wrong.
        EmulatorError: a program cannot be built or run.
    """
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    image = np.random.default_rng(1).integers(-128, 128, shape).astype(np.int8)
    expected = models.reference_output(graph, image)
    files = c_library.static_library(graph, _NAME)
    measured = {}
    for words in map(tuple, flags):
        place = folder / "_".join(word.lstrip("-") for word in words)
        place.mkdir()
        sources = [path for path in c_arrays.write_files(files, place) if path.suffix == ".c"]
        for core in cores:
            _, rows = models.run_library(core, place, sources, _NAME, image, expected, words)
            code_bytes, _ = models.flash_bytes(core, place, sources, _NAME)
            measured[core, words] = Compiled(rows.instructions, rows.stack_bytes, code_bytes)
    return measured


_HEAD = """# What a project's optimisation costs

M0 at 96x96, 10 classes, a static library, row by row; by
`python -m benchmarks.optimization_levels --write`. Kernels ask GCC for `-O2` by a pragma
(`micronet_optimize.h`), whatever the project's level is; with `-DMICRONET_KEEP_OPTIMIZATION` they
do not. Instructions of an emulated processor, stack and code in bytes. In every case the output was
that of the kernels' definitions in NumPy, byte for byte.
"""
_HEAD_OF_CORE = """\
| project | instructions | of `-O2` | stack | code \
| kernels keep the level | of `-O2` | stack | code |
|---|---|---|---|---|---|---|---|---|"""


def table(measured):
    """Markdown of what `measure` has given for all levels, with and without `KEEP`."""
    parts = [_HEAD]
    for core in dict.fromkeys(core for core, _ in measured):
        reference = measured[core, ("-O2", KEEP)].instructions
        lines = [f"## {core.value.processor}\n", _HEAD_OF_CORE]
        for level in LEVELS:
            cells = [f"`{level}`"]
            for words in ((level,), (level, KEEP)):
                figures = measured[core, words]
                cells += [f"{figures.instructions:,}", f"{figures.instructions / reference:.3f}"]
                cells += [f"{figures.stack_bytes:,}", f"{figures.code_bytes:,}"]
            lines.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--write", action="store_true", help=f"store {TABLE.name}")
    options = parser.parse_args()
    flags = [words for level in LEVELS for words in ((level,), (level, KEEP))]
    with tempfile.TemporaryDirectory() as name:
        graph = models.fused_graph("M0", 96, classes=10)
        text = table(measure(graph, CORES, flags, pathlib.Path(name)))
    print(text)
    if options.write:
        write_text(TABLE, text)


if __name__ == "__main__":
    main()
