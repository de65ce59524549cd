# SPDX-License-Identifier: Apache-2.0
"""COCO: one JSON file a part, with images, annotations and categories.

    annotations/instances_train2017.json, instances_val2017.json (or person_keypoints_...)
    train2017/*.jpg, val2017/*.jpg (or images/...)

or `train/_annotations.coco.json` beside its pictures, and `valid` and `test`; or one JSON file and
its pictures. See https://cocodataset.org/#format-data. Boxes are left, top, width and height in
pixels from 0 on; joints name pixels, whose middles are meant.
"""

import collections
import dataclasses
import math
import os
import pathlib
from typing import Any

import numpy as np

from keras_micronet.files.text import shorten
from keras_micronet.grid_answers.labels import IGNORED
from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT
from training.datasets.grid_folders.annotated_picture import (
    AnnotatedPicture,
    Boxes,
    FolderContents,
    Joints,
    Label,
    Outlines,
)
from training.datasets.grid_folders.findings import Findings
from training.datasets.grid_folders.pairing import note_other_file
from training.datasets.grid_folders.parts import part_in_name, part_of_name
from training.datasets.grid_folders.run_length import parse_counts
from training.datasets.grid_folders.safe_files import (
    entries_below,
    path_inside,
    read_json_object,
    visible_entries,
)
from training.datasets.image_files import reason_of
from training.datasets.picture_formats import SUFFIXES

_ANNOTATIONS, _PICTURES = "annotations", "images"
_SUFFIX = ".json"
# COCO's own files for one task tell it in their names; others are of no use here.
_TASK_WORDS = {DETECT: "instances", SEGMENT: "instances", KEYPOINTS: "keypoints"}
_OTHER_WORDS = ("captions", "panoptic", "stuff", "image_info")
# How many files are looked for to tell which folder the names are meant in.
_PROBES = 20


@dataclasses.dataclass(frozen=True)
class _File:
    """A JSON file.

    Attributes:
        path: of the file.
        part: which part it is of, or `None`.
    """

    path: pathlib.Path
    part: str | None


def is_coco(folder: pathlib.Path, task: str) -> bool:
    """Whether a folder has this layout for a task."""
    return bool(_files(folder, task))


def _files(folder, task):
    """JSON files, in the folder, in `annotations` or in the folders of parts."""
    found = [
        _File(pathlib.Path(entry.path), part_in_name(entry.name))
        for place in (folder, folder / _ANNOTATIONS)
        for entry in _json_files(place)
    ]
    for entry in visible_entries(folder):
        part = part_of_name(entry.name)
        if part is not None and entry.is_dir(follow_symlinks=False):
            found += [
                _File(pathlib.Path(each.path), part)
                for each in _json_files(pathlib.Path(entry.path))
            ]
    usable = [each for each in found if not any(word in each.path.name for word in _OTHER_WORDS)]
    found = usable or found
    of_task = [each for each in found if _TASK_WORDS[task] in each.path.name]
    return of_task or found


def _json_files(folder):
    return [
        entry
        for entry in visible_entries(folder)
        if entry.name.lower().endswith(_SUFFIX) and entry.is_file(follow_symlinks=False)
    ]


def read_coco(
    folder: pathlib.Path, task: str, most_pixels: int, findings: Findings
) -> FolderContents:
    """Reads a folder of this layout.

    Args:
        folder: the folder.
        task: one of `keras_micronet.grid_answers.tasks.TASKS`.
        most_pixels: as for `image_files.read_image`.
        findings: takes all that is wrong.

    Returns:
        `FolderContents`; classes have the order of their categories' numbers, joints that of their
        category. For keypoints each instance is an example of its own.
    """
    files = _files(folder, task)
    parts = collections.Counter(each.part for each in files)
    if max(parts.values()) > 1 or (None in parts and len(parts) > 1):
        findings.complain(
            "there must be one JSON file of annotations, or one for each of train, val and test, "
            "with that word in its name: remove or rename the others",
            "; ".join(os.path.relpath(each.path, folder) for each in files),
        )
        return FolderContents((), ())
    contents = {}
    for file in files:
        try:
            contents[file] = _checked(read_json_object(file.path))
        except (OSError, ValueError, MemoryError) as error:
            findings.complain(
                "every JSON file must be readable, and have lists of `images`, `annotations` and "
                "`categories`: export it anew, or move it away if it is something else",
                f"{os.path.relpath(file.path, folder)} ({reason_of(error)})",
            )
    names, numbers = _classes(folder, contents, task, findings)
    pictures: list[AnnotatedPicture] = []
    for file, content in contents.items():
        reader = _Reader(folder, file, task, numbers, len(names), findings)
        pictures += reader.pictures(content)
    return FolderContents(names, tuple(pictures))


