# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from PIL import Image

from training.fitting.evaluation import Evaluation
from training.runs.plots import confusion_matrix


def evaluation(classes):
    """Every class has 4 images, one of which is taken for the class before."""
    matrix = 3 * np.eye(classes, dtype=np.int64) + np.eye(classes, k=-1, dtype=np.int64)
    matrix[0, -1] += 1
    return Evaluation(1.0, None, matrix)


def shown_labels(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize("classes", [2, 25, 26, 50, 51, 1000])
def test_a_confusion_matrix_has_the_labels_and_counts_that_can_be_read(classes):
    names = [f"class {index}" for index in range(classes)]
    figure = confusion_matrix(evaluation(classes), names)
    axes = figure.axes[0]
    picture = axes.images[0].get_array()
    assert picture.shape == (classes, classes)
    assert picture[1, 1] == 0.75 and picture[1, 0] == 0.25
    assert (shown_labels(figure) == names) == (classes <= 50)
    assert len(axes.texts) == (classes**2 if classes <= 25 else 0)
    assert axes.get_title() == f"75.00% of {4 * classes:,} images are right"
    file = io.BytesIO()
    figure.savefig(file, format="png")
    assert min(Image.open(file).size) > 300


def test_names_are_no_formulas_and_long_ones_are_cut():
    names = ["$x_", "a" * 60]
    figure = confusion_matrix(evaluation(2), names)
    figure.savefig(io.BytesIO(), format="png")  # a formula would be parsed here
    assert shown_labels(figure) == ["$x_", "a" * 23 + "…"]


def test_a_class_without_images_stays_white():
    matrix = np.array([[2, 0], [0, 0]])
    figure = confusion_matrix(Evaluation(1.0, None, matrix), ["a", "b"])
    assert figure.axes[0].images[0].get_array()[1].tolist() == [0, 0]
