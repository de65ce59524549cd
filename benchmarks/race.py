# SPDX-License-Identifier: Apache-2.0
"""Contenders that take turns, so that a machine that is busy for a while disturbs all alike."""

import statistics
import time

WARM_UP_RUNS = 2


def race(contenders, rounds, slow_rounds=None):
    """Times contenders in turn, round by round, in this process.

    Args:
        contenders: dict from names to functions without arguments.
        rounds: how often each runs.
        slow_rounds: how often those run whose name ends in "stock"; like the others by default.

    Returns:
        Dict from names to lists of milliseconds, one of each round.
    """
    for run in contenders.values():
        for _ in range(WARM_UP_RUNS):
            run()
    times = {name: [] for name in contenders}
    for number in range(rounds):
        for name, run in contenders.items():
            if slow_rounds is None or number < slow_rounds or not name.endswith("stock"):
                start = time.perf_counter()
                run()
                times[name].append(1000.0 * (time.perf_counter() - start))
    return times


def ratio(times, name, reference):
    """Median over the rounds of the time of `name` divided by that of `reference`."""
    return statistics.median(a / b for a, b in zip(times[name], times[reference], strict=False))
