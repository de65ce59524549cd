# SPDX-License-Identifier: Apache-2.0
"""`python -m tflm.firmware`: feeds images to the firmware over the serial line."""

import argparse
import collections.abc
import contextlib
import pathlib
import tempfile

from micronet_commands import console, quiet_tensorflow
from tflm.firmware import build, exported_model, rehearsal, settings
from tflm.firmware.boards.emulated_board import EmulatedBoard
from tflm.firmware.boards.host_board import HostBoard
from tflm.firmware.link.serial_port import SerialPort
from tflm.toolchains import emulator

_PROGRAM = "python -m tflm.firmware"
_USAGE_ERROR = 2
_FAILED = 1
_DEFAULT_PLATFORM = "mps2-an386"
_DEFAULT_COUNT = 20
_DEFAULT_INFERENCES, _DEFAULT_WARMUPS = 20, 5  # those of the benchmark's own scripts
_MOST_INFERENCES = 1_000_000  # that the firmware takes

_EPILOG = """\
Builds the firmware of MODEL, starts it on a board that QEMU emulates and sends it images over the
board's serial line; or, with --port, sends them to a board that runs it already. With
--application mlperf-tiny it plays that benchmark's runner. The counted instructions of an emulated
board are the same every time; they are not cycles. For a board that QEMU does not emulate the
firmware is built in --build, and that is all.
"""


