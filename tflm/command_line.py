# SPDX-License-Identifier: Apache-2.0
"""`python -m tflm`: exports a trained run to a folder of sources for a microcontroller."""

import argparse
import collections.abc
import contextlib
import pathlib

from micronet_commands import console, extras, quiet_tensorflow
from tflm import settings
from tflm.cycles import memory_profiles
from tflm.sources import model_name

_PROGRAM = "python -m tflm"
_EXTRA = "tflm"
# What setup.py lists for the extra, by the names that are imported.
_MODULES = (
    "ai_edge_litert",
    "flatbuffers",
    "matplotlib",
    "ml_dtypes",
    "tensorflow_model_optimization",
    "tflite_micro",
)
_EXPORT_FAILED = 1
_USAGE_ERROR = 2

_EPILOG = """\
The output folder goes into a firmware project as it is: README.md says how, for Arduino, Zephyr,
ESP-IDF, CMake, PlatformIO and others; report.md says what the model costs and how well it works.
src/ is to be compiled, test/ has images with the scores that must come out.

Two questions are asked. Is it right? Every operation and the outputs on the device are compared
with their definitions, on images that are made up for it and on some of yours; what is not right
is refused, and never your fault. What does it cost? The accuracies of float and int8 on the test
images are compared; the difference comes with a confidence interval, wide if the images are few.
Models that detect, segment or find keypoints have mean F1, mean IoU or PCK instead of accuracy.
If significantly more than --most-accuracy-lost points are lost, no sources are written: the folder
then holds the report alone, and the commands that come next are named.
"""


def main(arguments: collections.abc.Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: list of words, or `None` for the process's.

    Returns:
        The exit status: 0, 1 if the export failed, 2 if it could not begin, 130 if the user
        interrupted it.
    """
    reason = "interrupted; the output folder is as it was, or has the whole new export"
    return console.run_command(_PROGRAM, _parser(), _run, arguments, reason)


def _run(options):
    try:
        _check_percentages(options)
        chips = memory_profiles.chosen(options.chip, options.clock, options.wait_states)
        if options.name is not None:
            model_name.check(options.name)
        extras.require(_EXTRA, _MODULES)
        quiet_tensorflow.import_tensorflow()
        # Only now: these take seconds, and --help and typing errors need none of them.
        from tflm import exporter
        from tflm.export_folder import ExportFolder
        from tflm.trained_run import TrainedRun
    except (ValueError, ImportError) as error:
        return console.fail(_PROGRAM, error, _USAGE_ERROR)
    output = options.output or f"deploy/{pathlib.Path(options.run).resolve().name}"
    folder = ExportFolder(output, options.overwrite)
    with contextlib.ExitStack() as reserved:
        try:
            kernels = exporter.kernels_for(options.runtime, options.kernels)
            reserved.enter_context(folder.reserved())
            run = TrainedRun.load(options.run)
        except (ValueError, OSError) as error:
            return console.fail(_PROGRAM, error, _USAGE_ERROR)
        return _export(run, kernels, folder, chips, options)


def _export(run, kernels, folder, chips, options):
    from tflm import exporter, next_steps
    from tflm.report import milliseconds, verdict

    try:
        export = exporter.export(
            run,
            lambda line: print(line, flush=True),
            kernels,
            options.runtime,
            options.most_accuracy_lost,
            options.output,
            options.name,
            options.keep_right,
            chips,
        )
        written = _shown(folder.write(export.files, export.report.is_refused))
    except (ValueError, ImportError, OSError, *exporter.FAILURES) as error:
        return console.fail(_PROGRAM, error, _EXPORT_FAILED)
    made = export.report
    print(verdict.summary(made))
    if made.is_refused:
        refusal = (
            f"{verdict.refusal(made)}. No sources are written; {written / 'report.md'} tells where "
            "the accuracy is lost. What to do, best first:\n"
            f"{next_steps.as_text(made.next_steps)}"
        )
        return console.fail(_PROGRAM, refusal, _EXPORT_FAILED)
    costs = f"flash {made.runtime.flash}, RAM {made.runtime.ram}"
    print(f"{costs}, multiply-adds {verdict.multiply_adds(made)}")
    if made.runtime.name == settings.STATIC:
        print(milliseconds.summary(made))
    print(f"in C files, functions and constants begin with {made.runtime.library} (--name)")
    print(f"written to {written}; read {written / 'report.md'} first")
    return 0


def _shown(path):
    """A path as short as the user can use it."""
    current = pathlib.Path.cwd()
    return path.relative_to(current) if current in path.parents else path


def _parser():
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
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
    parser.add_argument(
        "--name",
        help="what files, functions and constants begin with in C, so that a program can have "
        "several models (default: the run's name)",
    )
    parser.add_argument("--output", help="folder to write (default: deploy/ and the run's name)")
    parser.add_argument(
        "--runtime",
        choices=settings.RUNTIMES,
        default=settings.TFLM,
        help="tflm: TensorFlow Lite Micro (default); static: none, the model is a C99 library "
        "that calls fused kernels",
    )
    parser.add_argument(
        "--kernels",
        choices=settings.KERNELS,
        help="builtin: operators that every TensorFlow Lite Micro has (default for tflm); fused: "
        "this project's own, several times faster, whose C sources are exported along with the "
        "model (always so for static)",
    )
    parser.add_argument(
        "--most-accuracy-lost",
        type=float,
        default=settings.MOST_POINTS_LOST,
        metavar="POINTS",
        help="percentage points of accuracy (mean F1, mean IoU or PCK of models that detect, "
        "segment or find keypoints) that int8 may lose on the test images; refused is "
        f"what loses significantly more (default: {settings.MOST_POINTS_LOST:g})",
    )
    parser.add_argument(
        "--keep-right",
        type=float,
        metavar="PERCENT",
        help="part of the right answers to the validation images that the threshold keeps, below "
        f'which the answer is "none of these" (default: {settings.KEEP_RIGHT:g}); for models that '
        "classify",
    )
    chips = parser.add_argument_group(
        "time", "what an image takes, estimated for a static library on a Cortex-M4"
    )
    chips.add_argument(
        "--chip",
        choices=memory_profiles.profiles(),
        default=memory_profiles.DEFAULT,
        help=f"whose flash and clock (default: {memory_profiles.DEFAULT})",
    )
    chips.add_argument(
        "--clock", type=float, metavar="MHZ", help="of that chip (default: its highest)"
    )
    chips.add_argument(
        "--wait-states",
        type=int,
        metavar="CYCLES",
        help="that a read of its flash takes beyond one (default: those of that clock)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier export in that folder"
    )
    return parser


def _check_percentages(options):
    points = options.most_accuracy_lost
    if not 0 <= points <= 100:
        raise ValueError(
            "most-accuracy-lost must be percentage points from 0 to 100. "
            f"Received: most-accuracy-lost={points:g}"
        )
    if options.keep_right is not None:
        settings.check_keep_right(options.keep_right)
