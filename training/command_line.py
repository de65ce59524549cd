# SPDX-License-Identifier: Apache-2.0
"""The command line of `python -m training`."""

import argparse
import dataclasses
import os
import pathlib
import re
import sys
import textwrap
from collections.abc import Callable, Sequence

from micronet_commands import console, extras, quiet_tensorflow
from training.recipes.options import (
    add_recipe_options,
    grid_option_fields,
    option_fields,
    option_name,
)
from training.recipes.recipes import (
    CLASSIFY,
    DATASET_VALUES,
    DETECT,
    DETECTION,
    FINETUNE,
    IMAGENET_M0,
    IMAGENET_M1,
    IMAGENET_M2,
    IMAGENET_M3,
    KEYPOINTS,
    QUANTIZE_AWARE,
    RECIPES,
    SEGMENT,
    SMALL_IMAGES,
    TASKS,
    recipes_for,
)
from training.settings import (
    MOST_PIXELS,
    PARTS,
    PRECISIONS,
    EvaluateSettings,
    PredictSettings,
    QuantizeAwareSettings,
    RunSettings,
)

_PROGRAM = "python -m training"
_EXTRA = "training"
# What setup.py lists for the extra and every command needs, by the names that are imported.
_MODULES = ("matplotlib", "PIL", "sklearn")
_FAILURE = 1
_WRONG_USE = 2
_INTERRUPTED = 130

_DESCRIPTION = """\
Trains a MicroNet on labelled images and writes a run folder: the model, its weights, the history
and its plot, the class names, and the images that the conversion for a microcontroller needs. With
--task it answers what is where in a picture, instead of what the picture is of.
`quantize` continues from such a folder with the rounding of int8 simulated, so that the model
learns to work with it, and writes another run folder. `evaluate` measures a finished run, `predict`
asks it what images show; each has a --help of its own."""

_EPILOGUE = """\
datasets:
  digits      1797 handwritten digits, bundled with scikit-learn: no download
  fashion-mnist
              70,000 photographs of clothes, from Debian's package dataset-fashion-mnist
  FOLDER      a folder with one sub-folder of JPEG, PNG, BMP or WebP images a class; or with
              train, validation (or val) and test folders that hold the classes
  tfds:NAME   a dataset of TensorFlow Datasets, downloaded once, such as tfds:cifar10

datasets of --task detect, segment and keypoints:
  scattered-digits
              digits on made backgrounds, to detect: no download
  shapes      made pictures of shapes, to segment or to find their keypoints
  FOLDER      a folder of pictures with annotations, see docs/annotations.md

The run folder's files are described at the top of training/runs/run_folder.py."""

_SCHEMES = """\
schemes:
  int8        8 bits for all weights and activations
  int8_head4  4 bits for the weights of the last two dense layers, one scale a layer
  int8_head4_per_channel
              the same with one scale an output"""

_QUANTIZE_DESCRIPTION = """\
Continues a finished training with the rounding of int8 simulated, so that the model learns to work
with it, and writes another run folder. The float run decides the model, the image size, the dataset
and the random changes of the images."""

_QUANTIZE, _EVALUATE, _PREDICT = "quantize", "evaluate", "predict"

# What a task and a dataset are learned with, where the user does not say otherwise.
_TASK_RECIPES = {CLASSIFY: SMALL_IMAGES.name}
_TASK_DATASETS = {
    CLASSIFY: "digits",
    DETECT: "scattered-digits",
    SEGMENT: "shapes",
    KEYPOINTS: "shapes",
}

# What a recipe is for, where the user does not say otherwise.
_RECIPE_DEFAULTS = {
    FINETUNE.name: {"weights": "imagenet"},
    IMAGENET_M0.name: {"model": "M0"},
    IMAGENET_M1.name: {"model": "M1"},
    IMAGENET_M2.name: {"model": "M2"},
    IMAGENET_M3.name: {"model": "M3"},
}

