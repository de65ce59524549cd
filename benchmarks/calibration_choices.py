# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.calibration_choices`: what each tool of the calibration is worth.

Takes the trained models of `benchmarks.quantization_accuracy`, quantizes them after training with
one tool left out at a time, and counts the right answers on the whole test set (simulated int8).
"""

import dataclasses

import numpy as np

from benchmarks.quantization_accuracy import (
    accuracy,
    calibration_images,
    cases_of,
    study_parser,
)
from benchmarks.results_file import RESULTS, write_text
from keras_micronet.quantization import CalibrationTools, QuantizeAwareModel, quantize_aware
from training.datasets.batches import collect_evenly

_SAMPLE = 500  # images that the error of the logits is measured on
RESULT = RESULTS / "calibration_choices.md"
_HEAD = """# What the tools of the calibration are worth

Top-1 accuracy after training, in percent, mean over the seeds, by
`python -m benchmarks.calibration_choices --seeds {seeds} --write`. A line leaves one tool out
or replaces it.

| dataset | model | scheme | | accuracy | squared error of the logits, dB |
|---|---|---|---|---|---|
"""

_ALL = CalibrationTools()
# Scheme, what a line is called, and the tools that it uses.
CHOICES = (
    ("int8", "as it is", _ALL),
    ("int8", "ranges: percentile", dataclasses.replace(_ALL, ranges="percentile")),
    ("int8", "ranges: extremes", dataclasses.replace(_ALL, ranges="extremes")),
    ("int8_head4", "as it is", _ALL),
    ("int8_head4", "weights not clipped", dataclasses.replace(_ALL, weight_clipping=False)),
    ("int8_head4", "biases not corrected", dataclasses.replace(_ALL, bias_correction=False)),
)


def measure(model, images, test_images, test_labels, scheme, tools):
    """Accuracy in [0, 1], and the squared error of the logits relative to theirs in dB."""
    quantized = quantize_aware(model, images, scheme, tools)
    sample = test_images[:_SAMPLE].astype(np.float32)
    expected = QuantizeAwareModel(model).float_logits(sample)
    error = np.mean((quantized.logits(sample) - expected) ** 2) / np.mean(expected**2)
    return accuracy(quantized, test_images, test_labels), 10 * np.log10(error)


def main():
    """Prints the table; `--write` stores it."""
    options = study_parser(__doc__.splitlines()[0], RESULT).parse_args()
    results = {}
    for case in cases_of(options):
        dataset = case.load_dataset()
        model = case.float_model(dataset)
        images = calibration_images(dataset)
        test = collect_evenly(dataset.test, dataset.test.size)
        for scheme, name, tools in CHOICES:
            key = (case.study.dataset, case.variant, scheme, name)
            figures = measure(model, images, *test, scheme, tools)
            results.setdefault(key, []).append(figures)
            print(key, figures, flush=True)
    table = _HEAD.format(seeds=" ".join(map(str, options.seeds)))
    for key, figures in results.items():
        mean_accuracy, mean_error = np.mean(figures, axis=0)
        table += f"| {' | '.join(key)} | {100 * mean_accuracy:.2f} | {mean_error:.1f} |\n"
    print(table)
    if options.write:
        write_text(RESULT, table)


if __name__ == "__main__":
    main()
