# SPDX-License-Identifier: Apache-2.0
"""From a folder of pictures and annotations, in any of the known layouts, to a dataset."""

import collections
import dataclasses
import functools
import hashlib
import math
import os
import pathlib
from collections.abc import Callable

import numpy as np

from keras_micronet.files.text import list_some, shorten
from keras_micronet.grid_answers.labels import IGNORED
from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT
from keras_micronet.run_folders import check_class_names
from training.datasets.grid_dataset import GridDataset, GridSplit
from training.datasets.grid_folders import coco, mask_folder, pascal_voc, yolo
from training.datasets.grid_folders.annotated_picture import AnnotatedPicture, FolderContents
from training.datasets.grid_folders.findings import Findings
from training.datasets.grid_folders.parts import PARTS, TEST, TRAIN, VALIDATION
from training.datasets.grid_folders.safe_files import visible_entries
from training.datasets.grid_labels import cut_label
from training.datasets.image_files import (
    check_images,
    read_image,
    read_image_sizes,
    set_most_pixels,
)
from training.datasets.image_folder import ImageFolderError, unreadable_files
from training.datasets.random_crop import narrowest_crop
from training.datasets.stratified_split import (
    TEST_FRACTION,
    VALIDATION_FRACTION,
    stratified_split,
)
from training.settings import MOST_PIXELS

# How much larger than an instance its example of keypoints is.
_ENLARGEMENT = 1.25


@dataclasses.dataclass(frozen=True)
class _Layout:
    """A layout of folders.

    Attributes:
        name: what it is called.
        files: what a folder of it has, for each task that it serves.
        fits: called with a folder and a task, tells whether the folder has it.
        read: called with a folder, a task, the most pixels and `Findings`.
    """

    name: str
    files: dict[str, str]
    fits: Callable[[pathlib.Path, str], bool]
    read: Callable[[pathlib.Path, str, int, Findings], FolderContents]


_COCO_FILES = (
    "annotations/*.json and images, or train/*.json beside the pictures of train, val and test"
)
_YOLO_FILES = "data.yaml, images/ and labels/*.txt"
_LAYOUTS = (
    _Layout(
        "Pascal VOC",
        {
            DETECT: "JPEGImages/ and Annotations/*.xml, or XML files beside the pictures",
            SEGMENT: "JPEGImages/, SegmentationClass/*.png and classes.txt",
        },
        pascal_voc.is_pascal_voc,
        pascal_voc.read_pascal_voc,
    ),
    _Layout(
        "masks",
        {SEGMENT: "images/, masks/*.png and classes.txt"},
        mask_folder.is_mask_folder,
        mask_folder.read_mask_folder,
    ),
    _Layout("YOLO", {DETECT: _YOLO_FILES, SEGMENT: _YOLO_FILES}, yolo.is_yolo, yolo.read_yolo),
    _Layout(
        "COCO",
        {DETECT: _COCO_FILES, SEGMENT: _COCO_FILES, KEYPOINTS: _COCO_FILES},
        coco.is_coco,
        coco.read_coco,
    ),
)


