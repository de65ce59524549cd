# SPDX-License-Identifier: Apache-2.0
"""COCO's run lengths of masks: how many pixels are outside, inside, outside, ..., down the columns.

pycocotools has a decoder in C, which trusts what it is given.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np


def parse_counts(counts: Any, size: tuple[int, int]) -> np.ndarray:
    """Run lengths, as a list or as text, with one character for five bits.

    Args:
        counts: a list of numbers, or the text that compresses them.
        size: height and width of the mask.

    Returns:
        int64 `(runs,)`, whose sum is the number of pixels.

    Raises:
        ValueError: if it is neither, or the lengths do not add up to the mask's size.
    """
    if isinstance(counts, str):
        lengths = _uncompressed(counts)
    elif isinstance(counts, list) and all(type(each) is int for each in counts):
        lengths = counts
    else:
        raise ValueError("run lengths must be a list of whole numbers or a text")
    pixels = size[0] * size[1]
    if any(not 0 <= each <= pixels for each in lengths) or sum(lengths) != pixels:
        raise ValueError(f"run lengths must add up to {size[0]} * {size[1]} pixels")
    return np.array(lengths, np.int64)


def _uncompressed(text: str) -> Sequence[int]:
    """Each number in groups of five bits, the lowest first, in characters from "0" on; a sixth bit
    says that more follow, and the fifth of the last group is the sign. From the third number on
    each is the difference from the last but one."""
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - ord("0")
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("damaged run lengths")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("damaged run lengths")
    return lengths


def decode_counts(lengths: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask of run lengths that add up to its size, booleans `(height, width)`."""
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(size[::-1]).T
