# SPDX-License-Identifier: Apache-2.0
"""A training that was stopped and continued is the one that was not."""

import os
import pathlib
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.training.resumable import EPOCHS, STEPS, train_tiny_model
from training.fitting.checkpoints import OtherRunError

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return train_tiny_model(tmp_path_factory.mktemp("whole") / "checkpoints")


class Steps(keras.callbacks.Callback):
    """Counts the steps of this process."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1


class Stop(keras.callbacks.Callback):
    """Stops the training in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self._stop_epoch = epoch
        self._epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self._epoch, batch) == (self._stop_epoch, 2):
            raise KeyboardInterrupt


def check_equal(resumed, uninterrupted):
    for array, expected in zip(resumed[0], uninterrupted[0], strict=True):
        np.testing.assert_array_equal(array, expected)
    for record, expected in zip(resumed[1], uninterrupted[1], strict=True):
        assert record.epoch == expected.epoch
        assert record.loss == expected.loss
        assert record.validation_loss == expected.validation_loss


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_weights_are_equal_to_the_bit(tmp_path, uninterrupted, epoch):
    with pytest.raises(KeyboardInterrupt):
        train_tiny_model(tmp_path, [Stop(epoch)])
    steps = Steps()
    check_equal(train_tiny_model(tmp_path, [steps]), uninterrupted)
    assert steps.count == (EPOCHS - epoch) * STEPS


def test_a_killed_process_loses_only_its_epoch(tmp_path, uninterrupted):
    command = [sys.executable, "-m", "tests.training.killed_training", str(tmp_path), "2"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, env=dict(os.environ))
    assert finished.returncode == -signal.SIGKILL, finished.stderr.decode()
    steps = Steps()
    check_equal(train_tiny_model(tmp_path, [steps]), uninterrupted)
    assert steps.count == (EPOCHS - 2) * STEPS


def test_the_checkpoint_before_a_damaged_one_is_used(tmp_path, uninterrupted):
    with pytest.raises(KeyboardInterrupt):
        train_tiny_model(tmp_path, [Stop(2)])
    newest = sorted(tmp_path.glob("*.npz"))[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    warnings, steps = [], Steps()
    check_equal(train_tiny_model(tmp_path, [steps], warnings.append), uninterrupted)
    assert steps.count == (EPOCHS - 1) * STEPS
    assert [newest.name in warning for warning in warnings] == [True]


def test_a_finished_training_takes_no_step(tmp_path, uninterrupted):
    train_tiny_model(tmp_path)
    steps = Steps()
    train_tiny_model(tmp_path, [steps])
    assert steps.count == 0


def test_another_recipe_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_tiny_model(tmp_path, [Stop(1)])
    with pytest.raises(OtherRunError, match="zoom=0.1 instead of 0.3"):
        train_tiny_model(tmp_path, zoom=0.3)
