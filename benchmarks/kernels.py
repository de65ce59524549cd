# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.kernels`: instructions of the fused kernels, by operation and model.

Every operation of each variant at 224x224 and 1000 classes, with its real shape, runs alone on an
emulated Cortex-M4 and Cortex-M55 that counts its instructions (not cycles) exactly: the same in
every run and on every machine. Weights and inputs are random; the kernels take the same time for
any. `--write` stores the table, with the history of the kernels behind it, and the figures that the
tests compare with.
"""

import argparse
import dataclasses
import json
import pathlib
import tempfile

import keras
import numpy as np

import keras_micronet
from benchmarks.results_file import RESULTS, write_text
from keras_micronet.layer_chain import INPUT, unroll
from keras_micronet.quantization import fused_shift_max
from keras_micronet.quantization.plan import channel_factor_rules, plan, range_names
from tflm.kernels import kernel_runner
from tflm.kernels.kernel_runner import Target
from tflm.passes import (
    builtin_operations,
    channel_factors,
    fused_operations,
    lowering,
    quantization,
)

TABLE = RESULTS / "kernels.md"
FIGURES = RESULTS / "kernels.json"
HISTORY = pathlib.Path(__file__).with_name("kernels_history.md")  # written by hand
TARGETS = (Target.CORTEX_M4, Target.CORTEX_M55)
VARIANTS = ("M0", "M1", "M2", "M3")
MOST_GROWTH = 1.02  # of an operation's instructions, before the tests fail
_SIZE = 224
_RANGE = (-4.0, 4.0)
_RANGES = {"relu": (0.0, 4.0), "relu6": (0.0, 6.0)}  # of results with an activation
# TensorFlow Lite Micro with CMSIS-NN and a straightforward conversion, on a Cortex-M4 and M55.
_CMSIS_NN = {"M0": (192.2, 127.1), "M1": (259.2, None), "M2": (644.7, None), "M3": (913.9, 583.9)}
_HEAD = """# Instructions of the fused kernels

224x224, 1000 classes; by `python -m benchmarks.kernels --write`. Instructions, not cycles, counted
by an emulated Cortex-M4 (DSP) and Cortex-M55 (MVE): the same in every run. Multiply-adds are those
of convolutions and dense layers. "CMSIS-NN" is a straightforward conversion of the same network in
TensorFlow Lite Micro with CMSIS-NN, measured once the same way.
"""


@dataclasses.dataclass(frozen=True)
class Row:
    """One operation.

    Attributes:
        name: of its output.
        operator: name of the kernel.
        output_shape: without the batch.
        multiply_adds: exact number.
        instructions: by `Target`'s name.
    """

    name: str
    operator: str
    output_shape: tuple
    multiply_adds: int
    instructions: dict


def fused_graph(variant):
    """A variant's quantized `Graph` of fused operations, with random weights and made-up ranges."""
    keras.utils.set_random_seed(0)
    builder = getattr(keras_micronet, f"MicroNet{variant}")
    model = builder(
        input_shape=(_SIZE, _SIZE, 3),
        weights=None,
        classifier_activation=None,
        include_preprocessing=False,
    )
    return quantized(model)


def quantized(model):
    """The `Graph` of fused operations of a model without preprocessing, with made-up ranges and
    scales of channels."""
    planned = plan(unroll(model))
    scaled = channel_factors.scale_channels(lowering.lower(model), _made_up_factors(planned))
    graph = builtin_operations.to_builtin(fused_operations.fuse(scaled))
    ranges = dict.fromkeys(range_names(planned, INPUT), _RANGE)
    ranges |= {
        item.result: _RANGES[item.activation] for item in planned if item.activation in _RANGES
    }
    return quantization.quantize(graph, ranges)


def _made_up_factors(planned):
    """Factors of channels near 1, as calibration chooses them."""
    generator = np.random.default_rng(2)
    factors = {}
    for name, rule in channel_factor_rules(planned).items():
        steps = generator.integers(24, 43, rule.channels) / fused_shift_max.FACTOR_UNIT
        factors[name] = 1 / steps if rule.is_reciprocal else steps
    return factors


