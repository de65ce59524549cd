# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.grid_answers`: what a grid's answers cost to read.

Instructions (not cycles) and code of `tflm/recognition`'s functions for grids on an emulated
Cortex-M4, and the RAM that they take. `--write` stores the table.
"""

import argparse
import dataclasses
import pathlib
import struct
import subprocess
import tempfile

import numpy as np

from benchmarks.results_file import RESULTS, write_text
from tflm.recognition import objects, scores
from tflm.recognition.c_files import include_folders, recognition_sources
from tflm.recognition.objects import Grid
from tflm.toolchains import emulator
from tflm.toolchains.emulator import Core

TABLE = RESULTS / "grid_answers.md"
# A grid of 160x120 pixels, and one of 96x96 pixels; answers are those of detection.
GRIDS = (Grid(15, 20, 5, 8, 160, 120), Grid(12, 12, 12, 8, 96, 96))
KINDS = ("background", "a few objects", "every 4th cell", "any scores")
_FOLDER = pathlib.Path(__file__).parent
_CORE = Core.CORTEX_M4
_SCALE, _ZERO_POINT = 0.1, 0
_FUNCTIONS = {
    "find_objects": ("find_objects", "merge_neighbours"),
    "find_keypoints": ("find_keypoints", "merge_neighbours"),
    "class_map": ("class_map", "argmax"),
}
_HEAD = """# Reading a grid's answers

By `python -m benchmarks.grid_answers --write`. Instructions, not cycles, counted by an emulated
Cortex-M4: the same in every run. Scores are background alone; a few objects on background; an
object in every fourth cell; and any int8 values with thresholds of 1 of 32768, of which most cells
must be looked at closely. Thresholds are one half else.

| grid | scores | objects found | `micronet_find_objects` | `_find_keypoints` | `_class_map` |
|---|---|---|---|---|---|
"""
_HEAD_OF_CODE = """
Bytes of code with what each function calls, but for the division of 64 bits, which the compiler's
library has and `micronet_find_objects` and the way to the camera's pixels use.

| function | bytes of code | RAM besides what is found |
|---|---|---|
"""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one grid's answers cost.

    Attributes:
        found: how many objects.
        instructions: of finding objects, of finding keypoints, of the class map.
    """

    found: int
    instructions: tuple[int, int, int]


def made_scores(kind, grid):
    """int8 scores of one of `KINDS`, and thresholds in Q15."""
    random = np.random.default_rng(0)
    shape = (grid.rows, grid.columns, grid.answers)
    if kind == "any scores":
        return random.integers(-128, 128, shape).astype(np.int8), np.ones(shape[-1], int)
    values = random.integers(-90, -60, shape)
    values[..., 0] = 60
    rows, columns = np.mgrid[: grid.rows : 2, : grid.columns : 2].reshape(2, -1)
    if kind == "a few objects":
        rows, columns = rows[::6][:10], columns[::6][:10]
    if kind != "background":
        values[rows, columns, random.integers(1, grid.answers, len(rows))] = 100
        values[rows, columns, 0] = -60
    return values.astype(np.int8), np.full(shape[-1], scores.ONE // 2)


def measure(grid, kind, folder):
    """The `Cost` of a grid's answers.

    Args:
        grid: one of `GRIDS`.
        kind: one of `KINDS`.
        folder: for compiled programs.
    """
    program = emulator.build(
        _CORE, [_FOLDER / "grid_answers_measurement.c", *_sources()], folder, include_folders()
    )
    values, thresholds = made_scores(kind, grid)
    question = b"".join(
        (
            struct.pack("<6i", *dataclasses.astuple(grid)),
            values.tobytes(),
            scores.exponentials(_SCALE).astype("<u4").tobytes(),
            objects.sigmoids(_SCALE, _ZERO_POINT).astype("<u2").tobytes(),
            thresholds.astype("<u2").tobytes(),
        )
    )
    answer = struct.unpack("<QiQiQi", emulator.run(program, _CORE, question))
    return Cost(answer[1], answer[::2])


def code_bytes(folder):
    """Bytes of code of each function with those that it calls, by name.

    Args:
        folder: for object files.
    """
    sizes = {}
    for source in _sources():
        target = folder / f"{source.stem}.o"
        includes = [word for path in include_folders() for word in ("-I", path)]
        flags = [f"-mcpu={_CORE.value.processor}", *emulator.COMMON_COMPILE_FLAGS, *includes]
        subprocess.run(
            [emulator.find_tool(emulator.COMPILER), *flags, "-c", source, "-o", target], check=True
        )
        command = [emulator.find_tool(emulator.PROGRAM_SIZE), "--format=berkeley", target]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        sizes[source.stem.removeprefix("micronet_")] = int(printed.splitlines()[1].split()[0])
    return {name: sum(sizes[part] for part in parts) for name, parts in _FUNCTIONS.items()}


def _sources():
    source_folder = include_folders()[0]
    return [source_folder / name for name in recognition_sources("detect") if name.endswith(".c")]


def table(costs, code):
    """Markdown.

    Args:
        costs: mapping from a grid and a kind of scores to a `Cost`.
        code: of `code_bytes`.
    """
    text = _HEAD
    for (grid, kind), cost in costs.items():
        sizes = f"{grid.rows}x{grid.columns}x{grid.answers}"
        counts = " | ".join(f"{count:,}" for count in cost.instructions)
        text += f"| {sizes} | {kind} | {cost.found} | {counts} |\n"
    text += _HEAD_OF_CODE
    ram = {"find_objects": "12 a column", "find_keypoints": "none", "class_map": "none"}
    for name, count in code.items():
        text += f"| `micronet_{name}` | {count:,} | {ram[name]} |\n"
    return text


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--write", action="store_true", help=f"store {TABLE.name}")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        costs = {(grid, kind): measure(grid, kind, folder) for grid in GRIDS for kind in KINDS}
        text = table(costs, code_bytes(folder))
    print(text)
    if options.write:
        write_text(TABLE, text)


if __name__ == "__main__":
    main()
