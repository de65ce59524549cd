# SPDX-License-Identifier: Apache-2.0
"""Plots of an `ExportReport`: where work and flash go, and how memory fills and empties."""

import itertools

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator, StrMethodFormatter

from tflm.kernels.registry import BY_KIND
from tflm.report.report import ExportReport
from tflm.report.style import ACCENT, FAINT, png, style

_KILOBYTE = 1024
_WIDTH_INCHES = 13

_BAND = "#f2f4f7"
_OTHERS = "#b9bfc7"
# Each kind of operator that matters in MicroNet keeps its colour, whatever the model and whether
# TensorFlow Lite's operator computes it or a kernel of ours.
_CHOSEN_COLORS = {
    "CONV_2D": "#2f6db5",
    "DEPTHWISE_CONV_2D": "#3fa7a0",
    "FULLY_CONNECTED": "#e08a2e",
    "ADD": "#7a5aa6",
    "MUL": "#b05c9a",
    "MAXIMUM": "#5f8f3e",
    "GATHER": "#d1b23a",
    "AVERAGE_POOL_2D": "#8c6a4f",
    "MICRONET_FACTORIZED_STEM_S8": "#7fb2e5",
    "MICRONET_GROUPED_POINTWISE_CONV_S8": "#2f6db5",
    "MICRONET_FACTORIZED_DEPTHWISE_CONV_S8": "#3fa7a0",
    "MICRONET_DYNAMIC_SHIFT_MAX_S8": "#b05c9a",
    "MICRONET_DENSE_S8": "#e08a2e",
    "MICRONET_DENSE_S4": "#e08a2e",
    "MICRONET_RESIDUAL_ADD_S8": "#7a5aa6",
    "MICRONET_GLOBAL_AVERAGE_POOL_S8": "#8c6a4f",
}
# Kernels that have no colour of their own above get one of these, in the order of the registry.
_MORE_COLORS = ("#4b7f8c", "#a0522d", "#6b8e23", "#9370b0", "#c0657f")
_COLORS = _CHOSEN_COLORS | dict(
    zip(
        [kind for kind in BY_KIND if kind not in _CHOSEN_COLORS],
        itertools.cycle(_MORE_COLORS),
        strict=False,
    )
)
_LABELLED_BARS = 4
_LEAST_LABELLED = 0.1  # of the highest bar
_LABEL_WIDTH = 0.14  # of the panel
_NARROWEST_LABELLED_BAND = 0.03  # of the width, below which a block's name has no room


def operations_png(report: ExportReport) -> bytes:
    """Multiply-adds, constants and outputs of each operation, in order of execution.

    Args:
        report: `ExportReport`.

    Returns:
        A PNG file's bytes.
    """
    with style():
        figure = Figure(figsize=(_WIDTH_INCHES, 8.2), layout="constrained")
        panels = figure.subplots(3, 1, sharex=True)
        _draw_bars(panels[0], report, "multiply_adds", "multiply-adds")
        _draw_bars(panels[1], report, "constant_bytes", "constants in flash (KB)")
        _draw_bars(panels[2], report, "output_bytes", "output in RAM (KB)")
        panels[0].yaxis.set_major_formatter(EngFormatter(sep=""))
        _name_bands(panels[0], report.costs)
        panels[-1].set_xlabel("operation, in order of execution")
        figure.legend(
            handles=_legend(report.costs), loc="outside upper center", ncols=9, frameon=False
        )
        return png(figure)


def memory_png(report: ExportReport) -> bytes:
    """Bytes of activations alive at each operation, with the peak marked.

    Args:
        report: `ExportReport`.

    Returns:
        A PNG file's bytes.
    """
    with style():
        figure = Figure(figsize=(_WIDTH_INCHES, 4.6), layout="constrained")
        axes = figure.subplots()
        live = np.array(report.live_bytes) / _KILOBYTE
        edges = np.arange(len(live) + 1) - 0.5
        axes.stairs(live, edges, fill=True, color=_COLORS["CONV_2D"], alpha=0.25)
        axes.stairs(live, edges, color=_COLORS["CONV_2D"], linewidth=1.3)
        _mark_plan(axes, report)
        _mark_peak(axes, report)
        _finish_panel(axes, report.costs, f"{report.runtime.used_memory} (KB)")
        _name_bands(axes, report.costs)
        axes.set_ylim(0, 1.15 * max(live.max(), report.runtime.planned_bytes / _KILOBYTE))
        axes.set_xlabel("operation, in order of execution")
        return png(figure)


