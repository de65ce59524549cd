"""The command line of `python -m training`."""

import argparse
import dataclasses
import os
import pathlib
import re
import sys

from training.recipes import QUANTIZE_AWARE, SMALL_IMAGES
from training.settings import QuantizeAwareSettings, RunSettings

_PROGRAM = "python -m training"
_FAILURE = 1
_WRONG_USE = 2
_INTERRUPTED = 130

_DESCRIPTION = """\
Trains a MicroNet on labelled images and writes a run folder: the model, its weights, the history
and its plot, the class names, and the images that the conversion for a microcontroller needs.
With --quantize-aware it continues from such a folder with the rounding of int8 simulated, so that
the model learns to work with it, and writes another run folder."""

_EPILOGUE = """\
datasets:
  digits      1797 handwritten digits, bundled with scikit-learn: no download
  fashion-mnist
              70,000 photographs of clothes, from Debian's package dataset-fashion-mnist
  FOLDER      a folder with one sub-folder of JPEG, PNG, BMP or WebP images a class; or with
              train, validation (or val) and test folders that hold the classes
  tfds:NAME   a dataset of TensorFlow Datasets, downloaded once, such as tfds:cifar10

schemes:
  int8        8 bits for all weights and activations
  int8_head4  4 bits for the weights of the last two dense layers, one scale a layer
  int8_head4_per_channel
              the same with one scale an output

The run folder's files are described at the top of training/run_folder.py."""


_FURTHER_RECIPE_VALUES = (
    ("optimizer", str, "adamw or sgd"),
    ("momentum", float, "of SGD"),
    ("weight_decay", float, "decay of the weights"),
    ("decayed_weights", str, "kernels, or all for biases and batch normalization, too"),
    ("warmup", float, "fraction of the training in which the learning rate grows"),
    ("learning_rate_batch_size", int, "batch size for which --learning-rate is meant"),
    ("label_smoothing", float, "probability taken from the true class"),
    ("rotation", float, "largest random rotation, as a fraction of a turn"),
    ("translation", float, "largest random shift, as a fraction of the side"),
    ("zoom", float, "largest random change of scale"),
    ("average_decay", float, "of the moving average of the weights that is kept, 0 for none"),
    ("mutual_weight", float, "weight of mutual learning with a full-rank partner, 0 for none"),
    ("distillation_weight", float, "weight of what the teacher says, the rest is the labels'"),
    ("distillation_temperature", float, "at which teacher and network are compared"),
)


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
        from training import checkpoints, run, trainer

        prepared = _prepare(settings)
    except (ValueError, OSError, ImportError) as error:
        return _stop(error, _WRONG_USE)
    try:
        run.execute(prepared)
    except checkpoints.OtherRunError as error:
        return _stop(error, _WRONG_USE)
    except (trainer.TrainingDivergedError, OSError) as error:
        return _stop(error, _FAILURE)
    return 0


def _prepare(settings):
    if isinstance(settings, QuantizeAwareSettings):
        from training import quantize_aware_run

        return quantize_aware_run.prepare(settings)
    from training import run

    return run.prepare(settings)


def parse_arguments(arguments=None):
    """Reads the command line's arguments.

    Args:
        arguments: list of strings; the process's own by default.

    Returns:
        `RunSettings`, or `QuantizeAwareSettings` if a quantize-aware training is asked for.

    Raises:
        SystemExit: with code 2 and a message if an argument is wrong, 0 after `--help`.
    """
    parser = _make_parser()
    given = vars(parser.parse_args(arguments))
    try:
        return _quantize_aware_settings(given) if "float_run" in given else _run_settings(given)
    except ValueError as error:
        parser.error(str(error))


def _run_settings(given):
    if "scheme" in given:
        raise ValueError(
            "--scheme must be given together with --quantize-aware, as only that quantizes. "
            f"Received: --scheme {given['scheme']}"
        )
    given = {"dataset": "digits", "model": "M0", "weights": None, "strategy": "auto"} | given
    recipe = dataclasses.replace(SMALL_IMAGES, **_take_recipe_values(given))
    output = _default_output(given["dataset"], given["model"])
    return RunSettings(**{"recipe": recipe, "output": output} | given)


