# SPDX-License-Identifier: Apache-2.0
"""Accuracy and area under the curve, by hand."""

import itertools
import sys

import numpy as np
import pytest

from tflm.firmware.link.mlperf_tiny_scores import area_under_curve, top_1


def area_by_pairs(values, is_positive):
    """Share of the pairs of a positive and a negative in which the positive is higher; of equal
    ones, half."""
    positive, negative = values[is_positive], values[~is_positive]
    pairs = [np.sign(p - n) for p, n in itertools.product(positive, negative)]
    return np.mean(pairs) / 2 + 0.5


def test_top_1_takes_the_first_of_equal_ones():
    probabilities = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1], [0.4, 0.6]])
    assert top_1(probabilities, np.array([1, 0, 1, 0])) == 0.5
    assert top_1(probabilities, np.array([1, 1, 1, 0])) == 0.25


def test_area_of_two_classes_is_that_of_the_second():
    # Persons have 0.9, 0.6, 0.4 and nobody 0.7, 0.1: of 6 pairs 4 are in order.
    persons = np.array([0.9, 0.6, 0.4, 0.7, 0.1])
    probabilities = np.stack([1 - persons, persons], axis=1)
    labels = np.array([1, 1, 1, 0, 0])
    assert area_under_curve(probabilities, labels) == pytest.approx(4 / 6)


def test_rows_are_divided_by_their_sums():
    """As rounding to three decimals leaves them: 0.4 of 0.5 is more than 0.6 of 1."""
    probabilities = np.array([[0.1, 0.4], [0.4, 0.6]])
    assert area_under_curve(probabilities, np.array([1, 0])) == 1.0


def test_area_of_ten_classes_is_the_mean_of_each_against_the_rest():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(10), 60).round(3)
    labels = np.arange(60) % 10
    shares = probabilities / probabilities.sum(axis=1, keepdims=True)
    expected = np.mean([area_by_pairs(shares[:, k], labels == k) for k in range(10)])
    assert area_under_curve(probabilities, labels) == pytest.approx(expected, abs=1e-3)
    assert 0.3 < expected < 0.7


def test_class_without_inputs_has_no_area():
    assert area_under_curve(np.array([[0.1, 0.9], [0.2, 0.8]]), np.array([1, 1])) is None


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match="scikit-learn must be installed .* pip install scikit"):
        area_under_curve(np.array([[0.1, 0.9], [0.2, 0.8]]), np.array([0, 1]))