def measure(graph, cache_folder, targets=TARGETS):
    """Counts the instructions of every operation of a graph.

    Args:
        graph: of `fused_graph`.
        cache_folder: folder for compiled kernels.
        targets: emulated `Target`s.

    Returns:
        A list of `Row`s, in order of execution.
    """
    generator = np.random.default_rng(0)
    operations = [operation.options["integers"] for operation in graph.operations]
    calls = [_call(integers, generator) for integers in operations]
    counts = [{} for _ in calls]
    for operator in dict.fromkeys(operation.operator for operation, _ in calls):
        chosen = [i for i, (operation, _) in enumerate(calls) if operation.operator == operator]
        for target in targets:
            results = kernel_runner.run([calls[i] for i in chosen], target, cache_folder)
            for index, result in zip(chosen, results, strict=True):
                counts[index][target.name] = result.instructions
    return [
        Row(node.name, packed.operator, packed.output_shape, integers.multiply_adds, count)
        for node, integers, (packed, _), count in zip(
            graph.operations, operations, calls, counts, strict=True
        )
    ]


def _call(integers, generator):
    packed = integers.packed()
    inputs = tuple(
        generator.integers(-128, 128, shape).astype(np.int8) for shape in packed.input_shapes
    )
    return packed, inputs


def totals(rows):
    """Instructions of a whole model, by target."""
    targets = rows[0].instructions
    return {target: sum(row.instructions[target] for row in rows) for target in targets}


def table(measured):
    """Markdown of all models: sums first, then each model's operations, worst first.

    Args:
        measured: lists of `Row`s by variant.
    """
    lines = [_HEAD, *_table_of_models(measured)]
    for variant, rows in measured.items():
        lines += ["", f"## {variant}", "", *_table_of_operators(rows), "", *_table_of_rows(rows)]
    return "\n".join(lines) + "\n"


def _table_of_models(measured):
    lines = ["| | multiply-adds | Cortex-M4 | a multiply-add | CMSIS-NN | Cortex-M55 | CMSIS-NN |"]
    lines.append("|---|---|---|---|---|---|---|")
    for variant, rows in measured.items():
        sums, multiply_adds = totals(rows), sum(row.multiply_adds for row in rows)
        m4, m55 = (sums[target.name] for target in TARGETS)
        before = ["" if figure is None else f"{figure}M" for figure in _CMSIS_NN[variant]]
        cells = [
            variant,
            f"{multiply_adds:,}",
            f"{m4:,}",
            f"{m4 / multiply_adds:.2f}",
            before[0],
            f"{m55:,}",
            before[1],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _table_of_operators(rows):
    lines = ["| operator | number | Cortex-M4 | Cortex-M55 |", "|---|---|---|---|"]
    groups = {}
    for row in rows:
        groups.setdefault(row.operator, []).append(row)
    for operator, members in sorted(groups.items(), key=lambda item: -_first(totals(item[1]))):
        m4, m55 = (totals(members)[target.name] for target in TARGETS)
        lines.append(f"| {operator} | {len(members)} | {m4:,} | {m55:,} |")
    return lines


def _table_of_rows(rows):
    lines = ["| operation | output | multiply-adds | Cortex-M4 | a multiply-add | Cortex-M55 |"]
    lines.append("|---|---|---|---|---|---|")
    for row in sorted(rows, key=lambda row: -_first(row.instructions)):
        m4, m55 = (row.instructions[target.name] for target in TARGETS)
        shape = "x".join(map(str, row.output_shape))
        each = f"{m4 / row.multiply_adds:.2f}" if row.multiply_adds else ""
        cells = [row.name, shape, f"{row.multiply_adds:,}", f"{m4:,}", each, f"{m55:,}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _first(figures):
    return next(iter(figures.values()))


def figures(measured):
    """JSON text: instructions by variant, operation and target."""
    rows = {
        variant: {row.name: row.instructions for row in rows} for variant, rows in measured.items()
    }
    return json.dumps(rows, indent=1) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--write", action="store_true", help=f"store {TABLE.name}, {FIGURES.name}")
    options = parser.parse_args()
    if options.write and tuple(options.variants) != VARIANTS:
        parser.error("--write needs all variants")
    with tempfile.TemporaryDirectory() as folder:
        cache = pathlib.Path(folder)
        measured = {name: measure(fused_graph(name), cache) for name in options.variants}
    print(table(measured))
    if options.write:
        write_text(TABLE, f"{table(measured)}\n{HISTORY.read_text()}")
        write_text(FIGURES, figures(measured))


if __name__ == "__main__":
    main()
