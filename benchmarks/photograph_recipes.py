# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.photograph_recipes DATA`: which recipe suits photographs, by short runs.

Trains M0 from scratch for a few epochs by each of a list of recipes that differ in one value or
two, and tells the accuracy on the validation images and the processor's time. The test images stay
unseen. What is finished is kept in files and a training continues after its last epoch, so that an
interrupted search goes on where it was. `--write` stores the table.
"""

import argparse
import dataclasses
import functools
import json
import pathlib
import re
import time

import keras

import keras_micronet
from benchmarks.results_file import RESULTS, write_text
from keras_micronet.layers import FactorizedStem, MicroBlock
from training.datasets import load_dataset
from training.fitting.checkpoints import CheckpointFolder
from training.fitting.progress import ProgressLines
from training.fitting.trainer import make_reproducible, train
from training.recipes.recipes import SMALL_IMAGES

TABLE = RESULTS / "photograph_recipes.md"
FIGURES = RESULTS / "photograph_recipes.json"
VARIANT = "M0"
SEED = 0
# What the other trials differ from.
BASE = dataclasses.replace(
    SMALL_IMAGES,
    name="photographs-trial",
    image_size=(64, 64),
    epochs=3,
    batch_size=64,
    rotation=0.0,
    translation=0.0,
    zoom=0.0,
    horizontal_flip=True,
)


_HEAD = """# Which recipe suits photographs

MicroNetM0 from scratch on CIFAR-10, {epochs} epochs a trial: top-1 accuracy in percent on the 5,000
validation images, and on the training images in the last epoch, while it was learning and with its
random changes; seconds of the processor, all cores together, that an epoch takes, which a busy
machine lengthens by up to a third; multiply-adds of the network. Each trial is the base, at 64
pixels with flips, batches of 64, AdamW at 4e-3, weight decay 0.01, label smoothing 0.1, but for
what its name says. One seed and short runs: differences of less than a point say nothing, and
changes of the images pay, if ever, in longer ones. By
`python -m benchmarks.photograph_recipes DATA --write`; all of it takes an hour on two idle cores.

