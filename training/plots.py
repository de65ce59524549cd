"""Plots of a run."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter


def learning_curve(result):
    """Draws loss and accuracy over the epochs.

    Args:
        result: a `trainer.TrainingResult`.

    Returns:
        A `matplotlib.figure.Figure`, which needs no display.
    """
    epochs = [record.epoch for record in result.history]
    figure = Figure(figsize=(10, 4), layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    # Epochs are the only points measured; a single epoch would draw no line.
    marker = "o" if len(epochs) == 1 else ""
    for axes, name in ((loss_axes, "loss"), (accuracy_axes, "accuracy")):
        for prefix, label in (("", "training (augmented)"), ("validation_", "validation")):
            values = [getattr(record, prefix + name) for record in result.history]
            axes.plot(epochs, values, marker=marker, label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    accuracy_axes.axhline(
        result.test_accuracy,
        color="black",
        linestyle=":",
        label=f"test, at the end: {result.test_accuracy:.2%}",
    )
    accuracy_axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    for axes in (loss_axes, accuracy_axes):
        axes.legend()
    return figure