def _checked(content):
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            raise ValueError(f"no list {key!r}")
        if not all(isinstance(each, dict) for each in content[key]):
            raise ValueError(f"{key!r} has other entries than objects")
    return content


def _classes(folder, contents, task, findings):
    """Names of classes or joints, and what `category_id` means: a number of each category."""
    found: dict[Any, str] = {}
    joints: dict[Any, tuple[str, ...]] = {}
    for file, content in contents.items():
        where = os.path.relpath(file.path, folder)
        for category in content["categories"]:
            number, name = category.get("id"), category.get("name")
            if type(number) is not int or not isinstance(name, str):
                findings.complain(
                    "every category must have a whole number `id` and a text `name`: mend it",
                    f"{where}: {shorten(category, 80)}",
                )
            elif found.setdefault(number, name) != name:
                findings.complain(
                    "every category must have one name, in all files: mend it",
                    f"{where}: id {number} is {shorten(name, 60)!r} and "
                    f"{shorten(found[number], 60)!r}",
                )
            elif task == KEYPOINTS and category.get("keypoints"):
                names = category["keypoints"]
                if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
                    names = [str(names)]
                joints[number] = tuple(names)
    if task == KEYPOINTS:
        if len(set(joints.values())) != 1:
            findings.complain(
                "the categories must have one list of `keypoints`, the names of the joints: "
                "annotate joints, or leave the other categories out",
                f"{len(set(joints.values()))} lists in {folder}",
            )
            return (), {}
        return next(iter(joints.values())), dict.fromkeys(joints, 0)
    names = tuple(found[number] for number in sorted(found))
    return names, {number: place for place, number in enumerate(sorted(found))}


