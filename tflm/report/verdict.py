# SPDX-License-Identifier: Apache-2.0
"""The verdict on an export in a few words, and the phrases that it shares with the report."""

from tflm.report.report import ExportReport
from tflm.report.task_answers import Cost
from tflm.verification.paired_interval import CONFIDENCE

_NAMED_NOISE = 3


def summary(report: ExportReport) -> str:
    """The cost in two lines for a terminal, and more if the task has to warn."""
    answers = report.answers
    lines = [
        answers.headline(report.runtime.title),
        f"{answers.agreement()}; {_noisiest(report)}",
        *answers.warnings(),
    ]
    return "\n".join(lines)


def refusal(report: ExportReport) -> str:
    """Why an export is refused, and what to do."""
    cost, measure = report.answers.cost, report.answers.measure
    low, high = cost.points_lost_interval
    return (
        f"The device may lose at most {points(report.most_points_lost)} of {measure}. Received: "
        f"{cost.points_lost:.2f} points lost, significantly more (the whole interval of "
        f"{low:.2f} to {high:.2f} points lies beyond)"
    )


def loss(cost: Cost) -> str:
    """Points lost or gained, with their interval."""
    low, high = cost.points_lost_interval
    size = abs(cost.points_lost)
    what = "lost" if cost.points_lost >= 0 else "gained"
    interval = f"{CONFIDENCE:.0%} interval of the loss: {low:.2f} to {high:.2f}"
    return f"{size:.2f} points {what} ({interval})"


def points(number: float) -> str:
    """Percentage points in words: "1 point"."""
    return f"{number:g} point" if number == 1 else f"{number:g} points"


def percent(part: float) -> str:
    """A part of one in words: "98.25%"."""
    return f"{100 * part:.2f}%"


def _noisiest(report):
    worst = report.noise[:_NAMED_NOISE]
    rows = ", ".join(f"{row.name} ({row.signal_to_noise_decibels:.1f} dB)" for row in worst)
    return f"noisiest activations: {rows}"


def multiply_adds(report: ExportReport) -> str:
    """How many the device computes, and how many of them are the model's, if others are, too."""
    added = report.multiply_adds - report.model_multiply_adds
    if added == 0:
        return f"{report.multiply_adds:,}"
    return (
        f"{report.multiply_adds:,} ({report.model_multiply_adds:,} of the model, {added:,} with "
        "zeros that take the place of shuffles and of padding)"
    )
