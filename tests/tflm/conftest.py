# SPDX-License-Identifier: Apache-2.0
"""A trained run, made once for all tests of the export."""

import keras
import numpy as np
import pytest
import sklearn.datasets
import tensorflow as tf

import keras_micronet
from tests.tflm import pictures
from tests.tflm.micronets import BUILDERS

SIZE = 32
EPOCHS = 12


@pytest.fixture(scope="session", autouse=True)
def kernel_library_cache(tmp_path_factory):
    """Libraries of kernels are compiled into a folder of the tests, not into the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras_home")))
        yield


def digit_images():
    """scikit-learn's digits as raw RGB `(1797, 32, 32, 3)`, and their labels."""
    digits = sklearn.datasets.load_digits()
    large = tf.image.resize(digits.images[..., np.newaxis] * (255.0 / 16.0), (SIZE, SIZE))
    images = np.repeat(np.round(large), 3, axis=-1)
    return np.clip(images, 0, 255).astype(np.uint8), digits.target


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """A run folder with M0, trained on digits until it knows nearly all of them."""
    folder = tmp_path_factory.mktemp("digits_run")
    images, labels = digit_images()
    keras.utils.set_random_seed(0)
    model = BUILDERS["M0"](input_shape=(SIZE, SIZE, 3), classes=10, weights=None)
    model.compile(keras.optimizers.AdamW(3e-3), "sparse_categorical_crossentropy")
    model.fit(images[:1400], labels[:1400], batch_size=50, epochs=EPOCHS, verbose=0)
    keras_micronet.write_run_folder(
        folder,
        keras.Model(model.inputs, model.outputs, name=model.name),
        [str(digit) for digit in range(10)],
        (images[:100], labels[:100]),
        (images[1400:], labels[1400:]),
    )
    (folder / "run.json").write_text('{"format": 1}')  # as if `python -m training` had written it
    return folder


@pytest.fixture(scope="session")
def pictures_run(tmp_path_factory):
    """A run folder with a small model of near classes, of which it knows about three quarters."""
    images, labels = pictures.pictures(600, seed=0)
    return pictures.write_run(
        tmp_path_factory.mktemp("pictures") / "run",
        pictures.trained_model(images, labels),
        calibration=(images[:100], labels[:100]),
        test=pictures.pictures(300, seed=1),
        validation=pictures.pictures(200, seed=2),
    )