def main(arguments: collections.abc.Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: list of words, or `None` for the process's.

    Returns:
        The exit status: 0, 1 if it failed, 2 if it could not begin, 130 if the user interrupted
        it.
    """
    return console.run_command(_PROGRAM, _parser(), _run, arguments)


def _run(options):
    try:
        _check(options)
        if not _is_run(options):
            return _build_only(options)
        # Only now: what reads the images safely imports TensorFlow, which takes seconds.
        quiet_tensorflow.import_tensorflow()
        work = _rehearsal(options) if _is_benchmark(options) else _recognitions(options)
    except (ValueError, ImportError) as error:
        return console.fail(_PROGRAM, error, _USAGE_ERROR)
    return _reported(work)


def _is_benchmark(options):
    return options.application == build.MLPERF_TINY


def _recognitions(options):
    """Reads the images; returns a function of an `ExitStack` that has them recognized."""
    path = pathlib.Path(options.images)
    images, labels = _read_images(path, options.first, options.count or _DEFAULT_COUNT)
    if options.model is not None:
        _check_labels(options.model, images, labels)
    names = _read_class_names(path)
    return lambda resources: _recognize_all(options, images, labels, names, resources)


def _check_labels(model, images, labels):
    """Before anything is built."""
    from tflm.firmware import shown_answers

    task = exported_model.grid_task_of(model)
    classes = None if task is None else exported_model.ends_of(model).classes
    shown_answers.check_labels(task, images, labels, classes)


def _rehearsal(options):
    """Reads the inputs; returns a function of an `ExitStack` that has them measured."""
    from tflm.firmware import shown_answers

    arrays = None
    if options.inputs is None:
        count = rehearsal.DOWNLOADS if options.mode == rehearsal.PERFORMANCE else None
        path = pathlib.Path(options.images)
        arrays = _read_images(path, options.first, options.count or count)
        shown_answers.check_labels(None, *arrays)
    inputs = rehearsal.read_inputs(options.inputs, arrays, options)

    def work(resources):
        stream, program = _started(options, resources)
        rehearsal.run(stream, inputs, options)
        _print_size_of_board(program, options.platform)

    return work


def _is_run(options):
    """Whether there is a board to send images to."""
    return (
        options.port is not None
        or build.is_for_this_computer(options.platform)
        or build.emulation(options.platform) is not None
    )


def _build_only(options):
    quiet_tensorflow.import_tensorflow()  # which a lock needs

    def work(resources):
        program = _build(options, resources, {})
        _print_size(program)
        words = "--images FILE"
        if _is_benchmark(options):
            words = f"--application {options.application} --inputs FOLDER"
        print(
            f"{program} is for {options.platform}, which QEMU does not emulate. Write it to the "
            f"board, then: {_PROGRAM} --port PORT {words}"
        )

    return _reported(work)


def _reported(work):
    """Does `work` with an `ExitStack` and returns the exit status; errors become a sentence."""
    from keras_micronet.files.locks import FolderInUseError
    from tflm.firmware.link.serial_client import SerialLineError
    from tflm.firmware.shown_answers import LabelsMisfitError

    try:
        with contextlib.ExitStack() as resources:
            work(resources)
    except (FolderInUseError, LabelsMisfitError) as error:
        return console.fail(_PROGRAM, error, _USAGE_ERROR)
    except (ImportError, OSError, emulator.EmulatorError, SerialLineError) as error:
        return console.fail(_PROGRAM, error, _FAILED)
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Runs a model's firmware and shows what it recognises.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        nargs="?",
        help="folder with an exported model, as `python -m tflm` writes it; not with --port",
    )
    parser.add_argument(
        "--application",
        choices=build.APPLICATIONS,
        default=build.CAMERA,
        help="what the firmware does: recognise images of any size, or answer the runner of the "
        "benchmark MLPerf Tiny, which this command plays (default: camera)",
    )
    parser.add_argument(
        "--images",
        help="file with arrays `images`, raw RGB or gray, and `labels`, such as test.npz of a run",
    )
    parser.add_argument(
        "--count",
        type=int,
        help=f"how many images to send (default: {_DEFAULT_COUNT}; mlperf-tiny: "
        f"{rehearsal.DOWNLOADS} for {rehearsal.PERFORMANCE}, all for {rehearsal.ACCURACY})",
    )
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument(
        "--platform",
        default=_DEFAULT_PLATFORM,
        help=f"the board, one of {', '.join(build.platforms())}, or the path of a folder with "
        f"platform.cmake (default: {_DEFAULT_PLATFORM})",
    )
    parser.add_argument(
        "--runtime",
        choices=build.RUNTIMES,
        default=build.STATIC,
        help="the one that the model was exported for (default: static)",
    )
    parser.add_argument(
        "--tflm-root", help="folder with TensorFlow Lite Micro's sources, for --runtime tflm"
    )
    parser.add_argument(
        "--build", help="folder to build in, kept for the next time (default: a temporary one)"
    )
    parser.add_argument(
        "--bits-per-second",
        type=int,
        choices=settings.LINE_SPEEDS,
        default=settings.LINE_SPEEDS[0],
        help=f"of the serial line (default: {settings.LINE_SPEEDS[0]})",
    )
    parser.add_argument("--port", help="serial port of a real board, such as /dev/ttyACM0")
    parser.add_argument(
        "--answer-seconds",
        type=float,
        default=settings.ANSWER_SECONDS,
        metavar="SECONDS",
        help="how long the board may take for an answer, computing included "
        f"(default: {settings.ANSWER_SECONDS:g})",
    )
    parser.add_argument(
        "--most-seconds",
        type=float,
        default=settings.MOST_SECONDS,
        metavar="SECONDS",
        help="how long an image may take on a line that damages it, all repetitions included "
        f"(default: {settings.MOST_SECONDS:g})",
    )
    parser.add_argument(
        "--most-bytes",
        type=int,
        default=settings.MOST_BYTES,
        metavar="COUNT",
        help=f"how much the board may write for an image (default: {settings.MOST_BYTES:,})",
    )
    benchmark = parser.add_argument_group("for --application mlperf-tiny")
    benchmark.add_argument(
        "--inputs", help="folder with the benchmark's y_labels.csv and files, instead of --images"
    )
    benchmark.add_argument(
        "--mode",
        choices=rehearsal.MODES,
        default=rehearsal.PERFORMANCE,
        help="what is measured: inferences a second, or top-1 and AUC (default: performance)",
    )
    benchmark.add_argument(
        "--inferences",
        type=int,
        default=_DEFAULT_INFERENCES,
        help="how many a download is measured by; a submission's take at least 10 seconds "
        f"(default: {_DEFAULT_INFERENCES})",
    )
    benchmark.add_argument(
        "--warmups",
        type=int,
        default=_DEFAULT_WARMUPS,
        help=f"how many come before (default: {_DEFAULT_WARMUPS})",
    )
    return parser


def _check(options):
    if (options.model is None) == (options.port is None):
        raise ValueError(
            "There must be either the folder of a model or a port. "
            f"Received: model={options.model}, port={options.port}"
        )
    if options.count is not None and options.count < 1 or options.first < 0:
        raise ValueError(
            "count must be at least 1, and first at least 0. "
            f"Received: count={options.count}, first={options.first}"
        )
    for name in ("answer_seconds", "most_seconds", "most_bytes"):
        limit = getattr(options, name)
        if not limit > 0:
            option = name.replace("_", "-")
            raise ValueError(f"{option} must be positive. Received: {option}={limit:g}")
    _check_benchmark_options(options)
    if options.build is not None:
        build.check_folder(options.build)
    if options.model is not None:
        build.check(
            options.model,
            options.platform,
            options.runtime,
            options.tflm_root,
            options.application,
        )
    if _is_run(options):
        if _is_benchmark(options) and (options.images is None) == (options.inputs is None):
            raise ValueError(
                "There must be either a folder with the benchmark's files, --inputs FOLDER, or "
                "images as large as the model's input, --images FILE. "
                f"Received: inputs={options.inputs}, images={options.images}"
            )
        if not _is_benchmark(options) and options.images is None:
            raise ValueError(
                "There must be a file with images to send: --images FILE. Received: no images"
            )
    elif options.build is None:
        raise ValueError(
            f"For {options.platform}, which QEMU does not emulate, there must be a folder to keep "
            "the firmware in: --build FOLDER. Received: no build"
        )


def _check_benchmark_options(options):
    if options.inputs is not None and not _is_benchmark(options):
        raise ValueError(
            "inputs must be those of --application mlperf-tiny; others are --images FILE. "
            f"Received: inputs={options.inputs}"
        )
    if not 1 <= options.inferences <= _MOST_INFERENCES:
        raise ValueError(
            f"inferences must be from 1 to {_MOST_INFERENCES:,}. "
            f"Received: inferences={options.inferences}"
        )
    if not 0 <= options.warmups <= _MOST_INFERENCES:
        raise ValueError(
            f"warmups must be from 0 to {_MOST_INFERENCES:,}. Received: warmups={options.warmups}"
        )


def _read_images(path, first, count):
    """The chosen images and labels; `ValueError` if the file is none or has no such ones.

    Without a count all from the first one on.
    """
    import numpy as np

    from keras_micronet.files.archives import DamagedFileError, read_arrays

    def check(formats):
        """Before any value is read."""
        missing = [name for name in ("images", "labels") if name not in formats]
        if missing:
            raise DamagedFileError(f"no arrays {' and '.join(missing)}")
        (shape, dtype), (label_shape, label_dtype) = formats["images"], formats["labels"]
        if dtype != np.uint8 or len(shape) != 4 or shape[-1] not in (1, 3):
            raise ValueError(
                "The images must be raw RGB or gray, uint8 (count, height, width, 3 or 1). "
                f"Received: {dtype} of shape {shape}"
            )
        if label_shape[:1] != shape[:1] or label_dtype.kind not in "iuf":
            raise ValueError(
                f"There must be a label for each of {shape[0]} images. "
                f"Received: {label_dtype} of shape {label_shape}"
            )
        if first + (count or 1) > shape[0]:
            raise ValueError(
                f"first and count must choose among the {shape[0]} images of {path}. "
                f"Received: first={first}, count={count}"
            )

    try:
        arrays = read_arrays(path, check)
    except DamagedFileError as error:
        raise ValueError(
            "images must be an .npz file with arrays `images` and `labels`. "
            f"Received: {path} ({error})"
        ) from error
    chosen = slice(first, None if count is None else first + count)
    return arrays["images"][chosen], arrays["labels"][chosen]


def _read_class_names(images_path):
    """Names of the classes, if they lie beside the images as in a run's folder."""
    from keras_micronet import run_folders

    folder = images_path.parent
    has_names = (folder / run_folders.CLASS_NAMES).is_file()
    return run_folders.read_class_names(folder) if has_names else ()


def _recognize_all(options, images, labels, names, resources):
    from tflm.firmware import shown_answers
    from tflm.firmware.link import serial_client

    stream, program = _started(options, resources)
    client = serial_client.SerialClient(
        stream,
        options.answer_seconds,
        most_seconds=options.most_seconds,
        most_bytes=options.most_bytes,
    )
    information = client.information() if program is None else client.wait_for_start()
    print(
        f"model {information.identifier:08x}, input {information.width}x{information.height}, "
        f"{information.classes} {_things(information)}, runtime {information.runtime}",
        flush=True,
    )
    unit = _unit_of_cycles(options)
    task = None if information.grid is None else information.grid.task
    shown_answers.check_labels(task, images, labels, information.classes)
    answers = shown_answers.answers_of(information, names, images.shape[1:3])
    results = []
    for index, (image, label) in enumerate(zip(images, labels, strict=True), options.first):
        result = client.recognize(image)
        results.append(result)
        print(f"image {index}: {answers.line(result, label)}, {result.cycles:,} {unit}", flush=True)
    print(f"{answers.summary(results, labels)}, {_cost(results, unit)}")
    _print_size_of_board(program, options.platform)


def _things(information):
    """What the device knows so many of."""
    from keras_micronet.grid_answers.tasks import KEYPOINTS

    if information.grid is None:
        return "classes"
    grid = information.grid
    cells = f"{grid.rows}x{grid.columns} cells, task {grid.task}"
    return f"{'joints' if grid.task == KEYPOINTS else 'classes'} in {cells}"


def _started(options, resources):
    """A running board as a stream, and its program, which is `None` of a real one."""
    if options.port is not None:
        return resources.enter_context(SerialPort(options.port, options.bits_per_second)), None
    emulation = build.emulation(options.platform)
    program = _build(options, resources, emulation.definitions if emulation else {})
    print(f"starting it on {options.platform}", flush=True)
    return resources.enter_context(_board(program, options.platform)), program


def _print_size_of_board(program, platform):
    if program is not None and not build.is_for_this_computer(platform):
        _print_size(program)


def _print_size(program):
    size = build.program_size(program)
    print(f"program: flash {size.flash:,} bytes, RAM {size.ram:,} bytes with the stack")


def _build(options, resources, definitions):
    folder = options.build
    if folder is None:
        folder = resources.enter_context(tempfile.TemporaryDirectory())
    else:
        resources.enter_context(build.reserved_folder(folder))
    print(f"building for {options.platform} with the runtime {options.runtime}", flush=True)
    return build.build(
        options.model,
        options.platform,
        options.runtime,
        folder,
        tflm_root=options.tflm_root,
        definitions={
            # Always all of them: a folder that was built in before keeps what is not named.
            "APPLICATION": options.application,
            "BITS_PER_SECOND": str(options.bits_per_second),
            **definitions,
        },
    )


def _board(program, platform):
    emulation = build.emulation(platform)
    return HostBoard(program) if emulation is None else EmulatedBoard(program, emulation.machine)


def _unit_of_cycles(options):
    """What a platform counts."""
    if options.port is not None:
        return "cycles"
    emulation = build.emulation(options.platform)
    if emulation is None:
        return "nanoseconds"
    counted = {core.value.machine for core in emulator.Core}
    return "instructions" if emulation.machine in counted else "ticks of the emulated clock"


def _cost(results, unit):
    cycles = [each.cycles for each in results]
    fewest, most = min(cycles), max(cycles)
    numbers = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    return f"{numbers} {unit} per image, arena {results[-1].arena_bytes:,} bytes"
