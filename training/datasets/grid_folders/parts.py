# SPDX-License-Identifier: Apache-2.0
"""The names that people give to the parts of a dataset."""

import re

TRAIN, VALIDATION, TEST = PARTS = ("train", "validation", "test")
_PART_OF_NAME = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}
# A word of a name; a year may follow, as in val2017.
_WORD = re.compile(r"[a-z]+")


def part_of_name(name: str) -> str | None:
    """The part that a folder or a list has by its whole name, or `None`."""
    return _PART_OF_NAME.get(name.lower())


def part_in_name(name: str) -> str | None:
    """The part that a word of a file's name says, or `None`."""
    words = _WORD.findall(name.lower())
    return next((_PART_OF_NAME[word] for word in words if word in _PART_OF_NAME), None)
