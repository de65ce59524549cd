# SPDX-License-Identifier: Apache-2.0
"""The files of a report."""

from tflm.report import figures, markdown, plots
from tflm.report.report import ExportReport


def report_files(report: ExportReport) -> dict[str, str | bytes]:
    """Renders a report.

    Args:
        report: `ExportReport`.

    Returns:
        Mapping from file name to contents: `report.md` (read this first),
        `report.json` (all figures), and the plots in `report.md` as PNG.
    """
    predictions = report.answers.examples_png
    return {
        "report.md": markdown.to_markdown(report),
        "report.json": figures.to_json(report),
        "report_operations.png": plots.operations_png(report),
        "report_memory.png": plots.memory_png(report),
        **({} if predictions is None else {"report_predictions.png": predictions}),
    }
