"""`python -m tflm`: exports a trained run to a folder of sources for a microcontroller."""

import argparse
import pathlib
import sys

from tflm import exporter
from tflm.interpreter import MicroInterpreterError
from tflm.trained_run import TrainedRun
from tflm.verification import VerificationError

_USAGE_ERROR = 2
_EXPORT_FAILED = 1

_EPILOG = """\
The output folder holds model.tflite, the same as a C++ array (model_data), model_settings.h,
op_resolver.h, test_vectors, and report.md, which says what the model costs and how well it works.
It is written only if the int8 model, run in TensorFlow Lite Micro, agrees with the Keras model on
at least 98 percent of the calibration and test images, or 99 percent if that was trained with
quantization (`python -m training --quantize-aware`).
"""


def main(arguments=None):
    """Runs the command.

    Args:
        arguments: list of words, or `None` for the process's.

    Returns:
        The exit status: 0, 1 if the export failed, 2 if it could not begin.
    """
    options = _parser().parse_args(arguments)
    output = pathlib.Path(options.output or f"deploy/{pathlib.Path(options.run).resolve().name}")
    try:
        exporter.check_output(output, options.overwrite)
        run = TrainedRun.load(options.run)
    except ValueError as error:
        return _fail(error, _USAGE_ERROR)
    try:
        export = exporter.export(
            run, announce=lambda line: print(line, flush=True), kernels=options.kernels
        )
        exporter.write(export.files, output)
    except (ValueError, ImportError, OSError, MicroInterpreterError, VerificationError) as error:
        return _fail(error, _EXPORT_FAILED)
    print(_verdict(export.report, output))
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m tflm",
        description="Exports a trained MicroNet as int8 to TensorFlow Lite Micro.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "run",
        help="folder with model.keras, class_names.txt, calibration.npz and test.npz, "
        "as `python -m training` writes it",
    )
    parser.add_argument("--output", help="folder to write (default: deploy/ and the run's name)")
    parser.add_argument(
        "--kernels",
        choices=exporter.KERNELS,
        default=exporter.BUILTIN,
        help="builtin: operators that every TensorFlow Lite Micro has (default); fused: this "
        "project's own, several times faster, whose C sources are exported along with the model",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier export in that folder"
    )
    return parser


def _verdict(report, output):
    return (
        f"accuracy on {report.test_images} test images: "
        f"{report.keras_model} {report.keras_accuracy:.2%}, "
        f"int8 in TensorFlow Lite Micro {report.int8_accuracy:.2%}\n"
        f"agreement on {report.compared_images} images: {report.agreement:.2%}\n"
        f"flash {report.flatbuffer_bytes:,} bytes, RAM {report.arena_bytes:,} bytes, "
        f"{report.multiply_adds:,} multiply-adds\n"
        f"written to {output}; read {output / 'report.md'} first"
    )


def _fail(error, status):
    print(f"python -m tflm: {error}", file=sys.stderr)
    return status
