# SPDX-License-Identifier: Apache-2.0
"""YOLO: a text a picture, with a line an object: class, then fractions of the picture's sides.

    data.yaml         names of the classes (or classes.txt, one a line)
    images/a.jpg      (or images/train, images/val, images/test; or train/images, ...)
    labels/a.txt      class, centre x, centre y, width, height; or class, x1, y1, x2, y2, ...

or the texts beside their pictures, with classes.txt. Lists train.txt, val.txt and test.txt of
pictures may tell the parts. The longer lines are polygons; detection takes the boxes around them.
"""

import os
import pathlib

import numpy as np

from keras_micronet.files.text import shorten
from keras_micronet.grid_answers.tasks import DETECT, SEGMENT
from training.datasets.grid_folders.annotated_picture import (
    AnnotatedPicture,
    Boxes,
    FolderContents,
    Outlines,
)
from training.datasets.grid_folders.findings import Findings
from training.datasets.grid_folders.lists import in_listed_parts, read_lists
from training.datasets.grid_folders.pairing import paired, places_beside, places_of
from training.datasets.grid_folders.parts import part_of_name
from training.datasets.grid_folders.safe_files import (
    read_lines,
    read_yaml_object,
    visible_entries,
)
from training.datasets.image_files import reason_of

_PICTURES, _LABELS = "images", "labels"
_NAME_LISTS = ("classes.txt", "obj.names")
_SETTINGS = (".yaml", ".yml")
_LISTS = ("train.txt", "val.txt", "valid.txt", "validation.txt", "test.txt")
_MOST_CLASSES = 10_000
# A box from 0 to 1 may be written as six digits.
_TOLERANCE = 1e-3


def is_yolo(folder: pathlib.Path, task: str) -> bool:
    """Whether a folder has this layout for a task."""
    return task in (DETECT, SEGMENT) and bool(_places(folder))


def _places(folder):
    beside = any((folder / name).is_file() for name in _NAME_LISTS) or _settings(folder)
    return places_of(folder, _PICTURES, _LABELS) or (
        places_beside(folder, ".txt") if beside else []
    )


def _settings(folder):
    """The files that may have names of classes."""
    return [
        pathlib.Path(entry.path)
        for entry in visible_entries(folder)
        if entry.name.lower().endswith(_SETTINGS) and entry.is_file(follow_symlinks=False)
    ]


def read_yolo(
    folder: pathlib.Path, task: str, most_pixels: int, findings: Findings
) -> FolderContents:
    """Reads a folder of this layout.

    Args:
        folder: the folder.
        task: `"detect"` or `"segment"`.
        most_pixels: as for `image_files.read_image`.
        findings: takes all that is wrong.

    Returns:
        `FolderContents`; classes have the order of the list.
    """
    names = _class_names(folder, findings)
    others = (*_NAME_LISTS, *_LISTS, *(path.name for path in _settings(folder)))
    pictures = []
    for pair in paired(folder, _places(folder), ".txt", findings, others=others):
        where = os.path.relpath(pair.annotation or pair.picture, folder)
        objects = []
        if pair.annotation is not None:
            objects = _read_objects(pair.annotation, where, task, len(names), findings)
        pictures.append(AnnotatedPicture(pair.picture, where, _label(objects, task), pair.part))
    return FolderContents(names, _in_parts(folder, tuple(pictures), findings))


def _class_names(folder, findings):
    """From the first file that has some."""
    for path in _settings(folder):
        try:
            names = read_yaml_object(path).get("names")
            if names is not None:
                return _named(names)
        except (OSError, ValueError) as error:
            findings.complain(
                "a YAML file beside the pictures must be readable, and its `names` a list of "
                "texts, or a mapping of 0, 1, ... to them: mend it",
                f"{path.name} ({reason_of(error)})",
            )
            return ()
    for name in _NAME_LISTS:
        path = folder / name
        if path.is_file() and not path.is_symlink():
            try:
                return tuple(read_lines(path))
            except (OSError, ValueError) as error:
                findings.complain(
                    "a list of classes must be a readable text, one a line: write it anew",
                    f"{name} ({reason_of(error)})",
                )
                return ()
    findings.complain(
        "YOLO's texts must come with the names of their classes: write `names: [first, second]` "
        "into data.yaml, or one a line into classes.txt",
        folder,
    )
    return ()


def _named(names):
    if isinstance(names, dict):
        numbers = [str(number) for number in range(min(len(names), _MOST_CLASSES))]
        if set(names) != set(numbers):
            raise ValueError("the numbers of names are not 0, 1, ...")
        names = [names[number] for number in numbers]
    if not isinstance(names, list) or not 1 <= len(names) <= _MOST_CLASSES:
        raise ValueError("names are no list")
    if not all(isinstance(name, str) for name in names):
        raise ValueError("a name is no text")
    return tuple(names)


def _read_objects(path, where, task, class_count, findings):
    """Pairs of a class and the numbers behind it."""
    try:
        lines = read_lines(path)
    except (OSError, ValueError) as error:
        findings.complain(
            "every annotation must be a readable text: write it anew, or remove it with its "
            "picture",
            f"{where} ({reason_of(error)})",
        )
        return []
    objects = []
    for number, line in enumerate(lines, start=1):
        try:
            values = np.array([float(value) for value in line.split()])
        except ValueError:
            values = np.array([np.nan])
        place = f"{where}, line {number}: {shorten(line, 60)}"
        is_polygon = len(values) >= 7 and len(values) % 2 == 1
        if not np.isfinite(values).all() or not (is_polygon or len(values) == 5):
            findings.complain(
                "every line must be a class and 4 numbers (centre x, centre y, width, height), or "
                "a class and at least 3 corners (x, y): mend or remove it",
                place,
            )
        elif (values[1:] < -_TOLERANCE).any() or (values[1:] > 1 + _TOLERANCE).any():
            findings.complain(
                "places must be fractions of the picture's sides, from 0 to 1: divide those in "
                "pixels by its width and height",
                place,
            )
        elif class_count and values[0] not in range(class_count):
            findings.complain(
                "the class of every line must be a number of the list of classes, from 0 to "
                f"{class_count - 1}: mend the line, or name the class",
                place,
            )
        elif task == SEGMENT and not is_polygon:
            findings.complain(
                "segmentation needs outlines, not boxes: annotate polygons or masks, or train "
                "with --task detect",
                place,
            )
        elif class_count:
            objects.append((int(values[0]), values[1:]))
    return objects


def _label(objects, task):
    if task == SEGMENT:
        areas = tuple((number, (values.reshape(-1, 2),)) for number, values in objects)
        return Outlines(areas, in_fractions=True)
    rows = [(number, *_box(values)) for number, values in objects]
    return Boxes(np.array(rows, np.float64).reshape(-1, 5), in_fractions=True)


def _box(values):
    """Top, left, bottom and right."""
    if len(values) == 4:
        x, y, width, height = values
        return y - height / 2, x - width / 2, y + height / 2, x + width / 2
    corners = values.reshape(-1, 2)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return top, left, bottom, right


def _in_parts(folder, pictures, findings):
    """The pictures in the parts that lists tell, where their folders tell none."""
    if any(picture.part for picture in pictures):
        return pictures
    files = [(part_of_name(name.removesuffix(".txt")), folder / name) for name in _LISTS]
    lists = read_lists(folder, files, lambda line: line.replace("\\", "/").split("/")[-1], findings)
    by_name = {picture.path.name: picture for picture in pictures}
    return in_listed_parts(by_name, lists, findings) if lists else pictures
