# SPDX-License-Identifier: Apache-2.0
"""Early stopping keeps the best epoch, also if the training is stopped and continued."""

import dataclasses
import types

import keras
import numpy as np
import pytest

from tests.training.conftest import build_tiny_model, make_tiny_dataset
from training.fitting import trainer
from training.fitting.checkpoints import CheckpointFolder
from training.fitting.early_stopping import EarlyStopping, best_record
from training.fitting.epoch_record import EpochRecord
from training.fitting.trainer import make_reproducible, train
from training.fitting.validation import Validation
from training.recipes.recipes import SMALL_IMAGES

pytestmark = pytest.mark.slow

# The validation accuracies of six epochs: the second is the best, and the fourth only as good.
ACCURACIES = (0.5, 0.75, 0.5, 0.75, 0.25, 0.5)


class FixedValidation(Validation):
    """Says how good each epoch was, whatever the network does."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"], logs["val_accuracy"] = 1.0, ACCURACIES[epoch]


class WeightsOfEpochs(keras.callbacks.Callback):
    """Keeps the weights of every epoch."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append([np.array(each) for each in self.model.network.get_weights()])


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self._epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self._epoch:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def fixed_validation(monkeypatch):
    monkeypatch.setattr(trainer, "Validation", FixedValidation)


def train_patiently(folder, patience, callbacks=(), **changes):
    make_reproducible(5)
    recipe = dataclasses.replace(
        SMALL_IMAGES, image_size=(8, 12), epochs=6, batch_size=8, learning_rate=0.02, **changes
    )
    model = build_tiny_model()
    checkpoints = CheckpointFolder(folder, {"patience": patience}, print)
    result = train(
        model,
        make_tiny_dataset(),
        recipe,
        5,
        callbacks=callbacks,
        checkpoints=checkpoints,
        patience=patience,
    )
    return [np.array(weight) for weight in model.get_weights()], result


def are_equal(weights, others):
    return all(np.array_equal(a, b) for a, b in zip(weights, others, strict=True))


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4), (3, 5), (4, 6), (9, 6)])
def test_stops_when_no_epoch_has_been_better_for_long(tmp_path, patience, epochs):
    epoch_weights = WeightsOfEpochs()
    weights, result = train_patiently(tmp_path, patience, [epoch_weights])
    assert len(result.history) == epochs
    assert result.kept_epoch == 2
    assert result.validation_score == 0.75
    assert are_equal(weights, epoch_weights.weights[1])
    assert not are_equal(weights, epoch_weights.weights[-1])


def test_without_patience_the_last_weights_are_kept(tmp_path):
    epoch_weights = WeightsOfEpochs()
    weights, result = train_patiently(tmp_path, 0, [epoch_weights])
    assert result.kept_epoch == len(result.history) == 6
    assert result.validation_score == ACCURACIES[-1]
    assert are_equal(weights, epoch_weights.weights[-1])


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
def test_a_stopped_training_gives_the_same_weights_to_the_bit(tmp_path, average_decay):
    whole, result = train_patiently(tmp_path / "whole", 3, average_decay=average_decay)
    assert len(result.history) == 5
    for epoch in (0, 2, 4):  # before the best, after it, and when the patience was at its end
        folder = tmp_path / f"stopped-{epoch}"
        with pytest.raises(KeyboardInterrupt):
            train_patiently(folder, 3, [StopAfter(epoch)], average_decay=average_decay)
        continued, again = train_patiently(folder, 3, average_decay=average_decay)
        assert are_equal(continued, whole)
        assert [record.loss for record in again.history] == [
            record.loss for record in result.history
        ]
        assert again.kept_epoch == 2


def test_the_average_of_the_best_epoch_is_kept_where_there_is_one(tmp_path):
    plain = WeightsOfEpochs()
    averaged, _ = train_patiently(tmp_path, 3, [plain], average_decay=0.9)
    assert not any(are_equal(averaged, weights) for weights in plain.weights)
    of_two_epochs, _ = train_patiently(tmp_path / "new", 1, average_decay=0.9)
    assert are_equal(averaged, of_two_epochs)  # both kept the second epoch's


def test_the_first_of_equally_good_epochs_is_the_best():
    records = [
        EpochRecord(number, 1.0, 0.5, 1.0, accuracy, 0.0, 1.0)
        for number, accuracy in enumerate(ACCURACIES, start=1)
    ]
    assert best_record(records) is records[1]


def test_before_the_first_epoch_nothing_is_over(tiny_model):
    epochs = types.SimpleNamespace(records=[])
    assert not EarlyStopping(tiny_model, 1, epochs).is_over
