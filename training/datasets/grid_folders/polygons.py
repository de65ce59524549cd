# SPDX-License-Identifier: Apache-2.0
"""Polygons as masks, by the middles of pixels: Pillow's are larger by about half a pixel around."""

import numpy as np

# Of edges and rows at once, for the memory's sake.
_MOST_CROSSINGS = 2**20


def fill_polygon(mask: np.ndarray, corners: np.ndarray, value: int) -> None:
    """Sets those pixels of a mask whose middles are inside of a polygon.

    Where a polygon crosses itself, what an even number of its edges encloses is outside.

    Args:
        mask: `(height, width)`; is changed.
        corners: floats `(corners, 2)` of x and y in pixels from the upper left corner.
        value: to set.
    """
    height, width = mask.shape
    x, y = corners.T
    step_x, step_y = np.roll(x, -1) - x, np.roll(y, -1) - y
    ends = y + step_y
    first = _first_middle(np.minimum(y, ends), height)
    last = _first_middle(np.maximum(y, ends), height)
    top, bottom = first.min(), last.max()
    left, right = _first_middle(np.array([x.min(), x.max()]), width)
    if bottom <= top or right <= left:
        return
    shape = (bottom - top, right - left + 1)
    crossings = np.zeros(shape[0] * shape[1], np.int64)
    counts = last - first
    groups = np.cumsum(counts) // _MOST_CROSSINGS
    for group in range(groups[-1] + 1):
        edges = np.flatnonzero((groups == group) & (counts > 0))
        edge = np.repeat(edges, counts[edges])
        within = np.arange(len(edge)) - np.repeat(
            np.cumsum(counts[edges]) - counts[edges], counts[edges]
        )
        row = first[edge] + within
        place = x[edge] + (row + 0.5 - y[edge]) * step_x[edge] / step_y[edge]
        column = np.clip(_first_middle(place, width), left, right)
        numbers = (row - top) * shape[1] + column - left
        crossings += np.bincount(numbers, minlength=len(crossings))
    is_inside = np.cumsum(crossings.reshape(shape), axis=1)[:, :-1] % 2 == 1
    mask[top:bottom, left:right][is_inside] = value


def _first_middle(places, side):
    """The first pixels whose middles are not before some places."""
    return np.clip(np.ceil(places - 0.5), 0, side).astype(np.int64)
