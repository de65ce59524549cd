# SPDX-License-Identifier: Apache-2.0
"""Pascal VOC: an XML file a picture, with boxes; for segmentation a PNG file with a palette.

    Annotations/*.xml          or, for segmentation, SegmentationClass/*.png
    JPEGImages/*.jpg
    ImageSets/Main/train.txt   (or ImageSets/Segmentation), val.txt, test.txt: names of pictures

or `images` and `annotations`; or the XML files beside their pictures, all in one folder or in
`train`, `val` and `test`. Boxes
count pixels from 1 on and include their last ones, see
http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html.
"""

import contextlib
import dataclasses
import itertools
import os
import pathlib

import numpy as np

from keras_micronet.files.text import shorten
from keras_micronet.grid_answers.tasks import DETECT, SEGMENT
from training.datasets.grid_folders.annotated_picture import (
    AnnotatedPicture,
    Boxes,
    FolderContents,
    MaskFile,
)
from training.datasets.grid_folders.findings import Findings
from training.datasets.grid_folders.lists import in_listed_parts, read_lists
from training.datasets.grid_folders.mask_classes import (
    MISSING_CLASSES,
    WITHOUT_MASK,
    numbered_classes,
    read_mask_classes,
)
from training.datasets.grid_folders.pairing import (
    Place,
    paired,
    places_beside,
    places_of,
)
from training.datasets.grid_folders.parts import TEST, TRAIN, VALIDATION
from training.datasets.grid_folders.safe_files import (
    entries_below,
    read_xml,
    visible_entries,
)
from training.datasets.image_files import reason_of

_PICTURES, _BOXES, _MASKS, _LISTS = "JPEGImages", "Annotations", "SegmentationClass", "ImageSets"
# Other programs write the same files into folders of these names.
_PICTURE_FOLDERS, _BOX_FOLDERS = (_PICTURES, "images"), (_BOXES, "annotations")
_SUFFIX = ".xml"
_SIDES = ("ymin", "xmin", "ymax", "xmax")
# The classes of the challenge, whose masks have their numbers in this order.
_CHALLENGE_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)


def is_pascal_voc(folder: pathlib.Path, task: str) -> bool:
    """Whether a folder has this layout for a task."""
    if task == SEGMENT:
        return (folder / _PICTURES).is_dir() and (folder / _MASKS).is_dir()
    return task == DETECT and bool(_places(folder))


def _places(folder):
    """Where boxes and pictures are, those in folders of their own first."""
    for pictures, boxes in itertools.product(_PICTURE_FOLDERS, _BOX_FOLDERS):
        places = places_of(folder, pictures, boxes)
        if any(
            entry.name.lower().endswith(_SUFFIX)
            for place in places
            for entry in entries_below(place.annotations)
        ):
            return places
    return places_beside(folder, _SUFFIX)


def read_pascal_voc(
    folder: pathlib.Path, task: str, most_pixels: int, findings: Findings
) -> FolderContents:
    """Reads a folder of this layout.

    Args:
        folder: the folder.
        task: `"detect"` or `"segment"`.
        most_pixels: as for `image_files.read_image`.
        findings: takes all that is wrong.

    Returns:
        `FolderContents`; classes have the order of the alphabet, or of a list of them.
    """
    if task == SEGMENT:
        return _read_masks(folder, most_pixels, findings)
    pairs = paired(folder, _places(folder), _SUFFIX, findings)
    objects = {}
    for pair in pairs:
        objects[pair] = _Objects([], None)
        if pair.annotation is not None:
            where = os.path.relpath(pair.annotation, folder)
            objects[pair] = _read_objects(pair.annotation, where, findings)
    names = sorted({name for each in objects.values() for name, _ in each.boxes})
    numbers = {name: number for number, name in enumerate(names)}
    pictures = [
        AnnotatedPicture(
            path=pair.picture,
            where=os.path.relpath(pair.annotation or pair.picture, folder),
            label=Boxes(
                np.array(
                    [(numbers[name], *box) for name, box in objects[pair].boxes], np.float64
                ).reshape(-1, 5)
            ),
            part=pair.part,
            annotated_size=objects[pair].size,
        )
        for pair in pairs
    ]
    if any(pair.part for pair in pairs):
        return FolderContents(tuple(names), tuple(pictures))
    by_name = {pair.name: picture for pair, picture in zip(pairs, pictures, strict=True)}
    return FolderContents(tuple(names), _in_parts(folder, "Main", by_name, findings))


