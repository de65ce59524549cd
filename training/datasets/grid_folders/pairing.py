# SPDX-License-Identifier: Apache-2.0
"""Layouts with one file of annotations a picture, of the same name but for the ending."""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Sequence

from training.datasets.grid_folders.findings import Findings
from training.datasets.grid_folders.parts import part_of_name
from training.datasets.grid_folders.safe_files import entries_below, visible_entries
from training.datasets.picture_formats import SUFFIXES, kind_of_file, remedies


@dataclasses.dataclass(frozen=True)
class Place:
    """Where pictures and their annotations are.

    Attributes:
        part: `"train"`, `"validation"` or `"test"`; `None` if the layout does not say.
        pictures: the folder of the pictures.
        annotations: that of the annotations, which may be the same.
        is_deep: whether sub-folders belong to them.
    """

    part: str | None
    pictures: pathlib.Path
    annotations: pathlib.Path
    is_deep: bool = True


@dataclasses.dataclass(frozen=True)
class Pair:
    """A picture and its annotation.

    Attributes:
        part: as in `Place`.
        name: path of both without the endings, from their folders.
        picture: path of the picture.
        annotation: path of the annotation; `None` if there is none.
    """

    part: str | None
    name: str
    picture: pathlib.Path
    annotation: pathlib.Path | None


def places_of(folder: pathlib.Path, pictures: str, annotations: str) -> list[Place]:
    """The places of a folder that has one folder for pictures and one for annotations.

    Args:
        folder: the folder of the dataset.
        pictures, annotations: names of the two folders; each may have folders for parts, or the
            parts may have folders for them.
    """
    both = folder / pictures, folder / annotations
    if all(each.is_dir() for each in both):
        parts = _part_folders(both[0])
        if parts:
            return [Place(part, each, both[1] / each.name) for part, each in sorted(parts.items())]
        return [Place(None, *both)]
    return [
        Place(part, each / pictures, each / annotations)
        for part, each in sorted(_part_folders(folder).items())
        if (each / pictures).is_dir() and (each / annotations).is_dir()
    ]


def places_beside(folder: pathlib.Path, suffix: str) -> list[Place]:
    """The places of a folder where annotations, by their ending, stand beside the pictures."""
    parts = _part_folders(folder)
    places = [Place(part, each, each, is_deep=False) for part, each in sorted(parts.items())]
    places.append(Place(None, folder, folder, is_deep=False))
    found = [place for place in places if _has_both(place.pictures, suffix)]
    # A picture beside folders of parts is in none of them.
    return [place for place in found if place.part] or found


def _has_both(folder, suffix):
    """Whether an annotation has a picture of its name."""
    names = {entry.name.lower() for entry in visible_entries(folder)}
    annotated = [name.removesuffix(suffix) for name in names if name.endswith(suffix)]
    return any(name + each in names for name in annotated for each in SUFFIXES)


def _part_folders(folder):
    """Maps parts to their folders."""
    return {
        part: folder / entry.name
        for entry in visible_entries(folder)
        if entry.is_dir(follow_symlinks=False)
        for part in [part_of_name(entry.name)]
        if part is not None
    }


def paired(
    folder: pathlib.Path,
    places: Sequence[Place],
    suffix: str,
    findings: Findings,
    without: str = "Nothing is in pictures that have no annotation",
    others: Sequence[str] = (),
) -> list[Pair]:
    """Finds the pairs of some places.

    Args:
        folder: the folder of the dataset, for messages.
        places: where to look.
        suffix: ending of the annotations' names, in lower case.
        findings: takes what has no counterpart or several.
        without: the note on pictures without an annotation.
        others: names of files beside them that are neither.

    Returns:
        A `Pair` for each picture, in the order of the places and names.
    """
    pairs = []
    for place in places:
        is_beside = place.pictures == place.annotations
        known = (suffix, *SUFFIXES) if is_beside else ()
        pictures = _by_name(folder, place, place.pictures, SUFFIXES, findings, known, others)
        # What else stands there has been named already.
        elsewhere = Findings() if is_beside else findings
        annotations = _by_name(folder, place, place.annotations, (suffix,), elsewhere, known)
        for name, found in pictures.items():
            if len(found) > 1:
                findings.complain(
                    "every annotation must have one picture: rename or remove the others of its "
                    "name",
                    ", ".join(_relative(folder, each) for each in found),
                )
            annotation = annotations.get(name, [None])[0]
            if annotation is None:
                findings.note(without, _relative(folder, found[0]))
            pairs.append(Pair(place.part, name, found[0], annotation))
        for name in sorted(set(annotations) - set(pictures)):
            annotation = annotations[name][0]
            if not (is_beside and annotation.name in others):
                findings.complain(
                    "every annotation must have its picture, a JPEG, PNG, BMP or WebP: add it, or "
                    "remove the annotation",
                    f"{_relative(folder, annotation)} without one",
                )
    return pairs


def _by_name(folder, place, where, suffixes, findings, known=(), others=()):
    """Maps names without endings to the paths of files with some endings."""
    found = collections.defaultdict(list)
    for entry in entries_below(where, place.is_deep):
        path = pathlib.Path(entry.path)
        suffix = path.suffix.lower()
        if entry.is_symlink():
            findings.note("Ignored: symbolic links", _relative(folder, path))
        elif not entry.is_file(follow_symlinks=False):
            findings.note("Ignored: entries that are no files", _relative(folder, path))
        elif suffix in suffixes:
            name = path.relative_to(where).with_suffix("").as_posix()
            found[name].append(path)
        elif suffix not in known and entry.name not in others:
            note_other_file(folder, path, findings)
    return dict(sorted(found.items()))


def note_other_file(folder: pathlib.Path, path: pathlib.Path, findings: Findings) -> None:
    """Names a file that is neither picture nor annotation; pictures of other formats come apart."""
    kind = kind_of_file(path)
    if kind is None:
        findings.note("Ignored: files of other formats", _relative(folder, path))
        return
    findings.note(
        f"Left out: files that may be pictures (to use them: {remedies([kind])})",
        _relative(folder, path),
    )


def _relative(folder, path):
    return os.path.relpath(path, folder)
