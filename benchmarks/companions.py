# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.companions`: what M0 gains from a partner or a teacher while it is trained.

Trains M0 from the same seeds by the labels alone, by mutual learning with its full-rank partner,
and by distillation from that partner trained beforehand, and counts the right answers on the whole
test set. What is finished is kept in files, so that an interrupted study goes on where it was.

A training computes on one thread: its figures are then those of any number of cores. Several
processes, such as one for each of `--seeds`, share the work of one folder.
"""

import argparse
import dataclasses
import json
import pathlib

import keras
import numpy as np
import tensorflow as tf

from benchmarks.results_file import RESULTS, write_text
from keras_micronet.files.atomic import write_file
from keras_micronet.run_folders import model_bytes
from training.datasets import load_dataset
from training.datasets.batches import evaluation_batches
from training.fitting.companions import Partner, Teacher
from training.fitting.evaluation import Evaluator
from training.fitting.objectives import categorical_loss
from training.fitting.trainer import make_reproducible, train
from training.models import build_model, build_partner
from training.recipes.recipes import SMALL_IMAGES

RESULT = RESULTS / "companions.md"
CASES = RESULTS / "companions.json"  # every figure behind the table
SEEDS = (0, 1, 2)
VARIANT = "M0"
# Of the recipe for small images. Fashion-MNIST has forty times as many images.
STUDIES = {"digits": {}, "fashion-mnist": {"epochs": 15, "batch_size": 64}}

ALONE, MUTUAL, DISTILLED = WAYS = ("labels alone", "mutual learning", "distillation")
# What else was trained, and how well it does: figures beside the network's own.
PARTNER, TEACHER = COMPANIONS = ("partner of mutual learning", "teacher: full rank, labels alone")

_HEAD = """# What a partner or a teacher gains

MicroNetM0 by the recipe for small images: top-1 accuracy in percent on the whole test set, mean of
{seeds} seeds and half the distance between the best and the worst; and the mean of the differences
from the training by the labels alone from the same seed, with each of them. The partner, and the
teacher, is the same network at full rank. By `python -m benchmarks.companions --write`.

Other than in the recipe: {changes}.

"""


@dataclasses.dataclass(frozen=True)
class Case:
    """The trainings of one dataset from one seed, and the files that keep what is known of them."""

    dataset: str
    seed: int
    folder: pathlib.Path

    @property
    def name(self):
        return f"{self.dataset}-{VARIANT}-{self.seed}"

    @property
    def recipe(self):
        return dataclasses.replace(SMALL_IMAGES, **STUDIES[self.dataset])

    def accuracies(self):
        """Accuracies in [0, 1] by name, of `WAYS` and `COMPANIONS`; what is missing is measured."""
        path = self.folder / f"{self.name}.json"
        measured = json.loads(path.read_text()) if path.is_file() else {}
        for way in WAYS:
            if way not in measured:
                measured |= self._train(way)
                write_text(path, json.dumps(measured, indent=2) + "\n")
                print(f"{self.name}: {measured}", flush=True)
        return measured

    def _train(self, way):
        teacher = self._teacher() if way == DISTILLED else None
        dataset = self._load_dataset()
        classes = len(dataset.class_names)
        # First, so that all ways begin with the same weights.
        model = build_model(VARIANT, self.recipe.image_size, classes)
        partner = None
        if way == MUTUAL:
            partner = build_partner(VARIANT, self.recipe.image_size, classes)
        result = train(
            model, dataset, self.recipe, self.seed, companion=self._companion(partner, teacher)
        )
        measured = {way: result.test_score}
        if partner is not None:
            measured[PARTNER] = self._test_accuracy(partner, dataset)
        if teacher is not None:
            measured[TEACHER] = self._test_accuracy(teacher, dataset)
        return measured

    def _companion(self, partner, teacher):
        if partner is not None:
            return Partner(partner, categorical_loss(self.recipe))
        if teacher is not None:
            recipe = self.recipe
            return Teacher(teacher, recipe.distillation_weight, recipe.distillation_temperature)
        return None

    def _teacher(self):
        """The full-rank network trained by the labels alone, from its file if there is one."""
        path = self.folder / f"{self.name}-teacher.keras"
        if not path.is_file():
            dataset = self._load_dataset()
            model = build_partner(VARIANT, self.recipe.image_size, len(dataset.class_names))
            train(model, dataset, self.recipe, self.seed)
            write_file(path, model_bytes(model))
        return keras.saving.load_model(path)

    def _load_dataset(self):
        """The images, with everything random decided by the seed from here on."""
        make_reproducible(self.seed)
        return load_dataset(self.dataset, self.recipe.image_size)

    def _test_accuracy(self, model, dataset):
        batches = evaluation_batches(dataset.test, len(dataset.class_names), self.recipe.batch_size)
        return Evaluator(model, categorical_loss(self.recipe)).evaluate(batches).accuracy


def table(results):
    """The results as Markdown.

    Args:
        results: for each dataset, what `Case.accuracies` gives for its seeds.
    """
    seeds = min(len(group) for group in results.values())
    changes = [
        f"{name} {value} for {dataset}"
        for dataset in results
        for name, value in STUDIES[dataset].items()
    ]
    lines = [_HEAD.format(seeds=seeds, changes=", ".join(changes) or "no values")]
    lines.append("| dataset | training | top-1 | gain | of each seed |\n|---|---|---|---|---|\n")
    for dataset, group in results.items():
        percents = {name: 100 * np.array([case[name] for case in group]) for name in group[0]}
        for way in (*WAYS, *COMPANIONS):
            values = percents[way]
            cells = [f"{values.mean():.2f} ± {np.ptp(values) / 2:.2f}", "", ""]
            if way in (MUTUAL, DISTILLED):
                gains = values - percents[ALONE]
                cells[1:] = f"{gains.mean():+.2f}", ", ".join(f"{gain:+.2f}" for gain in gains)
            lines.append(f"| {dataset} | {way} | {' | '.join(cells)} |\n")
    return "".join(lines)


def main(arguments=None):
    """Measures what is missing and prints the table; `--write` stores it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.companions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--datasets", nargs="+", default=list(STUDIES), choices=list(STUDIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument(
        "--folder",
        type=pathlib.Path,
        default=pathlib.Path("runs/companions"),
        help="where finished models and figures are kept",
    )
    parser.add_argument("--write", action="store_true", help=f"store the table in {RESULT.name}")
    options = parser.parse_args(arguments)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    cases = [
        Case(dataset, seed, options.folder)
        for dataset in options.datasets
        for seed in options.seeds
    ]
    results = {}
    for case in cases:
        results.setdefault(case.dataset, []).append(case.accuracies())
    print(table(results))
    if options.write:
        write_text(RESULT, table(results))
        by_name = {case.name: case.accuracies() for case in cases}
        write_text(CASES, json.dumps(by_name, indent=1) + "\n")


if __name__ == "__main__":
    main()
