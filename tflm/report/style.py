# SPDX-License-Identifier: Apache-2.0
"""What the figures of a report look like."""

import io
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, FAINT = "#22262b", "#8a9099"
RIGHT, ACCENT = "#2e8b57", "#c8442b"
_DOTS_PER_INCH = 130


def style() -> dict[str, Any]:
    """Settings of matplotlib, for `matplotlib.rc_context`."""
    return {
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


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file, the same for the same figure."""
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()
