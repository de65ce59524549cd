# SPDX-License-Identifier: Apache-2.0
"""Images per second of training on the CPU: bare steps, and whole trainings that read photographs.

Run with `python -m benchmarks.training`. First the step alone, on a batch that is in memory,
against the same network of stock layers and MobileNetV3-Small. Then the step as
`python -m training` compiles it by the recipes of the paper, alone and with everything around it:
photographs read, random crops, random flips. Contenders take turns, round by round, in
one process, and a ratio is the median of the rounds' ratios.
"""

import argparse
import dataclasses
import os
import pathlib
import statistics
import tempfile
import time

import keras
import tensorflow as tf

import keras_micronet
from benchmarks.contenders import MOBILENET, networks, training_step
from benchmarks.input_pipeline import CLASSES, PHOTOGRAPH, crop_batches, write_photographs
from benchmarks.race import race, ratio
from benchmarks.results_file import RESULTS, write_text
from training.datasets import load_dataset
from training.datasets.batches import LARGEST_CACHE_BYTES
from training.fitting.augmentation import random_changes
from training.fitting.objectives import categorical_loss
from training.fitting.optimizers import make_optimizer
from training.fitting.trainer import make_reproducible
from training.fitting.training_model import TrainingModel
from training.models import build_model
from training.recipes.recipes import RECIPES

RESULT = RESULTS / "training.md"
BATCHES_READ = 2  # the whole dataset, so that the warm-up leaves it decoded where it is kept
WARM_UP_BATCHES = 4

BARE, KEPT, FILES = "bare step", "kept pictures", "files"


def images_per_second(step, batches, count, batch_size):
    """How fast batches are trained on, once reading and training are under way.

    Args:
        step: function of an iterator of batches; returns Keras's logs.
        batches: `tf.data.Dataset`.
        count: number of batches to measure.
        batch_size: images a batch.
    """
    iterator = iter(batches)
    for _ in range(WARM_UP_BATCHES):
        step(iterator)["loss"].numpy()
    start = time.perf_counter()
    for _ in range(count):
        step(iterator)["loss"].numpy()
    return count * batch_size / (time.perf_counter() - start)


def whole_training(variant, dataset, size, batch_size):
    """What the paper's recipe of a variant does, in three ways.

    Args:
        variant: such as "M0".
        dataset: an `ImageDataset` of photographs.
        size: height and width of the images, in pixels.
        batch_size: images a batch.

    Returns:
        Dict from `BARE`, `KEPT` and `FILES` to a step and the batches that it is to take: one batch
        again and again and no random changes; random crops and flips of pictures that are kept
        decoded; and the same of files that are decoded anew.
    """
    recipe = dataclasses.replace(
        RECIPES[f"imagenet-{variant.lower()}"], image_size=(size, size), batch_size=batch_size
    )
    network = build_model(variant, recipe.image_size, CLASSES)
    bare, changing = (
        _compiled_step(network, recipe, changes) for changes in ([], random_changes(recipe, 0))
    )
    files = crop_batches(dataset, recipe, 0)
    return {
        BARE: (bare, tf.data.Dataset.from_tensors(next(iter(files))).repeat()),
        KEPT: (changing, crop_batches(dataset, recipe, LARGEST_CACHE_BYTES)),
        FILES: (changing, files),
    }


