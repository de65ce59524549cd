# SPDX-License-Identifier: Apache-2.0
"""Where and how many: models that answer for each cell of a coarse grid.

`grid_model.py` builds them, `losses.py` and `metrics.py` are Keras objects for `model.fit`,
`matching.py` says which found centres are right. How answers are read and judged without Keras is
in `keras_micronet.grid_answers`.
"""

from keras_micronet.grid.grid_model import MicroNetGrid
from keras_micronet.grid.losses import GridCrossentropy, HeatmapCrossentropy
from keras_micronet.grid.metrics import (
    CentreF1,
    CentrePrecision,
    CentreRecall,
    CorrectKeypoints,
    CountError,
)
from keras_micronet.grid_answers.tasks import TASKS

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
