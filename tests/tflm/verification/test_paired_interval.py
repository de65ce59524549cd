# SPDX-License-Identifier: Apache-2.0
"""The interval against published ones, an independent computation, and what it promises."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from tflm.verification.paired_interval import CONFIDENCE, paired_interval


def test_published_interval():
    """Tango's score interval for 21 children before and after a transplantation (Bentur et al.
    2009), in Fagerland, Lydersen and Laake 2014, Statistics in Medicine 33:2850-2875.
    """
    assert paired_interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


@pytest.mark.parametrize("only_first", range(50, 70))
def test_it_leaves_out_no_difference_where_mcnemars_test_rejects_it(only_first):
    only_second = 100 - only_first
    statistic = (only_first - only_second) / np.sqrt(100)
    low, _ = paired_interval(only_first, only_second, 700)
    assert (low > 0) == (statistic > scipy.stats.norm.ppf((1 + CONFIDENCE) / 2))


def largest_likelihood_variance(only_first, only_second, count, difference):
    """Variance of the difference where the likelihood is largest under it, found by search."""

    def minus_log_likelihood(part):
        first = part + difference
        both = 1 - first - part
        return -sum(
            number * np.log(max(probability, 1e-300))
            for number, probability in (
                (only_first, first),
                (only_second, part),
                (count - only_first - only_second, both),
            )
        )

    lowest, highest = max(0.0, -difference), (1 - difference) / 2
    found = scipy.optimize.minimize_scalar(
        minus_log_likelihood, bounds=(lowest, highest), options={"xatol": 1e-12}
    )
    return count * (2 * found.x + difference - difference**2)


@pytest.mark.parametrize(
    "counts", [(12, 2, 50), (40, 20, 160), (3, 1, 12), (30, 17, 1000), (150, 86, 10000)]
)
def test_ends_are_where_a_score_test_begins_to_reject(counts):
    quantile = scipy.stats.norm.ppf((1 + CONFIDENCE) / 2)
    only_first, only_second, count = counts
    for end, sign in zip(paired_interval(*counts), (1, -1), strict=True):
        variance = largest_likelihood_variance(*counts, end)
        score = only_first - only_second - count * end
        assert sign * score / np.sqrt(variance) == pytest.approx(quantile, rel=1e-3)


@pytest.mark.parametrize("count", [1, 12, 40, 10000])
def test_without_a_difference_it_is_as_wide_as_the_images_are_few(count):
    """With b = c = 0 the score test has the closed form z^2 / (n + z^2)."""
    square = scipy.stats.norm.ppf((1 + CONFIDENCE) / 2) ** 2
    expected = square / (count + square)
    assert paired_interval(0, 0, count) == pytest.approx((-expected, expected), rel=1e-6)


def test_exchange_of_the_models_turns_it_round():
    low, high = paired_interval(9, 4, 80)
    assert paired_interval(4, 9, 80) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("counts", "expected"), [((20, 0, 20), 1.0), ((0, 20, 20), -1.0)])
def test_it_stays_within_what_is_possible(counts, expected):
    low, high = paired_interval(*counts)
    assert -1 <= low <= high <= 1
    assert expected in (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize("count", [12, 40, 80])
@pytest.mark.parametrize("parts", [(0.02, 0.02), (0.05, 0.02), (0.15, 0.1), (0.3, 0.05)])
def test_it_covers_the_truth_as_often_as_it_says(count, parts):
    """All outcomes, each with its probability: no simulation that chance decides."""
    truth, covered = parts[0] - parts[1], 0.0
    probabilities = (*parts, 1 - sum(parts))
    for first in range(count + 1):
        for second in range(count + 1 - first):
            outcome = (first, second, count - first - second)
            probability = scipy.stats.multinomial.pmf(outcome, count, probabilities)
            if probability > 1e-9:
                low, high = paired_interval(first, second, count)
                covered += probability * (low <= truth <= high)
    assert covered > 0.93


@pytest.mark.parametrize("counts", [(0, 0, 0), (3, 3, 5), (-1, 0, 5)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match="at least one image, .* Received: "):
        paired_interval(*counts)
