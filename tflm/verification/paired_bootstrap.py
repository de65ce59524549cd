# SPDX-License-Identifier: Apache-2.0
"""How sure one can be of a difference between two figures of all images together, such as F1.

Such a figure is no mean of something of each image, so that no test of proportions tells its
interval. Images are drawn again instead, as many as there are, with replacement, the same for both
models; the interval is what the middle of the differences spans (percentile bootstrap). A dozen
images that are all alike would seem to tell everything then. So two imagined ones are among those
that are drawn, with the weight of half an image each: one in which the first model alone finds all
there is, and one in which the second does. That is what Agresti and Min add to a table of paired
proportions.

References: B. Efron and R. Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13;
A. Agresti and Y. Min 2005, "Simple improved confidence intervals for comparing matched
proportions", Statistics in Medicine 24:729-740.
"""

import collections.abc
import dataclasses
import typing

import numpy as np

from tflm.verification.paired_interval import CONFIDENCE

RESAMPLES = 2000
_SEED = 0
_RESAMPLES_AT_ONCE = 100

# A dataclass whose fields are arrays `(images, ...)` that add up over images.
Counts = typing.TypeVar("Counts", bound="_Counts")


class _Counts(typing.Protocol):
    __dataclass_fields__: typing.ClassVar[dict[str, typing.Any]]


def bootstrap_interval(
    first: Counts,
    second: Counts,
    all_found: Counts,
    none_found: Counts,
    value: collections.abc.Callable[[Counts], float],
) -> tuple[float, float]:
    """The confidence interval of the first value minus the second.

    Args:
        first, second: what two models do with the same images: dataclasses of arrays
            `(images, ...)`, with at least one image.
        all_found, none_found: the same of one imagined image, as both models would have it.
        value: of all images together, a number.

    Returns:
        The pair (low, high), at the level `CONFIDENCE`; the same for the same counts.
    """
    pools = [
        _pooled(first, all_found, none_found),
        _pooled(second, none_found, all_found),
    ]
    images = len(next(iter(pools[0].values()))) - 2
    weights = np.append(np.ones(images), [0.5, 0.5]) / (images + 1)
    generator = np.random.default_rng(_SEED)
    differences = []
    for start in range(0, RESAMPLES, _RESAMPLES_AT_ONCE):
        count = min(_RESAMPLES_AT_ONCE, RESAMPLES - start)
        drawn = generator.multinomial(images + 1, weights, count).astype(np.float64)
        one, other = (_totals(drawn, pool) for pool in pools)
        differences += [
            value(_of(first, one, index)) - value(_of(second, other, index))
            for index in range(count)
        ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    return float(low), float(high)


def _pooled(counts, *imagined):
    """Arrays of all images by the fields' names, the imagined ones last."""
    return {
        field.name: np.concatenate(
            [np.asarray(getattr(each, field.name), np.float64) for each in (counts, *imagined)]
        )
        for field in dataclasses.fields(counts)
    }


def _totals(drawn, pool):
    """Sums over the drawn images, `(resamples, ...)`."""
    return {name: np.tensordot(drawn, values, 1) for name, values in pool.items()}


def _of(counts, totals, index):
    """The counts of one resample, as if of one image."""
    return type(counts)(**{name: values[index : index + 1] for name, values in totals.items()})