_FLOAT_RUN_DECIDES = ("task", "model", "image_size", "channels", "weights")
# What of a grid's recipe is the model's.
_MODEL_VALUES = ("output_stride", "blocks", "shift_max", "head_width")
# Options of which the float run of a quantize-aware training leaves no choice, or that it ignores.
_FLOAT_RUN_ONLY = (
    "recipe",
    "strategy",
    "teacher",
    "mutual_weight",
    "patience",
    "precision",
    "tensorboard",
    "dry_run",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: list of strings; the process's own by default.

    Returns:
        Exit code: 0; 1 if the training failed; 2 if the request was refused before the first step;
        130 if the user interrupted it.
    """
    console.escape_output()
    settings = parse_arguments(arguments)
    try:
        return _run(settings)
    except KeyboardInterrupt as interrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # behind the terminal's own ^C and a line of progress
        reason = str(interrupt) or "interrupted: give the same command again"
        return _stop(reason, _INTERRUPTED)


def _run(settings):
    # Only now: TensorFlow takes seconds to import, and --help and typing errors need none of it.
    if os.environ.get("TF_CONFIG"):
        # A lost worker is dozens of lines of TensorFlow's on the others, which say it in one.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        extras.require(_EXTRA, _MODULES)
        quiet_tensorflow.import_tensorflow()
        from training.fitting import checkpoints, strategies, trainer

        command = _command(settings)
    except ImportError as error:
        return _stop(error, _WRONG_USE)
    try:
        prepared = command.prepare(settings)
    except strategies.WorkersError as error:
        return _stop(error, _FAILURE)
    except (ValueError, OSError, ImportError) as error:
        return _stop(error, _WRONG_USE)
    try:
        return command.execute(prepared)
    except checkpoints.OtherRunError as error:
        return _stop(error, _WRONG_USE)
    except (trainer.TrainingDivergedError, strategies.WorkersError, OSError) as error:
        return _stop(error, _FAILURE)


@dataclasses.dataclass(frozen=True)
class _Command:
    """What the settings ask for.

    Attributes:
        prepare: function from the settings to all that is needed; refuses what the user got wrong.
        execute: function from that to the exit code.
    """

    prepare: Callable
    execute: Callable


def _command(settings):
    if isinstance(settings, EvaluateSettings):
        from training.commands import evaluate

        return _Command(evaluate.prepare, _succeeding(evaluate.execute))
    if isinstance(settings, PredictSettings):
        from training.commands import predict

        return _Command(
            predict.prepare,
            lambda prepared: _FAILURE if predict.execute(prepared, complain=_complain) else 0,
        )
    from training.commands import train

    if isinstance(settings, QuantizeAwareSettings):
        from training.commands import quantize

        return _Command(quantize.prepare, _succeeding(train.execute))
    if settings.dry_run:
        from training.commands import dry_run

        return _Command(train.prepare, _succeeding(dry_run.execute))
    return _Command(train.prepare, _succeeding(train.execute))


def _succeeding(execute):
    def execute_and_succeed(prepared):
        execute(prepared)
        return 0

    return execute_and_succeed


def parse_arguments(
    arguments: Sequence[str] | None = None,
) -> RunSettings | QuantizeAwareSettings | EvaluateSettings | PredictSettings:
    """Reads the command line's arguments.

    Args:
        arguments: list of strings; the process's own by default.

    Returns:
        `RunSettings`; `QuantizeAwareSettings` if a quantize-aware training is asked for;
        `EvaluateSettings` or `PredictSettings` if the first argument is one of those commands.

    Raises:
        SystemExit: with code 2 and a message if an argument is wrong, 0 after `--help`.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    commands = {
        _QUANTIZE: (_make_quantize_parser, _quantize_aware_settings),
        _EVALUATE: (_make_evaluate_parser, _evaluate_settings),
        _PREDICT: (_make_predict_parser, _predict_settings),
    }
    if arguments and arguments[0] in commands:
        make_parser, make_settings = commands[arguments[0]]
        parser = make_parser()
        given = vars(parser.parse_args(arguments[1:]))
    else:
        parser = _make_parser()
        given = vars(parser.parse_args(arguments))
        make_settings = _quantize_aware_settings if "float_run" in given else _run_settings
    try:
        return make_settings(given)
    except ValueError as error:
        parser.error(str(error))


def _evaluate_settings(given):
    return EvaluateSettings(**given)


def _predict_settings(given):
    return PredictSettings(**given | {"images": tuple(given["images"])})


def _run_settings(given):
    for name in ("scheme", "kernels"):
        if name in given:
            raise ValueError(
                f"--{name} must be given together with --quantize-aware, as only that quantizes. "
                f"Received: --{name} {given[name]}"
            )
    recipe = _named_recipe(given.pop("task", None), given.pop("recipe", None))
    defaults = {"model": "M0", "weights": None, "strategy": "auto"}
    defaults["dataset"] = _TASK_DATASETS[recipe.task]
    given = defaults | _RECIPE_DEFAULTS.get(recipe.name, {}) | given
    values = DATASET_VALUES.get(given["dataset"], {}) if recipe.task != CLASSIFY else {}
    recipe = dataclasses.replace(recipe, **values | _take_recipe_values(given, recipe.task))
    output = _default_output(given["dataset"], recipe.task, given["model"])
    return RunSettings(**{"recipe": recipe, "output": output} | given)


def _named_recipe(task, name):
    """The recipe that is asked for by its own name, by that of its task, or by both."""
    if task is not None and task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}. Received: task={task}")
    if name is None:
        task = task or CLASSIFY
        return RECIPES[_TASK_RECIPES.get(task, task)]
    if name not in RECIPES:
        raise ValueError(f"recipe must be one of {', '.join(RECIPES)}. Received: recipe={name}")
    if task not in (None, RECIPES[name].task):
        raise ValueError(
            f"the recipe of --task {task} must be one of {', '.join(recipes_for(task))}. "
            f"Received: --recipe {name}, which is to {RECIPES[name].task}"
        )
    return RECIPES[name]


