# SPDX-License-Identifier: Apache-2.0
"""What the values of masks stand for, as lists of classes tell it."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from keras_micronet.grid_answers.labels import IGNORED
from training.datasets.grid_folders.annotated_picture import UNKNOWN
from training.datasets.grid_folders.findings import Findings
from training.datasets.grid_folders.safe_files import read_lines
from training.datasets.image_files import reason_of

# One class a line; the second is what labelme writes.
_NAME_LISTS = ("classes.txt", "class_names.txt")
# Lines of `name:red,green,blue::`, as CVAT writes them.
_COLOUR_LIST = "labelmap.txt"
LISTS = (*_NAME_LISTS, _COLOUR_LIST)
_BACKGROUND_NAMES = frozenset({"background", "_background_", "__background__"})
_IGNORED_NAMES = frozenset({"__ignore__", "_ignore_", "ignore", "void"})
_MOST_CLASSES = 253

MISSING_CLASSES = (
    "masks must come with the names of their classes: write them into classes.txt, one a line, the "
    "first that of the value 1"
)
WITHOUT_MASK = "Left out: pictures that have no mask"


@dataclasses.dataclass(frozen=True)
class MaskClasses:
    """The classes of masks.

    Attributes:
        names: of the classes, without the background.
        numbers: what `MaskFile.numbers` is.
    """

    names: tuple[str, ...]
    numbers: np.ndarray | dict[tuple[int, int, int], int]


def numbered_classes(names: Sequence[str]) -> MaskClasses:
    """Classes whose values are 1, 2, ... in the order of their names."""
    numbers = np.full(256, UNKNOWN, np.uint8)
    numbers[: len(names) + 1] = np.arange(len(names) + 1)
    numbers[IGNORED] = IGNORED
    return MaskClasses(tuple(names), numbers)


def read_mask_classes(folder: pathlib.Path, findings: Findings) -> MaskClasses | None:
    """The classes that a list in a folder tells; `None` if there is no list.

    A first line that says `background`, as `_background_` does, stands for the value 0; one of
    `__ignore__` before it for 255.
    """
    for name in LISTS:
        path = folder / name
        if path.is_symlink() or not path.is_file():
            continue
        try:
            lines = read_lines(path)
            classes = _coloured(lines) if name == _COLOUR_LIST else _listed(lines)
            if not 1 <= len(classes.names) <= _MOST_CLASSES:
                raise ValueError(f"{len(classes.names)} classes")
        except (OSError, ValueError) as error:
            findings.complain(
                f"a list of classes must be a readable text of 1 to {_MOST_CLASSES} lines, one a "
                f"class, in {_COLOUR_LIST} as name:red,green,blue:: : write it anew",
                f"{name} ({reason_of(error)})",
            )
            return MaskClasses((), np.full(256, UNKNOWN, np.uint8))
        return classes
    return None


def _listed(lines):
    names = list(lines)
    if names and names[0].lower() in _IGNORED_NAMES:
        names.pop(0)
    if names and names[0].lower() in _BACKGROUND_NAMES:
        names.pop(0)
    return numbered_classes(names[: _MOST_CLASSES + 1])


def _coloured(lines):
    names: list[str] = []
    numbers = {(0, 0, 0): 0}
    for line in lines:
        if line.startswith("#"):
            continue
        name, colour, *_ = line.split(":")
        red, green, blue = (int(level) for level in colour.split(","))
        if name.lower() in _BACKGROUND_NAMES:
            number = 0
        elif name.lower() in _IGNORED_NAMES:
            number = IGNORED
        else:
            names.append(name)
            number = len(names)
        numbers[red, green, blue] = min(number, IGNORED)
    return MaskClasses(tuple(names), numbers)
