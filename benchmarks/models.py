# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.models`: instructions, RAM and flash of whole models on Cortex-M.

Every variant as a static library (`c_library`) with 1000 classes runs on emulated Cortex-M4, M7 and
M55 processors, with the whole image in memory and with one that comes row by row. Instructions (not
cycles), bytes of the arena, of the stack and of the flash are counted exactly and are the same in
every run. Weights are random and ranges made up: of millions of instructions, a few dozen depend on
them. For the Cortex-M4 cycles are estimated, too (`tflm.cycles`). Each output must be that of the
kernels' definitions in NumPy, byte for byte. `--write` stores the table and the figures that the
tests compare with.
"""

import argparse
import collections.abc
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

import keras
import numpy as np

import keras_micronet
from benchmarks import kernels
from benchmarks.export_size import settle
from benchmarks.results_file import RESULTS, write_text
from tflm.cycles import execution_counts, memory_profiles
from tflm.cycles.disassembly import Listing
from tflm.cycles.estimate import estimate
from tflm.cycles.library_cycles import program_of_library
from tflm.sources import c_arrays
from tflm.static import c_library
from tflm.toolchains import emulator
from tflm.toolchains.emulator import Core

TABLE = RESULTS / "models.md"
FIGURES = RESULTS / "models.json"
VARIANTS = kernels.VARIANTS
SIZES = (224, 160, 96)
CORES = tuple(Core)
MOST_GROWTH = 1.02  # of a figure, before the tests fail
_PROGRAM = pathlib.Path(__file__).with_name("model_measurement.c")
_FLASH_SCRIPT = pathlib.Path(__file__).with_name("model_flash.ld")
_FUNCTIONS = (
    *("arena_size", "init", "run"),
    *("rows_arena_size", "rows_init", "rows_begin", "rows_push", "rows_run"),
)
_COUNTED = "count_image"  # the function of the program that runs the library once
_RUN_LAYOUT = struct.Struct("<iiQ")  # of an arena, a stack, and instructions
_IMAGES_TO_SETTLE = 8
_LEAST_SPREAD = 20  # between the largest and the smallest output
_TIMEOUT = 600.0  # seconds for a run, which takes a few on an idle machine


class MeasurementError(RuntimeError):
    """A library gave another output than it must, one that says nothing, or has variables."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run takes.

    Attributes:
        instructions: from the first call for an image to its output.
        arena_bytes: size of the arena.
        stack_bytes: below the stack pointer of the function that calls the library.
    """

    instructions: int
    arena_bytes: int
    stack_bytes: int

    @property
    def ram_bytes(self):
        return self.arena_bytes + self.stack_bytes


@dataclasses.dataclass(frozen=True)
class Measured:
    """A model on a processor.

    Attributes:
        multiply_adds: of convolutions and dense layers.
        image, rows: `Run` with the whole image in the arena, and row by row.
        code_bytes, weight_bytes: of the flash.
        cycles: estimated ones of the whole image on a Cortex-M4, by name of the chip; of others
            none.
    """

    multiply_adds: int
    image: Run
    rows: Run
    code_bytes: int
    weight_bytes: int
    cycles: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Bar:
    """A limit that the project sets itself, for M0 at 224x224 on a Cortex-M4.

    Attributes:
        figure: what is limited.
        most: the largest permitted value.
        of: function of `Measured` -> the value.
    """

    figure: str
    most: int
    of: collections.abc.Callable


BARS = (
    Bar("instructions, whole image", 15_000_000, lambda it: it.image.instructions),
    Bar("instructions, row by row", 15_000_000, lambda it: it.rows.instructions),
    Bar("arena bytes, whole image", 205_000, lambda it: it.image.arena_bytes),
    Bar("arena bytes, row by row", 112_000, lambda it: it.rows.arena_bytes),
    Bar("code bytes", 40_000, lambda it: it.code_bytes),
)


def fused_graph(variant, size, classes=keras_micronet.applications.IMAGENET_CLASSES):
    """A variant's quantized `Graph` of fused kernels, with random weights and made-up ranges.

    Its batch normalizations have seen images, so that activations fill the ranges in all layers.
    """
    keras.utils.set_random_seed(0)
    builder = getattr(keras_micronet, f"MicroNet{variant}")
    shape = (size, size, 3)
    model = builder(
        input_shape=shape,
        weights=None,
        classes=classes,
        classifier_activation=None,
        include_preprocessing=False,
    )
    images = np.random.default_rng(0).standard_normal((_IMAGES_TO_SETTLE, *shape))
    settle(model, images.astype(np.float32))
    return kernels.quantized(model)


def measure(graph, name, cores, folder):
    """Measures a model.

    Args:
        graph: a quantized `Graph` of fused kernels that begins with a stem.
        name: of its library.
        cores: `Core`s to run it on.
        folder: for sources and compiled programs; other models may use it again.

    Returns:
        Mapping from each core to what was `Measured`.

    Raises:
        MeasurementError: an output is wrong or says nothing, or the library has variables.
        EmulatorError: a program cannot be built or run.
    """
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    image = np.random.default_rng(1).integers(-128, 128, shape).astype(np.int8)
    expected = reference_output(graph, image)
    if np.ptp(expected.astype(int)) < _LEAST_SPREAD:
        raise MeasurementError(f"Outputs must differ, to be worth a check. Received: {expected}")
    files = c_library.static_library(graph, name)
    sources = [path for path in c_arrays.write_files(files, folder) if path.suffix == ".c"]
    multiply_adds = sum(each.options["integers"].multiply_adds for each in graph.operations)

    def measure_on(core):
        program = _build(core, folder, sources, name)
        runs = _run(program, core, name, image, expected)
        sizes = flash_bytes(core, folder, sources, name)
        cycles = {}
        if core is Core.CORTEX_M4:
            cycles = estimated_cycles(program, image)
        return Measured(multiply_adds, *runs, *sizes, cycles)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(cores, pool.map(measure_on, cores), strict=True))


def run_library(core, folder, sources, name, image, expected, compile_flags=()):
    """Runs a library, with the whole image in the arena and row by row.

    Args:
        core: `Core` to run it on.
        folder: that of its headers; gets a folder of compiled files.
        sources: paths of its C files.
        name: the library's.
        image: int8 array.
        expected: int8 array of one dimension, the output that it must give.
        compile_flags: words for the compiler, besides those of `emulator.build`.

    Returns:
        Two `Run`s.

    Raises:
        MeasurementError: an output is another one.
        EmulatorError: the program cannot be built or run.
    """
    program = _build(core, folder, sources, name, compile_flags)
    return _run(program, core, name, image, expected)


def _run(program, core, name, image, expected):
    """Two `Run`s of the program that measures a library."""
    answer = emulator.run(program, core, image.tobytes(), _TIMEOUT)
    length = _RUN_LAYOUT.size + expected.size
    if len(answer) != 2 * length:
        raise MeasurementError(
            f"{name} must answer {2 * length} bytes. Received: {len(answer)} on {core.name}"
        )
    runs = []
    for start in (0, length):
        arena_bytes, stack_bytes, instructions = _RUN_LAYOUT.unpack_from(answer, start)
        output = np.frombuffer(answer, np.int8, expected.size, start + _RUN_LAYOUT.size)
        different = np.count_nonzero(output != expected)
        if different:
            raise MeasurementError(
                f"{name} must give the output of the kernels' definitions. "
                f"Received: {different} other bytes of {expected.size} on {core.name}"
            )
        runs.append(Run(instructions, arena_bytes, stack_bytes))
    return runs


def _build(core, folder, sources, name, compile_flags=()):
    """Path of the program that measures a library."""
    program_source = folder / f"measure_{name}_{core.name}.c"
    program_source.write_text(program_of_library(name, f"{name}_rows.h", _PROGRAM.name))
    includes = [folder, _PROGRAM.parent]
    return emulator.build(
        core, [program_source, *sources], folder / core.name, includes, compile_flags=compile_flags
    )


def estimated_cycles(program, image):
    """Cycles of a library with the whole image in the arena, on chips with a Cortex-M4.

    Args:
        program: path of the program that measures the library.
        image: int8 array.

    Returns:
        Mapping from the names of the `memory_profiles` to cycles.
    """
    chips = memory_profiles.profiles()
    listing = Listing(program)
    counts = execution_counts.count(
        program,
        tuple(chips.values()),
        function=listing.function(_COUNTED).start,
        data=image.tobytes(),
        timeout=_TIMEOUT,
    )
    taken = estimate(counts, listing).all
    return {chip.name: taken.total(place, chip) for place, chip in enumerate(chips.values())}


def reference_output(graph, image):
    """The output of a graph of fused kernels for an image, by their definitions in NumPy.

    Args:
        graph: a quantized `Graph`.
        image: int8 array of shape (height, width, channels).

    Returns:
        int8 array of one dimension.
    """
    values = {graph.inputs[0]: image}
    for operation in graph.operations:
        integers = operation.options["integers"]
        names = [name for name in operation.inputs if not graph.tensors[name].is_constant]
        shapes = integers.packed().input_shapes
        inputs = [values[name].reshape(shape) for name, shape in zip(names, shapes, strict=True)]
        values[operation.outputs[0]] = integers.reference(*inputs)
    return values[graph.outputs[0]].ravel()


def flash_bytes(core, folder, sources, name):
    """What a library takes of the flash, linked alone: all it calls and nothing else.

    Args:
        core, folder, sources, name: as for `run_library`, which has run it.

    Returns:
        Bytes of code, with the constants of the kernels and the C library's and compiler's own
        functions, and bytes of weights, which are all constants of the operations.

    Raises:
        MeasurementError: the library has variables.
        BuildError: it cannot be linked.
    """
    processor = f"-mcpu={core.value.processor}"
    command = [emulator.find_tool(emulator.COMPILER), processor, "-mthumb", "-mfloat-abi=hard"]
    command += [*emulator.LINK_FLAGS, "-T", _FLASH_SCRIPT, f"-Wl,--entry={name}_run"]
    roots = [*(f"{name}_{function}" for function in _FUNCTIONS), f"{name}_identifier"]
    command += [f"-Wl,--undefined={root}" for root in (*roots, "micronet_status_message")]
    objects = folder / core.name
    command += [path for source in sources for path in objects.glob(f"{source.stem}-*.o")]
    linked = objects / f"{name}.elf"
    _run_tool([*command, "-o", linked])
    sizes = dict.fromkeys((".weights", ".code", ".variables"), 0)
    for line in _run_tool([emulator.find_tool(emulator.PROGRAM_SIZE), "-A", linked]).splitlines():
        section, *numbers = line.split() or [""]
        if section in sizes:
            sizes[section] = int(numbers[0])
    if sizes[".variables"]:
        raise MeasurementError(
            f"A library must have no variables. Received: {sizes['.variables']} bytes in {name}"
        )
    return sizes[".code"], sizes[".weights"]


def _run_tool(command):
    finished = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if finished.returncode != 0:
        raise emulator.BuildError(f"{' '.join(map(str, command))}\n{finished.stderr}")
    return finished.stdout


_HEAD = """# Instructions, RAM and flash of whole models

