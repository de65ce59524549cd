"""Observed ranges are those of the values that a graph takes."""

import numpy as np
import pytest

from tflm import calibration
from tflm.graph import Graph


def doubling_graph():
    graph = Graph()
    images = graph.add_tensor("images", (1, 2, 2, 1))
    graph.inputs = [images]
    graph.outputs = [graph.add_operation("ADD", [images, images], "twice", (1, 2, 2, 1))]
    return graph


def test_ranges_and_mean_squares_over_uneven_batches():
    images = np.random.default_rng(0).standard_normal((37, 2, 2, 1)).astype(np.float32)
    images[36] = [[[9.0], [-7.0]], [[0.0], [0.0]]]  # alone in the last batch with few others
    observed = calibration.observe(doubling_graph(), images)
    assert (observed["images"].low, observed["images"].high) == (-7.0, 9.0)
    assert (observed["twice"].low, observed["twice"].high) == (-14.0, 18.0)
    assert observed["twice"].mean_square == pytest.approx(np.mean((2 * images) ** 2), rel=1e-5)


@pytest.mark.parametrize("shape", [(0, 2, 2, 1), (3, 2, 3, 1), (3, 2, 2)])
def test_wrong_images_are_refused(shape):
    with pytest.raises(ValueError, match=r"array of shape \(2, 2, 1\). Received: array of shape"):
        calibration.observe(doubling_graph(), np.zeros(shape, np.float32))


def test_images_that_are_not_finite_are_refused():
    images = np.zeros((2, 2, 2, 1), np.float32)
    images[1, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="must be finite. Received: NaN"):
        calibration.observe(doubling_graph(), images)


def test_overflow_inside_is_named():
    images = np.full((1, 2, 2, 1), 3e38, np.float32)
    with pytest.raises(ValueError, match="must be finite on the calibration images.*"):
        calibration.observe(doubling_graph(), images)
