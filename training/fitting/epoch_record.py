# SPDX-License-Identifier: Apache-2.0
"""What an epoch of a training measured."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class EpochRecord:
    """What one epoch measured; losses contain the label smoothing, accuracies are in [0, 1].

    `learning_rate` is the one reached at the end of the epoch, `seconds` includes the validation.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float
