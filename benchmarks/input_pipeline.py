# SPDX-License-Identifier: Apache-2.0
"""How fast training images are read, against M0's training step on the same machine.

Run with `python -m benchmarks.input_pipeline`. The images are a folder of synthetic photographs of
ImageNet's usual size, read with the random crops of the recipe `imagenet-m0`, by kernels that are
deterministic as in every training. Contenders take turns, round by round, in one process, and a
ratio is the median of the rounds' ratios.
"""

import argparse
import dataclasses
import itertools
import math
import os
import pathlib
import statistics
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

import keras_micronet
from benchmarks.contenders import training_step
from benchmarks.results_file import RESULTS, write_text
from training.datasets import load_dataset
from training.datasets.batches import LARGEST_CACHE_BYTES, training_batches
from training.fitting.augmentation import random_changes
from training.fitting.trainer import make_reproducible
from training.recipes.recipes import IMAGENET_M0

RESULT_FILE = RESULTS / "input_pipeline.md"
PHOTOGRAPH = (375, 500)  # height and width in pixels
CLASSES = 10
WARM_UP_BATCHES = 2

STEP, READING = "bare training step", "reading"
KEPT = "reading, pictures kept in memory"
OPTIONS = {
    "flip": {},
    "flip and RandAugment 0.5": {"rand_augment": 0.5},
    "flip and random erasing 0.25": {"random_erasing": 0.25},
    "flip, MixUp 0.2 and CutMix 1": {"mixup": 0.2, "cutmix": 1.0},
}


def write_photographs(folder, count):
    """Writes JPEG files with as much detail as photographs have, about 50 kilobytes each.

    Args:
        folder: `pathlib.Path` to make, a dataset with `CLASSES` classes.
        count: number of training images; there is one more a class to validate and to test.
    """
    random = np.random.default_rng(0)
    height, width = PHOTOGRAPH
    for part, images in (("train", count), ("validation", CLASSES), ("test", CLASSES)):
        for number in range(images):
            path = folder / part / str(number % CLASSES) / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            shapes = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8))
            smooth = np.asarray(shapes.resize((width, height), Image.Resampling.BICUBIC))
            grain = random.normal(0.0, 6.0, (height, width, 3))
            pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path, quality=90)


def images_per_second(consume, batches, count, batch_size):
    """How fast `count` batches are read and consumed, once both are under way.

    Args:
        consume: function of a batch's images and labels.
        batches: `tf.data.Dataset` of such pairs.
        count: number of batches to measure.
        batch_size: images a batch.
    """
    iterator = iter(batches)
    for images, labels in itertools.islice(iterator, WARM_UP_BATCHES):
        consume(images, labels)
    start = time.perf_counter()
    for images, labels in itertools.islice(iterator, count):
        consume(images, labels)
    return count * batch_size / (time.perf_counter() - start)


def crop_batches(dataset, recipe, cache_bytes):
    """Batches of random crops as a recipe's training reads them.

    Args:
        dataset: an `ImageDataset` of photographs.
        recipe: a `Recipe`.
        cache_bytes: how much memory decoded photographs may take.
    """
    return training_batches(
        dataset.train,
        recipe.image_size,
        CLASSES,
        recipe.batch_size,
        0,
        smallest_crop=recipe.smallest_crop,
        cache_bytes=cache_bytes,
    )


def measure(folder, size, batch_size, batch_count, rounds):
    """Images per second of every contender.

    Args:
        folder: path of a folder with photographs.
        size: height and width of the images to train on, in pixels.
        batch_size: images a batch.
        batch_count: batches that each contender reads in a round.
        rounds: how often each has its turn.

    Returns:
        Dict from names to lists of images per second, one of each round.
    """
    recipe = dataclasses.replace(IMAGENET_M0, image_size=(size, size), batch_size=batch_size)
    dataset = load_dataset(str(folder), recipe.image_size)
    batches, kept = (crop_batches(dataset, recipe, limit) for limit in (0, LARGEST_CACHE_BYTES))
    for _ in kept.take(math.ceil(dataset.train.size / batch_size)):
        pass  # the first epoch decodes the pictures
    model = keras_micronet.MicroNetM0(input_shape=(size, size, 3), classes=CLASSES, weights=None)
    step = training_step(model, batch_size)
    # The step has images of its own, so that reading is none of its time.
    noise = tf.data.Dataset.from_tensors((tf.zeros(()), tf.zeros(()))).repeat()
    contenders = {
        STEP: (lambda images, labels: step(), noise),
        READING: (lambda images, labels: images, batches),
        KEPT: (lambda images, labels: images, kept),
    }
    for name, changes in OPTIONS.items():
        change = _changes(dataclasses.replace(recipe, **changes))
        contenders[f"{READING}, {name}"] = (change, batches)
    rates = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, (consume, source) in contenders.items():
            rates[name].append(images_per_second(consume, source, batch_count, batch_size))
    return rates


def _changes(recipe):
    layers = random_changes(recipe, 0)

    @tf.function
    def change(images, labels):
        changed = {"images": images, "labels": labels}
        for layer in layers:
            changed = layer(changed, training=True)
        return changed

    return lambda images, labels: change(images, labels)["images"].numpy()


def table(size, rates):
    """Markdown table of one image size."""
    lines = [
        f"## {size} x {size} pixels",
        "",
        "| contender | images per second | times the bare step's rate |",
        "|---|---|---|",
    ]
    for name, values in rates.items():
        ratio = statistics.median(a / b for a, b in zip(values, rates[STEP], strict=True))
        lines.append(f"| {name} | {statistics.median(values):.0f} | {ratio:.2f} |")
    return "\n".join(lines) + "\n"


def report(sizes, image_count, batch_size, batch_count, rounds):
    """The report of all measurements, as Markdown."""
    make_reproducible(0)
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(pathlib.Path(folder), image_count)
        tables = [
            table(size, measure(folder, size, batch_size, batch_count, rounds)) for size in sizes
        ]
    height, width = PHOTOGRAPH
    return "\n".join(
        [
            "# Input pipeline on the CPU",
            "",
            f"JPEG photographs of {width} x {height} pixels, random resized crops, batches of "
            f"{batch_size}; {os.cpu_count()} cores, TensorFlow {tf.__version__}, Keras "
            f"{keras.__version__}. Medians of {rounds} rounds of {batch_count} batches. Each has "
            "all cores to itself; M0's step is the forward pass, the backward pass and the update, "
            "of one batch that is in memory. Pictures are kept in memory where they fit; elsewhere "
            "files are decoded anew in every epoch.",
            "",
            *tables,
        ]
    )


def main(arguments=None):
    """Command line."""
    program = "python -m benchmarks.input_pipeline"
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 96], help="sides in pixels")
    parser.add_argument("--images", type=int, default=500, help="photographs to read")
    parser.add_argument("--batch-size", type=int, default=32, help="images a batch")
    parser.add_argument("--batches", type=int, default=12, help="batches a round")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument("--write", action="store_true", help=f"also write {RESULT_FILE.name}")
    options = parser.parse_args(arguments)
    text = report(
        options.sizes, options.images, options.batch_size, options.batches, options.rounds
    )
    print(text)
    if options.write:
        write_text(RESULT_FILE, text)


if __name__ == "__main__":
    main()
