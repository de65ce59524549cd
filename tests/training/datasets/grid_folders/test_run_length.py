# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from training.datasets.grid_folders.run_length import decode_counts, parse_counts


def encoded(lengths):
    """Run lengths as COCO's text has them, by its own description in pycocotools: five bits a
    character, differences from the last but one from the fourth number on."""
    characters = []
    for place, length in enumerate(lengths):
        value = length - lengths[place - 2] if place > 2 else length
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            characters.append(chr(48 + (bits | 0x20 if more else bits)))
    return "".join(characters)


def lengths_of(mask):
    columns = np.concatenate([[0], mask.T.ravel().astype(int)])
    edges = np.flatnonzero(np.diff(columns))
    return np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()


@pytest.mark.parametrize("is_text", [False, True])
def test_masks_come_back(is_text):
    random = np.random.default_rng(0)
    for size in ((1, 1), (3, 5), (40, 70)):
        for share in (0.0, 0.02, 0.5, 1.0):
            mask = random.random(size) < share
            lengths = lengths_of(mask)
            parsed = parse_counts(encoded(lengths) if is_text else lengths, size)
            np.testing.assert_array_equal(decode_counts(parsed, size), mask)


def test_a_text_by_hand():
    """Down the columns of 4 x 3 pixels: 1 outside, 2 inside, 5 outside, 4 inside. The last
    is written as 2 more than the second."""
    mask = decode_counts(parse_counts("1252", (4, 3)), (4, 3))
    expected = [[0, 0, 1], [1, 0, 1], [1, 0, 1], [0, 0, 1]]
    np.testing.assert_array_equal(mask, np.array(expected, bool))


@pytest.mark.parametrize(
    "counts",
    [
        [1, 2, 5, 5],
        [1, 2, 5],
        [-1, 13],
        [12.0],
        [True] * 12,
        [10**30, 2],
        "125",
        "1252x",
        "o",
        "oooooooooooooooooooooooooo",
        "\x00",
        None,
        {},
        12,
    ],
)
def test_what_does_not_add_up_is_refused(counts):
    with pytest.raises(ValueError, match="run lengths"):
        parse_counts(counts, (4, 3))