def load_grid_folder(
    task: str,
    folder: pathlib.Path,
    image_size: tuple[int, int],
    channels: int = 3,
    skip_unreadable: bool = False,
    most_pixels: int = MOST_PIXELS,
) -> GridDataset:
    """Loads a folder; every picture and mask is decoded once here, to find the damaged ones.

    Parts are those of the folder's own folders, files or lists; those that it does not have are
    split off from `train`, always the same pictures. Places in annotations are those of the upright
    picture, as `image_files.read_image` and programs that show pictures turn it.

    Args:
        task: one of `keras_micronet.grid_answers.tasks.TASKS`.
        folder: the folder.
        image_size: height and width, in pixels, of the images that the model takes.
        channels: of the pictures: 1 for gray, 3 for RGB.
        skip_unreadable: whether pictures that cannot be decoded are left out, rather than refused.
        most_pixels: how many pixels a picture may have, as for `image_files.read_image`.

    Returns:
        A `GridDataset`.

    Raises:
        ImageFolderError: if no layout fits, annotations are damaged or contradict their pictures or
            themselves, pictures cannot be decoded, or there are too few; all of this at once.
    """
    findings = Findings()
    layout = _layout_of(folder, task)
    contents = layout.read(folder, task, most_pixels, findings)
    set_most_pixels(most_pixels)
    pictures = list(contents.pictures)
    paths = sorted({picture.path for picture in pictures})
    checks = dict(zip(paths, check_images(paths, most_pixels), strict=True))
    notes: list[str] = []
    complaints: list[str] = []
    unreadable = unreadable_files(folder, checks, skip_unreadable, notes, complaints)
    pictures = [picture for picture in pictures if picture.path not in unreadable]
    readable = [path for path in paths if path not in unreadable]
    heights_and_widths = read_image_sizes(readable, most_pixels).tolist()
    sizes = {path: tuple(size) for path, size in zip(readable, heights_and_widths, strict=True)}
    pictures = _checked(pictures, sizes, findings)
    contents = FolderContents(contents.class_names, tuple(pictures))
    contents = _without_unused(contents, task, findings)
    parts: dict[str, list[AnnotatedPicture]] = {part: [] for part in PARTS}
    # What is wrong with annotations would be said again of classes without any.
    if findings.complaints:
        complaints += findings.complaints
    else:
        complaints += _class_complaints(contents, task)
        parts = _in_parts(contents.pictures, notes, complaints)
        complaints += _empty_classes(contents.class_names, parts, task, notes)
    notes += findings.notes
    if complaints:
        raise ImageFolderError(folder, complaints, notes)
    reader = _PictureReader(task, image_size, channels, most_pixels, sizes)
    return GridDataset(
        name=folder.resolve().name,
        task=task,
        image_size=(image_size[0], image_size[1]),
        class_names=contents.class_names,
        train=reader.split(parts[TRAIN]),
        validation=reader.split(parts[VALIDATION]),
        test=reader.split(parts[TEST]),
        most_objects=_most_objects(contents.pictures, task, sizes),
        notes=(f"{layout.name}: {_counts(parts)}.", *notes),
        pictures=_digest(folder, parts, checks, contents.class_names),
        channels=channels,
    )


def _layout_of(folder, task):
    for layout in _LAYOUTS:
        if task in layout.files and layout.fits(folder, task):
            return layout
    known = "; ".join(
        f"{layout.name}: {layout.files[task]}" for layout in _LAYOUTS if task in layout.files
    )
    entries = [
        shorten(f"{entry.name}/" if entry.is_dir() else entry.name, 60)
        for entry in visible_entries(folder)
    ]
    raise ImageFolderError(
        folder,
        [
            f"a folder for the task {task} must have one of these layouts: {known}. "
            f"Received: {folder} with {list_some(entries, 10) or 'nothing'}"
        ],
    )


def _checked(pictures, sizes, findings):
    """The pictures with their labels checked against their sizes."""
    checked = []
    for picture in pictures:
        size = sizes[picture.path]
        annotated = picture.annotated_size
        if annotated == size[::-1] != size:
            findings.complain(
                "places must be those of the upright picture, as programs show it: if it was "
                "annotated as it lies in the file, remove its orientation (`exiftool "
                "-Orientation= FILE`), else exchange width and height in the annotation",
                f"{picture.where}: {annotated[1]} x {annotated[0]} for {size[1]} x {size[0]}",
            )
        elif annotated not in (None, size):
            findings.complain(
                "an annotation must have its picture's size: annotate the picture as it is now, or "
                "put back the one that was annotated",
                f"{picture.where}: {annotated[1]} x {annotated[0]} for {size[1]} x {size[0]}",
            )
        else:
            label = picture.label.checked(size, picture.where, findings)
            checked.append(dataclasses.replace(picture, label=label))
    return checked


