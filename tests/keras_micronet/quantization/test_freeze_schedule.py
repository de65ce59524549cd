# SPDX-License-Identifier: Apache-2.0
"""When statistics and ranges stop moving, as Keras counts its steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_micronet.quantization import FreezeSchedule, quantize_aware
from tests.keras_micronet import models
from tests.keras_micronet.quantization import chains

pytestmark = pytest.mark.slow

BATCHES = 4


def problem():
    images, labels = models.red_or_blue_images(8 * BATCHES, 8)
    return images / 127.5 - 1.0, labels


def quantized_model():
    """Dense layers and a batch normalization: little to trace."""
    images, _ = problem()
    model = chains.chain(
        images.shape[1:],
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(4),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(2),
    )
    return quantize_aware(model, images)


@pytest.fixture
def quantized(eager):
    return quantized_model()


class Journal(keras.callbacks.Callback):
    """Notes at the end of every batch what is frozen, and what has moved during it."""

    def __init__(self, quantized):
        super().__init__()
        self.quantized = quantized
        self.settings = []
        self.movements = []
        self._before = self._state()

    def on_train_batch_end(self, batch, logs=None):
        quantized = self.quantized
        self.settings.append((quantized.batch_normalization_is_frozen, quantized.ranges_are_frozen))
        state = self._state()
        self.movements.append(tuple(a != b for a, b in zip(state, self._before, strict=True)))
        self._before = state

    def _state(self):
        statistics = [np.array(w) for w in self.quantized.float_model.non_trainable_weights]
        return (
            np.concatenate([values.ravel() for values in statistics]).tobytes(),
            self.quantized.activation_ranges,
        )


def fit(model, callbacks, epochs=2, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if not model.compiled:
        model.compile(keras.optimizers.SGD(0.01), loss, **options)
    model.fit(*problem(), batch_size=8, epochs=epochs, verbose=0, callbacks=callbacks)


@pytest.mark.parametrize(
    ("batch_normalization", "ranges", "free_statistics", "free_ranges"),
    [
        # Of 2 epochs of 4 steps: how many steps are free.
        (0.5, 0.5, 4, 4),
        (0.25, 0.75, 2, 6),
        (0, 1, 0, 8),
        (1, 0, 8, 0),
        (0.3, 0.99, 3, 8),
        (1.0, 1.0, 8, 8),
    ],
)
@pytest.mark.filterwarnings("ignore:Even though the:UserWarning")
def test_fractions_of_all_steps(
    quantized, batch_normalization, ranges, free_statistics, free_ranges
):
    journal = Journal(quantized)
    fit(quantized, [FreezeSchedule(batch_normalization, ranges), journal], run_eagerly=True)
    expected = [(step >= free_statistics, step >= free_ranges) for step in range(8)]
    assert journal.settings == expected
    assert journal.movements == [(not one, not other) for one, other in expected]


def test_traced_step_of_a_wrapped_model():
    """The step that `fit` has traced must not go on moving what has been frozen since.

    The model is trained within another, as behind layers that change its images; a second `fit`
    starts free.
    """
    quantized = quantized_model()
    inputs = keras.Input(quantized.input_shape[1:])
    wrapper = keras.Model(inputs, quantized(keras.layers.RandomFlip("horizontal", seed=1)(inputs)))
    for epochs in (2, 1):
        journal = Journal(quantized)
        fit(wrapper, [FreezeSchedule(0.5, 0.5), journal], epochs)
        half = epochs * BATCHES // 2
        assert journal.settings == [(False, False)] * half + [(True, True)] * half
        assert journal.movements == [(True, True)] * half + [(False, False)] * half


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_dataset_of_unknown_length(quantized):
    """The first epoch cannot tell how far it is; the second can."""
    images, labels = problem()

    def batches():
        for start in range(0, len(images), 8):
            yield images[start : start + 8], labels[start : start + 8]

    signature = (tf.TensorSpec((None, 8, 8, 3), tf.float32), tf.TensorSpec((None,), tf.int64))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    quantized.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True
    )
    journal = Journal(quantized)
    quantized.fit(dataset, epochs=2, verbose=0, callbacks=[FreezeSchedule(0.25, 0.75), journal])
    assert journal.settings == [(False, False)] * 4 + [(True, False)] * 2 + [(True, True)] * 2


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), "half", None, True, [0.5]])
@pytest.mark.parametrize("name", ["batch_normalization", "ranges"])
def test_fractions_are_checked(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` must be a number in \[0, 1\]. Received: "):
        FreezeSchedule(**{name: value})


def test_other_models_are_refused():
    model = chains.classifier()
    with pytest.raises(ValueError, match="model of `quantize_aware`. Received: model 'classifier'"):
        fit(model, [FreezeSchedule()], run_eagerly=True)