int8, 1000 classes; by `python -m benchmarks.models --write`. Each model is a static library
(`python -m tflm RUN --runtime static`), compiled by gcc with `-O2`, with random weights and made-up
ranges. In every case here its output was that of the kernels' definitions in NumPy, byte for byte.

- **Instructions**, not cycles, that an emulated processor executes for one image, from the first
  call to the output, the loop over the image's rows included: the same in every run. Of millions, a
  few dozen depend on the values. On a chip, flash wait states and caches come on top.
- **Whole image**: it is in the arena before the run. **Row by row**: it never is; the caller has
  one row of it, 672 bytes at 224 pixels, which are not counted.
- **Arena + stack**, bytes: all RAM that the library writes, for it has no variables. The stack was
  painted before the call, and the deepest word that had changed was looked for afterwards. It
  begins at the stack pointer of the function that calls the library and has all that the library,
  the compiler's and the C library's functions put there; not that function's own frame, and no
  interrupt handlers.
- **Code**, bytes of flash: the library linked alone, without the weights: both ways to give it an
  image, texts of errors, constants of the kernels, and all that it calls of the compiler's and the
  C library's functions, even those that most programs have anyway (`memcpy`).
- **Weights**, bytes of flash: all constants of the operations: weights, biases, scales, tables,
  sizes.
