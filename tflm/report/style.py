# SPDX-License-Identifier: Apache-2.0
"""What the figures of a report look like."""

import contextlib
import io

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, FAINT = "#22262b", "#8a9099"
RIGHT, ACCENT = "#2e8b57", "#c8442b"
_DOTS_PER_INCH = 130


def style() -> contextlib.AbstractContextManager[None]:
    """Within it, matplotlib has the settings of a report."""
    return matplotlib.rc_context(
        {
            "font.family": "DejaVu Sans",
            "font.size": 10,
            "text.color": INK,
            "axes.labelcolor": INK,
            "xtick.color": FAINT,
            "ytick.color": FAINT,
            "axes.edgecolor": FAINT,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
        }
    )


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file, the same for the same figure."""
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()


def cell_colors(answers: np.ndarray) -> np.ndarray:
    """Colours of classes, which let the picture behind them be seen.

    Args:
        answers: integers `(rows, columns)`, 0 for background, which has no colour.

    Returns:
        Floats `(rows, columns, 4)`, RGBA from 0 to 1.
    """
    colors = matplotlib.colormaps["tab10"](np.asarray(answers) % 10)
    colors[..., 3] = np.where(answers == 0, 0.0, 0.5)
    return colors
