# SPDX-License-Identifier: Apache-2.0
"""Networks of Keras's own layers, trained on raw pixels, or with layers that scale them first."""

import json
import re

import keras
import numpy as np
import pytest

from tests.tflm import pictures
from tflm import command_line

pytestmark = pytest.mark.slow

K = keras.layers
FIRST_LAYERS = {
    "nothing": list,
    "rescaling": lambda: [K.Rescaling(1 / 255)],
    "rescaling_and_normalization": lambda: [
        K.Rescaling(1 / 255),
        K.Normalization(axis=-1, mean=[0.5] * 3, variance=[0.25**2] * 3),
    ],
    "adapted_normalization": lambda: [adapted()],
}
# Of pixels x: the layers give x times the first plus the second number.
SCALES = {
    "nothing": (1.0, 0.0),
    "rescaling": (1 / 255, 0.0),
    "rescaling_and_normalization": (4 / 255, -2.0),
    "adapted_normalization": (1 / 50, -2.0),
}


def adapted():
    """Of which what it has seen had a mean of 100 and a standard deviation of 50."""
    layer = K.Normalization(axis=-1)
    layer.adapt(np.array([[[[50.0] * 3, [150.0] * 3]]], np.float32))
    return layer


def network(*first):
    """A small network of Keras's layers, as it stands in many tutorials."""
    x = inputs = keras.Input(pictures.SHAPE)
    for layer in first:
        x = layer(x)
    for filters in (8, 12):
        x = K.Conv2D(filters, 3, strides=2)(x)
        x = K.BatchNormalization(momentum=0.9)(x)
        x = K.ReLU()(x)
    x = K.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, K.Softmax()(K.Dense(3)(x)))


@pytest.fixture(scope="module")
def trained():
    """Trained on pixels in [0, 255] as they are."""
    keras.utils.set_random_seed(0)
    model = network()
    model.compile(keras.optimizers.AdamW(1e-2), "sparse_categorical_crossentropy")
    model.fit(*pictures.pictures(600, seed=0), batch_size=50, epochs=12, verbose=0)
    return keras.Model(model.inputs, model.outputs)


@pytest.fixture(scope="module")
def runs(trained, tmp_path_factory):
    """Folders with a run and its export, by what the model begins with: all the same function."""
    folders = {}
    for name, first in FIRST_LAYERS.items():
        model, (scale, offset) = network(*first()), SCALES[name]
        count = len(trained.weights)
        model.set_weights(
            [np.array(weight) for weight in model.weights[:-count]]
            + [np.array(weight) for weight in trained.weights]
        )
        convolution = next(layer for layer in model.layers if isinstance(layer, K.Conv2D))
        kernel = np.array(convolution.kernel) / scale
        convolution.kernel.assign(kernel)
        convolution.bias.assign(convolution.bias - offset * kernel.sum(axis=(0, 1, 2)))
        folders[name] = folder = tmp_path_factory.mktemp(name)
        pictures.write_run(
            folder / "run", model, pictures.pictures(60, seed=0), pictures.pictures(150, seed=1)
        )
        command = [str(folder / "run"), "--output", str(folder / "out"), "--kernels", "fused"]
        assert command_line.main(command) == 0
    return folders


@pytest.mark.parametrize("name", FIRST_LAYERS)
def test_accuracies_are_those_of_the_right_input(trained, runs, name):
    report = json.loads((runs[name] / "out" / "report.json").read_text())
    images, labels = pictures.pictures(150, seed=1)
    answers = trained.predict(images.astype(np.float32), verbose=0).argmax(axis=-1)
    right = np.mean(answers == labels)
    assert right > 0.65
    assert report["float_accuracy"] == pytest.approx(right, abs=0.01)
    assert report["int8_accuracy"] == pytest.approx(right, abs=0.03)


@pytest.mark.parametrize("name", FIRST_LAYERS)
def test_tables_hold_what_the_first_layers_compute(runs, name):
    """From raw pixels to int8, as firmware does it, for red, green and blue."""
    (source,) = (runs[name] / "out").glob("src/*_model_settings.c")
    (header,) = (runs[name] / "out").glob("src/*_model_settings.h")
    text = header.read_text() + source.read_text()
    step = float(re.search(r"_INPUT_SCALE ([-+.\de]+)", text)[1])
    zero_point = int(re.search(r"_INPUT_ZERO_POINT \((-?\d+)\)", text)[1])
    found = re.findall(r"_to_input\[256\] = \{(.*?)\}", text, re.DOTALL)
    tables = np.array([re.findall(r"-?\d+", table) for table in found], int)
    scale, offset = SCALES[name]
    expected = np.round((np.arange(256) * scale + offset) / step) + zero_point
    expected = np.clip(expected, -128, 127)
    assert len(np.unique(expected)) > 200
    assert tables.shape == (3, 256)
    assert np.abs(tables - expected).max() <= 1  # halves, in float32
