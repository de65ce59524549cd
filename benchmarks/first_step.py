# SPDX-License-Identifier: Apache-2.0
"""What the first step of a training costs, most of which is tracing: CPU seconds of `fit`.

Run with `python -m benchmarks.first_step`. Each measurement is in a process of its own, from the
call of `fit` to the end of its first step, with Adam, sparse labels and the metric accuracy, as in
the README's ten lines. Contenders take turns, round by round, and a ratio is the median of the
rounds' ratios: the same layers as a plain `keras.Model`, of which TensorFlow traces the step twice,
and as the `MicroNet` that they are.
"""

import argparse
import contextlib
import multiprocessing
import os
import statistics
import time

import keras
import numpy as np
import tensorflow as tf

import keras_micronet
from benchmarks.contenders import MOBILENET, networks
from benchmarks.race import ratio
from benchmarks.results_file import RESULTS, write_text

RESULT = RESULTS / "first_step.md"
TWICE, ONCE = "plain keras.Model", "MicroNet"


class _Ended(Exception):
    """Ends `fit` after its first step."""


class _StopAfterStep(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise _Ended


def first_step_seconds(model, batch_size):
    """CPU seconds of all threads that the first step of `fit` takes.

    Args:
        model: Keras model, not compiled, from images to probabilities.
        batch_size: images of a step.
    """
    generator = np.random.default_rng(0)
    shape = (batch_size, *model.input_shape[1:])
    images = generator.integers(0, 256, shape).astype(np.uint8)
    labels = np.arange(batch_size) % model.output_shape[-1]
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    start = time.process_time()
    with contextlib.suppress(_Ended):
        model.fit(images, labels, batch_size, verbose=0, callbacks=[_StopAfterStep()])
    return time.process_time() - start


def measure_one(name, way, size, batch_size):
    """Seconds of one network, for a process of its own.

    Args:
        name: `MOBILENET` or a variant, such as "M0".
        way: `ONCE` to take a variant as it is, `TWICE` to make a plain Keras model of its layers.
        size, batch_size: of the images, in pixels, and of the step.
    """
    variants = [] if name == MOBILENET else [name]
    model = networks(variants, size, with_stock=False)[name]
    if way == TWICE:
        model = keras.Model(model.inputs, model.outputs)
    return first_step_seconds(model, batch_size)


def measure(variants, size, batch_size, rounds):
    """Measures all contenders in turn.

    Returns:
        Dict from pairs of a name and a way to lists of CPU seconds, one of each round.
    """
    contenders = [(variant, way) for variant in variants for way in (TWICE, ONCE)]
    contenders.append((MOBILENET, TWICE))
    seconds = {contender: [] for contender in contenders}
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as processes:
        for _ in range(rounds):
            for name, way in contenders:
                taken = processes.apply(measure_one, (name, way, size, batch_size))
                seconds[name, way].append(taken)
    return seconds


def table(seconds, variants):
    """Markdown table of CPU seconds."""
    lines = [
        f"| network | {TWICE}, s | {ONCE}, s | of the former | {MOBILENET}, s |",
        "|---|---|---|---|---|",
    ]
    mobilenet = statistics.median(seconds[MOBILENET, TWICE])
    for variant in variants:
        twice, once = (statistics.median(seconds[variant, way]) for way in (TWICE, ONCE))
        part = ratio(seconds, (variant, ONCE), (variant, TWICE))
        lines.append(
            f"| MicroNet{variant} | {twice:.1f} | {once:.1f} | {part:.2f} | {mobilenet:.1f} |"
        )
    return "\n".join(lines) + "\n"


def report(variants, size, batch_size, rounds):
    """The report of all measurements, as Markdown."""
    seconds = measure(variants, size, batch_size, rounds)
    return (
        "# The first step of a training\n\n"
        f"CPU seconds from the call of `fit` to the end of its first step: {size}x{size}, batch "
        f"{batch_size}, 1000 classes, Adam, accuracy as a metric; {os.cpu_count()} cores, "
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, each in a new process. Medians "
        f"of {rounds} rounds. By `python -m benchmarks.first_step --write`.\n\n"
        "Of the same layers as a plain `keras.Model` TensorFlow traces the step twice, as the "
        "first trace makes the variables of optimizer and metrics; a `MicroNet` makes them "
        "before.\n\n" + table(seconds, variants)
    )


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_step", description=__doc__)
    names = sorted(keras_micronet.VARIANTS)
    parser.add_argument("--variants", nargs="+", choices=names, default=names)
    parser.add_argument("--size", type=int, default=96, help="height and width of the images")
    parser.add_argument("--batch-size", type=int, default=32, help="images of the step")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    parser.add_argument("--write", action="store_true", help=f"also write {RESULT.name}")
    options = parser.parse_args(arguments)
    text = report(options.variants, options.size, options.batch_size, options.rounds)
    print(text)
    if options.write:
        write_text(RESULT, text)


if __name__ == "__main__":
    main()
