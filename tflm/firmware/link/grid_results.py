# SPDX-License-Identifier: Apache-2.0
"""Lines of a device whose model answers for the cells of a grid: what is where in an image.

They end with the CRC-32 of all before it, so that a damaged number is not taken for another one.
"""

import dataclasses
import re
import zlib
from collections.abc import Mapping, Sequence

from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT
from tflm.firmware.link.line_fields import NUMBER, ContradictionError, matched
from tflm.recognition.scores import ONE

_PLACE = r"[0-9]{1,9}"
_OBJECT = re.compile(
    rf"(?P<class_index>{_PLACE}),(?P<x>{_PLACE}),(?P<y>{_PLACE}),"
    rf"(?P<width>{_PLACE}),(?P<height>{_PLACE}),(?P<score>{_PLACE})"
)
_COST = rf"cycles=(?P<cycles>{NUMBER}) arena=(?P<arena_bytes>{NUMBER})"
_OBJECTS = re.compile(
    rf"task=(?P<task>{DETECT}|{KEYPOINTS}) objects=(?P<count>{_PLACE}) {_COST} "
    r"list=(?P<objects>[0-9,;]*)"
)
_CELLS = re.compile(
    rf"task={SEGMENT} left=(?P<left>{_PLACE}) top=(?P<top>{_PLACE}) "
    rf"width=(?P<width>{_PLACE}) height=(?P<height>{_PLACE}) {_COST} "
    r"cells=(?P<counts>[0-9]{1,9}(,[0-9]{1,9})*) map=(?P<classes>([0-9a-f]{2})+)"
)
_CHECKED = re.compile(r"(?P<fields>.*) crc=(?P<checksum>[0-9a-f]{8})")


@dataclasses.dataclass(frozen=True)
class FoundObject:
    """An object, or a joint.

    Attributes:
        class_index: its class, or which joint it is, from 0 on.
        x: of its centre, in pixels from the left edge of the image that was sent.
        y: the same from the upper edge.
        width: of the cells that were merged to it, in pixels; not of the object.
        height: the same of their rows.
        score: its probability in Q15.
    """

    class_index: int
    x: int
    y: int
    width: int
    height: int
    score: int


@dataclasses.dataclass(frozen=True)
class FoundObjects:
    """What a device has found in an image.

    Attributes:
        task: "detect" or "keypoints".
        objects: `FoundObject`s, the most probable first; joints in their order.
        cycles: that the model took, by the device's counter; without waiting for the line.
        arena_bytes: RAM that it used for the model's activations.
    """

    task: str
    objects: tuple[FoundObject, ...]
    cycles: int
    arena_bytes: int

    def misfit(self, classes: int, cells: int) -> str | None:
        """What tells it from results of a model with so many classes and cells."""
        others = [each.class_index for each in self.objects if each.class_index >= classes]
        if not others:
            return None
        return f"Objects must be of classes from 0 to {classes - 1}. Received: {others[0]}"


@dataclasses.dataclass(frozen=True)
class ClassMap:
    """Which class a device has seen where in an image.

    Attributes:
        left, top, width, height: the part of the image that the cells cover, in its pixels.
        counts: how many cells are background, and how many of each class.
        classes: of each cell, row after row: 0 for background, then the classes from 1 on.
        cycles, arena_bytes: as of `FoundObjects`.
    """

    left: int
    top: int
    width: int
    height: int
    counts: tuple[int, ...]
    classes: bytes
    cycles: int
    arena_bytes: int

    task = SEGMENT

    def misfit(self, classes: int, cells: int) -> str | None:
        """What tells it from results of a model with so many classes and cells."""
        if (len(self.counts), len(self.classes)) == (classes + 1, cells):
            return None
        return (
            f"A result must have {classes + 1} counts and {cells} cells. "
            f"Received: {len(self.counts)} and {len(self.classes)}"
        )


def parse_result(text: str) -> FoundObjects | ClassMap:
    """Reads the line of a result.

    Args:
        text: the line from "task=" on.

    Raises:
        ValueError: it is none of a device's lines, or was damaged.
    """
    fields = matched(_CHECKED, text)
    content = f"result {fields['fields']}"
    if zlib.crc32(content.encode("ascii")) != int(fields["checksum"], 16):
        raise ContradictionError("the line must have the CRC-32 that it ends with")
    if fields["fields"].startswith(f"task={SEGMENT} "):
        return _class_map(matched(_CELLS, fields["fields"]))
    return _found_objects(matched(_OBJECTS, fields["fields"]))


def _found_objects(fields: Mapping[str, str]) -> FoundObjects:
    texts = fields["objects"].split(";") if fields["objects"] else []
    numbers = [matched(_OBJECT, text) for text in texts]
    objects = tuple(
        FoundObject(**{name: int(value) for name, value in each.items()}) for each in numbers
    )
    if len(objects) != int(fields["count"]):
        raise ContradictionError("there must be as many objects as it says")
    if not all(1 <= each.score <= ONE for each in objects):
        raise ContradictionError(f"scores must be from 1 to {ONE}")
    if not _is_in_order(fields["task"], objects):
        raise ContradictionError("objects must be in order")
    return FoundObjects(fields["task"], objects, int(fields["cycles"]), int(fields["arena_bytes"]))


def _is_in_order(task: str, objects: Sequence[FoundObject]) -> bool:
    if task == KEYPOINTS:
        joints = [each.class_index for each in objects]
        return all(before < after for before, after in zip(joints, joints[1:], strict=False))
    scores = [each.score for each in objects]
    return all(before >= after for before, after in zip(scores, scores[1:], strict=False))


def _class_map(fields: Mapping[str, str]) -> ClassMap:
    names = ("left", "top", "width", "height", "cycles", "arena_bytes")
    counts = tuple(map(int, fields["counts"].split(",")))
    classes = bytes.fromhex(fields["classes"])
    if sum(counts) != len(classes) or counts != tuple(map(classes.count, range(len(counts)))):
        raise ContradictionError("the counts must be those of the map")
    return ClassMap(counts=counts, classes=classes, **{name: int(fields[name]) for name in names})