def _quantize_aware_settings(given):
    decided = [name for name in (*_FLOAT_RUN_DECIDES, *_MODEL_VALUES) if name in given]
    if decided:
        options = " ".join(map(option_name, decided))
        raise ValueError(
            "the float run decides model, image size, channels and weights, so none of them must "
            f"be given with --quantize-aware. Received: {options}"
        )
    for name in _FLOAT_RUN_ONLY:
        if name in given:
            raise ValueError(
                "--quantize-aware continues with the float run's recipe, on one device, alone and "
                f"to the end, so {', '.join(map(option_name, _FLOAT_RUN_ONLY))} must not be given. "
                f"Received: {option_name(name)} {given[name]}"
            )
    given = {"dataset": None, "scheme": "int8"} | given
    changes = _take_recipe_values(given)
    output = pathlib.Path("runs") / f"{given['float_run'].resolve().name}-{given['scheme']}"
    return QuantizeAwareSettings(**{"recipe_changes": changes, "output": output} | given)


def _take_recipe_values(given, task=None):
    """Moves the values that the user gave for the recipe out of the other arguments.

    Without a task, all values that any recipe has.
    """
    names = [field.name for field in option_fields()]
    of_grids = [field.name for field in grid_option_fields()]
    foreign = [option_name(name) for name in of_grids if name in given]
    if task == CLASSIFY and foreign:
        raise ValueError(
            f"{', '.join(foreign)} must be given with --task detect, segment or keypoints, as only "
            "their models answer for the cells of a grid. Received: a training of classes"
        )
    return {name: given.pop(name) for name in (*names, *of_grids) if name in given}


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        usage=(
            "%(prog)s [options]\n"
            "       %(prog)s quantize RUN [options]\n"
            "       %(prog)s evaluate RUN [options]\n"
            "       %(prog)s predict RUN IMAGE..."
        ),
        description=_DESCRIPTION,
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # What the user does not say stays out of the result: defaults depend on the other options.
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    _add_task_options(parser.add_argument_group("what to train"))
    description = f"What is not given is as the recipe has it; in brackets: {SMALL_IMAGES.name}."
    values = parser.add_argument_group("values of the recipe", textwrap.fill(description, 98))
    add_recipe_options(values, SMALL_IMAGES)
    description = (
        f"Only with --task detect, segment or keypoints; in brackets: {DETECTION.name}. Of the "
        "values above they have no rotation, translation, zoom, RandAugment, MixUp, CutMix, random "
        "erasing, label smoothing, evaluation crop, partner and teacher."
    )
    values = parser.add_argument_group("values of a grid's recipe", textwrap.fill(description, 98))
    add_recipe_options(values, DETECTION, fields=grid_option_fields())
    _add_process_options(parser.add_argument_group("how to train"))
    _add_output_options(parser.add_argument_group("where to"))
    return parser


