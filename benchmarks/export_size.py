# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.export_size`: what the export of each variant takes on a device.

Beside it, the same network with stock Keras layers through TensorFlow's own converter. Operations,
bytes of the file, and bytes of the arena as TensorFlow Lite Micro reports them, with random weights
at 224x224 and 1000 classes; the figures do not depend on the machine's speed. A trained model may
keep a scale for each output of a dense layer: 8 bytes of RAM and 12 of flash each.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

import keras_micronet
from benchmarks.results_file import RESULTS, write_text
from benchmarks.stock_micronet import stock_copy
from keras_micronet.quantization import quantize_aware
from tflm import exporter
from tflm.micro.interpreter import MicroInterpreter
from tflm.settings import KERNELS

RESULT = RESULTS / "export_size.md"
_SIZE = 224
_IMAGES = 32
_HEAD = """# Size of the exported models

int8, 224x224, 1000 classes; by `python -m benchmarks.export_size --write`. "Builtin" and "fused"
are this project's export with TensorFlow Lite Micro's operators and with its own kernels,
"converter" the same network with stock Keras layers through TensorFlow's converter; "4-bit head"
the flatbuffer with 4-bit weights in the two dense layers of the head (scheme `int8_head4`).

| | | operations | flatbuffer bytes | 4-bit head | arena bytes |
|---|---|---|---|---|---|
"""


def exported(model, images, kernels):
    """Operations, bytes of the file, of that with a 4-bit head, and of the arena."""
    deployment = exporter.deploy(quantize_aware(model, images), kernels=kernels)
    small = exporter.deploy(quantize_aware(model, images, "int8_head4"), kernels=kernels)
    return [
        len(deployment.graph.operations),
        len(deployment.model_bytes),
        len(small.model_bytes),
        deployment.interpreter.arena.total_bytes,
    ]


def converted(model, images):
    """The model's bytes and number of operations, by TensorFlow's converter."""
    data = convert(stock_copy(model), images)
    # Without a delegate, whose node would be counted too.
    plain = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(model_content=data, experimental_op_resolver_type=plain)
    return data, len(interpreter._get_ops_details())


def convert(model, images):
    """The bytes of a model in int8, by TensorFlow's converter.

    Args:
        model: Keras model of Keras's own layers, of one input.
        images: float array of what it takes, to choose the ranges by.
    """
    inputs = keras.Input(batch_shape=(1, *model.input_shape[1:]))
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(inputs, model(inputs)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def quantized_input(data, images):
    """Float images as the model of a flatbuffer takes them, int8."""
    (details,) = tf.lite.Interpreter(model_content=data).get_input_details()
    scale, zero_point = details["quantization"]
    return np.clip(np.round(images / scale + zero_point), -128, 127).astype(np.int8)


def settle(model, images):
    """Sets the moving statistics of every batch normalization to those of `images`."""
    normalizations = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in normalizations:
        layer.momentum = 0.0
    model(images, training=True)


def rows(name):
    """Lines of the table."""
    keras.utils.set_random_seed(0)
    builder = getattr(keras_micronet, f"MicroNet{name}")
    model = builder(weights=None, classifier_activation=None, include_preprocessing=False)
    generator = np.random.default_rng(0)
    images = generator.standard_normal((_IMAGES, _SIZE, _SIZE, 3)).astype(np.float32)
    settle(model, images)
    data, operations = converted(model, images)
    arena = MicroInterpreter(data).arena.total_bytes
    lines = _line(name, "converter", [operations, len(data), None, arena])
    for kernels in KERNELS:
        lines += _line(name, kernels, exported(model, images, kernels))
    return lines


def _line(name, export, figures):
    cells = ["" if figure is None else f"{figure:,}" for figure in figures]
    return f"| {name} | {export} | {' | '.join(cells)} |\n"


def main():
    """Prints the table; `--write` stores it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", default=list(keras_micronet.VARIANTS))
    parser.add_argument("--write", action="store_true", help=f"store the table in {RESULT.name}")
    options = parser.parse_args()
    table = _HEAD + "".join(rows(name) for name in options.variants)
    print(table)
    if options.write:
        write_text(RESULT, table)


if __name__ == "__main__":
    main()