def _draw_bars(axes, report, attribute, label):
    values = np.array([getattr(cost, attribute) for cost in report.costs])
    is_bytes = attribute.endswith("bytes")
    heights = values / (_KILOBYTE if is_bytes else 1)
    colors = [_COLORS.get(cost.kind, _OTHERS) for cost in report.costs]
    axes.bar(np.arange(len(heights)), heights, width=1.0, color=colors, linewidth=0)
    _finish_panel(axes, report.costs, label)
    axes.set_ylim(0, 1.3 * heights.max() or 1)
    axes.text(
        0.995,
        0.97,
        f"{values.sum():,}{' bytes' if is_bytes else ''} in all",
        ha="right",
        va="top",
        transform=axes.transAxes,
        fontweight="bold",
    )
    for position in _prominent(values):
        _label_bar(axes, position, heights, f"{report.costs[position].name}  {values[position]:,}")


def _prominent(values):
    """Positions of the highest bars that leave each other's labels room."""
    taken = []
    for position in np.argsort(-values, kind="stable"):
        if len(taken) == _LABELLED_BARS or values[position] < _LEAST_LABELLED * values.max():
            break
        if all(abs(position - other) >= _LABEL_WIDTH * len(values) for other in taken):
            taken.append(int(position))
    return taken if values.max() > 0 else []


def _label_bar(axes, position, heights, text):
    part = position / len(heights)
    axes.annotate(
        text,
        (position, heights[position]),
        xytext=(0, 2),
        textcoords="offset points",
        ha="left" if part < _LABEL_WIDTH else "right" if part > 1 - _LABEL_WIDTH else "center",
        va="bottom",
        fontsize=8.5,
    )


def _finish_panel(axes, costs, label):
    axes.set_xlim(-0.5, len(costs) - 0.5)
    axes.set_ylabel(label)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.5g}"))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    axes.grid(axis="y", color="#e3e6ea", linewidth=0.8)
    axes.tick_params(length=0)
    for number, (block, start, end) in enumerate(_bands(costs)):
        if block and number % 2 == 0:
            axes.axvspan(start - 0.5, end - 0.5, color=_BAND, linewidth=0, zorder=-1)


def _bands(costs):
    """Runs of operations that belong to the same block, (name, start, end).

    Names follow the model's layers: the block is what stands before the first slash,
    and layers outside of blocks have none.
    """
    bands = []
    for cost in costs:
        block = cost.name.rpartition("/")[0].split("/")[0]
        if bands and bands[-1][0] == block:
            bands[-1][2] = cost.position + 1
        else:
            bands.append([block, cost.position, cost.position + 1])
    return bands


def _name_bands(axes, costs):
    for block, start, end in _bands(costs):
        if (end - start) / len(costs) >= _NARROWEST_LABELLED_BAND:
            axes.annotate(
                block.replace("_", " "),
                ((start + end - 1) / 2, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=8.5,
                color=FAINT,
            )


def _label(kind):
    return BY_KIND[kind].title if kind in BY_KIND else kind


def _legend(costs):
    kinds = {cost.kind for cost in costs}
    handles = [
        Patch(color=color, label=_label(kind)) for kind, color in _COLORS.items() if kind in kinds
    ]
    if kinds - set(_COLORS):
        handles.append(Patch(color=_OTHERS, label="other"))
    return handles


def _mark_plan(axes, report):
    """The planner's total: what the arena reserves for activations."""
    height = report.runtime.planned_bytes / _KILOBYTE
    at_the_left = _peak_position(report) > len(report.costs) / 2  # where the peak's label is not
    axes.axhline(height, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate(
        f"reserved: {report.runtime.planned_bytes:,} bytes",
        (0 if at_the_left else 1, height),
        xycoords=("axes fraction", "data"),
        xytext=(4 if at_the_left else -4, 4),
        textcoords="offset points",
        ha="left" if at_the_left else "right",
        va="bottom",
        color=FAINT,
        fontsize=9,
    )


def _mark_peak(axes, report):
    position = _peak_position(report)
    peak = report.live_bytes[position]
    at_the_right = position > len(report.costs) / 2
    axes.plot(position, peak / _KILOBYTE, "o", color=ACCENT, markersize=6, zorder=5)
    axes.annotate(
        f"peak {peak:,} bytes: {report.costs[position].name} "
        f"({_label(report.costs[position].kind)})",
        # Above the line of what is reserved, which may be a little higher.
        (position, max(peak, report.runtime.planned_bytes) / _KILOBYTE),
        xytext=(-10 if at_the_right else 10, 4),
        textcoords="offset points",
        ha="right" if at_the_right else "left",
        va="bottom",
        color=ACCENT,
        fontsize=10,
        fontweight="bold",
    )


def _peak_position(report):
    return report.live_bytes.index(max(report.live_bytes))
