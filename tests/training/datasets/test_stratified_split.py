# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.datasets.stratified_split import stratified_split


@settings(max_examples=50, deadline=None)
@given(
    counts=st.lists(st.integers(3, 40), min_size=1, max_size=6),
    fractions=st.lists(st.floats(0.01, 1 / 3), min_size=2, max_size=2),
)
def test_every_example_is_in_one_part_and_every_class_in_every_part(counts, fractions):
    labels = np.repeat(np.arange(len(counts)), counts)
    parts = stratified_split(labels, fractions)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    for part in parts:
        assert set(labels[part]) == set(range(len(counts)))


def test_classes_keep_their_shares():
    labels = np.array([0] * 300 + [1] * 100)
    train, validation, test = stratified_split(labels, (0.1, 0.2))
    assert np.bincount(labels[train]).tolist() == [210, 70]
    assert np.bincount(labels[validation]).tolist() == [30, 10]
    assert np.bincount(labels[test]).tolist() == [60, 20]


def test_does_not_depend_on_the_global_random_state():
    labels = np.arange(60) % 3
    np.random.seed(1)
    first = stratified_split(labels, (0.1, 0.2))
    np.random.seed(2)
    second = stratified_split(labels, (0.1, 0.2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_parts_are_in_a_mixed_order():
    train, _ = stratified_split(np.repeat([0, 1], 50), (0.2,))
    assert sorted(train) != list(train)
    # Sorted by class, the first 40 would all be of class 0.
    assert 5 < np.sum(train[:40] < 50) < 35


def test_refuses_a_class_that_cannot_be_in_every_part():
    with pytest.raises(ValueError, match="at least 3 examples.*Received: 2 examples of class 1"):
        stratified_split([0, 0, 0, 1, 1], (0.1, 0.2))