def _compiled_step(network, recipe, changes):
    model = TrainingModel(network, changes)
    model.compile(
        optimizer=make_optimizer(recipe, 10_000),
        loss=categorical_loss(recipe),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model.make_train_function()


def measure_steps(variants, size, batch_size, rounds, stock_rounds):
    """Milliseconds of bare steps, as `race` gives them."""
    models = networks(variants, size, with_stock=stock_rounds > 0)
    steps = {name: training_step(model, batch_size) for name, model in models.items()}
    return race(steps, rounds, stock_rounds)


def measure_whole(variants, size, batch_size, batch_count, rounds):
    """Images per second of whole trainings.

    Returns:
        For each variant, a dict from ways to lists, one value of each round.
    """
    make_reproducible(0)  # with the deterministic kernels of every training
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(pathlib.Path(folder), BATCHES_READ * batch_size)
        dataset = load_dataset(folder, (size, size))
        for variant in variants:
            ways = whole_training(variant, dataset, size, batch_size)
            rates[variant] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, (step, batches) in ways.items():
                    rate = images_per_second(step, batches, batch_count, batch_size)
                    rates[variant][name].append(rate)
    return rates


def step_table(times, variants, batch_size):
    """Markdown table of bare steps, from milliseconds."""

    def rate(name):
        return f"{1000 * batch_size / statistics.median(times[name]):.0f}"

    lines = [
        f"| network | images/s | of stock layers, images/s | times faster | {MOBILENET}, images/s "
        "| times its rate |",
        "|---|---|---|---|---|---|",
    ]
    for variant in variants:
        stock = f"{variant} stock"
        cells = [f"MicroNet{variant}", rate(variant), "-", "-"]
        if stock in times:
            cells[2:] = rate(stock), f"{ratio(times, stock, variant):.1f}"
        cells += [rate(MOBILENET), f"{ratio(times, MOBILENET, variant):.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def whole_table(rates):
    """Markdown table of whole trainings, from images per second."""
    lines = [
        f"| network | {BARE}, images/s | with {KEPT}, images/s | part of the bare step's rate "
        f"| with {FILES}, images/s | part of the bare step's rate |",
        "|---|---|---|---|---|---|",
    ]
    for variant, ways in rates.items():
        cells = [f"MicroNet{variant}", f"{statistics.median(ways[BARE]):.0f}"]
        for way in (KEPT, FILES):
            part = statistics.median(a / b for a, b in zip(ways[way], ways[BARE], strict=True))
            cells += [f"{statistics.median(ways[way]):.0f}", f"{part:.0%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def report(variants, size, batch_size, rounds, stock_rounds, batch_count):
    """The report of all measurements, as Markdown."""
    # Before the other: whole trainings turn the process to deterministic kernels.
    times = measure_steps(variants, size, batch_size, rounds, stock_rounds)
    rates = measure_whole(variants, size, batch_size, batch_count, rounds)
    height, width = PHOTOGRAPH
    return "\n".join(
        [
            "# Training on the CPU",
            "",
            f"{size}x{size}, batch {batch_size}, float32, {os.cpu_count()} cores, TensorFlow "
            f"{tf.__version__}, Keras {keras.__version__}. By `python -m benchmarks.training "
            "--write`.",
            "",
            "## Bare step",
            "",
            "Forward pass, backward pass and update, on one batch that is in memory. Medians of "
            f"{rounds} rounds ({stock_rounds} with stock layers).",
            "",
            step_table(times, variants, batch_size),
            "## Whole training",
            "",
            "The paper's recipes with the step, the optimizer and the deterministic kernels of "
            '`python -m training`. "Bare step" is that step on one batch, without random '
            f"changes. With {KEPT} random crops of JPEG photographs of {width} x {height} pixels, "
            "decoded in the first epoch and kept, are cut out, resized and flipped; with "
            f"{FILES}, as of a dataset that does not fit the memory, every crop is decoded anew. "
            f"Reading and step share the cores. Medians of {rounds} rounds of {batch_count} "
            "batches.",
            "",
            whole_table(rates),
        ]
    )


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    names = sorted(keras_micronet.VARIANTS)
    parser.add_argument("--variants", nargs="+", choices=names, default=names)
    parser.add_argument("--size", type=int, default=224, help="height and width of the images")
    parser.add_argument("--batch-size", type=int, default=64, help="images of a step")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument(
        "--stock-rounds",
        type=int,
        default=2,
        help="turns of stock layers, which take up to half a minute each; 0 leaves them out",
    )
    parser.add_argument(
        "--batches", type=int, default=6, help="batches of a turn of a whole training"
    )
    parser.add_argument("--write", action="store_true", help=f"also write {RESULT.name}")
    options = parser.parse_args(arguments)
    text = report(
        options.variants,
        options.size,
        options.batch_size,
        options.rounds,
        options.stock_rounds,
        options.batches,
    )
    print(text)
    if options.write:
        write_text(RESULT, text)


if __name__ == "__main__":
    main()
