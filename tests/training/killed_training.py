# SPDX-License-Identifier: Apache-2.0
"""A training that kills its own process in the middle of an epoch, for tests.

Arguments: the folder of checkpoints, the number of the epoch, from 0.
"""

import os
import signal
import sys

import keras

from tests.training.resumable import train_tiny_model


class Kill(keras.callbacks.Callback):
    """As `kill -9` does: nothing is flushed, closed or removed."""

    def __init__(self, epoch):
        super().__init__()
        self._kill_epoch = epoch
        self._epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self._epoch == self._kill_epoch and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    train_tiny_model(sys.argv[1], callbacks=[Kill(int(sys.argv[2]))])
