# SPDX-License-Identifier: Apache-2.0
"""Datasets that need no download: pictures drawn here, of which is known what is where.

`scattered_digits.py` is for detection, `shapes.py` for segmentation and `figures.py` for keypoints;
`made_dataset.py` and `backgrounds.py` have what they share.
"""

from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT
from training.datasets.made_pictures import figures, scattered_digits, shapes

SHAPES = "shapes"  # shapes to segment, figures for keypoints
# By their names: for each task a function of image size and channels.
MADE_DATASETS = {
    scattered_digits.NAME: {DETECT: scattered_digits.load_scattered_digits},
    SHAPES: {SEGMENT: shapes.load_shapes, KEYPOINTS: figures.load_figures},
}
