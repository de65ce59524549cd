"""`python -m tflm`: exports a trained run to a folder of sources for a microcontroller."""

import argparse
import contextlib
import pathlib
import sys

from tflm import exporter
from tflm.compiled_library import CompiledLibraryError
from tflm.host_compiler import HostCompilerError
from tflm.interpreter import MicroInterpreterError
from tflm.kernel_library import KernelLibraryError
from tflm.trained_run import TrainedRun
from tflm.verification import VerificationError

_USAGE_ERROR = 2
_EXPORT_FAILED = 1
_INTERRUPTED = 130
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
It is written only if the int8 model, run in TensorFlow Lite Micro, agrees with the Keras model on
at least 98 percent of the calibration and test images, or 99 percent if that was trained with
quantization (`python -m training --quantize-aware`), and if the library gives the same bytes.
"""


def main(arguments=None):
    """Runs the command.

    Args:
        arguments: list of words, or `None` for the process's.

    Returns:
        The exit status: 0, 1 if the export failed, 2 if it could not begin, 130 if the user
        interrupted it.
    """
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was written", _INTERRUPTED)


def _run(options):
    output = pathlib.Path(options.output or f"deploy/{pathlib.Path(options.run).resolve().name}")
    with contextlib.ExitStack() as reserved:
        try:
            reserved.enter_context(exporter.reserved_output(output, options.overwrite))
            kernels = exporter.kernels_for(options.runtime, options.kernels)
            run = TrainedRun.load(options.run)
        except (ValueError, OSError) as error:
            return _fail(error, _USAGE_ERROR)
        return _export(run, kernels, output, options)


def _export(run, kernels, output, options):
    try:
        export = exporter.export(
            run, lambda line: print(line, flush=True), kernels, options.runtime
        )
        exporter.write(export.files, output, options.overwrite)
    except _FAILURES as error:
        return _fail(error, _EXPORT_FAILED)
    print(_verdict(export.report, output))
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
        help="complete run folder, as `python -m training` and keras_micronet.write_run_folder "
        "write it",
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
        "--overwrite", action="store_true", help="replace an earlier export in that folder"
    )
    return parser


def _verdict(report, output):
    return (
        f"accuracy on {report.test_images} test images: "
        f"{report.keras_model} {report.keras_accuracy:.2%}, "
        f"int8 {report.runtime.title} {report.int8_accuracy:.2%}\n"
        f"agreement on {report.compared_images} images: {report.agreement:.2%}\n"
        f"{report.runtime.summary()}, {report.multiply_adds:,} multiply-adds\n"
        f"written to {output}; read {output / 'report.md'} first"
    )


def _fail(error, status):
    print(f"python -m tflm: {error}", file=sys.stderr)
    return status
