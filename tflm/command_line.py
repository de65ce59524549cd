"""`python -m tflm`: exports a trained run to a folder of sources for a microcontroller."""

import argparse
import pathlib
import sys

from tflm import exporter, next_steps
from tflm import report as reports
from tflm.accuracy_cost import MOST_POINTS_LOST
from tflm.compiled_library import CompiledLibraryError
from tflm.host_compiler import HostCompilerError
from tflm.interpreter import MicroInterpreterError
from tflm.kernel_library import KernelLibraryError
from tflm.trained_run import TrainedRun
from tflm.verification import VerificationError

_USAGE_ERROR = 2
_EXPORT_FAILED = 1
_FAILURES = (
    ValueError,
    ImportError,
    OSError,
    MicroInterpreterError,
    HostCompilerError,
    KernelLibraryError,
    CompiledLibraryError,
    VerificationError,
)

_EPILOG = """\
The output folder holds model.tflite, model_settings.h, test_vectors, and report.md, which says
what the model costs and how well it works; for TensorFlow Lite Micro the model as a C++ array
(model_data) and op_resolver.h, as a C99 library micronet_model and its kernels.

Two questions are asked. Is it right? Every operation and the outputs on the device are compared
with their definitions, on images that are made up for it and on some of yours; what is not right
is refused, and never your fault. What does it cost? The accuracies of float and int8 on the test
images are compared; the difference comes with a confidence interval, wide if the images are few.
If significantly more than --most-accuracy-lost points are lost, no sources are written: the folder
then holds the report alone, and the commands that come next are named.
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
        _check_accuracy(options.most_accuracy_lost)
        exporter.check_output(output, options.overwrite)
        refused_output = exporter.output_of_refused(output)
        kernels = exporter.kernels_for(options.runtime, options.kernels)
        run = TrainedRun.load(options.run)
    except ValueError as error:
        return _fail(error, _USAGE_ERROR)
    try:
        export = exporter.export(
            run,
            lambda line: print(line, flush=True),
            kernels,
            options.runtime,
            options.most_accuracy_lost,
            options.output,
        )
        is_refused = export.report.is_refused
        exporter.write(export.files, refused_output if is_refused else output)
    except _FAILURES as error:
        return _fail(error, _EXPORT_FAILED)
    print(reports.verdict(export.report))
    if is_refused:
        return _fail(_refusal(export.report, refused_output), _EXPORT_FAILED)
    print(_summary(export.report, output))
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m tflm",
        description="Exports a trained MicroNet as int8 to TensorFlow Lite Micro, or as a C99 "
        "library.",
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
        "--runtime",
        choices=exporter.RUNTIMES,
        default=exporter.TFLM,
        help="tflm: TensorFlow Lite Micro (default); static: none, the model is a C99 library "
        "that calls fused kernels",
    )
    parser.add_argument(
        "--kernels",
        choices=exporter.KERNELS,
        help="builtin: operators that every TensorFlow Lite Micro has (default for tflm); fused: "
        "this project's own, several times faster, whose C sources are exported along with the "
        "model (always so for static)",
    )
    parser.add_argument(
        "--most-accuracy-lost",
        type=float,
        default=MOST_POINTS_LOST,
        metavar="POINTS",
        help="percentage points of accuracy that int8 may lose on the test images; refused is "
        f"what loses significantly more (default: {MOST_POINTS_LOST:g})",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier export in that folder"
    )
    return parser


def _check_accuracy(points):
    if not 0 <= points <= 100:
        raise ValueError(
            "most-accuracy-lost must be percentage points from 0 to 100. "
            f"Received: most-accuracy-lost={points:g}"
        )


def _summary(report, output):
    return (
        f"{report.runtime.summary()}, {report.multiply_adds:,} multiply-adds\n"
        f"written to {output}; read {output / 'report.md'} first"
    )


def _refusal(report, output):
    return (
        f"{reports.refusal(report)}. No sources are written; {output / 'report.md'} tells where "
        f"the accuracy is lost. What to do, best first:\n{next_steps.as_text(report.next_steps)}"
    )


def _fail(error, status):
    print(f"python -m tflm: {error}", file=sys.stderr)
    return status
