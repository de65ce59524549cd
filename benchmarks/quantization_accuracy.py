# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.quantization_accuracy`: what quantization costs, and training wins back.

Trains each variant on each dataset from several seeds, quantizes it by each scheme, after training
and aware of it, and counts the right answers on the whole test set: in TensorFlow Lite Micro, or
with simulated quantization where its kernels do not take the format. What is finished is kept in
files, so that an interrupted study goes on where it was. Takes hours on two cores.
"""

import argparse
import dataclasses
import json
import pathlib

import keras
import numpy as np

from benchmarks.results_file import RESULTS, write_text
from keras_micronet import quantization
from keras_micronet.files.atomic import write_file
from keras_micronet.run_folders import model_bytes
from tflm import exporter
from training.datasets import load_dataset
from training.datasets.batches import collect_balanced, collect_evenly
from training.fitting.trainer import make_reproducible, train
from training.models import build_model
from training.recipes.recipes import SMALL_IMAGES, quantize_aware_recipe

RESULT = RESULTS / "quantization_accuracy.md"
CASES = RESULTS / "quantization_accuracy.json"  # every figure behind the table
SEEDS = (0, 1, 2)
VARIANTS = ("M0", "M1")
_CALIBRATION_IMAGES = 300
# TensorFlow Lite Micro's dense kernel takes one scale for 4-bit weights.
_SIMULATED = "int8_head4_per_channel"
_COLUMNS = {
    "float": "float",
    "int8 after training": "int8, after training",
    "int8 aware": "int8, aware",
    "int8_head4 after training": "4-bit head, after training",
    "int8_head4 aware": "4-bit head, aware",
    f"{_SIMULATED} after training": "4-bit head per output, after training",
    f"{_SIMULATED} aware": "4-bit head per output, aware",
}
_HEAD = """# Accuracy of quantized models

Top-1 accuracy in percent on the whole test set: mean of {seeds} seeds, and half the distance
between the best and the worst. "After training" is quantization without any training, "aware" after
a training that simulates it. In TensorFlow Lite Micro, but for a 4-bit head with a scale for each
output, which its dense kernel does not take: simulated, from the first seed alone. By
`python -m benchmarks.quantization_accuracy --write`.

"""


@dataclasses.dataclass(frozen=True)
class Study:
    """How one dataset is learned.

    Attributes:
        dataset: its name for `training.datasets.load_dataset`.
        float_changes: of the recipe for small images.
        aware_changes: of the recipe for the training after it.
    """

    dataset: str
    float_changes: dict
    aware_changes: dict


STUDIES = {
    study.dataset: study
    for study in (
        Study("digits", {}, {}),
        Study("fashion-mnist", {"epochs": 6, "batch_size": 64}, {"epochs": 1}),
    )
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One training from one seed, and the files that keep what is known of it."""

    study: Study
    variant: str
    seed: int
    folder: pathlib.Path

    @property
    def name(self):
        return f"{self.study.dataset}-{self.variant}-{self.seed}"

    @property
    def recipe(self):
        return dataclasses.replace(SMALL_IMAGES, **self.study.float_changes)

    def load_dataset(self):
        """The images, with everything random decided by the seed from here on."""
        make_reproducible(self.seed)
        return load_dataset(self.study.dataset, self.recipe.image_size)

    def float_model(self, dataset):
        """The trained model, from its file if there is one."""
        path = self.folder / f"{self.name}.keras"
        if not path.is_file():
            model = build_model(self.variant, self.recipe.image_size, len(dataset.class_names))
            result = train(model, dataset, self.recipe, self.seed)
            print(f"{self.name}: {result.test_score:.2%} after {result.seconds:.0f} s")
            write_file(path, model_bytes(model))
        make_reproducible(self.seed)  # what follows is the same as with a model from the file
        return keras.saving.load_model(path)

    def accuracies(self):
        """Accuracies in [0, 1] and other figures by name, from their file if there is one."""
        path = self.folder / f"{self.name}.json"
        if not path.is_file():
            write_text(path, json.dumps(self._measure(), indent=2) + "\n")
        return json.loads(path.read_text())

    def _measure(self):
        dataset = self.load_dataset()
        model = self.float_model(dataset)
        test = collect_evenly(dataset.test, dataset.test.size)
        measured = {"float": accuracy(model, *test)}
        for scheme in quantization.SCHEMES:
            if scheme == _SIMULATED and self.seed != SEEDS[0]:
                continue
            quantized = quantization.quantize_aware(model, calibration_images(dataset), scheme)
            measured |= _accuracies(f"{scheme} after training", quantized, *test)
            self._train_aware(quantized, dataset)
            measured |= _accuracies(f"{scheme} aware", quantized, *test)
            print(f"{self.name}, {scheme}: {measured}", flush=True)
        return measured

    def _train_aware(self, model, dataset):
        recipe = quantize_aware_recipe(self.recipe, **self.study.aware_changes)
        schedule = quantization.FreezeSchedule(
            recipe.freeze_batch_normalization, recipe.freeze_ranges
        )
        train(model, dataset, recipe, self.seed, callbacks=[schedule])