def _add_task_options(group):
    add = group.add_argument
    add(
        "--task",
        metavar="|".join(TASKS),
        help="what to answer: of which class a picture is; where objects are and how many; of "
        "which class each cell of a grid is; or where joints are (default: classify, or the "
        "recipe's)",
    )
    add("--model", type=str.upper, help="variant: M0, M1, M2 or M3 (default: M0, or the recipe's)")
    add(
        "--dataset",
        metavar="NAME|FOLDER",
        help="see below (default: "
        + ", ".join(f"{dataset} to {task}" for task, dataset in _TASK_DATASETS.items())
        + ")",
    )
    _add_skip_unreadable(add, default=False)
    _add_most_pixels(add)
    add(
        "--recipe",
        metavar="NAME",
        help=f"{', '.join(RECIPES)} (default: {SMALL_IMAGES.name}, or that of the task's name)",
    )
    add(
        "--weights",
        type=_weights,
        metavar="none|imagenet|PATH",
        help="weights to start from: random; the ImageNet weights, downloaded once; or a .keras, "
        ".weights.h5, .npz, .pth or .pdparams file. A classifier for another number of classes is "
        "left out (default: none; imagenet with the recipe finetune)",
    )
    add(
        "--teacher",
        metavar="MODEL.keras",
        help="a trained Keras model of the same images and classes to learn from",
    )
    add(
        "--quantize-aware",
        dest="float_run",
        type=pathlib.Path,
        metavar="RUN",
        help="the same as `quantize RUN`",
    )
    _add_quantization_options(add)


def _add_quantization_options(add):
    add("--scheme", help="how to quantize; `quantize --help` lists them (default: int8)")
    add(
        "--kernels",
        help="what to prepare for: fused, this project's own kernels, which `python -m tflm "
        "--kernels fused` and `--runtime static` export (default); or builtin, the operators that "
        "every TensorFlow Lite Micro has",
    )


def _add_process_options(group):
    add = group.add_argument
    add(
        "--dry-run",
        action="store_true",
        help="only tell the whole recipe, the model's cost and the time that it would take",
    )
    add(
        "--patience",
        type=int,
        metavar="COUNT",
        help="stop after so many epochs without a better validation accuracy, or the task's figure "
        "in its place, and keep the best epoch's weights (default: 0: train to the end and keep "
        "the last)",
    )
    add(
        "--precision",
        metavar="|".join(PRECISIONS),
        help="to compute with while training; the finished model is float32 (default: float32)",
    )
    add(
        "--strategy",
        metavar="auto|one-device|mirrored|multi-worker|tpu",
        help="devices to train on (default: auto: all workers that TF_CONFIG names, the TPU that "
        "TPU_NAME names, or all GPUs, or the CPU)",
    )
    _add_repetition_options(add)


def _add_repetition_options(add):
    add(
        "--seed",
        type=int,
        default=0,
        help="decides everything random; repeats a run on a CPU (default: 0)",
    )
    add(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="continue an unfinished run of the same settings in the output folder (default: yes)",
    )


def _add_output_options(group):
    add = group.add_argument
    add(
        "--output",
        type=pathlib.Path,
        metavar="FOLDER",
        help="run folder to write (default: runs/DATASET-MODEL, with --task "
        "runs/DATASET-TASK-MODEL)",
    )
    _add_overwrite(add)
    add(
        "--tensorboard",
        action="store_true",
        help="write logs for TensorBoard, too, which must be installed",
    )


def _add_overwrite(add):
    add(
        "--overwrite",
        action="store_true",
        default=False,
        help="replace an earlier run in the output folder",
    )


