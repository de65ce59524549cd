# SPDX-License-Identifier: Apache-2.0
"""Losses of cells, by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_micronet.grid import CentreF1, GridCrossentropy, HeatmapCrossentropy

LABELS = np.array([[[0, 2]]])  # one image, one row: background, class 2
PROBABILITIES = np.array([[[[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]]], np.float32)


def test_objects_weigh_more():
    loss = GridCrossentropy(object_weight=10, reduction=None)(LABELS, PROBABILITIES)
    np.testing.assert_allclose(loss, [[[-np.log(0.5), -10 * np.log(0.8)]]], rtol=1e-5)


def test_focal_loss_spares_what_is_certain():
    loss = GridCrossentropy(object_weight=1, focal_gamma=2, reduction=None)(LABELS, PROBABILITIES)
    expected = [[[-(0.5**2) * np.log(0.5), -(0.2**2) * np.log(0.8)]]]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_the_mean_is_over_cells():
    loss = GridCrossentropy(object_weight=1)(LABELS[..., np.newaxis], PROBABILITIES)
    np.testing.assert_allclose(loss, -(np.log(0.5) + np.log(0.8)) / 2, rtol=1e-5)


def test_heatmaps_are_independent():
    there = np.array([[[[1.0, 0.0]]]], np.float32)
    found = np.array([[[[0.25, 0.5]]]], np.float32)
    loss = HeatmapCrossentropy(object_weight=4, reduction=None)(there, found)
    np.testing.assert_allclose(loss, [[[(-4 * np.log(0.25) - np.log(0.5)) / 2]]], rtol=1e-5)


def test_soft_targets_have_both_parts():
    loss = HeatmapCrossentropy(object_weight=2, reduction=None)(
        np.full((1, 1, 1, 1), 0.25, np.float32), np.full((1, 1, 1, 1), 0.5, np.float32)
    )
    np.testing.assert_allclose(loss, [[[(2 * 0.25 + 0.75) * np.log(2)]]], rtol=1e-5)


@pytest.mark.parametrize("loss", [GridCrossentropy, HeatmapCrossentropy])
def test_losses_are_finite_and_survive_saving(loss):
    first = loss(object_weight=3, focal_gamma=0.5)
    again = keras.losses.deserialize(keras.losses.serialize(first))
    assert (again.object_weight, again.focal_gamma) == (3, 0.5)
    labels = np.ones((1, 1, 1) if loss is GridCrossentropy else (1, 1, 1, 2))
    wrong = np.array([[[[1.0, 0.0]]]], np.float32)
    assert np.isfinite(first(labels, wrong))


@pytest.mark.parametrize("value", [-1, float("nan"), "ten"])
def test_weights_are_refused(value):
    with pytest.raises(ValueError, match="object_weight"):
        GridCrossentropy(object_weight=value)


def test_cells_that_count_as_neither_have_no_loss():
    labels = np.array([[[255, 2]]])
    loss = GridCrossentropy(object_weight=10, reduction=None)(labels, PROBABILITIES)
    np.testing.assert_allclose(loss, [[[0.0, -10 * np.log(0.8)]]], rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("loss", [GridCrossentropy, HeatmapCrossentropy])
def test_what_is_certain_has_a_finite_gradient(loss, gamma):
    """A float32 softmax or sigmoid of large values is 1 to the last bit."""
    is_grid = loss is GridCrossentropy
    values = tf.Variable([[[[40.0, -40.0, -40.0]]]])
    labels = tf.constant([[[0]]]) if is_grid else tf.constant([[[[1.0, 0.0, 0.0]]]])
    with tf.GradientTape() as tape:
        probabilities = tf.nn.softmax(values) if is_grid else tf.sigmoid(values)
        result = loss(focal_gamma=gamma)(labels, probabilities)
    assert probabilities[0, 0, 0, 0] == 1.0
    assert np.isfinite(result) and np.isfinite(tape.gradient(result, values)).all()


def test_shares_of_classes_are_learned_in_proportion():
    shares = np.array([[[[1.0, 0.0, 0.0], [0.25, 0.0, 0.75]]]], np.float32)
    loss = GridCrossentropy(object_weight=5, reduction=None)(shares, PROBABILITIES)
    mixed = -0.25 * np.log(0.1) - 0.75 * np.log(0.8)
    weight = 0.25 * 1 + 0.75 * 5
    np.testing.assert_allclose(loss, [[[-np.log(0.5), weight * mixed]]], rtol=1e-5)


def test_whole_shares_are_classes():
    whole = np.eye(3, dtype=np.float32)[LABELS]
    loss = GridCrossentropy(object_weight=7, focal_gamma=1.5, reduction=None)
    np.testing.assert_allclose(loss(whole, PROBABILITIES), loss(LABELS, PROBABILITIES), rtol=1e-5)


def test_metrics_say_that_they_take_classes():
    shares = np.eye(3, dtype=np.float32)[LABELS]
    with pytest.raises(ValueError, match=r"Received: labels of shape \(1, 1, 2, 3\)"):
        CentreF1().update_state(shares, PROBABILITIES)