def calibration_images(dataset):
    """Training images to calibrate on, uint8 `(count, height, width, 3)`."""
    images, _ = collect_balanced(dataset.train, _CALIBRATION_IMAGES, len(dataset.class_names))
    return images


def accuracy(model, images, labels):
    """Part of the images that a model recognises."""
    return float(np.mean(_classes(model, images) == labels))


def _classes(model, images):
    outputs = model.predict(images.astype(np.float32), batch_size=256, verbose=0)
    return outputs.argmax(axis=-1)


def _accuracies(name, model, images, labels):
    simulated = _classes(model, images)
    if model.scheme.name == _SIMULATED:
        return {name: float(np.mean(simulated == labels))}
    deployment = exporter.deploy(model)
    inputs = deployment.normalization.quantized_images(images, deployment.input_quantization)
    classes = deployment.interpreter.run(inputs).argmax(axis=-1)
    return {
        name: float(np.mean(classes == labels)),
        f"{name}, agreement": float(np.mean(classes == simulated)),
        f"{name}, flatbuffer bytes": len(deployment.model_bytes),
    }


def table(results):
    """The results as Markdown.

    Args:
        results: what `Case.accuracies` gives, by dataset, variant and seed.
    """
    groups = {}
    for (dataset, variant, _), measured in results.items():
        groups.setdefault((dataset, variant), []).append(measured)
    seeds = min(len(group) for group in groups.values())
    lines = [_HEAD.format(seeds=seeds)]
    lines.append(f"| dataset | model | {' | '.join(_COLUMNS.values())} |\n")
    lines.append("|" + "---|" * (len(_COLUMNS) + 2) + "\n")
    for (dataset, variant), group in groups.items():
        cells = [
            _mean_and_spread([measured[name] for measured in group if name in measured])
            for name in _COLUMNS
        ]
        lines.append(f"| {dataset} | {variant} | {' | '.join(cells)} |\n")
    agreement = min(
        value
        for measured in results.values()
        for name, value in measured.items()
        if name.endswith("agreement")
    )
    lines.append(
        "\nThe simulation and TensorFlow Lite Micro give the same class to at least "
        f"{agreement:.2%} of the test images of every case.\n"
    )
    return "".join(lines)


def _mean_and_spread(values):
    percents = 100 * np.array(values)
    spread = f" ± {np.ptp(percents) / 2:.2f}" if len(values) > 1 else ""
    return f"{percents.mean():.2f}{spread}"


def study_parser(description, result):
    """A parser of the options that choose cases; `cases_of` takes what it parses.

    Args:
        description: of the command.
        result: path that `--write` writes to.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--datasets", nargs="+", default=list(STUDIES), choices=list(STUDIES))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument(
        "--folder",
        type=pathlib.Path,
        default=pathlib.Path("runs/quantization_accuracy"),
        help="where finished models and figures are kept",
    )
    parser.add_argument("--write", action="store_true", help=f"store the table in {result.name}")
    return parser


def cases_of(options):
    """The chosen `Case`s; their folder is there."""
    options.folder.mkdir(parents=True, exist_ok=True)
    return [
        Case(STUDIES[dataset], variant, seed, options.folder)
        for seed in options.seeds
        for dataset in options.datasets
        for variant in options.variants
    ]


def main():
    """Measures what is missing and prints the table; `--write` stores it."""
    options = study_parser(__doc__.splitlines()[0], RESULT).parse_args()
    cases = cases_of(options)
    results = {(case.study.dataset, case.variant, case.seed): case.accuracies() for case in cases}
    print(table(results))
    if options.write:
        write_text(RESULT, table(results))
        by_name = {
            case.name: measured for case, measured in zip(cases, results.values(), strict=True)
        }
        write_text(CASES, json.dumps(by_name, indent=1) + "\n")


if __name__ == "__main__":
    main()