def _make_quantize_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{_PROGRAM} {_QUANTIZE}",
        description=_QUANTIZE_DESCRIPTION,
        epilog=_SCHEMES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("float_run", type=pathlib.Path, metavar="RUN", help="run folder of a float model")
    _add_quantization_options(add)
    add("--dataset", help="where the float run's dataset is now (default: where it was)")
    _add_skip_unreadable(add, default=False)
    _add_most_pixels(add)
    add(
        "--output",
        type=pathlib.Path,
        metavar="FOLDER",
        help="run folder to write (default: runs/RUN-SCHEME)",
    )
    _add_overwrite(add)
    _add_repetition_options(add)
    description = (
        "What is not given is as the float run's recipe has it; by itself differ the epochs "
        f"({QUANTIZE_AWARE.epochs}; 0: quantize without training), the learning rate (a tenth) and "
        f"the warm-up ({QUANTIZE_AWARE.warmup})."
    )
    values = parser.add_argument_group("values of the recipe", textwrap.fill(description, 98))
    without = ("image_size", "channels", *_FLOAT_RUN_ONLY, *_MODEL_VALUES)
    add_recipe_options(values, SMALL_IMAGES, without)
    add_recipe_options(values, DETECTION, without, grid_option_fields())
    return parser


def _add_skip_unreadable(add, **default):
    add(
        "--skip-unreadable",
        action="store_true",
        help="leave damaged image files out of a folder dataset instead of refusing it",
        **default,
    )


def _make_evaluate_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{_PROGRAM} {_EVALUATE}",
        description="Measures a finished run: loss, top-1 and top-5 accuracy, and each class's; of "
        "a run with another task F1, IoU or the part of the joints that is found, of each class.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("run", type=pathlib.Path, metavar="RUN", help="run folder, float or quantize-aware")
    add(
        "--dataset",
        help="as for training; must have the run's classes (default: the run's dataset)",
    )
    add("--part", metavar="|".join(PARTS), help="of the dataset (default: test)")
    _add_skip_unreadable(add)
    _add_most_pixels(add)
    add(
        "--output",
        type=pathlib.Path,
        metavar="FOLDER",
        help="new folder for evaluation.json and plots, confusion_matrix.png or, of a run with "
        "another task, precision_recall.png and found_and_missed.png (default: nothing is written)",
    )
    return parser


def _make_predict_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{_PROGRAM} {_PREDICT}",
        description="Tells the most probable classes of images, one line an image; of a run with "
        "another task what is where: the class, x and y of the centre, width and height of the "
        "cells that show it, in pixels of the picture, and the score, one line an object or joint; "
        "or the share of the picture that each class has.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("run", type=pathlib.Path, metavar="RUN", help="run folder, float or quantize-aware")
    add(
        "images",
        type=pathlib.Path,
        nargs="+",
        metavar="IMAGE",
        help="a JPEG, PNG, BMP or WebP file, or a folder of them, with those in its sub-folders",
    )
    _add_most_pixels(add)
    add(
        "--top",
        type=int,
        metavar="COUNT",
        help="how many classes to name (default: 3), or objects (default: all)",
    )
    return parser


def _add_most_pixels(add):
    add(
        "--most-pixels",
        type=int,
        metavar="COUNT",
        help="refuse images of more pixels, as decoding takes up to 20 bytes of memory for each, "
        f"and progressive JPEGs of as much work (default: {MOST_PIXELS:,})",
    )


def _weights(text):
    return None if text == "none" else text


def _default_output(dataset, task, model):
    if not dataset.startswith("tfds:"):
        dataset = pathlib.Path(dataset).resolve().name
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", dataset.removeprefix("tfds:"))
    middle = "" if task == CLASSIFY else f"{task}-"
    return pathlib.Path("runs") / f"{name}-{middle}{model}"


def _stop(reason, exit_code):
    for complaint in getattr(reason, "lines", [reason]):
        _complain(complaint)
    return exit_code


def _complain(reason):
    # Messages of libraries may have several lines; a user's mistake deserves one.
    message = " ".join(console.explained(reason).split())
    console.fail(_PROGRAM, f"error: {message}", _FAILURE)
