# SPDX-License-Identifier: Apache-2.0
"""`fit` and `evaluate` trace once what Keras's own models trace twice, and compute the same."""

import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_micronet
from keras_micronet.quantization.quantize_aware_model import QuantizeAwareModel

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)).astype(np.uint8)
LABELS = np.arange(20) % 3


def small_tensors():
    inputs = keras.Input((8, 8, 3))
    features = keras_micronet.layers.NormalizedConv2D(4, 3, strides=2)(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    return inputs, keras.layers.Dense(3, activation="softmax")(pooled)


def small_model(kind=keras_micronet.MicroNet):
    keras.utils.set_random_seed(0)
    return kind(*small_tensors())


def compiled(model, loss="sparse_categorical_crossentropy", metrics=("accuracy",)):
    model.compile("adam", loss, metrics=list(metrics))
    return model


@pytest.fixture
def traces(monkeypatch):
    """Names of the steps that were traced, in order."""
    found = []
    for name in ("train_step", "test_step"):
        original = getattr(keras.Model, name)

        def counted(model, data, name=name, step=original):
            found.append(name)
            return step(model, data)

        monkeypatch.setattr(keras.Model, name, counted)
    return found


def test_a_plain_model_is_traced_twice(traces):
    """What all of this is for; once Keras does it by itself, this library need not."""
    compiled(small_model(keras.Model)).fit(IMAGES, LABELS, batch_size=10, verbose=0)
    assert traces == ["train_step", "train_step"]


ONE_HOT = np.eye(3)[LABELS]
WAYS = {
    "sparse labels": lambda model: compiled(model).fit(IMAGES, LABELS, batch_size=10, verbose=0),
    "one-hot labels": lambda model: compiled(model, "categorical_crossentropy").fit(
        IMAGES, ONE_HOT, batch_size=10, verbose=0
    ),
    "class weights": lambda model: compiled(model).fit(
        IMAGES, LABELS, batch_size=10, verbose=0, class_weight={0: 1.0, 1: 2.0, 2: 0.5}
    ),
    "no metrics": lambda model: compiled(model, metrics=()).fit(
        IMAGES, LABELS, batch_size=10, verbose=0
    ),
    "a dataset": lambda model: compiled(model).fit(
        tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8), verbose=0
    ),
    "several steps at once": lambda model: (
        model.compile(
            "sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], steps_per_execution=2
        ),
        model.fit(IMAGES, LABELS, batch_size=5, verbose=0),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_fit_is_traced_once(traces, way):
    WAYS[way](small_model())
    assert traces == ["train_step"]


def test_validation_and_evaluation_are_traced_once(traces):
    model = compiled(small_model())
    model.fit(IMAGES, LABELS, batch_size=10, verbose=0, validation_data=(IMAGES, LABELS))
    model.fit(IMAGES, LABELS, batch_size=10, verbose=0)
    assert traces == ["train_step", "test_step"]
    other = compiled(small_model())
    other.evaluate(IMAGES, LABELS, batch_size=10, verbose=0)
    assert traces == ["train_step", "test_step", "test_step"]


def test_a_quantize_aware_model_is_traced_once(traces):
    quantized = QuantizeAwareModel(small_model(keras.Model))
    compiled(quantized).fit(IMAGES.astype("float32"), LABELS, batch_size=10, verbose=0)
    assert traces == ["train_step"]


def test_results_are_those_of_a_plain_model():
    results = []
    for kind in (keras.Model, keras_micronet.MicroNet):
        model = compiled(small_model(kind))
        history = model.fit(
            IMAGES,
            LABELS,
            batch_size=6,
            epochs=2,
            shuffle=False,
            verbose=0,
            validation_data=(IMAGES[:7], LABELS[:7]),
        )
        results.append((history.history, model.get_weights(), model.optimizer.variables))
    (history, weights, state), (own_history, own_weights, own_state) = results
    assert history == own_history
    for one, other in zip([*weights, *state], [*own_weights, *own_state], strict=True):
        np.testing.assert_array_equal(one, other)


class Logarithm(keras.metrics.Metric):
    """A metric that zeros are no predictions for."""

    def __init__(self):
        super().__init__(name="logarithm")
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        if tf.executing_eagerly():
            raise ValueError("zeros")
        self.total.assign_add(tf.reduce_sum(tf.math.log(y_pred)))

    def result(self):
        return self.total


def test_metrics_that_refuse_zeros_still_measure():
    model = compiled(small_model(), metrics=(Logarithm(),))
    plain = compiled(small_model(keras.Model), metrics=(Logarithm(),))
    expected = plain.fit(IMAGES, LABELS, batch_size=10, shuffle=False, verbose=0)
    history = model.fit(IMAGES, LABELS, batch_size=10, shuffle=False, verbose=0)
    assert history.history == expected.history


def test_steps_of_batches_train_too():
    model = compiled(small_model())
    before = model.get_weights()
    logs = model.train_on_batch(IMAGES[:10], LABELS[:10], return_dict=True)
    assert set(logs) == {"loss", "accuracy"}
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_variants_are_of_this_class():
    model = keras_micronet.MicroNetM0(weights=None, classes=3, input_shape=(32, 32, 3))
    assert type(model) is keras_micronet.MicroNet


def test_copies_are_of_this_class(tmp_path):
    model = small_model()
    model.save(tmp_path / "model.keras")
    copies = [keras.saving.load_model(tmp_path / "model.keras"), copy.deepcopy(model)]
    for each in (*copies, keras.models.clone_model(model)):
        assert type(each) is keras_micronet.MicroNet
    for each in copies:
        np.testing.assert_array_equal(each(IMAGES[:1]), model(IMAGES[:1]))


def test_a_strategy_makes_the_variables_itself():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = compiled(small_model())
    model.fit(IMAGES, LABELS, batch_size=10, verbose=0)
    assert model.optimizer.iterations.numpy() == 2
