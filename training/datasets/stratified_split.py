# SPDX-License-Identifier: Apache-2.0
"""Splitting labelled examples into training, validation and test parts, class by class."""

from collections.abc import Sequence

import numpy as np

VALIDATION_FRACTION = 0.1
TEST_FRACTION = 0.2

# A split must not move with a run's own seed: accuracies of runs would not be comparable, and
# test images of one run would be training images of the next.
_SPLIT_SEED = 20110812


def stratified_split(
    labels: np.ndarray | Sequence[int], fractions: Sequence[float]
) -> list[np.ndarray]:
    """Splits examples so that every part has about the same mix of classes.

    The split depends on nothing but the arguments. Every class gives at least one example to
    every part.

    Args:
        labels: integer class of each example, `(examples,)`.
        fractions: for each part but the first, the fraction of the examples that it gets; at most
            a third each, so that every part gets an example of a class with one for each.

    Returns:
        A list of int64 index arrays, one a part, the first part first; each is in a mixed order.

    Raises:
        ValueError: if a class has fewer examples than there are parts.
    """
    labels = np.asarray(labels)
    # RandomState's stream is frozen by NumPy; that of default_rng may change between versions.
    random = np.random.RandomState(_SPLIT_SEED)
    parts: list[list[np.ndarray]] = [[] for _ in range(len(fractions) + 1)]
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        if len(members) < len(parts):
            raise ValueError(
                f"every class must have at least {len(parts)} examples to be split into "
                f"{len(parts)} parts. Received: {len(members)} examples of class {label}"
            )
        rest = members
        for part, fraction in zip(parts[1:], fractions, strict=True):
            count = max(1, round(fraction * len(members)))
            part.append(rest[:count])
            rest = rest[count:]
        parts[0].append(rest)
    return [random.permutation(np.concatenate(part)) for part in parts]