"""
_HEAD_OF_CORE = """\
| | size | multiply-adds | instructions, whole image | arena + stack \
| instructions, row by row | arena + stack | code | weights |
|---|---|---|---|---|---|---|---|---|"""
_HEAD_OF_CYCLES = """\
### Cycles of a Cortex-M4

Estimated, for a whole image; `docs/cycles.md` tells how, and how the estimate was compared with
published measurements. Where the memory never waits, the milliseconds are those of 100 MHz.
"""
_HEAD_OF_BARS = """## Bars

What the project allows itself for M0 at 224x224 on a Cortex-M4.

| | at most | measured |
|---|---|---|"""
_HEAD_OF_PUBLISHED = """## Beside other runtimes

int8, 1000 classes; images of 224x224 unless another size is named, and of their authors' own sizes
for the MCUNets. To be compared with care:

- **This library**: the tables above; milliseconds are estimated for an STM32L4R5 at 120 MHz; RAM is
  arena and stack, with the whole image and row by row; flash is code and weights.
- **TensorFlow Lite Micro** with CMSIS-NN, measured once in the same emulator: also instructions.
  RAM is the arena without the stack; flash is the model's file alone, without any code. The
  MicroNets there are a straightforward conversion of the same networks.
- **TinyEngine** as its authors published it: **cycles on another chip, a Cortex-M7, of other
  networks**. A cycle is no instruction: a Cortex-M7 may execute two in one, or wait for memory in
  many.

