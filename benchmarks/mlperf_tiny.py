# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.mlperf_tiny`: a rehearsal of MLPerf Tiny with MicroNets.

Every variant becomes firmware for the benchmark's image classification (32x32, ten classes) and
person detection (96x96, two), which runs on an emulated Cortex-M4; the benchmark's runner is played
over its serial line. Weights are random and ranges made up: accuracy is measured elsewhere.
Instructions of an inference, probabilities included, are told by the board's timestamps. `--write`
stores the table.
"""

import argparse
import collections.abc
import dataclasses
import pathlib
import tempfile

import numpy as np

from benchmarks import models
from benchmarks.results_file import RESULTS, write_text
from keras_micronet import preprocess_input
from tflm.cycles import library_cycles, memory_profiles
from tflm.firmware import build
from tflm.firmware.benchmark_tasks import TASKS, Task, task_named
from tflm.firmware.boards.emulated_board import EmulatedBoard
from tflm.firmware.link.mlperf_tiny_runner import BenchmarkRunner
from tflm.graph.graph import Graph
from tflm.passes.input_normalization import InputNormalization
from tflm.sources import c_arrays, generic_names
from tflm.sources.model_settings import ModelSettings, model_identifier, model_settings
from tflm.static import c_library, library_plan
from tflm.toolchains import emulator

RESULT = RESULTS / "mlperf_tiny.md"
PHOTOGRAPHS = RESULTS / "photographs.md"
VARIANTS = models.VARIANTS
CHIP = memory_profiles.profiles()["stm32l4r5"]
MEGAHERTZ = CHIP.megahertz
_PLATFORM = "mps2-an386"
_LIBRARY = "rehearsal_model"
_INFERENCES = (1, 5)  # the difference is without what surrounds them
_MOST_DIFFERENCE = 0.01  # of a probability from that of the kernels' definitions
_ANSWER_SECONDS = 300.0  # on a busy machine

# Cycles of an inference on an STM32L4R5, of a quantized graph.
Estimate = collections.abc.Callable[[Graph], int]


class RehearsalError(RuntimeError):
    """A board gave other probabilities than it must."""


@dataclasses.dataclass(frozen=True)
class Published:
    """The best published result of a task on an STM32L4R5.

    Attributes:
        rate: inferences a second.
        accuracy: top-1 in percent.
        network: whose.
    """

    rate: float
    accuracy: float
    network: str


# github.com/mlcommons/tiny_results_v1.2, closed/STMicroelectronics/results/NUCLEO_L4R5ZI
PUBLISHED = {
    "ic01": Published(6.056, 87.0, "ResNet8"),
    "vww01": Published(11.245, 85.2, "MobileNetV1 0.25"),
}


@dataclasses.dataclass(frozen=True)
class Rehearsed:
    """A variant at a task.

    Attributes:
        variant: "M0" and so on.
        task: `Task`.
        instructions: of an inference, within a few.
        flash_bytes, ram_bytes: of the whole firmware, the stack and both copies of an image
            included.
        cycles: estimated of an inference on an STM32L4R5; `None` without an estimate.
    """

    variant: str
    task: Task
    instructions: int
    flash_bytes: int
    ram_bytes: int
    cycles: int | None

    @property
    def rate(self) -> float | None:
        """Inferences a second on an STM32L4R5, estimated."""
        return None if self.cycles is None else MEGAHERTZ * 1e6 / self.cycles


def rehearse(
    variant: str, task: Task, folder: pathlib.Path, estimate: Estimate | None = None
) -> Rehearsed:
    """Builds a variant's firmware and plays the benchmark's runner.

    Args:
        variant: one of `VARIANTS`.
        task: `Task`.
        folder: for all that is built.
        estimate: function of the graph -> cycles of an inference.

    Raises:
        RehearsalError: the board's probabilities are wrong.
        EmulatorError: the firmware cannot be built or run.
    """
    graph = models.fused_graph(variant, task.size, task.classes)
    export = folder / f"{variant}-{task.name}"
    write_export(graph, task.classes, export)
    program = build.build(
        export,
        _PLATFORM,
        build.STATIC,
        export / "build",
        definitions={"APPLICATION": build.MLPERF_TINY},
    )
    image = np.random.default_rng(2).integers(0, 256, (task.size, task.size, 3)).astype(np.uint8)
    microseconds, probabilities = _play(program, image.tobytes())
    expected = _expected_probabilities(graph, image)
    if np.abs(np.array(probabilities) - expected).max() > _MOST_DIFFERENCE:
        raise RehearsalError(
            f"{variant} must give {expected.round(3)} for {task.title}. Received: {probabilities}"
        )
    size = build.program_size(program)
    instructions = round(microseconds * 1000 / emulator.INSTRUCTION_NS)
    cycles = None if estimate is None else estimate(graph)
    return Rehearsed(variant, task, instructions, size.flash, size.ram, cycles)


def estimated_cycles(graph: Graph) -> int:
    """Cycles of an inference on an STM32L4R5, without the softmax: some thousand.

    Args:
        graph: a quantized `Graph` of fused kernels.
    """
    plan = library_plan.plan_memory(graph)
    taken = library_cycles.measure(
        c_library.static_library(graph, _LIBRARY),
        _LIBRARY,
        library_plan.called_functions(graph, plan),
        (CHIP,),
    )
    return taken.all.total(0, CHIP)


def _play(program, data):
    """Emulated microseconds of an inference, and the last one's probabilities."""
    with EmulatedBoard(program, _PLATFORM) as board:
        runner = BenchmarkRunner(board, answer_seconds=_ANSWER_SECONDS)
        runner.wait_for_start()
        runner.identity()
        runner.load(data)
        once, often = (runner.infer(count, 0) for count in _INFERENCES)
    difference = often.microseconds - once.microseconds
    return difference / (often.inferences - once.inferences), often.probabilities


