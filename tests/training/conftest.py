# SPDX-License-Identifier: Apache-2.0
"""What the tests of `training` share: a tiny dataset, model and recipe, and a finished run."""

import dataclasses
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.python.framework import config as tensorflow_config

from training.command_line import main
from training.commands import train
from training.datasets import ImageDataset, Split
from training.datasets.resizing import crop_decoded
from training.fitting.epoch_record import EpochRecord
from training.fitting.trainer import TrainingResult
from training.recipes.recipes import SMALL_IMAGES

TINY_SIZE = (8, 12)


@pytest.fixture(autouse=True)
def restore_nondeterministic_kernels():
    """Training switches the whole process to deterministic kernels: not for other tests."""
    yield
    # TensorFlow has a public way in, but none out.
    tensorflow_config.disable_op_determinism()


@pytest.fixture
def tiny_recipe():
    return dataclasses.replace(SMALL_IMAGES, image_size=TINY_SIZE, epochs=2, batch_size=8)


def make_split(images, labels):
    examples = tf.data.Dataset.from_tensor_slices(
        (np.asarray(images, np.uint8), np.asarray(labels, np.int32))
    )
    size = len(labels)

    def decode_crop(image, choose_crop):
        return crop_decoded(image, image.shape[:2], choose_crop)

    return Split(examples, lambda image: image, decode_crop, size, shuffle_buffer=max(1, size))


def make_tiny_dataset():
    """Two classes, dark and bright, that any model can tell apart."""
    random = np.random.default_rng(0)

    def split(size):
        labels = np.arange(size) % 2
        images = random.integers(0, 80, (size, *TINY_SIZE, 3)) + 150 * labels[:, None, None, None]
        return make_split(images, labels)

    return ImageDataset("tiny", TINY_SIZE, ("dark", "bright"), split(36), split(6), split(10))


@pytest.fixture
def tiny_dataset():
    return make_tiny_dataset()


def build_tiny_model():
    """A model with the kinds of layers a MicroNet has; about a hundred weights."""
    return keras.Sequential(
        [
            keras.layers.Input((*TINY_SIZE, 3)),
            keras.layers.Rescaling(1 / 127.5, offset=-1.0),
            keras.layers.Conv2D(4, 3, strides=2),
            keras.layers.DepthwiseConv2D(3, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(6.0),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(2, activation="softmax"),
        ],
        name="tiny_model",
    )


@pytest.fixture
def tiny_model():
    keras.utils.set_random_seed(0)
    return build_tiny_model()


def write_image_folder(folder, counts, size=(20, 16), suffix=".png", first_value=0, distance=1):
    """Writes `folder/class/number.png`, each image one colour that no other image has.

    The red of successive images differs by `distance`, as long as it is below 256.
    """
    value = first_value
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            colour = (value % 256, value // 256, 100)
            Image.new("RGB", size, colour).save(folder / name / f"{number}{suffix}")
            value += distance


@pytest.fixture
def make_image_folder(tmp_path):
    """`write_image_folder`, by default to a folder of this test."""

    def make(counts, folder=None, **options):
        folder = tmp_path / "images" if folder is None else folder
        write_image_folder(folder, counts, **options)
        return folder

    return make


@pytest.fixture(scope="session")
def finished_float_run(tmp_path_factory):
    """The run folder of a float M0 on 40 images of 2 classes; its training took no step."""
    folder = tmp_path_factory.mktemp("float")
    write_image_folder(folder / "images", {"a": 20, "b": 20}, distance=6)
    record = EpochRecord(1, 0.7, 0.5, 0.7, 0.5, 0.0, 1.0)
    result = TrainingResult((record,), 0.7, 0.5, 0.7, 0.625, 1.0)
    arguments = ["--dataset", str(folder / "images"), "--image-size", "24x32", "--epochs", "1"]
    arguments += ["--batch-size", "14", "--learning-rate", "0.02", "--horizontal-flip"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "train", lambda *_, **__: result)
        assert main([*arguments, "--output", str(folder / "flat-M0")]) == 0
    return folder / "flat-M0"


@pytest.fixture
def float_run_copy(finished_float_run, tmp_path):
    """A copy of the float run that a test may damage."""
    return pathlib.Path(shutil.copytree(finished_float_run, tmp_path / "copy-M0"))


@pytest.fixture
def small_run(float_run_copy):
    """The copy with a small model, whose answers differ from image to image."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((24, 32, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.AveragePooling2D(8),
            keras.layers.Flatten(),
            keras.layers.Dense(2, "softmax"),
        ]
    )
    model.save(float_run_copy / "model.keras")
    return float_run_copy


@pytest.fixture
def change_summary(float_run_copy):
    """Changes `run.json` of the copy: `change(summary)` edits the parsed file in place."""

    def edit(change):
        path = float_run_copy / "run.json"
        summary = json.loads(path.read_text())
        change(summary)
        path.write_text(json.dumps(summary))

    return edit