def _without_unused(contents, task, findings):
    """Leaves out classes that nothing is of, as exports have that list all that could be."""
    if task == KEYPOINTS:
        return contents
    shown = {number for picture in contents.pictures for number in picture.label.classes()}
    used = [number for number in range(len(contents.class_names)) if number in shown]
    if not used or len(used) == len(contents.class_names):
        return contents
    for number, name in enumerate(contents.class_names):
        if number not in shown:
            findings.note("Left out: classes of which nothing is there", name)
    table = np.zeros(256 if task == SEGMENT else len(contents.class_names), np.int64)
    table[used] = np.arange(len(used))
    pictures = [
        dataclasses.replace(picture, label=_Renumbered(picture.label, table, task == SEGMENT))
        for picture in contents.pictures
    ]
    return FolderContents(tuple(contents.class_names[number] for number in used), tuple(pictures))


@dataclasses.dataclass(frozen=True)
class _Renumbered:
    """A label whose classes have other numbers.

    Attributes:
        label: with the numbers of the annotations.
        table: int64, the number of each of those.
        is_mask: whether it is a label of segmentation.
    """

    label: object
    table: np.ndarray
    is_mask: bool

    def classes(self):
        return frozenset(int(self.table[number]) for number in self.label.classes())

    def digest(self):
        return self.label.digest() + self.table.tobytes()

    def read(self, size):
        label = self.label.read(size)
        if self.is_mask:
            numbers = np.zeros(256, np.uint8)
            numbers[1:255] = self.table[:254] + 1
            numbers[IGNORED] = IGNORED
            return numbers[label]
        label[:, 0] = self.table[label[:, 0].astype(int)]
        return label


def _class_complaints(contents, task):
    if not contents.pictures:
        noun = "instances with joints" if task == KEYPOINTS else "annotated pictures"
        yield f"there must be {noun}: annotate some. Received: none"
        return
    if not any(picture.label.classes() for picture in contents.pictures):
        yield "something must be annotated in the pictures. Received: nothing but background"
    try:
        check_class_names(contents.class_names)
    except ValueError as error:
        yield f"rename the classes: {error}"


def _in_parts(pictures, notes, complaints):
    """Maps each part to its pictures; those that are missing are split off from training."""
    parts = {part: [each for each in pictures if each.part == part] for part in PARTS}
    parts[TRAIN] += [each for each in pictures if each.part is None]
    given = [part for part in PARTS if parts[part]]
    if pictures and TRAIN not in given:
        complaints.append(
            "there must be pictures to train with: name a folder or list of them train. "
            f"Received: {', '.join(given)} alone"
        )
        return parts
    fractions = {VALIDATION: VALIDATION_FRACTION, TEST: TEST_FRACTION}
    missing = {part: share for part, share in fractions.items() if part not in given}
    if not missing or not pictures:
        return parts
    # All instances of a picture stay together.
    groups = collections.defaultdict(list)
    for picture in parts[TRAIN]:
        groups[picture.path].append(picture)
    if len(groups) < 1 + len(missing):
        complaints.append(
            f"there must be at least {1 + len(missing)} pictures, one for each of "
            f"{', '.join([TRAIN, *missing])}: add some. Received: {len(groups)}"
        )
        return parts
    split = _split(list(groups.values()), tuple(missing.values()))
    for part, indices in zip((TRAIN, *missing), split, strict=True):
        examples = list(groups.values())
        parts[part] = [each for index in sorted(indices) for each in examples[index]]
    notes.append(f"Split off from the training pictures: {' and '.join(missing)}.")
    return parts


def _split(groups, fractions):
    """Indices of groups for training and for each fraction, with a similar mix of classes."""
    shown = [frozenset().union(*(each.label.classes() for each in group)) for group in groups]
    counts = collections.Counter(number for numbers in shown for number in numbers)
    # What is rarest in a picture decides with which others it is divided.
    rarest = [
        min(numbers, key=lambda number: (counts[number], number), default=-1) for numbers in shown
    ]
    sizes = collections.Counter(rarest)
    fewest = 1 + len(fractions)
    # Too few to divide: all of them together, or all for training.
    scarce = [index for index, number in enumerate(rarest) if sizes[number] < fewest]
    rest = [index for index, number in enumerate(rarest) if sizes[number] >= fewest]
    if not rest:
        scarce, rest = [], scarce
        rarest = [0] * len(rarest)
    split = stratified_split([rarest[index] for index in rest], fractions)
    parts = [[rest[place] for place in indices] for indices in split]
    parts[0] += scarce
    return parts


