# SPDX-License-Identifier: Apache-2.0
"""Datasets that need no download: pictures drawn here, of which is known what is where.

Each picture depends on the number of its part and its own alone. `backgrounds.py` draws what is
behind, `scattered_digits.py` is for detection, `shapes.py` for segmentation and `figures.py` for
keypoints.
"""

from keras_micronet.grid_answers.tasks import DETECT
from training.datasets.made_pictures import scattered_digits

# By their names: for each task a function of image size and channels.
MADE_DATASETS = {
    scattered_digits.NAME: {DETECT: scattered_digits.load_scattered_digits},
}