@dataclasses.dataclass(frozen=True)
class _Objects:
    """Of one XML file: pairs of a name and top, left, bottom, right; the picture's height and
    width, if it says them."""

    boxes: list[tuple[str, list[float]]]
    size: tuple[int, int] | None


def _read_objects(path, where, findings):
    try:
        root = read_xml(path)
    except (OSError, ValueError, LookupError) as error:
        findings.complain(
            "every annotation must be readable XML: write it anew, or remove it with its picture",
            f"{where} ({reason_of(error)})",
        )
        return _Objects([], None)
    boxes = []
    for element in root.iter("object"):
        name = (element.findtext("name") or "").strip()
        box = _box(element.find("bndbox"))
        if not name or box is None:
            findings.complain(
                "every <object> must have a <name>, and a <bndbox> with the numbers <xmin>, "
                "<ymin>, <xmax> and <ymax>: mend or remove it",
                f"{where}: {shorten(repr(name), 60)}",
            )
            continue
        if (element.findtext("difficult") or "").strip() == "1":
            findings.note("Kept as others: objects marked as difficult", f"{where}: {name}")
        boxes.append((name, box))
    return _Objects(boxes, _size(root.find("size")))


def _box(element):
    """Top, left, bottom and right in pixels from 0 on, or `None`."""
    if element is None:
        return None
    try:
        ymin, xmin, ymax, xmax = (float(element.findtext(side) or "") for side in _SIDES)
    except ValueError:
        return None
    box = [ymin - 1, xmin - 1, ymax, xmax]
    return box if np.isfinite(box).all() else None


def _size(element):
    """Height and width, or `None`: many programs write 0."""
    if element is None:
        return None
    try:
        size = int(element.findtext("height") or 0), int(element.findtext("width") or 0)
    except ValueError:
        return None
    return size if min(size) > 0 else None


def _in_parts(folder, kind, pictures, findings):
    """The pictures, by their names, in the parts that the lists of a kind tell, if there are
    any."""
    lists = folder / _LISTS / kind
    train = lists / "train.txt"
    files = [
        (TRAIN, train if train.is_file() else lists / "trainval.txt"),
        (VALIDATION, lists / "val.txt"),
        (TEST, lists / "test.txt"),
    ]
    if not train.is_file():
        files.pop(1)  # its pictures are in trainval.txt, too
    # Lists of one class have a second word in each line.
    found = read_lists(folder, files, lambda line: line.split()[0], findings)
    return in_listed_parts(pictures, found, findings) if found else tuple(pictures.values())


def _read_masks(folder, most_pixels, findings):
    places = [Place(None, folder / _PICTURES, folder / _MASKS)]
    classes = read_mask_classes(folder, findings)
    if classes is None and _is_of_the_challenge(folder):
        classes = numbered_classes(_CHALLENGE_CLASSES)
    if classes is None:
        findings.complain(MISSING_CLASSES, folder)
        return FolderContents((), ())
    pictures = {
        pair.name: AnnotatedPicture(
            path=pair.picture,
            where=os.path.relpath(pair.annotation, folder),
            label=MaskFile(pair.annotation, classes.numbers, most_pixels),
        )
        for pair in paired(folder, places, ".png", findings, WITHOUT_MASK)
        if pair.annotation is not None
    }
    return FolderContents(classes.names, _in_parts(folder, "Segmentation", pictures, findings))


def _is_of_the_challenge(folder):
    """Whether its boxes, if it has some, are of the challenge's classes alone."""
    names = set()
    for entry in visible_entries(folder / _BOXES):
        if entry.name.lower().endswith(_SUFFIX) and not entry.is_symlink():
            with contextlib.suppress(OSError, ValueError, LookupError):
                root = read_xml(pathlib.Path(entry.path))
                names |= {element.findtext("name") for element in root.iter("object")}
    return bool(names) and names <= set(_CHALLENGE_CLASSES)
