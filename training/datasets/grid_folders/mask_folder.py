# SPDX-License-Identifier: Apache-2.0
"""Masks: for each picture a PNG file of the same name, whose values are numbers of classes.

images/a.jpg      (or images/train, images/val, images/test; or train/images, ...)
masks/a.png
classes.txt       one class a line, the first that of the value 1; 0 is the background
"""

import os
import pathlib

import numpy as np

from keras_micronet.grid_answers.labels import IGNORED
from keras_micronet.grid_answers.tasks import SEGMENT
from training.datasets.grid_folders.annotated_picture import (
    AnnotatedPicture,
    FolderContents,
    MaskFile,
)
from training.datasets.grid_folders.findings import Findings
from training.datasets.grid_folders.mask_classes import (
    MISSING_CLASSES,
    WITHOUT_MASK,
    read_mask_classes,
)
from training.datasets.grid_folders.pairing import paired, places_of
from training.datasets.image_files import read_mask

_PICTURES, _MASKS = "images", "masks"


def is_mask_folder(folder: pathlib.Path, task: str) -> bool:
    """Whether a folder has this layout for a task."""
    return task == SEGMENT and bool(places_of(folder, _PICTURES, _MASKS))


def read_mask_folder(
    folder: pathlib.Path, task: str, most_pixels: int, findings: Findings
) -> FolderContents:
    """Reads a folder of this layout.

    Args:
        folder: the folder.
        task: `"segment"`.
        most_pixels: as for `image_files.read_image`.
        findings: takes all that is wrong.

    Returns:
        `FolderContents`; classes have the order of the list.
    """
    classes = read_mask_classes(folder, findings)
    if classes is None:
        findings.complain(MISSING_CLASSES, folder)
        return FolderContents((), ())
    places = places_of(folder, _PICTURES, _MASKS)
    pairs = paired(folder, places, ".png", findings, WITHOUT_MASK)
    numbers = classes.numbers
    if len(classes.names) == 1 and isinstance(numbers, np.ndarray):
        paths = [pair.annotation for pair in pairs if pair.annotation is not None]
        if _are_black_and_white(paths, most_pixels):
            numbers = numbers.copy()
            numbers[IGNORED] = 1
            findings.note("Taken as the class: the value 255, the only one but 0, in", _MASKS)
    pictures = [
        AnnotatedPicture(
            path=pair.picture,
            where=os.path.relpath(pair.annotation, folder),
            label=MaskFile(pair.annotation, numbers, most_pixels),
            part=pair.part,
        )
        for pair in pairs
        if pair.annotation is not None
    ]
    return FolderContents(classes.names, tuple(pictures))


def _are_black_and_white(paths, most_pixels):
    """Whether masks have the values 0 and 255 alone, as programs of pictures write them."""
    shown = False
    for path in paths:
        try:
            mask = read_mask(path, most_pixels)
        except Exception:  # It is complained about where it is checked.
            continue
        if not np.isin(mask, (0, IGNORED)).all():
            return False
        shown = shown or bool(mask.any())
    return shown
