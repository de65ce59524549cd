# SPDX-License-Identifier: Apache-2.0
"""What a camera's lines cost: figures are those of the table, computations are right."""

import re

import numpy as np
import pytest

from benchmarks import pixel_rows
from tflm.camera.pixel_rows import FORMATS

MOST_GROWTH = 1.02


@pytest.mark.emulator
def test_conversions_have_not_become_slower(tmp_path):
    rows = re.findall(
        r"^\| (\w+) \| ([\d.]+) \| ([\d.]+) \|$", pixel_rows.TABLE.read_text(), re.MULTILINE
    )
    stored = {name: (float(rgb), float(gray)) for name, rgb, gray in rows}
    assert set(stored) == set(FORMATS)
    width = 320
    for name, counts in pixel_rows.measure_formats(tmp_path, width).items():
        for count, before in zip(counts, stored[name], strict=True):
            assert count / width <= before * MOST_GROWTH + 0.05, name


@pytest.mark.parametrize(("buffers", "expected"), [(2, 7), (4, 5)])
def test_shortest_line(buffers, expected):
    """Of three lines of 10, with a conversion of 1, the last is read at time + 21.

    That must not be after (2 + buffers) times the time.
    """
    lines = pixel_rows.Lines(conversions=(1, 1, 1), all=(10, 10, 10), rest=0)
    assert pixel_rows.shortest_line(lines, buffers) == expected


def test_interpolation_of_an_even_colour_and_of_a_slope():
    y, x = np.mgrid[:8, :10]
    colours = np.stack([3 * x + 5 * y + start for start in (0, 60, 120)], axis=-1)
    mosaic = np.where(
        (y % 2 == 0) & (x % 2 == 0),
        colours[..., 0],
        np.where((y % 2 == 1) & (x % 2 == 1), colours[..., 2], colours[..., 1]),
    )
    result = pixel_rows.bilinear(mosaic)
    np.testing.assert_array_equal(result[1:-1, 1:-1], colours[1:-1, 1:-1])
    even = pixel_rows.bilinear(np.full((6, 6), 77))
    assert np.all(even == 77)


def test_noise_of_a_photograph_without_colours_is_that_of_its_size_alone():
    """Of an even area there is none; a division by zero is the sign of it."""
    with np.errstate(divide="ignore"):
        noises = pixel_rows.bayer_noise(np.full((16, 24, 3), 90, np.uint8), 8)
    assert noises == (np.inf, np.inf)