def _normalization():
    return InputNormalization.of(preprocess_input, channels=3)


def _expected_probabilities(graph, image):
    """The softmax of what the kernels' definitions in NumPy give."""
    source, output = (graph.tensors[ends[0]].quantization for ends in (graph.inputs, graph.outputs))
    scores = models.reference_output(graph, _normalization().quantized_images(image, source))
    powers = np.exp((scores - scores.max().astype(int)) * float(output.scale[0]))
    return powers / powers.sum()


def write_export(graph: Graph, classes: int, folder: pathlib.Path) -> None:
    """Writes what firmware is built from, without anything else of an export.

    Args:
        graph: a quantized `Graph` of fused kernels.
        classes: how many it has.
        folder: gets a folder `src`.
    """
    model = b"stands for a flatbuffer, which the static runtime does not need"
    settings = ModelSettings(
        input_shape=graph.tensors[graph.inputs[0]].shape,
        class_names=[f"class {index}" for index in range(classes)],
        model=model,
        ends=f'#include "{_LIBRARY}.h"\n',
        raw_to_input=_normalization().tables(graph.tensors[graph.inputs[0]].quantization),
    )
    library = c_library.static_library(graph, _LIBRARY, model_identifier(model))
    sources = {
        **library,
        **generic_names.library_headers(_LIBRARY, library),
        **model_settings(settings, _LIBRARY),
        **generic_names.settings_header(_LIBRARY),
    }
    c_arrays.write_files(sources, folder / "src")


_HEAD = f"""# MLPerf Tiny, rehearsed

What firmware of `--application mlperf-tiny` takes of an emulated Cortex-M4, played by
`python -m benchmarks.mlperf_tiny --write` as the benchmark's runner plays it. **No result of the
benchmark**: nothing here ran on a chip, and nothing was submitted. Weights are random, which hardly
matters for the time and says nothing of accuracy.

- **Instructions** of an inference, which are not cycles, from the image to probabilities: by the
  board's timestamps, so within ten. What reads the image from the line is not timed.
- **Flash, RAM**: bytes of the whole firmware, with the stack of an emulated board, 64 KB, and two
  copies of the image.
- **Cycles, inferences/s**: estimated for an STM32L4R5 at {MEGAHERTZ} MHz; the published ones were
  measured.
- **Accuracy**: top-1 in percent of the int8 model after training, where
  [photographs.md](photographs.md) has it; else not claimed.
- **Published**: by STMicroelectronics in round v1.2, closed division, the fastest of that chip.
  Other networks: only accuracy and speed together may be compared.

| task | network | accuracy | instructions | flash | RAM | cycles, estimated | inferences/s |
|---|---|---|---|---|---|---|---|
"""
_NOT_ESTIMATED = "not yet estimated"


def table(rehearsed: collections.abc.Iterable[Rehearsed], photographs: str) -> str:
    """Markdown of a rehearsal.

    Args:
        rehearsed: `Rehearsed`s in the order of `TASKS`.
        photographs: text of photographs.md, which has accuracies.
    """
    lines = []
    rows = list(rehearsed)
    for task in TASKS:
        lines += [_row(each, photographs) for each in rows if each.task == task]
        published = PUBLISHED[task.name]
        lines.append(
            f"| {task.title} | published: {published.network} | {published.accuracy} "
            f"| | | | | {published.rate} |\n"
        )
    return _HEAD + "".join(lines)


def _row(each, photographs):
    cells = [each.task.title, f"MicroNet {each.variant}"]
    cells.append(accuracy_of(each.variant, each.task, photographs))
    cells += [f"{each.instructions:,}", f"{each.flash_bytes:,}", f"{each.ram_bytes:,}"]
    if each.cycles is None:
        cells += [_NOT_ESTIMATED, _NOT_ESTIMATED]
    else:
        cells += [f"{each.cycles:,}", f"{each.rate:.1f}"]
    return f"| {' | '.join(cells)} |\n"


def accuracy_of(variant: str, task: Task, photographs: str) -> str:
    """Top-1 of a variant on CIFAR-10 at the task's size, or "not claimed".

    Args:
        variant, task: as for `rehearse`.
        photographs: text of photographs.md.
    """
    begin = f"| MicroNet {variant} | {task.size} |"
    for line in photographs.splitlines():
        if task == task_named("ic01") and line.startswith(begin):
            cell = line.split("|")[4].strip()
            return cell if cell.replace(".", "").isdigit() else "not claimed"
    return "not claimed"


def main() -> None:
    """Prints the table; `--write` stores it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--write", action="store_true", help=f"store the table in {RESULT.name}")
    options = parser.parse_args()
    rehearsed = []
    with tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            for variant in options.variants:
                measured = rehearse(variant, task, pathlib.Path(folder), estimated_cycles)
                rehearsed.append(measured)
                print(_row(rehearsed[-1], PHOTOGRAPHS.read_text()), end="", flush=True)
    text = table(rehearsed, PHOTOGRAPHS.read_text())
    if options.write:
        write_text(RESULT, text)


if __name__ == "__main__":
    main()
