# SPDX-License-Identifier: Apache-2.0
import dataclasses

import keras
import numpy as np
import pytest

import keras_micronet
from tests.training.conftest import TINY_SIZE
from training.fitting.trainer import TrainingDivergedError, make_reproducible, train
from training.recipes.recipes import quantize_aware_recipe

pytestmark = pytest.mark.slow


def weights_of(model):
    return [np.array(weight) for weight in model.get_weights()]


def test_learns_and_measures_every_part(tiny_model, tiny_dataset, tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, epochs=8, learning_rate=0.05)
    result = train(tiny_model, tiny_dataset, recipe, seed=1)
    assert [record.epoch for record in result.history] == list(range(1, 9))
    assert result.history[-1].loss < result.history[0].loss
    assert result.validation_loss == result.history[-1].validation_loss
    assert result.validation_score == result.history[-1].validation_accuracy
    assert result.test_score == 1.0
    images, labels = zip(*tiny_dataset.test.images().as_numpy_iterator(), strict=True)
    predictions = tiny_model.predict(np.stack(images).astype("float32"), verbose=0)
    assert np.mean(predictions.argmax(1) == labels) == result.test_score
    assert sum(record.seconds for record in result.history) <= result.seconds
    # Eight epochs of four steps: the schedule has reached its end.
    assert result.history[-1].learning_rate == pytest.approx(0, abs=1e-6)


def test_losses_are_smoothed_cross_entropies(tiny_model, tiny_dataset, tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, label_smoothing=0.2)
    result = train(tiny_model, tiny_dataset, recipe, seed=1)
    images, labels = zip(*tiny_dataset.validation.images().as_numpy_iterator(), strict=True)
    predictions = tiny_model.predict(np.stack(images).astype("float32"), verbose=0)
    targets = 0.8 * np.eye(2)[list(labels)] + 0.2 / 2
    expected = -(targets * np.log(predictions)).sum(1).mean()
    assert result.history[-1].validation_loss == pytest.approx(expected, rel=1e-4)


def build_start_of_micronet():
    """The layers of M0 up to its first block, with a classifier."""
    micronet = keras_micronet.MicroNetM0(input_shape=(*TINY_SIZE, 3), weights=None, classes=2)
    features = micronet.get_layer("block_1").output
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    pooled = keras.layers.Dropout(0.1)(pooled)
    return keras.Model(micronet.input, keras.layers.Dense(2, activation="softmax")(pooled))


def test_the_same_seed_gives_the_same_weights(tiny_dataset, tiny_recipe):
    def trained(seed):
        make_reproducible(seed)
        model = build_start_of_micronet()
        result = train(model, tiny_dataset, tiny_recipe, seed)
        return weights_of(model), result.history

    weights, history = trained(7)
    same_weights, same_history = trained(7)
    assert all(np.array_equal(a, b) for a, b in zip(weights, same_weights, strict=True))
    assert [record.loss for record in history] == [record.loss for record in same_history]


def test_a_step_is_traced_only_once(tiny_model, tiny_dataset, tiny_recipe, monkeypatch):
    traces = []
    train_step = keras.Model.train_step

    def counted(model, data):
        traces.append(data)
        return train_step(model, data)

    monkeypatch.setattr(keras.Model, "train_step", counted)
    train(tiny_model, tiny_dataset, dataclasses.replace(tiny_recipe, epochs=1), seed=1)
    assert len(traces) == 1


def test_without_epochs_the_model_is_only_measured(tiny_model, tiny_dataset, tiny_recipe):
    recipe = dataclasses.replace(quantize_aware_recipe(tiny_recipe), epochs=0)
    before = weights_of(tiny_model)
    result = train(tiny_model, tiny_dataset, recipe, seed=1)
    assert all(map(np.array_equal, before, weights_of(tiny_model)))
    assert result.history == ()
    for part, measured in (
        (tiny_dataset.validation, result.validation_score),
        (tiny_dataset.test, result.test_score),
    ):
        images, labels = zip(*part.images().as_numpy_iterator(), strict=True)
        predictions = tiny_model.predict(np.stack(images).astype("float32"), verbose=0)
        assert np.mean(predictions.argmax(1) == labels) == pytest.approx(measured)


class Poison(keras.callbacks.Callback):
    """Makes the model's output undefined from the second step on."""

    def on_train_batch_end(self, batch, logs=None):
        weight = self.model.trainable_variables[0]
        weight.assign(np.full(weight.shape, np.nan))


def test_stops_when_the_loss_is_no_number(tiny_model, tiny_dataset, tiny_recipe):
    with pytest.raises(TrainingDivergedError, match="loss became nan at step 2"):
        train(tiny_model, tiny_dataset, tiny_recipe, seed=1, callbacks=[Poison()])


def test_refuses_a_batch_larger_than_the_training_part(tiny_model, tiny_dataset, tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, batch_size=37)
    with pytest.raises(ValueError, match="at most.*Received: batch_size=37 with 36 images"):
        train(tiny_model, tiny_dataset, recipe, seed=1)