def _empty_classes(class_names, parts, task, notes):
    noun = "joint" if task == KEYPOINTS else "class"
    for part in PARTS if all(parts.values()) else ():
        shown = {number for picture in parts[part] for number in picture.label.classes()}
        absent = [
            shorten(repr(name), 60)
            for number, name in enumerate(class_names)
            if number not in shown
        ]
        if absent and part == TRAIN:
            yield (
                f"every {noun} must be in a picture to train with: annotate some, or remove the "
                f"{noun}. Received: none of {list_some(absent, 10)}"
            )
        elif absent:
            notes.append(f"No picture of {part} shows {list_some(absent, 10)}.")


def _counts(parts):
    return ", ".join(f"{len(parts[part])} of {part}" for part in PARTS)


def _most_objects(pictures, task, sizes):
    if task != DETECT:
        return 0
    return max(len(picture.label.read(sizes[picture.path])) for picture in pictures)


def _digest(folder, parts, checks, class_names):
    """What tells these pictures and labels from others."""
    digest = hashlib.blake2b("\0".join(class_names).encode(), digest_size=16)
    for part in PARTS:
        for picture in parts[part]:
            name = os.path.relpath(picture.path, folder)
            digest.update(f"\0{part}\0{name}\0".encode("utf-8", "surrogateescape"))
            digest.update(checks[picture.path].digest)
            digest.update(picture.label.digest())
    return digest.hexdigest()


class _PictureReader:
    """Reads examples of a dataset."""

    def __init__(self, task, image_size, channels, most_pixels, sizes):
        self._task = task
        self._image_size = image_size
        self._channels = channels
        self._most_pixels = most_pixels
        self._sizes = sizes

    def split(self, pictures: list[AnnotatedPicture]) -> GridSplit:
        """The split of some pictures."""
        return GridSplit(
            size=len(pictures),
            read=functools.partial(self._read, pictures, None),
            read_for_crops=lambda part: functools.partial(self._read, pictures, part),
        )

    def _read(self, pictures, smallest_part, index):
        picture = pictures[index]
        size = self._sizes[picture.path]
        region = self._region(picture, size)
        top, left, height, width = region
        # As sharp as `image_folder` has it: twice what the model, or its smallest crop, takes.
        sharp = 2 * max(self._image_size)
        if smallest_part is not None:
            narrowest = narrowest_crop(height, width, self._image_size, smallest_part)
            sharp = math.ceil(min(height, width) * sharp / narrowest)
        fractions = np.array([top, left, top + height, left + width]) / (size * 2)
        image = read_image(
            os.fsdecode(picture.path),
            sharp,
            fractions.tolist(),
            most_pixels=self._most_pixels,
            channels=self._channels,
        )
        label = picture.label.read(size)
        if image.shape[:2] != size:
            label = cut_label(self._task, label, region, image.shape[:2])
        return image, label

    def _region(self, picture, size):
        """Top, left, height and width of the part of a picture that an example is."""
        if self._task != KEYPOINTS:
            return 0, 0, *size
        return _enlarged(picture.label.box, size, self._image_size)


def _enlarged(box, size, image_size):
    """A part of a picture, in whole pixels, around a box, as far as possible with the model's
    proportions, so that the part of it which evaluation cuts out has all of the box."""
    sides = (box[2:] - box[:2]) * _ENLARGEMENT
    proportions = np.array(image_size, np.float64)
    sides = proportions * (sides / proportions).max()
    sides = np.clip(np.ceil(sides), 1, size)
    middle = (box[:2] + box[2:]) / 2
    start = np.clip(np.round(middle - sides / 2), 0, np.array(size) - sides)
    return *start.astype(int).tolist(), *sides.astype(int).tolist()
