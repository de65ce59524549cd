# SPDX-License-Identifier: Apache-2.0
"""Pictures with marks at what was found in them, missed and invented."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

RIGHT, MISSED, INVENTED = KINDS = ("found", "missed", "invented")
MOST_PICTURES = 16
_COLUMNS = 4
_COLOURS = {RIGHT: "lime", MISSED: "orange", INVENTED: "red"}
_MARKERS = {RIGHT: "o", MISSED: "s", INVENTED: "x"}
_LONGEST_NAME = 16
# Of classes, told apart as far as there are colours.
_CLASS_COLOURS = ("tab:blue", "tab:purple", "tab:cyan", "tab:olive", "tab:pink", "tab:brown")


@dataclasses.dataclass(frozen=True)
class Mark:
    """A place in a picture.

    Attributes:
        kind: one of `KINDS`.
        x: from the left edge, in pixels, of the place's centre, or of the left edge of its box.
        y: the same from the upper edge.
        name: what is there, or empty.
        width: of the box, in pixels; 0 for a place without one.
        height: the same.
    """

    kind: str
    x: float
    y: float
    name: str = ""
    width: float = 0.0
    height: float = 0.0


@dataclasses.dataclass(frozen=True)
class MarkedPicture:
    """A picture and what is to be seen in it.

    Attributes:
        image: uint8 `(height, width, channels)`.
        marks: places in it.
        answers: `None`, or the classes of the cells, integers `(rows, columns)`, 0 for background.
        output_stride: side of a cell in pixels.
    """

    image: np.ndarray
    marks: tuple[Mark, ...]
    answers: np.ndarray | None = None
    output_stride: int = 1


def found_and_missed(
    pictures: Sequence[MarkedPicture],
    class_names: Sequence[str] = (),
    words: Sequence[str] = KINDS,
) -> Figure:
    """Draws pictures side by side, with their marks.

    Args:
        pictures: up to `MOST_PICTURES`, at least one.
        class_names: of what the cells of pictures with answers are taken for, background first.
        words: what the legend calls the marks of each of `KINDS`; those that nothing has are left
            out.

    Returns:
        A `matplotlib.figure.Figure`, which needs no display.
    """
    columns = min(_COLUMNS, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    height, width = pictures[0].image.shape[:2]
    side = 3.2
    figure = Figure(
        figsize=(side * columns, side * rows * height / width + 0.5), layout="constrained"
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, picture in zip(grid.flat, pictures, strict=False):
        _draw(axes, picture, len(class_names))
    kinds = [kind for kind in KINDS if any(kind in _kinds(each) for each in pictures)]
    handles: list[Artist] = [
        Line2D([], [], color=_COLOURS[kind], marker=_MARKERS[kind], fillstyle="none", ls="none")
        for kind in kinds
    ]
    labels = [word for kind, word in zip(KINDS, words, strict=True) if kind in kinds]
    for number, name in enumerate(class_names[1:]):
        handles.append(Patch(color=_class_colour(number), alpha=0.5))
        labels.append(_shorten(name))
    legend = figure.legend(
        handles, labels, loc="outside upper center", ncols=min(len(labels), 8), facecolor="0.3"
    )
    for text in legend.get_texts():
        text.set_color("white")
        text.set_parse_math(False)
    return figure


def _kinds(picture):
    return {mark.kind for mark in picture.marks}


def _draw(axes: Axes, picture: MarkedPicture, class_count: int) -> None:
    image = picture.image
    is_gray = image.shape[-1] == 1
    axes.imshow(image[..., 0] if is_gray else image, cmap="gray", vmin=0, vmax=255)
    height, width = image.shape[:2]
    if picture.answers is not None:
        rows, columns = picture.answers.shape
        stride = picture.output_stride
        colours = ListedColormap([_class_colour(number) for number in range(class_count - 1)])
        axes.imshow(
            np.ma.masked_equal(picture.answers, 0),
            cmap=colours,
            vmin=1,
            vmax=max(2, class_count - 1),
            alpha=0.5,
            interpolation="nearest",
            extent=(-0.5, columns * stride - 0.5, rows * stride - 0.5, -0.5),
        )
    for mark in picture.marks:
        _draw_mark(axes, mark)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)


def _draw_mark(axes, mark):
    # The centre of the first pixel is 0 to Matplotlib, and a half here.
    x, y, colour = mark.x - 0.5, mark.y - 0.5, _COLOURS[mark.kind]
    if mark.width:
        axes.add_patch(Rectangle((x, y), mark.width, mark.height, fill=False, ec=colour, lw=1.2))
    else:
        axes.plot(
            x,
            y,
            color=colour,
            marker=_MARKERS[mark.kind],
            fillstyle="none",
            ms=6,
            mew=1.4,
        )
    if mark.name:
        axes.annotate(
            _shorten(mark.name),
            (x, y),
            (3, 3),
            textcoords="offset points",
            color=colour,
            fontsize=6,
            clip_on=True,
            parse_math=False,
        )


def _class_colour(number):
    return _CLASS_COLOURS[number % len(_CLASS_COLOURS)]


def _shorten(name):
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
