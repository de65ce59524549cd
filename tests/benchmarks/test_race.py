# SPDX-License-Identifier: Apache-2.0
"""Who runs when in a race, and the arithmetic of its times."""

from benchmarks.race import WARM_UP_RUNS, race, ratio


def run_race(**options):
    turns = []
    contenders = {name: lambda name=name: turns.append(name) for name in ("M0", "M0 stock")}
    return race(contenders, **options), turns[2 * WARM_UP_RUNS :]


def test_contenders_take_turns_and_slow_ones_run_less():
    times, turns = run_race(rounds=3, slow_rounds=1)
    assert turns == ["M0", "M0 stock", "M0", "M0"]
    assert [len(values) for values in times.values()] == [3, 1]


def test_all_run_alike_by_default():
    assert run_race(rounds=2)[1] == ["M0", "M0 stock", "M0", "M0 stock"]


def test_ratio_is_the_median_of_the_rounds_ratios():
    times = {"a": [10.0, 40.0, 90.0], "b": [10.0, 20.0, 30.0]}
    assert ratio(times, "a", "b") == 2.0


def test_ratio_uses_the_rounds_that_both_ran():
    assert ratio({"a": [1.0, 2.0, 900.0], "b": [2.0, 4.0]}, "b", "a") == 2.0
