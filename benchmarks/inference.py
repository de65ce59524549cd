# SPDX-License-Identifier: Apache-2.0
"""Inference time on the CPU, against stock layers and MobileNetV3-Small.

Run with `python -m benchmarks.inference`. One image at a time, in one `tf.function`. Contenders
take turns, round by round, in one process, and a ratio is the median of the rounds' ratios.
"""

import argparse
import os
import statistics

import keras
import numpy as np
import tensorflow as tf

import keras_micronet
from benchmarks.contenders import MOBILENET, networks
from benchmarks.race import race, ratio
from benchmarks.results_file import RESULTS, write_text

RESULT = RESULTS / "inference.md"


def inference(model):
    """A function without arguments that predicts one image of noise."""
    noise = np.random.default_rng(0).uniform(0, 255, (1, *model.input_shape[1:]))
    image = tf.constant(noise, tf.float32)
    predict = tf.function(lambda image: model(image, training=False))
    return lambda: predict(image).numpy()


def table(times, variants):
    """Markdown table of one race."""
    lines = [
        "| network | ms | with stock layers, ms | times faster | "
        f"{MOBILENET}, ms | times its duration |",
        "|---|---|---|---|---|---|",
    ]
    mobilenet = statistics.median(times[MOBILENET])
    for variant in variants:
        stock = f"{variant} stock"
        cells = [f"MicroNet{variant}", f"{statistics.median(times[variant]):.1f}", "-", "-"]
        if stock in times:
            cells[2] = f"{statistics.median(times[stock]):.1f}"
            cells[3] = f"{ratio(times, stock, variant):.1f}"
        cells += [f"{mobilenet:.1f}", f"{ratio(times, variant, MOBILENET):.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def measure(variants, size, rounds, stock_rounds):
    """The report of all measurements, as Markdown."""
    models = networks(variants, size, with_stock=stock_rounds > 0)
    times = race({name: inference(model) for name, model in models.items()}, rounds, stock_rounds)
    return (
        "# Inference on the CPU\n\n"
        f"One image of {size}x{size}, float32, {os.cpu_count()} cores, TensorFlow "
        f"{tf.__version__}, Keras {keras.__version__}. Medians of {rounds} rounds "
        f"({stock_rounds} with stock layers).\n\n" + table(times, variants)
    )


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    names = sorted(keras_micronet.VARIANTS)
    parser.add_argument("--variants", nargs="+", choices=names, default=names)
    parser.add_argument("--size", type=int, default=224, help="height and width of the images")
    parser.add_argument("--rounds", type=int, default=100, help="images for each network")
    parser.add_argument(
        "--stock-rounds",
        type=int,
        default=10,
        help="images for each network of stock layers; 0 leaves them out",
    )
    parser.add_argument("--write", action="store_true", help=f"also write {RESULT.name}")
    options = parser.parse_args(arguments)
    report = measure(options.variants, options.size, options.rounds, options.stock_rounds)
    print(report)
    if options.write:
        write_text(RESULT, report)


if __name__ == "__main__":
    main()
