"""`python -m tflm.firmware`: feeds images to the firmware over the serial line."""

import argparse
import contextlib
import pathlib
import sys
import tempfile
import zipfile

import numpy as np

from tflm import emulator
from tflm.firmware import build, emulated_board
from tflm.firmware.host_board import HostBoard
from tflm.firmware.serial_client import SerialClient, SerialLineError
from tflm.firmware.serial_port import SerialPort

_USAGE_ERROR = 2
_FAILED = 1
_DEFAULT_PLATFORM = "mps2-an386"
_DEFAULT_COUNT = 20

_EPILOG = """\
Builds the firmware of MODEL, starts it on a board that QEMU emulates and sends it images over the
board's serial line; or, with --port, sends them to a board that runs it already. The counted
instructions of an emulated board are the same every time; they are not cycles.
"""


def main(arguments=None):
    """Runs the command.

    Args:
        arguments: list of words, or `None` for the process's.

    Returns:
        The exit status: 0, 1 if it failed, 2 if it could not begin.
    """
    options = _parser().parse_args(arguments)
    try:
        _check(options)
        images, labels = _read_images(pathlib.Path(options.images), options.first, options.count)
        names = _read_class_names(pathlib.Path(options.images))
    except ValueError as error:
        return _fail(error, _USAGE_ERROR)
    try:
        with contextlib.ExitStack() as resources:
            _recognize_all(options, images, labels, names, resources)
    except (ImportError, OSError, emulator.EmulatorError, SerialLineError) as error:
        return _fail(error, _FAILED)
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m tflm.firmware",
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
        "--images",
        required=True,
        help="file with arrays `images`, raw RGB, and `labels`, such as test.npz of a run",
    )
    parser.add_argument(
        "--count",
        type=int,
        default=_DEFAULT_COUNT,
        help=f"how many images to send (default: {_DEFAULT_COUNT})",
    )
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument(
        "--platform",
        choices=(*emulated_board.CORES, build.HOST),
        default=_DEFAULT_PLATFORM,
        help=f"the board to emulate, or this computer (default: {_DEFAULT_PLATFORM})",
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
    parser.add_argument("--port", help="serial port of a real board, such as /dev/ttyACM0")
    return parser


def _check(options):
    if (options.model is None) == (options.port is None):
        raise ValueError(
            "There must be either the folder of a model or a port. "
            f"Received: model={options.model}, port={options.port}"
        )
    if options.count < 1 or options.first < 0:
        raise ValueError(
            "count must be at least 1, and first at least 0. "
            f"Received: count={options.count}, first={options.first}"
        )
    if options.model is not None:
        build.check(options.model, options.platform, options.runtime, options.tflm_root)


def _read_images(path, first, count):
    try:
        with np.load(path, allow_pickle=False) as archive:
            images, labels = archive["images"], archive["labels"]
    except (KeyError, ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            "images must be an .npz file with arrays `images` and `labels`. "
            f"Received: {path} ({error})"
        ) from error
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(
            "The images must be raw RGB, uint8 (count, height, width, 3). "
            f"Received: {images.dtype} of shape {images.shape}"
        )
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"The labels must be one integer for each of {len(images)} images. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    if first + count > len(images):
        raise ValueError(
            f"first and count must choose among the {len(images)} images of {path}. "
            f"Received: first={first}, count={count}"
        )
    chosen = slice(first, first + count)
    return images[chosen], labels[chosen]


def _read_class_names(images_path):
    """Names of the classes, if they lie beside the images as in a run's folder."""
    path = images_path.with_name("class_names.txt")
    return path.read_text("utf-8").splitlines() if path.is_file() else []


def _recognize_all(options, images, labels, names, resources):
    program = None
    if options.port is None:
        program = _build(options, resources)
        print(f"starting it on {options.platform}", flush=True)
        stream = resources.enter_context(_board(program, options.platform))
    else:
        stream = resources.enter_context(SerialPort(options.port))
    client = SerialClient(stream)
    information = client.information() if program is None else client.wait_for_start()
    print(
        f"model {information.identifier:08x}, input {information.width}x{information.height}, "
        f"{information.classes} classes, runtime {information.runtime}",
        flush=True,
    )
    unit = _unit_of_cycles(options)
    recognitions = []
    for index, (image, label) in enumerate(zip(images, labels, strict=True), options.first):
        recognition = client.recognize(image)
        recognitions.append(recognition)
        true_name = names[label] if 0 <= label < len(names) else f"class {label}"
        verdict = "right" if recognition.class_index == label else f"wrong, it is {true_name}"
        print(
            f"image {index}: {recognition.name} ({verdict}), score {recognition.score:.3f}, "
            f"{recognition.cycles:,} {unit}",
            flush=True,
        )
    print(_summary(recognitions, labels, unit))
    if program is not None and options.platform != build.HOST:
        size = build.program_size(program)
        print(f"program: flash {size.flash:,} bytes, RAM {size.ram:,} bytes with the stack")


def _build(options, resources):
    folder = options.build or resources.enter_context(tempfile.TemporaryDirectory())
    print(f"building for {options.platform} with the runtime {options.runtime}", flush=True)
    return build.build(
        options.model, options.platform, options.runtime, folder, tflm_root=options.tflm_root
    )


def _board(program, platform):
    if platform == build.HOST:
        return HostBoard(program)
    return emulated_board.EmulatedBoard(program, platform)


def _unit_of_cycles(options):
    """What a platform counts."""
    if options.port is not None:
        return "cycles"
    return "nanoseconds" if options.platform == build.HOST else "instructions"


def _summary(recognitions, labels, unit):
    right = sum(each.class_index == label for each, label in zip(recognitions, labels))
    cycles = [each.cycles for each in recognitions]
    fewest, most = min(cycles), max(cycles)
    numbers = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    return (
        f"accuracy on {len(labels)} images: {right / len(labels):.2%}, {numbers} {unit} per image, "
        f"arena {recognitions[-1].arena_bytes:,} bytes"
    )


def _fail(error, status):
    print(f"python -m tflm.firmware: {error}", file=sys.stderr)
    return status