Top-1 on ImageNet, in percent, is what was published for each network; nothing here measures it.

| network | runtime | multiply-adds | top-1 | an image takes | RAM bytes | flash bytes |
|---|---|---|---|---|---|---|"""
_LITE_MICRO = "TensorFlow Lite Micro"
_TOP_1 = {"M0": "46.6", "M1": "51.4", "M2": "59.4", "M3": "62.5"}
# What an image takes, RAM and flash, of a variant in TensorFlow Lite Micro.
_IN_LITE_MICRO = {
    "M0": ("192.2M instructions (M55: 127.1M)", "407,108", "1,351,920"),
    "M1": ("259.2M instructions", "435,300", "2,206,640"),
    "M2": ("644.7M instructions", "905,316", "3,143,840"),
    "M3": ("913.9M instructions (M55: 583.9M)", "1,163,156", "3,484,216"),
}
_OTHER_NETWORKS = """\
| MobileNetV3-Small 0.35 | TensorFlow Lite Micro | 15.9M | 49.8 | 146.7M instructions | 457,252 \
| 1,548,824 |
| MobileNetV2 0.35, 144x144 | TensorFlow Lite Micro | 26.7M | 49.0 | 108.1M instructions | 385,348 \
| 1,925,032 |
| MCUNet-in0 | TinyEngine | 6.4M | 40.4 | ~12M cycles (M7) | 49 KB | 842 KB |
| MCUNet-in1 | TinyEngine | 12.8M | 49.9 | ~27M cycles (M7) | 96 KB | 727 KB |
| MCUNet-in2 | TinyEngine | 67.3M | 60.3 | ~134M cycles (M7) | 215 KB | 830 KB |
| MCUNet-in3 | TinyEngine | 81.8M | 61.8 | ~161M cycles (M7) | 260 KB | 835 KB |"""


def table(measured):
    """Markdown of what was measured.

    Args:
        measured: mapping (variant, size, `Core`) -> `Measured`. The bars and the table of other
            runtimes need M0 and every variant at 224 on a Cortex-M4; they are left out without.
    """
    lines = [_HEAD, *_table_of_bars(measured)]
    for core in dict.fromkeys(core for _, _, core in measured):
        lines += [f"## {core.value.processor.title()}", "", _HEAD_OF_CORE]
        lines += [
            _row(variant, size, figures)
            for (variant, size, its_core), figures in measured.items()
            if its_core is core
        ]
        lines.append("")
        if core is Core.CORTEX_M4:
            lines += _table_of_cycles(measured)
    return "\n".join([*lines, *_table_of_others(measured)])


def _table_of_cycles(measured):
    chips = memory_profiles.profiles().values()
    heads = " | ".join(f"{chip.title}, {chip.megahertz:g} MHz" for chip in chips)
    lines = [
        _HEAD_OF_CYCLES,
        f"| | size | instructions | {heads} |",
        "|---" * (3 + len(chips)) + "|",
    ]
    for (variant, size, core), figures in measured.items():
        if core is Core.CORTEX_M4:
            cells = [variant, str(size), f"{figures.image.instructions:,}"]
            for chip in chips:
                cycles = figures.cycles[chip.name]
                cells.append(f"{cycles:,}: {chip.milliseconds(cycles):.0f} ms")
            lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _row(variant, size, figures):
    cells = [variant, str(size), f"{figures.multiply_adds:,}"]
    for run in (figures.image, figures.rows):
        cells += [f"{run.instructions:,}", f"{run.arena_bytes:,} + {run.stack_bytes:,}"]
    cells += [f"{figures.code_bytes:,}", f"{figures.weight_bytes:,}"]
    return f"| {' | '.join(cells)} |"


def _table_of_bars(measured):
    figures = measured.get(("M0", 224, Core.CORTEX_M4))
    if figures is None:
        return []
    rows = [f"| {bar.figure} | {bar.most:,} | {bar.of(figures):,} |" for bar in BARS]
    return [_HEAD_OF_BARS, *rows, ""]


def _table_of_others(measured):
    lines = [_HEAD_OF_PUBLISHED]
    for variant in VARIANTS:
        figures = measured.get((variant, 224, Core.CORTEX_M4))
        if figures is None:
            return []
        name = f"| **MicroNet {variant}** | "
        multiply_adds = f" | {_millions(figures.multiply_adds)} | {_TOP_1[variant]} | "
        instructions = f"{_millions(figures.image.instructions)} instructions"
        chip = memory_profiles.profiles()[memory_profiles.DEFAULT]
        if chip.name in figures.cycles:
            milliseconds = chip.milliseconds(figures.cycles[chip.name])
            instructions += f", about {milliseconds:.0f} ms"
        on_m55 = measured.get((variant, 224, Core.CORTEX_M55))
        if on_m55 is not None:
            instructions += f" (M55: {_millions(on_m55.image.instructions)})"
        ram = f"{figures.image.ram_bytes:,} or {figures.rows.ram_bytes:,}"
        flash = f"{figures.code_bytes + figures.weight_bytes:,}"
        for runtime, cells in (
            ("this library", (instructions, ram, flash)),
            (_LITE_MICRO, _IN_LITE_MICRO[variant]),
        ):
            lines.append(f"{name}{runtime}{multiply_adds}{' | '.join(cells)} |")
    return [*lines, _OTHER_NETWORKS, ""]


def _millions(number):
    return f"{number / 1e6:.1f}M"


def figures_text(measured):
    """JSON text of what was measured, as `stored` reads it.

    Args:
        measured: mapping (variant, size, `Core`) -> `Measured`.
    """
    rows = [
        {"variant": variant, "size": size, "core": core.name, **dataclasses.asdict(figures)}
        for (variant, size, core), figures in measured.items()
    ]
    return json.dumps(rows, indent=1) + "\n"


def stored(path=FIGURES):
    """The mapping (variant, size, `Core`) -> `Measured` that `figures_text` has written."""
    measured = {}
    for row in json.loads(path.read_text()):
        key = row.pop("variant"), row.pop("size"), Core[row.pop("core")]
        runs = {way: Run(**row.pop(way)) for way in ("image", "rows")}
        measured[key] = Measured(**runs, **row)
    return measured


def _options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--sizes", nargs="+", type=int, choices=SIZES, default=SIZES)
    names = [core.name for core in CORES]
    parser.add_argument("--cores", nargs="+", choices=names, default=names)
    parser.add_argument("--write", action="store_true", help=f"store {TABLE.name}, {FIGURES.name}")
    options = parser.parse_args(arguments)
    chosen = options.variants, options.sizes, options.cores
    is_all = list(map(set, chosen)) == list(map(set, (VARIANTS, SIZES, names)))
    if options.write and not is_all:
        parser.error("--write needs all variants, sizes and cores")
    return options


def main(arguments=None):
    options = _options(arguments)
    cores = [Core[name] for name in options.cores]
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        for variant in options.variants:
            for size in options.sizes:
                name = f"{variant.lower()}_{size}"
                results = measure(fused_graph(variant, size), name, cores, pathlib.Path(folder))
                measured |= {(variant, size, core): each for core, each in results.items()}
                print(f"measured {variant} at {size}", file=sys.stderr)
    print(table(measured))
    if options.write:
        write_text(TABLE, table(measured))
        write_text(FIGURES, figures_text(measured))


if __name__ == "__main__":
    main()
