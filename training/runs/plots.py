# SPDX-License-Identifier: Apache-2.0
"""Plots of a run."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from keras_micronet.grid_answers.objects import PROBABILITY_ONE
from keras_micronet.grid_answers.quality import PrecisionRecall
from training.fitting.epoch_record import ACCURACY, Score
from training.fitting.evaluation import Evaluation
from training.fitting.trainer import TrainingResult

# More labels or counts than these could not be read.
_MOST_LABELS = 50
_MOST_COUNTS = 25
_LONGEST_LABEL = 24
_MOST_CURVE_NAMES = 20


def learning_curve(result: TrainingResult, score: Score = ACCURACY) -> Figure:
    """Draws loss and score over the epochs.

    Args:
        result: a `trainer.TrainingResult`.
        score: what the training is judged by.

    Returns:
        A `matplotlib.figure.Figure`, which needs no display.
    """
    epochs = [record.epoch for record in result.history]
    figure = Figure(figsize=(10, 4), layout="constrained")
    loss_axes, score_axes = figure.subplots(1, 2)
    # Epochs are the only points measured; a single epoch would draw no line.
    marker = "o" if len(epochs) == 1 else ""
    for axes, name, title in (
        (loss_axes, "loss", "loss"),
        (score_axes, score.key, score.title),
    ):
        for prefix, label in (("", "training (augmented)"), ("validation_", "validation")):
            # The scores of grids are not measured on the images that are learned from.
            values = [getattr(record, prefix + name, None) for record in result.history]
            if None not in values:
                axes.plot(epochs, values, marker=marker, label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    score_axes.axhline(
        result.test_score,
        color="black",
        linestyle=":",
        label=f"test, at the end: {score.text(result.test_score)}",
    )
    if score.decimals is not None:
        score_axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    for axes in (loss_axes, score_axes):
        axes.legend()
    return figure


def confusion_matrix(
    evaluation: Evaluation, class_names: Sequence[str], noun: str = "images"
) -> Figure:
    """Draws which classes are taken for which, as fractions of each true class's images.

    Up to 50 classes are labelled, up to 25 also have the counts written into the fields.

    Args:
        evaluation: an `evaluation.Evaluation`.
        class_names: names of the classes, in the order of the matrix.
        noun: what it counts.

    Returns:
        A `matplotlib.figure.Figure`, which needs no display.
    """
    counts = evaluation.confusion
    classes = len(class_names)
    side = min(5 + 0.3 * classes, 18)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # Single fields of a large matrix must not be blurred into their neighbours.
    picture = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    bar = figure.colorbar(picture, ax=axes, fraction=0.04)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(f"{evaluation.accuracy:.2%} of {evaluation.images:,} {noun} are right")
    if classes <= _MOST_LABELS:
        # Names of classes are no formulas, whatever dollar signs they have.
        labels = [_shorten(name) for name in class_names]
        axes.set_xticks(range(classes), labels, rotation=90, parse_math=False)
        axes.set_yticks(range(classes), labels, parse_math=False)
    if classes <= _MOST_COUNTS:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if fractions[row, column] > 0.5 else "black"
            axes.text(column, row, count, ha="center", va="center", color=colour, fontsize=8)
    return figure


def precision_recall(
    curves: Sequence[PrecisionRecall], thresholds: np.ndarray, class_names: Sequence[str]
) -> Figure:
    """Draws precision over recall of each class, with the point that its threshold chooses.

    Up to 20 classes are named, each with its threshold.

    Args:
        curves: what each threshold of each class gives.
        thresholds: integers in Q15 `(classes,)`.
        class_names: names of the classes or joints.

    Returns:
        A `matplotlib.figure.Figure`, which needs no display.
    """
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for curve, threshold, name in zip(curves, thresholds, class_names, strict=True):
        label = f"{_shorten(name)}, from {threshold / PROBABILITY_ONE:.1%} on"
        (line,) = axes.plot(curve.recall, curve.precision, label=label, drawstyle="steps-post")
        chosen = np.flatnonzero(curve.thresholds >= threshold)[-1:]
        axes.plot(curve.recall[chosen], curve.precision[chosen], "o", color=line.get_color())
    axes.set_xlabel("recall: part of what is there that was found")
    axes.set_ylabel("precision: part of what was found that is there")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.grid(alpha=0.3)
    if len(class_names) <= _MOST_CURVE_NAMES:
        legend = figure.legend(loc="outside right upper")
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _shorten(name):
    return name if len(name) <= _LONGEST_LABEL else name[: _LONGEST_LABEL - 1] + "…"
