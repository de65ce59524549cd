# SPDX-License-Identifier: Apache-2.0
"""What a reader of a layout hands over: pictures, and what is where in them.

Places are in pixels of the upright picture, from its upper left corner.
"""

import dataclasses
import hashlib
import pathlib
from typing import Protocol, Self

import numpy as np

from keras_micronet.grid_answers.labels import IGNORED
from training.datasets.grid_folders.findings import Findings
from training.datasets.grid_folders.polygons import fill_polygon
from training.datasets.grid_folders.run_length import decode_counts
from training.datasets.image_files import read_mask

# Annotators' clicks may be a little beside the picture; that needs no words.
_HARMLESS_PIXELS = 2.0
# What somebody made up must neither fill the memory nor be drawn for minutes.
_MOST_OBJECTS = 10_000
_MOST_CORNERS = 20_000


class Label(Protocol):
    """What is where in one picture."""

    def checked(self, size: tuple[int, int], where: str, findings: Findings) -> Self:
        """The same once the picture's height and width are known; tells what is wrong."""

    def classes(self) -> frozenset[int]:
        """The numbers, from 0 on, of the classes or joints that it shows."""

    def digest(self) -> bytes:
        """Bytes that are others for another label."""

    def read(self, size: tuple[int, int]) -> np.ndarray:
        """The label of the whole picture of this height and width, as in
        `keras_micronet.grid_answers.labels`."""


@dataclasses.dataclass(frozen=True)
class Boxes:
    """The objects of a picture.

    Attributes:
        rows: float64 `(objects, 5)`: class, top, left, bottom, right.
        in_fractions: whether the places are parts of the picture's sides rather than pixels.
    """

    rows: np.ndarray
    in_fractions: bool = False

    def checked(self, size: tuple[int, int], where: str, findings: Findings) -> "Boxes":
        """Clips boxes to the picture, and leaves out those without area."""
        if len(self.rows) > _MOST_OBJECTS:
            findings.complain(
                f"a picture must have at most {_MOST_OBJECTS:,} objects: remove some",
                f"{where} with {len(self.rows):,}",
            )
        sides = np.array([*size, *size], np.float64)
        boxes = self.rows[:, 1:] * (sides if self.in_fractions else 1.0)
        clipped = np.clip(boxes, 0, sides)
        has_area = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        is_inside = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
        for box in boxes[has_area & ~is_inside]:
            findings.complain(
                "every box must be inside of its picture: mend or remove it",
                f"{where}: {_text_of(box)} in a picture of {size[1]} x {size[0]}",
            )
        for box in boxes[~has_area]:
            findings.note("Left out: boxes without area", f"{where}: {_text_of(box)}")
        beyond = np.abs(clipped - boxes).max(axis=1, initial=0) > _HARMLESS_PIXELS
        for box in boxes[is_inside & beyond]:
            findings.note(
                "Clipped: boxes that reach beyond their picture",
                f"{where}: {_text_of(box)} in a picture of {size[1]} x {size[0]}",
            )
        rows = np.concatenate([self.rows[:, :1], clipped], axis=1)[has_area & is_inside]
        return Boxes(rows)

    def classes(self) -> frozenset[int]:
        return frozenset(self.rows[:, 0].astype(int).tolist())

    def digest(self) -> bytes:
        return self.rows.astype("<f8").tobytes()

    def read(self, size: tuple[int, int]) -> np.ndarray:
        return self.rows.astype(np.float32)


def _text_of(box):
    top, left, bottom, right = (f"{side:g}" for side in box)
    return f"left={left}, top={top}, right={right}, bottom={bottom}"