class _Reader:
    """Reads one file."""

    def __init__(self, folder, file, task, numbers, class_count, findings):
        self._folder = folder
        self._part = file.part
        self._path = file.path
        self._file = os.path.relpath(file.path, folder)
        self._task = task
        self._numbers = numbers
        self._class_count = class_count
        self._findings = findings

    def pictures(self, content: dict[str, Any]) -> list[AnnotatedPicture]:
        """All its pictures, or instances."""
        images = self._images(content["images"])
        paths = self._paths(images)
        annotations: dict[Any, list[dict[str, Any]]] = collections.defaultdict(list)
        for annotation in content["annotations"]:
            number = annotation.get("image_id")
            if type(number) is int and number in images:
                annotations[number].append(annotation)
            else:
                self._complain(
                    "every annotation must have the `image_id` of an image of its file: add the "
                    "image, or remove the annotation",
                    f"annotation {shorten(annotation.get('id'), 40)} of image "
                    f"{shorten(number, 40)}",
                )
        pictures = []
        for number, path in paths.items():
            size = _size(images[number])
            where = f"{self._file}, {shorten(images[number]['file_name'], 80)}"
            mine = annotations[number]
            if not mine and self._task != KEYPOINTS:
                self._findings.note("Nothing is in pictures that have no annotation", where)
            pictures += [
                AnnotatedPicture(path, where, label, self._part, size)
                for label in self._labels(mine, where, size)
            ]
        return pictures

    def _images(self, entries):
        """Maps numbers to the entries."""
        images, names = {}, {}
        for entry in entries:
            number, name = entry.get("id"), entry.get("file_name")
            if type(number) is not int or not isinstance(name, str):
                self._complain(
                    "every image must have a whole number `id` and a text `file_name`: mend it",
                    shorten(entry, 80),
                )
                continue
            if number in images or name in names:
                self._complain(
                    "every image must be there once: remove the others of its `id` or `file_name`",
                    f"image {number}, {shorten(name, 80)}",
                )
                continue
            images[number] = entry
            names[name] = number
        return images

    def _paths(self, images):
        """Maps numbers to the paths of those images that are there."""
        base = self._base(images)
        paths = {}
        for number, entry in images.items():
            name = entry["file_name"]
            try:
                path = path_inside(base, name)
                if not path.is_file():
                    raise ValueError(f"no file {shorten(name, 80)}")
                if path.suffix.lower() not in SUFFIXES:
                    raise ValueError(f"{shorten(name, 80)} is no JPEG, PNG, BMP or WebP")
            except (OSError, ValueError) as error:
                self._complain(
                    "every image must be a picture in the folder of the dataset, no symbolic link: "
                    "add it, or remove its entry",
                    f"{error} in {os.path.relpath(base, self._folder)}",
                )
                continue
            paths[number] = path
        known = set(paths.values())
        for entry in entries_below(base, is_deep=False):
            path = pathlib.Path(entry.path)
            if path in known or entry.name.lower().endswith(_SUFFIX):
                continue
            if path.suffix.lower() in SUFFIXES:
                self._findings.note(
                    "Left out: pictures that no annotations name",
                    os.path.relpath(path, self._folder),
                )
            elif entry.is_file(follow_symlinks=False) and base != self._folder:
                note_other_file(self._folder, path, self._findings)
        return paths

    def _base(self, images):
        """The folder in which most of the first names are files."""
        words = self._path.stem.split("_")
        candidates = [self._path.parent, self._folder, self._folder / _PICTURES]
        for place in (self._folder, self._folder / _PICTURES):
            candidates += [place / word for word in words if (place / word).is_dir()]
            candidates += [
                pathlib.Path(entry.path)
                for entry in visible_entries(place)
                if self._part is not None
                and part_of_name(entry.name) == self._part
                and entry.is_dir(follow_symlinks=False)
            ]
            candidates += [each / _PICTURES for each in candidates if each != place]
        names = [entry["file_name"] for entry in list(images.values())[:_PROBES]]

        def hits(base):
            count = 0
            for name in names:
                try:
                    count += path_inside(base, name).is_file()
                except (OSError, ValueError):
                    continue
            return count

        candidates = [each for each in candidates if each.is_dir() and not each.is_symlink()]
        return max(candidates, key=hits)  # the first of equal ones

    def _labels(self, annotations, where, size) -> list[Label]:
        """The label of a picture, or those of its instances."""
        usable = [each for each in annotations if self._has_category(each, where)]
        if self._task == KEYPOINTS:
            joints = [self._joints(each, where) for each in usable]
            return [each for each in joints if each is not None]
        if self._task == SEGMENT:
            areas = [self._area(each, where, size) for each in usable]
            areas = [each for each in areas if each is not None]
            is_encoded = any(isinstance(area, np.ndarray) for _, area in areas)
            return [Outlines(tuple(areas), mask_size=size if is_encoded else None)]
        rows = [self._row(each, where) for each in usable]
        rows = [each for each in rows if each is not None]
        return [Boxes(np.array(rows, np.float64).reshape(-1, 5))]

    def _has_category(self, annotation, where):
        number = annotation.get("category_id")
        if type(number) is int and number in self._numbers:
            return True
        if self._task == KEYPOINTS and self._numbers:
            self._findings.note("Left out: objects of categories without joints", where)
        elif self._numbers:
            self._complain(
                "every annotation must have the `category_id` of a category: add the category, or "
                "remove the annotation",
                f"{where}: {shorten(number, 40)}",
            )
        return False

    def _row(self, annotation, where):
        if annotation.get("iscrowd"):
            self._findings.note("Left out: crowds (`iscrowd`), which have no centre", where)
            return None
        box = self._box(annotation, where)
        return None if box is None else (self._numbers[annotation["category_id"]], *box)

    def _box(self, annotation, where):
        """Top, left, bottom and right."""
        box = _finite_numbers(annotation.get("bbox"))
        if box is None or len(box) != 4:
            self._complain(
                "every annotation must have a `bbox` of 4 numbers (left, top, width, height): add "
                "it, or remove the annotation",
                f"{where}: {shorten(annotation.get('bbox'), 60)}",
            )
            return None
        left, top, width, height = box
        return top, left, top + height, left + width

    def _area(self, annotation, where, size):
        """A class, or `IGNORED` for a crowd, and its polygons or run lengths."""
        number = self._numbers[annotation["category_id"]]
        if annotation.get("iscrowd"):
            self._findings.note(
                "Counts as neither class nor background: the area of crowds (`iscrowd`)",
                where,
            )
            number = IGNORED
        area = annotation.get("segmentation")
        try:
            if isinstance(area, dict):
                return number, _run_lengths(area, size)
            return number, _polygons(area)
        except ValueError as error:
            self._complain(
                "every annotation must have a `segmentation`: polygons of at least 3 corners, or "
                "run lengths: annotate its area, or remove it",
                f"{where}: {error}",
            )
            return None

    def _joints(self, annotation, where):
        """`None` for an instance without a joint."""
        values = _finite_numbers(annotation.get("keypoints"))
        if annotation.get("iscrowd") or (values is not None and not any(values[2::3])):
            self._findings.note("Left out: instances without joints", where)
            return None
        if values is None or len(values) != 3 * self._class_count:
            self._complain(
                f"every annotation must have {self._class_count} `keypoints` of 3 numbers (x, y, "
                "visibility): add them, or remove the annotation",
                f"{where}: {'none' if values is None else f'{len(values)} numbers'}",
            )
            return None
        x, y, visible = np.array(values, np.float64).reshape(-1, 3).T
        places = np.stack([y, x], axis=1) + 0.5
        places[visible == 0] = np.nan
        box = _finite_numbers(annotation.get("bbox"))
        if box is None or len(box) != 4 or not min(box[2:]) > 0:
            box = [*np.nanmin(places, axis=0), *np.nanmax(places, axis=0)]
        else:
            box = [box[1], box[0], box[1] + box[3], box[0] + box[2]]
        return Joints(places, np.array(box))

    def _complain(self, rule, received):
        self._findings.complain(
            rule, received if str(received).startswith(self._file) else f"{self._file}: {received}"
        )


def _size(entry):
    """Height and width, or `None`."""
    size = entry.get("height"), entry.get("width")
    if all(type(side) is int and side > 0 for side in size):
        return size
    return None


def _finite_numbers(values):
    """A list of numbers, or `None`."""
    if not isinstance(values, list) or not all(type(each) in (int, float) for each in values):
        return None
    try:
        return values if all(math.isfinite(each) for each in values) else None
    except OverflowError:  # a whole number beyond all floats
        return None


def _polygons(area):
    if not isinstance(area, list) or not area:
        raise ValueError("none" if not area else shorten(area, 40))
    polygons = []
    for corners in area:
        numbers = _finite_numbers(corners)
        if numbers is None or len(numbers) < 6 or len(numbers) % 2:
            raise ValueError(f"a polygon of {shorten(corners, 60)}")
        polygons.append(np.array(numbers, np.float64).reshape(-1, 2))
    return tuple(polygons)


def _run_lengths(area, size):
    if size is None:
        raise ValueError("run lengths of an image without `height` and `width`")
    if area.get("size") != list(size):
        raise ValueError(
            f"run lengths of size {shorten(area.get('size'), 40)} for an image of {list(size)}"
        )
    return parse_counts(area.get("counts"), size)
