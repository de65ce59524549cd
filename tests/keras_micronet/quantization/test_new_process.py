# SPDX-License-Identifier: Apache-2.0
"""What only a new process can show: imports without side effects, loading, two devices."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import keras_micronet
from keras_micronet.quantization import quantize_aware
from tests.keras_micronet.quantization import chains

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(keras_micronet.__file__).parents[1]


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """What `subprocess_quantization` reports."""
    folder = tmp_path_factory.mktemp("quantized")
    model = chains.classifier()
    images = chains.random_images(model, 16)
    quantized = quantize_aware(model, images, "int8_head4")
    quantized.save(folder / "model.keras")
    np.save(folder / "images.npy", images)
    np.save(folder / "outputs.npy", quantized(images))
    environment = {name: os.environ[name] for name in os.environ if name != "TF_USE_LEGACY_KERAS"}
    process = subprocess.run(
        [sys.executable, "-m", "tests.keras_micronet.quantization.subprocess_quantization", folder],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return json.loads(process.stdout.splitlines()[-1])


def test_saved_model_gives_the_same_outputs(result):
    assert result["same outputs"]


def test_no_side_effect_of_tensorflow_model_optimization(result):
    assert result["imported"]
    assert result["variable"] is None
    assert result["variable in children"] == "False"
    assert result["tf.keras is Keras 3"]


def test_two_frozen_devices_train_as_one(result):
    assert result["moved"] > 0.05
    assert result["difference"] < 1e-4


def test_two_devices_learn_and_move_the_ranges(result):
    losses = result["losses"]
    assert np.all(np.isfinite(losses)) and losses[-1] < 0.7 * losses[0]
    assert result["ranges that moved"] == result["ranges"]
