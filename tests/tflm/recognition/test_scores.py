# SPDX-License-Identifier: Apache-2.0
"""The definitions: an exact softmax in float64, sorting in Python."""

import numpy as np
import pytest

from tflm.recognition import scores

COUNTS = (1, 2, 3, 10, 100, 1000)
SCALES = (1e-6, 0.003, 0.05, 0.12, 0.3, 1.0, 10.0)


def made_scores(count, random):
    """Of every kind: equal, at both ends, one ahead of equal ones, random."""
    rows = [np.full(count, value) for value in (-128, 0, 127)]
    rows.append(np.where(np.arange(count) == count // 2, 127, -128))
    rows.append(np.where(np.arange(count) == count - 1, -127, -128))
    rows += [random.choice([-128, 127], count) for _ in range(3)]
    rows += [random.integers(-128, 128, count) for _ in range(10)]
    rows += [np.clip(np.round(random.normal(-20, 30, count)), -128, 127) for _ in range(10)]
    return np.stack(rows).astype(np.int8)


def exact_softmax(values, scale):
    real = scale * values.astype(np.float64)
    terms = np.exp(real - real.max(axis=-1, keepdims=True))
    return terms / terms.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("scale", SCALES)
def test_probabilities_are_within_the_stated_bounds(count, scale):
    values = made_scores(count, np.random.default_rng(count))
    received = scores.probabilities(values, scores.exponentials(scale)).astype(np.float64)
    expected = 2**15 * exact_softmax(values, scale)
    assert np.abs(received - expected).max() <= 0.5 + count / 1024
    assert np.abs(received.sum(axis=-1) - 2**15).max() <= count / 2 + 1
    assert received.max() <= 2**15


def test_the_bounds_are_not_wide():
    """In the worst case that is known, a thousand classes are off by all that rounding can do."""
    values = np.full((1, 1000), -128, np.int8)
    received = scores.probabilities(values, scores.exponentials(0.1))
    np.testing.assert_array_equal(received, 33)  # 32.768 rounded
    assert received.sum() == 2**15 + 232


@pytest.mark.parametrize("scale", SCALES)
def test_probabilities_have_the_order_of_scores(scale):
    values = made_scores(50, np.random.default_rng(0))
    received = scores.probabilities(values, scores.exponentials(scale)).astype(int)
    for row, probability in zip(values, received, strict=True):
        order = np.argsort(row, kind="stable")
        assert np.all(np.diff(probability[order]) >= 0)
        for value in np.unique(row):
            assert len(np.unique(probability[row == value])) == 1


def test_top_k_is_sorted_and_of_equal_scores_the_first_comes_first():
    values = np.array([3, 7, -128, 7, 127, 3], np.int8)
    expected = sorted(range(6), key=lambda index: (-int(values[index]), index))
    for k in range(8):
        assert scores.top_k(values, k).tolist() == expected[:k]
    assert scores.top_k(values, -1).tolist() == []


def test_an_answer_is_a_class_from_its_threshold_on():
    table = scores.exponentials(0.1)
    values = np.array([[5, 20, 20, -7], [0, -100, -100, -100]], np.int8)
    answers, highest = scores.recognize(values, table, 0)
    assert answers.tolist() == [1, 0]
    for row, probability in zip(values, highest.tolist(), strict=True):
        assert scores.recognize(row, table, probability)[0] == row.argmax()
        assert scores.recognize(row, table, probability + 1)[0] == scores.NONE_OF_THESE


@pytest.mark.parametrize("scale", [0.0, -0.1, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match="must be positive and finite. Received: scale="):
        scores.exponentials(scale)
