# SPDX-License-Identifier: Apache-2.0
"""Which of many images are taken."""

import numpy as np


def spread(images: np.ndarray, most: int) -> np.ndarray:
    """At most so many images or indices, evenly from all of them."""
    return images[np.linspace(0, len(images) - 1, min(most, len(images))).astype(int)]


def mistakes_first(is_right: np.ndarray, most: int, most_mistakes: int) -> np.ndarray:
    """Indices: some mistakes, if there are any, then what is right, from all over the images.

    Args:
        is_right: booleans `(images,)`.
        most: how many indices are wanted.
        most_mistakes: how many of them are of mistakes at most.
    """
    mistakes = spread(np.flatnonzero(~is_right), most_mistakes)
    return np.concatenate([mistakes, spread(np.flatnonzero(is_right), most - len(mistakes))])
