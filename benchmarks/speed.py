"""Training and inference time on the CPU, against stock layers and MobileNetV3-Small.

Run with `python -m benchmarks.speed`. One training step is the forward pass, the backward pass
and the update of SGD in one `tf.function`; inference is one image. Contenders take turns, round
by round, in one process, and a ratio is the median of the rounds' ratios, so that a machine that
is busy for a while disturbs all of them alike.
"""

import argparse
import os
import statistics
import time

import keras
import numpy as np
import tensorflow as tf

import keras_micronet
from benchmarks.results_file import write_text
from benchmarks.stock_micronet import stock_copy

MOBILENET = "MobileNetV3Small 0.35"
WARM_UP_RUNS = 2


def training_step(model, batch_size):
    """A function without arguments that trains `model` on one batch of noise."""
    images, labels = _batch(model, batch_size)
    optimizer = keras.optimizers.SGD(0.01)
    optimizer.build(model.trainable_variables)
    loss_function = keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = loss_function(labels, model(images, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return lambda: step(images, labels).numpy()


def inference(model):
    """A function without arguments that predicts one image of noise."""
    images, _ = _batch(model, 1)
    predict = tf.function(lambda images: model(images, training=False))
    return lambda: predict(images).numpy()


def race(contenders, rounds, slow_rounds):
    """Times contenders in turn.

    Args:
        contenders: dict from names to functions without arguments.
        rounds: how often each runs.
        slow_rounds: how often those run whose name ends in "stock".

    Returns:
        Dict from names to lists of milliseconds, one of each round.
    """
    for run in contenders.values():
        for _ in range(WARM_UP_RUNS):
            run()
    times = {name: [] for name in contenders}
    for number in range(rounds):
        for name, run in contenders.items():
            if number < slow_rounds or not name.endswith("stock"):
                start = time.perf_counter()
                run()
                times[name].append(1000.0 * (time.perf_counter() - start))
    return times


def ratio(times, name, reference):
    """Median over the rounds of the time of `name` divided by that of `reference`."""
    return statistics.median(a / b for a, b in zip(times[name], times[reference]))


def table(heading, times, variants):
    """Markdown table of one race."""
    lines = [
        f"## {heading}",
        "",
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


def measure(variants, size, batch_size, rounds, stock_rounds):
    """The report of all measurements, as Markdown."""
    models = {MOBILENET: _mobilenet(size)}
    for variant in variants:
        function = getattr(keras_micronet, f"MicroNet{variant}")
        models[variant] = function(input_shape=(size, size, 3), weights=None)
        if stock_rounds:
            models[f"{variant} stock"] = stock_copy(models[variant])
    steps = {name: training_step(model, batch_size) for name, model in models.items()}
    predictions = {name: inference(model) for name, model in models.items()}
    step_times = race(steps, rounds, stock_rounds)
    inference_times = race(predictions, 10 * rounds, 10 * stock_rounds)
    return "\n".join(
        [
            "# Speed on the CPU",
            "",
            f"{size}x{size}, float32, {os.cpu_count()} cores, TensorFlow {tf.__version__}, "
            f"Keras {keras.__version__}. Medians of {rounds} rounds of training steps and "
            f"{10 * rounds} of inference ({stock_rounds} and {10 * stock_rounds} with stock "
            "layers).",
            "",
            table(f"Training step, batch {batch_size}", step_times, variants),
            table("Inference, batch 1", inference_times, variants),
        ]
    )


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    names = sorted(keras_micronet.VARIANTS)
    parser.add_argument("--variants", nargs="+", choices=names, default=names)
    parser.add_argument("--size", type=int, default=224, help="height and width of the images")
    parser.add_argument("--batch-size", type=int, default=32, help="images of a training step")
    parser.add_argument("--rounds", type=int, default=10, help="runs of each training step")
    parser.add_argument(
        "--stock-rounds",
        type=int,
        default=3,
        help="runs with stock layers, which take up to ten seconds each; 0 leaves them out",
    )
    parser.add_argument("--output", help="file to write the report to, for example "
                        "benchmarks/results/speed.md")
    options = parser.parse_args(arguments)
    report = measure(
        options.variants, options.size, options.batch_size, options.rounds, options.stock_rounds
    )
    print(report)
    if options.output:
        write_text(options.output, report)


def _mobilenet(size):
    return keras.applications.MobileNetV3Small(
        input_shape=(size, size, 3), alpha=0.35, weights=None, minimalistic=False
    )


def _batch(model, batch_size):
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (batch_size, *model.input_shape[1:])).astype("float32")
    labels = np.arange(batch_size) % model.output_shape[-1]
    return tf.constant(images), tf.constant(labels)


if __name__ == "__main__":
    main()
