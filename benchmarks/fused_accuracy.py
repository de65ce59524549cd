# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.fused_accuracy`: do the fused kernels answer as well as the builtin ones?

Takes the trained models of `benchmarks.quantization_accuracy`, quantizes them after training and
runs both exports of the same quantized model in TensorFlow Lite Micro on the whole test set. And
Dynamic Shift-Max alone, whose fused kernel rounds once where a chain of operators rounds often.
"""

import keras
import numpy as np

from benchmarks.quantization_accuracy import calibration_images, cases_of, study_parser
from benchmarks.results_file import RESULTS, write_text
from keras_micronet.layers import DynamicShiftMax
from keras_micronet.quantization import quantize_aware
from tflm import exporter
from tflm.report import tensor_noise
from tflm.settings import KERNELS
from training.datasets.batches import collect_evenly

RESULT = RESULTS / "fused_accuracy.md"
_HEAD = """# Accuracy with fused kernels

Models quantized after training, in TensorFlow Lite Micro with builtin and with fused kernels; by
`python -m benchmarks.fused_accuracy --write`. Top-1 in percent on the whole test set, and the part
of its images to which the device gives the float model's class. "4-bit" is a head with a scale
for each output (scheme `int8_head4_per_channel`), which only the fused kernels take.

| dataset | model | seed | float | builtin | fused | fused, 4-bit | builtin agrees | fused agrees |
|---|---|---|---|---|---|---|---|---|
"""
_SHIFT_MAX_HEAD = """
## Dynamic Shift-Max alone

Signal-to-quantization-noise ratio of its output in dB, for random weights and an input that int8
holds exactly; the rounding of the output to int8 is part of the noise.

| map | fusions | builtin | fused |
|---|---|---|---|
"""
_SHIFT_MAX_SHAPES = ((28, 28, 32), (14, 14, 64), (7, 7, 256))


def compare(model, images, test_images, test_labels):
    """Accuracies and agreements in [0, 1], in the order of the table."""
    expected = model.predict(test_images.astype(np.float32), batch_size=256, verbose=0)
    expected = expected.argmax(axis=-1)
    quantized = quantize_aware(model, images)
    builtin, fused = (_classes(quantized, kernels, test_images) for kernels in KERNELS)
    small = quantize_aware(model, images, "int8_head4_per_channel")
    answers = (expected, builtin, fused, _classes(small, exporter.FUSED, test_images))
    accuracies = [np.mean(classes == test_labels) for classes in answers]
    return [*accuracies, np.mean(builtin == expected), np.mean(fused == expected)]


def _classes(quantized, kernels, images):
    deployment = exporter.deploy(quantized, kernels=kernels)
    inputs = deployment.normalization.quantized_images(images, deployment.input_quantization)
    return deployment.interpreter.run(inputs).argmax(axis=-1)


def shift_max_noise(shape, fusions):
    """Signal-to-noise ratios of the activation alone with builtin and fused kernels."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    layer = DynamicShiftMax(4, fusions=fusions)
    model = keras.Model(inputs, layer(inputs))
    for weight in layer.weights:
        weight.assign(np.random.default_rng(0).normal(0, 0.5, weight.shape))
    generator = np.random.default_rng(1)
    images = generator.normal(generator.normal(0, 1, (8, 1, 1, shape[-1])), 1, (8, *shape))
    quantized = quantize_aware(model, images.astype(np.float32))
    ratios = []
    for kernels in KERNELS:
        deployment = exporter.deploy(quantized, kernels=kernels)
        scale = deployment.input_quantization
        exact = scale.dequantize(scale.quantize(images))
        rows = tensor_noise.measure(deployment.float_graph, deployment.graph, exact)
        (row,) = [row for row in rows if row.name == deployment.graph.outputs[0]]
        ratios.append(row.signal_to_noise_decibels)
    return ratios


def main():
    """Prints the tables; `--write` stores them."""
    options = study_parser(__doc__.splitlines()[0], RESULT).parse_args()
    table = _HEAD
    for case in cases_of(options):
        dataset = case.load_dataset()
        model = case.float_model(dataset)
        test = collect_evenly(dataset.test, dataset.test.size)
        figures = compare(model, calibration_images(dataset), *test)
        cells = [case.study.dataset, case.variant, str(case.seed)]
        table += f"| {' | '.join(cells + [f'{100 * figure:.2f}' for figure in figures])} |\n"
        print(table.splitlines()[-1], flush=True)
    table += _SHIFT_MAX_HEAD
    for shape in _SHIFT_MAX_SHAPES:
        for fusions in (1, 2):
            ratios = " | ".join(f"{ratio:.1f}" for ratio in shift_max_noise(shape, fusions))
            table += f"| {'x'.join(map(str, shape))} | {fusions} | {ratios} |\n"
    print(table)
    if options.write:
        write_text(RESULT, table)


if __name__ == "__main__":
    main()