def _quantize_aware_settings(given):
    decided = [name for name in ("model", "image_size", "weights") if name in given]
    if decided:
        options = " ".join("--" + name.replace("_", "-") for name in decided)
        raise ValueError(
            "the float run decides model, image size and weights, so none of them must be given "
            f"with --quantize-aware. Received: {options}"
        )
    for name in ("strategy", "teacher", "mutual_weight"):
        if name in given:
            raise ValueError(
                "--quantize-aware trains on one device and alone, so --strategy, --teacher and "
                f"--mutual-weight must not be given. Received: --{name.replace('_', '-')} "
                f"{given[name]}"
            )
    given = {"dataset": None, "scheme": "int8"} | given
    changes = _take_recipe_values(given)
    output = pathlib.Path("runs") / f"{given['float_run'].resolve().name}-{given['scheme']}"
    return QuantizeAwareSettings(**{"recipe_changes": changes, "output": output} | given)


def _take_recipe_values(given):
    """Moves the values that the user gave for the recipe out of the other arguments."""
    names = [field.name for field in dataclasses.fields(SMALL_IMAGES)]
    return {name: given.pop(name) for name in names if name in given}


def _make_parser():
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # What the user does not say stays out of the result: defaults depend on the other options.
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    float_recipe, quantize_aware = SMALL_IMAGES, QUANTIZE_AWARE
    add = parser.add_argument
    add("--model", type=str.upper, help="variant: M0, M1, M2 or M3 (default: M0)")
    add(
        "--dataset",
        metavar="digits|fashion-mnist|FOLDER|tfds:NAME",
        help="see below (default: digits)",
    )
    add(
        "--image-size",
        type=_image_size,
        metavar="N|HxW",
        help="side, or height and width, of the model's input in pixels "
        "(default: {}x{})".format(*float_recipe.image_size),
    )
    add(
        "--epochs",
        type=int,
        help=f"passes over the training images (default: {float_recipe.epochs}; "
        f"{quantize_aware.epochs} with --quantize-aware, where 0 quantizes without training)",
    )
    add(
        "--batch-size",
        type=int,
        help=f"images a step (default: {float_recipe.batch_size}; the float run's with "
        "--quantize-aware)",
    )
    add(
        "--learning-rate",
        type=float,
        help="peak learning rate, after a linear warm-up and before a cosine decay to 0 "
        f"(default: {float_recipe.learning_rate}; a tenth of the float run's with "
        "--quantize-aware)",
    )
    add(
        "--horizontal-flip",
        action="store_true",
        help="also learn from mirrored images: right for photographs, wrong for digits and letters",
    )
    add(
        "--teacher",
        metavar="MODEL.keras",
        help="a trained Keras model of the same images and classes to learn from",
    )
    for name, value_type, explanation in _FURTHER_RECIPE_VALUES:
        add(
            "--" + name.replace("_", "-"),
            type=value_type,
            help=f"{explanation} (default: {getattr(float_recipe, name)})",
        )
    add(
        "--weights",
        type=_weights,
        metavar="none|imagenet|PATH",
        help="weights to start from: random; the authors' ImageNet weights with a new classifier; "
        "or a .keras, .weights.h5, .npz or .pth file (default: none)",
    )
    add(
        "--quantize-aware",
        dest="float_run",
        type=pathlib.Path,
        metavar="RUN",
        help="run folder of a float model to continue from; it decides the model, the image size, "
        "the dataset and the random changes of the images",
    )
    add("--scheme", help="how --quantize-aware quantizes, see below (default: int8)")
    add(
        "--seed",
        type=int,
        default=0,
        help="decides everything random; repeats a run on a CPU (default: 0)",
    )
    add(
        "--output",
        type=pathlib.Path,
        metavar="FOLDER",
        help="run folder to write (default: runs/DATASET-MODEL; runs/RUN-SCHEME with "
        "--quantize-aware)",
    )
    add(
        "--overwrite",
        action="store_true",
        default=False,
        help="replace an earlier run in the output folder",
    )
    add(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="continue an unfinished run of the same settings in the output folder (default: yes)",
    )
    add(
        "--strategy",
        metavar="auto|one-device|mirrored|multi-worker|tpu",
        help="devices to train on (default: auto: all workers that TF_CONFIG names, the TPU that "
        "TPU_NAME names, or all GPUs, or the CPU)",
    )
    add(
        "--skip-unreadable",
        action="store_true",
        default=False,
        help="leave damaged image files out of a folder dataset instead of refusing it",
    )
    return parser


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
