# SPDX-License-Identifier: Apache-2.0
"""Images with what a model says of them, side by side."""

import collections.abc
import dataclasses

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tflm.report.style import ACCENT, INK, png, style


@dataclasses.dataclass(frozen=True)
class Mark:
    """A place in an image, in pixels from its upper left corner.

    Attributes:
        top, left, bottom, right: of a box, or of a point, where both sides are the same.
        color: as matplotlib knows it.
        sign: matplotlib's name of what is drawn at a point, or of a box's lines.
        text: beside a point.
    """

    top: float
    left: float
    bottom: float
    right: float
    color: str
    sign: str
    text: str = ""


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image with what is said of it.

    Attributes:
        image: uint8 array (height, width, channels), raw RGB or gray.
        text: what stands above it.
        is_right: whether that is right.
        marks: `Mark`s in it.
        cells: floats (rows, columns, 4), RGBA from 0 to 1, laid over it; or `None`.
        cell_pixels: side of a cell.
    """

    image: np.ndarray
    text: str
    is_right: bool
    marks: tuple[Mark, ...] = ()
    cells: np.ndarray | None = None
    cell_pixels: int = 1


def pictures_png(
    title: str,
    pictures: collections.abc.Sequence[Picture],
    in_a_row: int,
    inches: tuple[float, float] = (1.5, 2.0),
) -> bytes:
    """Pictures in rows.

    Args:
        title: above all of them.
        pictures: at least one `Picture`.
        in_a_row: how many are in a row at most.
        inches: width and height of one, its text included.

    Returns:
        A PNG file's bytes.
    """
    columns = min(len(pictures), in_a_row)
    rows = -(-len(pictures) // columns)
    with style():
        width, height = inches
        figure = Figure(figsize=(width * columns, height * rows + 0.3), layout="constrained")
        figure.suptitle(title, fontsize=10)
        panels = figure.subplots(rows, columns, squeeze=False).flatten()
        for panel in panels:
            panel.set_axis_off()
        for panel, picture in zip(panels, pictures, strict=False):
            # The limits and colours are those of gray images; others have their own.
            panel.imshow(picture.image, "gray", interpolation="nearest", vmin=0, vmax=255)
            panel.set_title(picture.text, color=INK if picture.is_right else ACCENT)
            _add_cells(panel, picture)
            for mark in picture.marks:
                _add_mark(panel, mark)
        return png(figure)


def _add_cells(panel: Axes, picture: Picture) -> None:
    if picture.cells is None:
        return
    height, width = picture.image.shape[:2]
    rows, columns = picture.cells.shape[:2]
    # The last cells may reach beyond the image.
    bottom, right = rows * picture.cell_pixels - 0.5, columns * picture.cell_pixels - 0.5
    panel.imshow(picture.cells, interpolation="nearest", extent=(-0.5, right, bottom, -0.5))
    panel.set_xlim(-0.5, width - 0.5)
    panel.set_ylim(height - 0.5, -0.5)


def _add_mark(panel: Axes, mark: Mark) -> None:
    # The middle of the first pixel is matplotlib's 0.
    top, left, bottom, right = (
        value - 0.5 for value in (mark.top, mark.left, mark.bottom, mark.right)
    )
    if (top, left) == (bottom, right):
        panel.plot(left, top, mark.sign, color=mark.color, markersize=6, markerfacecolor="none")
        panel.annotate(
            mark.text,
            (left, top),
            xytext=(4, 3),
            textcoords="offset points",
            annotation_clip=True,
            color=mark.color,
            fontsize=7,
        )
        return
    box = Rectangle(
        (left, top),
        right - left,
        bottom - top,
        fill=False,
        edgecolor=mark.color,
        linestyle=mark.sign,
        linewidth=1.5,
    )
    panel.add_patch(box)