| trial | validation | training | seconds an epoch | multiply-adds |
|---|---|---|---|---|
"""


@dataclasses.dataclass(frozen=True)
class Trial:
    """One recipe that is tried.

    Attributes:
        name: what the table calls it.
        changes: values of the recipe other than those of `BASE`.
        strides: of the stem, and of the blocks in their order; the variant's own if `None`.
        dropout_rate: of the head; the variant's own if `None`.
    """

    name: str
    changes: dict = dataclasses.field(default_factory=dict)
    strides: tuple | None = None
    dropout_rate: float | None = None

    @property
    def file_name(self):
        """Of its figures."""
        return re.sub("[^a-z0-9.]+", "-", self.name) + ".json"

    @property
    def recipe(self):
        return dataclasses.replace(BASE, **self.changes)

    def build(self, class_count):
        """The network, with random weights."""
        model = getattr(keras_micronet, f"MicroNet{VARIANT}")(
            input_shape=(*self.recipe.image_size, 3),
            classes=class_count,
            weights=None,
            dropout_rate=self.dropout_rate,
        )
        return model if self.strides is None else with_strides(model, self.strides)


def with_strides(model, strides):
    """A new MicroNet with other strides and random weights.

    Args:
        model: a MicroNet.
        strides: of the stem, and of the blocks in their order.
    """
    remaining = list(strides)

    def clone(layer):
        config = layer.get_config()
        if isinstance(layer, (FactorizedStem, MicroBlock)):
            config["strides"] = remaining.pop(0)
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=clone)


TRIALS = (
    Trial("base: flips alone, batch 64"),
    Trial(
        "32 pixels, stem of stride 1",
        {"image_size": (32, 32)},
        strides=(1, 2, 2, 2, 1, 2, 1, 1),
    ),
    Trial(
        "32 pixels, stem and block 3 of stride 1",
        {"image_size": (32, 32)},
        strides=(1, 2, 2, 1, 1, 2, 1, 1),
    ),
    Trial("96 pixels", {"image_size": (96, 96)}),
    Trial("no label smoothing", {"label_smoothing": 0.0}),
    Trial("crops of four fifths and more", {"smallest_crop": 0.8}),
    Trial("batch 128", {"batch_size": 128}),
    Trial("learning rate 2e-3", {"learning_rate": 2e-3}),
    Trial("learning rate 1e-2", {"learning_rate": 1e-2}),
    Trial("batch 32", {"batch_size": 32}),
    Trial("average of the weights", {"average_decay": 0.999}),
    Trial("weight decay 0.05", {"weight_decay": 0.05}),
    Trial("shifts, turns and zoom", {"rotation": 0.03, "translation": 0.08, "zoom": 0.1}),
    Trial("colours", {"brightness": 0.1, "contrast": 0.2, "saturation": 0.2}),
    Trial(
        "SGD at 0.1, decay 3e-5",
        {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 3e-5, "decayed_weights": "all"},
    ),
    Trial("crops of half and more", {"smallest_crop": 0.5}),
    Trial("no dropout", dropout_rate=0.0),
    Trial("32 pixels", {"image_size": (32, 32)}),
)


def run(trial, data, folder):
    """Figures of a trial by name, from their file if there is one."""
    path = folder / trial.file_name
    if not path.is_file():
        figures = _measure(trial, data, path.with_suffix(""))
        write_text(path, json.dumps(figures, indent=1) + "\n")
    return json.loads(path.read_text())


# Every file of a folder is decoded when it is loaded, to find the damaged ones.
_dataset = functools.lru_cache(maxsize=1)(load_dataset)


def _measure(trial, data, folder):
    make_reproducible(SEED)
    recipe = trial.recipe
    dataset = _dataset(data, recipe.image_size)
    model = trial.build(len(dataset.class_names))
    identity = {"trial": dataclasses.asdict(trial), "recipe": dataclasses.asdict(recipe)}
    checkpoints = CheckpointFolder(folder, identity, print)
    print(f"{trial.name}: {recipe.epochs} epochs", flush=True)
    clock = _EpochClock()
    result = train(
        model,
        dataset,
        recipe,
        SEED,
        callbacks=[clock, ProgressLines(recipe.batch_size, dataset.validation.size)],
        checkpoints=checkpoints,
    )
    checkpoints.remove()
    last = result.history[-1]
    return {
        "validation_accuracy": result.validation_score,
        "training_accuracy": last.accuracy,
        "processor_seconds_an_epoch": min(clock.seconds),
        "epochs": recipe.epochs,
        "multiply_adds": keras_micronet.summarize(model).multiply_adds,
    }


class _EpochClock(keras.callbacks.Callback):
    """Time of the processor, all cores together, of each epoch that this process trains.

    The first one decodes the images, too. Unlike seconds it depends little on what else runs.
    """

    def __init__(self):
        super().__init__()
        self.seconds = []
        self._start = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.process_time() - self._start)


def table(figures):
    """Markdown of what was measured.

    Args:
        figures: by name of the trial, what `run` gives; trials that were not run are left out.
    """
    lines = [_HEAD.format(epochs=BASE.epochs)]
    for trial in TRIALS:
        if trial.name not in figures:
            lines.append(f"| {trial.name} | not yet run | | | |\n")
            continue
        measured = figures[trial.name]
        seconds = measured.get("processor_seconds_an_epoch")
        cells = [
            trial.name,
            f"{100 * measured['validation_accuracy']:.2f}",
            f"{100 * measured['training_accuracy']:.2f}",
            "" if seconds is None else f"{seconds:.0f}",
            f"{measured['multiply_adds']:,}",
        ]
        lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines)


def main(arguments=None):
    """Runs what is missing and prints the table; `--write` stores it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.photograph_recipes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", help="a folder of images, as for python -m training, or tfds:cifar10")
    add("--trials", type=int, help="how many of the list to run, from the first (default: all)")
    add(
        "--folder",
        type=pathlib.Path,
        default=pathlib.Path("runs/photograph_recipes"),
        help="where figures and checkpoints are kept (default: %(default)s)",
    )
    add("--write", action="store_true", help=f"store {TABLE.name} and {FIGURES.name}")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    figures = json.loads(FIGURES.read_text()) if FIGURES.is_file() else {}
    wanted = TRIALS[: options.trials]
    for trial in TRIALS:
        is_finished = (options.folder / trial.file_name).is_file()
        if trial.name not in figures and (trial in wanted or is_finished):
            figures[trial.name] = run(trial, options.data, options.folder)
            print(f"{trial.name}: {figures[trial.name]}", flush=True)
    print(table(figures))
    if options.write:
        write_text(TABLE, table(figures))
        write_text(FIGURES, json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
