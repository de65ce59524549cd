# SPDX-License-Identifier: Apache-2.0
"""Which of the centres that a grid shows are right: one found for one that is there."""

from typing import Any

import keras

_FAR = 1e6  # more than any distance in cells


def peaks(probabilities: Any, threshold: float) -> Any:
    """Cells in which a class is most probable among its neighbours.

    Args:
        probabilities: floats `(batch, rows, columns, classes)`, without the background.
        threshold: what a peak's probability is at least.

    Returns:
        Floats of the same shape: the probability at peaks, 0 elsewhere. Of neighbours that are
        equal, each is a peak.
    """
    highest = keras.ops.max_pool(probabilities, 3, 1, "same", data_format="channels_last")
    is_peak = (probabilities >= highest) & (probabilities >= threshold)
    return keras.ops.where(is_peak, probabilities, 0.0)


def matched(there: Any, found: Any, tolerance: float, most_objects: int) -> Any:
    """Matches centres one to one, the most probable first, each with the nearest that is free.

    Args:
        there: numbers `(batch, rows, columns, classes)`, above 0 in cells with an object's centre.
        found: floats of the same shape, scores above 0 in cells with a centre that was found.
        tolerance: cells that they may be apart, in the direction in which they are further.
        most_objects: of a class in an image; more are left out, of those found the least probable.

    Returns:
        Integers `(batch, classes)`: how many were matched.
    """
    columns = found.shape[2]
    cells = found.shape[1] * columns
    most = min(most_objects, cells)

    def listed(grid):
        by_class = keras.ops.transpose(keras.ops.cast(grid, "float32"), (0, 3, 1, 2))
        flat = keras.ops.reshape(by_class, (-1, found.shape[3], cells))
        values, places = keras.ops.top_k(flat, most)
        return values > 0, places // columns, places % columns

    is_found, *found_at = listed(found)
    is_there, *there_at = listed(there)
    apart = keras.ops.maximum(
        *(
            keras.ops.abs(mine[..., :, None] - other[..., None, :])
            for mine, other in zip(found_at, there_at, strict=True)
        )
    )
    apart = keras.ops.cast(apart, "float32")
    possible = is_found[..., :, None] & is_there[..., None, :] & (apart <= tolerance)
    apart = keras.ops.where(possible, apart, _FAR)

    def step(place, state):
        free, count = state
        distance = keras.ops.take(apart, place, axis=2)
        distance = keras.ops.where(free, distance, _FAR)
        nearest = keras.ops.argmin(distance, axis=-1)
        is_matched = keras.ops.min(distance, axis=-1) < _FAR
        taken = keras.ops.one_hot(nearest, most, dtype="bool") & is_matched[..., None]
        return free & ~taken, count + keras.ops.cast(is_matched, "int32")

    start = is_there, keras.ops.zeros_like(is_there[..., 0], dtype="int32")
    return keras.ops.fori_loop(0, most, step, start)[1]
