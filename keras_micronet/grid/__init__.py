# SPDX-License-Identifier: Apache-2.0
"""Where and how many: models that answer for each cell of a coarse grid.

`grid_model.py` builds them, `losses.py` and `metrics.py` are Keras objects for `model.fit`,
`matching.py` says which found centres are right.
"""

from keras_micronet.grid.grid_model import TASKS, MicroNetGrid
from keras_micronet.grid.losses import GridCrossentropy, HeatmapCrossentropy
from keras_micronet.grid.metrics import (
    CentreF1,
    CentrePrecision,
    CentreRecall,
    CorrectKeypoints,
    CountError,
)

__all__ = [
    "TASKS",
    "CentreF1",
    "CentrePrecision",
    "CentreRecall",
    "CorrectKeypoints",
    "CountError",
    "GridCrossentropy",
    "HeatmapCrossentropy",
    "MicroNetGrid",
]
