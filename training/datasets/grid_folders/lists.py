# SPDX-License-Identifier: Apache-2.0
"""Lists that tell which picture is in which part."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping

from training.datasets.grid_folders.annotated_picture import AnnotatedPicture
from training.datasets.grid_folders.findings import Findings
from training.datasets.grid_folders.parts import TRAIN
from training.datasets.grid_folders.safe_files import read_lines
from training.datasets.image_files import reason_of


@dataclasses.dataclass(frozen=True)
class PartList:
    """A file that lists the pictures of a part.

    Attributes:
        part: the part.
        file: its path in the folder.
        names: of the pictures.
    """

    part: str
    file: str
    names: tuple[str, ...]


def read_lists(
    folder: pathlib.Path,
    files: Iterable[tuple[str, pathlib.Path]],
    name_of: Callable[[str], str],
    findings: Findings,
) -> list[PartList]:
    """Reads those lists that are there; none if there is no list for training.

    Args:
        folder: the folder of the dataset, for messages.
        files: pairs of a part and a path.
        name_of: gives a picture's name for a line.
        findings: takes what is wrong.
    """
    lists = []
    for part, path in files:
        if path.is_symlink() or not path.is_file():
            continue
        file = os.path.relpath(path, folder)
        try:
            lists.append(PartList(part, file, tuple(name_of(line) for line in read_lines(path))))
        except (OSError, ValueError) as error:
            findings.complain(
                "every list of pictures must be a readable text: write it anew",
                f"{file} ({reason_of(error)})",
            )
    return lists if any(each.part == TRAIN for each in lists) else []


def in_listed_parts(
    pictures: Mapping[str, AnnotatedPicture], lists: Iterable[PartList], findings: Findings
) -> tuple[AnnotatedPicture, ...]:
    """Those pictures, by their names, that lists name, in the parts that these say."""
    part_of: dict[str, str] = {}
    for each in lists:
        for name in each.names:
            if name not in pictures:
                findings.complain(
                    "every name in a list must be that of an annotated picture: add it, or remove "
                    "the name",
                    f"{name!r} in {each.file}",
                )
            elif part_of.setdefault(name, each.part) != each.part:
                findings.complain(
                    "every picture must be in one part: remove its name from the other lists",
                    f"{name!r} in {part_of[name]} and {each.part}",
                )
    for name in pictures:
        if name not in part_of:
            findings.note("Left out: pictures that are in no list", name)
    return tuple(
        dataclasses.replace(picture, part=part_of[name])
        for name, picture in pictures.items()
        if name in part_of
    )
