# SPDX-License-Identifier: Apache-2.0
"""A small training with everything random in it, that checkpoints are written of."""

import dataclasses

import numpy as np

from tests.training.conftest import build_tiny_model, make_tiny_dataset
from training.fitting.checkpoints import CheckpointFolder
from training.fitting.trainer import make_reproducible, train
from training.recipes.recipes import SMALL_IMAGES

EPOCHS, STEPS = 4, 4


def train_tiny_model(folder, callbacks=(), warn=print, **changes):
    """Trains with checkpoints in `folder`.

    Returns:
        The weights, a list of arrays, and the history.
    """
    make_reproducible(5)
    recipe = dataclasses.replace(
        SMALL_IMAGES,
        image_size=(8, 12),
        epochs=EPOCHS,
        batch_size=8,
        learning_rate=0.02,
        horizontal_flip=True,
        average_decay=0.9,
        **changes,
    )
    model = build_tiny_model()
    checkpoints = CheckpointFolder(folder, dataclasses.asdict(recipe), warn)
    result = train(
        model, make_tiny_dataset(), recipe, 5, callbacks=callbacks, checkpoints=checkpoints
    )
    return [np.array(weight) for weight in model.get_weights()], result.history