@dataclasses.dataclass(frozen=True)
class Outlines:
    """The areas of a picture by their edges or run lengths, for segmentation.

    Attributes:
        areas: pairs of a class from 0 on, or `IGNORED`, and its polygons, each float64 `(corners,
            2)` of x and y, or its run lengths, int64 `(runs,)`, see `run_length`.
        in_fractions: whether corners are parts of the picture's sides rather than pixels.
        mask_size: height and width that run lengths are of.
    """

    areas: tuple[tuple[int, tuple[np.ndarray, ...] | np.ndarray], ...]
    in_fractions: bool = False
    mask_size: tuple[int, int] | None = None

    def checked(self, size: tuple[int, int], where: str, findings: Findings) -> "Outlines":
        """Complains about corners that are far outside, and masks of other sizes."""
        if self.mask_size not in (None, size):
            findings.complain(
                "run lengths must be of their picture's size: annotate it anew, or resize it back",
                f"{where}: {self.mask_size[1]} x {self.mask_size[0]} for a picture of "
                f"{size[1]} x {size[0]}",
            )
        limits = np.array([1.0, 1.0] if self.in_fractions else size[::-1])
        polygons = [
            corners for _, area in self.areas if isinstance(area, tuple) for corners in area
        ]
        if not all(_reaches_into(corners, limits) for corners in polygons):
            findings.complain(
                "every polygon must be inside of its picture: mend or remove it",
                f"{where} in a picture of {size[1]} x {size[0]}",
            )
        most = max((len(corners) for corners in polygons), default=0)
        if most > _MOST_CORNERS or len(self.areas) > _MOST_OBJECTS:
            findings.complain(
                f"a picture must have at most {_MOST_OBJECTS:,} areas, and a polygon at most "
                f"{_MOST_CORNERS:,} corners: remove some",
                f"{where} with {len(self.areas):,} areas of at most {most:,} corners",
            )
        return self

    def classes(self) -> frozenset[int]:
        return frozenset(number for number, _ in self.areas if number != IGNORED)

    def digest(self) -> bytes:
        pieces = []
        for number, area in self.areas:
            pieces.append(f"{number} {type(area).__name__}".encode())
            pieces += (
                [each.astype("<f8").tobytes() for each in area]
                if isinstance(area, tuple)
                else [area.astype("<i8").tobytes()]
            )
        return b"\0".join(pieces)

    def read(self, size: tuple[int, int]) -> np.ndarray:
        """Larger areas first, so that what is on them stays."""
        label = np.zeros(size, np.uint8)
        scale = np.array(size[::-1]) if self.in_fractions else 1.0
        for number, area in sorted(self.areas, key=lambda each: -_extent(each[1])):
            value = number if number == IGNORED else number + 1
            if isinstance(area, tuple):
                for corners in area:
                    fill_polygon(label, corners * scale, value)
            else:
                label[decode_counts(area, size)] = value
        return label


def _reaches_into(corners, limits):
    """Whether some of a polygon may be inside of a picture, and none of it is far away."""
    lowest, highest = corners.min(axis=0), corners.max(axis=0)
    is_outside = (highest <= 0).any() or (lowest >= limits).any()
    return not is_outside and bool((lowest >= -limits).all() and (highest <= 2 * limits).all())


def _extent(area):
    """About how large an area is: of run lengths in pixels."""
    if not isinstance(area, tuple):
        return float(area[1::2].sum())
    x_and_y = [corners.T for corners in area]
    return sum(float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2 for x, y in x_and_y)


