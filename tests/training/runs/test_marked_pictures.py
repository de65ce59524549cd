# SPDX-License-Identifier: Apache-2.0
"""Marks are drawn where they belong, in the colour of what they say."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from keras_micronet.grid_answers.quality import PrecisionRecall
from training.runs.marked_pictures import (
    INVENTED,
    MISSED,
    MOST_PICTURES,
    RIGHT,
    Mark,
    MarkedPicture,
    found_and_missed,
)
from training.runs.plots import precision_recall


def save(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png")
    with Image.open(file) as image:
        return image.size


@pytest.mark.parametrize("channels", [1, 3])
def test_marks_are_in_the_places_of_the_picture(channels):
    image = np.zeros((24, 40, channels), np.uint8)
    marks = (
        Mark(RIGHT, 10.5, 4.5, "$x"),
        Mark(INVENTED, 20.5, 6.5),
        Mark(MISSED, 30.5, 8.5, "cell", width=6, height=4),
    )
    figure = found_and_missed([MarkedPicture(image, marks)])
    (axes,) = figure.axes
    places = [(*line.get_xydata()[0], line.get_color()) for line in axes.lines]
    assert places == [(10.0, 4.0, "lime"), (20.0, 6.0, "red")]
    (box,) = axes.patches
    assert (box.get_xy(), box.get_width(), box.get_height()) == ((30.0, 8.0), 6, 4)
    assert box.get_edgecolor()[:3] == to_rgb("orange")
    assert [text.get_text() for text in axes.texts] == ["$x", "cell"]
    assert axes.get_xlim() == (-0.5, 39.5) and axes.get_ylim() == (23.5, -0.5)
    assert min(save(figure)) > 100  # a formula would be parsed here


def test_answers_lie_over_the_cells_that_they_are_of():
    image = np.zeros((20, 30, 3), np.uint8)
    answers = np.array([[0, 1, 2, 0], [3, 0, 0, 1], [0, 0, 0, 0]])
    picture = MarkedPicture(image, (Mark(MISSED, 4, 4),), answers, output_stride=8)
    figure = found_and_missed([picture] * MOST_PICTURES, ("background", "a", "b", "c"))
    assert len(figure.axes) == MOST_PICTURES
    _, overlay = figure.axes[-1].images
    assert overlay.get_extent() == [-0.5, 31.5, 23.5, -0.5]  # cells reach beyond the picture
    assert overlay.get_array().mask.tolist() == (answers == 0).tolist()
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["missed", "a", "b", "c"]  # of marks those that there are
    save(figure)


def test_the_chosen_point_of_a_curve_is_marked():
    curve = PrecisionRecall(np.array([900, 700, 500]), np.array([1, 0.5, 0.4]), np.ones(3))
    nothing = PrecisionRecall(np.array([], np.int32), np.array([]), np.array([]))
    figure = precision_recall([curve, nothing], np.array([600, 16384]), ["$a", "b"])
    _, chosen, _, none = figure.axes[0].lines
    assert chosen.get_xydata().tolist() == [[1.0, 0.5]]
    assert len(none.get_xydata()) == 0
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "$a, from 1.8% on", "b, from 50.0% on",
    ]  # fmt: skip
    save(figure)
