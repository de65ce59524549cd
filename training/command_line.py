"""The command line of `python -m training`."""

import argparse
import dataclasses
import os
import pathlib
import re
import sys

from training.recipes import SMALL_IMAGES
from training.settings import RunSettings

_PROGRAM = "python -m training"
_FAILURE = 1
_WRONG_USE = 2
_INTERRUPTED = 130

_DESCRIPTION = """\
Trains a MicroNet on labelled images and writes a run folder: the model, its weights, the history
and its plot, the class names, and the images that the conversion for a microcontroller needs."""

_EPILOGUE = """\
datasets:
  digits      1797 handwritten digits, bundled with scikit-learn: no download
  FOLDER      a folder with one sub-folder of JPEG, PNG, BMP or WebP images a class; or with
              train, validation (or val) and test folders that hold the classes
  tfds:NAME   a dataset of TensorFlow Datasets, downloaded once, such as tfds:cifar10

The run folder's files are described at the top of training/run_folder.py."""


def main(arguments=None):
    """Runs the command line.

    Args:
        arguments: list of strings; the process's own by default.

    Returns:
        Exit code: 0; 1 if the training failed; 2 if the request was refused before the first step;
        130 if the user interrupted it.
    """
    settings = parse_arguments(arguments)
    try:
        return _run(settings)
    except KeyboardInterrupt:
        return _stop("interrupted", _INTERRUPTED)


def _run(settings):
    # Only now: TensorFlow takes seconds to import, and --help and typing errors need none of it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        from training import run, trainer

        prepared = run.prepare(settings)
    except (ValueError, OSError, ImportError) as error:
        return _stop(error, _WRONG_USE)
    try:
        run.execute(prepared)
    except (trainer.TrainingDivergedError, OSError) as error:
        return _stop(error, _FAILURE)
    return 0


def parse_arguments(arguments=None):
    """Reads the command line's arguments.

    Args:
        arguments: list of strings; the process's own by default.

    Returns:
        `RunSettings`.

    Raises:
        SystemExit: with code 2 and a message if an argument is wrong, 0 after `--help`.
    """
    parser = _make_parser()
    given = vars(parser.parse_args(arguments))
    names = [field.name for field in dataclasses.fields(SMALL_IMAGES)]
    changes = {name: given.pop(name) for name in names if name in given}
    if given["output"] is None:
        given["output"] = _default_output(given["dataset"], given["model"])
    try:
        return RunSettings(recipe=dataclasses.replace(SMALL_IMAGES, **changes), **given)
    except ValueError as error:
        parser.error(str(error))


def _make_parser():
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOGUE,
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    recipe = SMALL_IMAGES
    add = parser.add_argument
    add("--model", default="M0", type=str.upper, help="variant: M0, M1, M2 or M3")
    add("--dataset", default="digits", metavar="digits|FOLDER|tfds:NAME", help="see below")
    add(
        "--image-size",
        type=_image_size,
        default="{}x{}".format(*recipe.image_size),
        metavar="N|HxW",
        help="side, or height and width, of the model's input in pixels",
    )
    add("--epochs", type=int, default=recipe.epochs, help="passes over the training images")
    add("--batch-size", type=int, default=recipe.batch_size, help="images a step")
    add(
        "--learning-rate",
        type=float,
        default=recipe.learning_rate,
        help="peak learning rate, after a linear warm-up and before a cosine decay to 0",
    )
    add(
        "--horizontal-flip",
        action="store_true",
        default=recipe.horizontal_flip,
        help="also learn from mirrored images: right for photographs, wrong for digits and letters",
    )
    add(
        "--weights",
        type=_weights,
        default="none",
        metavar="none|imagenet|PATH",
        help="weights to start from: random; the authors' ImageNet weights with a new classifier; "
        "or a .keras, .weights.h5, .npz or .pth file",
    )
    add("--seed", type=int, default=0, help="decides everything random; repeats a run on a CPU")
    add(
        "--output",
        type=pathlib.Path,
        metavar="FOLDER",
        help="run folder to write (default: runs/DATASET-MODEL)",
    )
    add("--overwrite", action="store_true", help="replace an earlier run in the output folder")
    add(
        "--skip-unreadable",
        action="store_true",
        help="leave damaged image files out of a folder dataset instead of refusing it",
    )
    return parser


class _HelpFormatter(
    argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter
):
    """Shows defaults, except of switches, and keeps the line breaks of the texts around."""

    def _get_help_string(self, action):
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def _image_size(text):
    match = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"must be a side such as 64, or a height and a width such as 48x64. Received: {text}"
        )
    height, width = match.groups()
    return int(height), int(width or height)


def _weights(text):
    return None if text == "none" else text


def _default_output(dataset, model):
    if not dataset.startswith("tfds:"):
        dataset = pathlib.Path(dataset).resolve().name
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", dataset.removeprefix("tfds:"))
    return pathlib.Path("runs") / f"{name}-{model}"


def _stop(reason, exit_code):
    # Messages of libraries may have several lines; a user's mistake deserves one.
    message = " ".join(str(reason).split())
    print(f"{_PROGRAM}: error: {message}", file=sys.stderr)
    return exit_code