@dataclasses.dataclass(frozen=True)
class MaskFile:
    """A picture of numbers of classes, for segmentation.

    Attributes:
        path: of the file.
        numbers: uint8 `(256,)`: what each value of the file stands for in labels; 254 for unknown
            ones. For masks in colour a dict of (red, green, blue) to it.
        most_pixels: as for `image_files.read_mask`.
        shown: what `classes` gives, known once it is checked.
        content: what `digest` gives.
    """

    path: pathlib.Path
    numbers: np.ndarray | dict[tuple[int, int, int], int]
    most_pixels: int
    shown: frozenset[int] = frozenset()
    content: bytes = b""

    def checked(self, size: tuple[int, int], where: str, findings: Findings) -> "MaskFile":
        """Reads the file once; complains about what is no mask of the picture."""
        try:
            mask = self.read(size)
        except Exception as error:  # A decoder may raise anything for bytes that somebody made up.
            findings.complain(
                "every mask must be a readable PNG of gray or of a palette, whose values are "
                "numbers of classes: save it anew",
                f"{where}: {error}",
            )
            return self
        if mask.shape != size:
            findings.complain(
                "every mask must have its picture's size: make it anew; where the mask has the "
                "picture's sides exchanged, remove the picture's orientation (`exiftool "
                "-Orientation= FILE`)",
                f"{where}: {mask.shape[1]} x {mask.shape[0]} for {size[1]} x {size[0]}",
            )
        values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist()
        if UNKNOWN in values:
            findings.complain(
                "every value of a mask must be that of a class: 0 for the background, 1 for the "
                "first class and so on, 255 for what counts as neither",
                f"{where} with {self._unknown(size)}",
            )
        shown = frozenset(value - 1 for value in values if value not in (0, UNKNOWN, IGNORED))
        return dataclasses.replace(self, shown=shown, content=digest_of(mask))

    def classes(self) -> frozenset[int]:
        return self.shown

    def digest(self) -> bytes:
        return self.content

    def read(self, size: tuple[int, int]) -> np.ndarray:
        return self._numbered(read_mask(self.path, self.most_pixels, self._is_coloured))

    @property
    def _is_coloured(self):
        return isinstance(self.numbers, dict)

    def _numbered(self, values):
        if not self._is_coloured:
            return self.numbers[values]
        codes = values.astype(np.int32) @ np.array([65536, 256, 1])
        label = np.full(codes.shape, UNKNOWN, np.uint8)
        for (red, green, blue), number in self.numbers.items():
            label[codes == red * 65536 + green * 256 + blue] = number
        return label

    def _unknown(self, size):
        values = read_mask(self.path, self.most_pixels, self._is_coloured)
        first = values[self._numbered(values) == UNKNOWN][0]
        return f"the colour {tuple(first.tolist())}" if self._is_coloured else f"the value {first}"


def digest_of(array: np.ndarray) -> bytes:
    """A few bytes that are others for another array."""
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).digest()


UNKNOWN = 254  # in a mask that is read: a value that stands for no class


@dataclasses.dataclass(frozen=True)
class Joints:
    """The joints of one instance.

    Attributes:
        places: float64 `(joints, 2)`: y, x; not a number for a joint that is not there.
        box: top, left, bottom, right of the instance.
    """

    places: np.ndarray
    box: np.ndarray

    def checked(self, size: tuple[int, int], where: str, findings: Findings) -> "Joints":
        """Joints outside of the picture are not there."""
        outside = np.any((self.places < 0) | (self.places > np.array(size)), axis=1)
        if outside.any():
            findings.note("Left out: joints outside of their picture", where)
        places = np.where(outside[:, np.newaxis], np.nan, self.places)
        return dataclasses.replace(self, places=places)

    def classes(self) -> frozenset[int]:
        return frozenset(np.flatnonzero(np.isfinite(self.places).all(axis=1)).tolist())

    def digest(self) -> bytes:
        return self.places.astype("<f8").tobytes() + self.box.astype("<f8").tobytes()

    def read(self, size: tuple[int, int]) -> np.ndarray:
        return self.places.astype(np.float32)


@dataclasses.dataclass(frozen=True)
class AnnotatedPicture:
    """One picture with its label, or one of its instances.

    Attributes:
        path: of the picture.
        where: the annotation, for messages.
        label: a `Label`.
        part: `"train"`, `"validation"` or `"test"`; `None` if the layout does not say.
        annotated_size: height and width that the annotation says the picture has, or `None`.
    """

    path: pathlib.Path
    where: str
    label: Label
    part: str | None = None
    annotated_size: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class FolderContents:
    """What a reader of a layout has found.

    Attributes:
        class_names: of the classes, or joints, that labels number.
        pictures: in a fixed order.
    """

    class_names: tuple[str, ...]
    pictures: tuple[AnnotatedPicture, ...]
