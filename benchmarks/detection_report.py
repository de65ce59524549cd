# SPDX-License-Identifier: Apache-2.0
"""The study of grids as tables and a plot."""

import matplotlib.figure
import numpy as np

_HEAD = """# Detection: MicroNet's grids beside FOMO

Objects by their centres, counted class by class: mean F1 of the classes, a found centre being right
if it lies in a box of its class that no more probable one has. By `python -m benchmarks.detection
DATA --write`: every network from scratch by the recipe `detect`, the same epochs, random changes
and batches for all; thresholds and decoding chosen on the validation pictures.

- **Validation**, **float**, **int8**: mean F1 in percent on the validation pictures (float) and on
  the test pictures, the mean of all seeds and, after ±, their standard deviation. Int8 is what a
  device computes, quantized after training: MicroNets with fused kernels, FOMO in TensorFlow Lite
  Micro by TensorFlow's converter.
- **Count**: by how many objects a picture's count is wrong, the mean of the classes, int8.
- **Peak**: bytes of activations that have to be there at once, by one rule for all
  (`benchmarks/activation_peak.py`), whole tensors of the int8 model with builtin operators.
- **RAM** by rows, **flash**, **instructions**: of the static library on an emulated Cortex-M4:
  arena and stack with the picture coming row by row; code and weights; of a whole picture.
  FOMO has no such library: its flash is that of its flatbuffer alone.
- FOMO is MobileNetV2 0.35 to the expansion of its sixth block and two 1x1 convolutions, from
  Keras's layers (`benchmarks/fomo.py`), with random weights, as all here.
"""
_COLUMNS = (
    "network",
    "seeds",
    "validation",
    "float",
    "int8",
    "classes, int8",
    "count",
    "parameters",
    "multiply-adds",
    "peak",
    "RAM by rows",
    "flash",
    "instructions",
)
_DEVICE = (
    "parameters",
    "multiply_adds",
    "peak_bytes",
    "rows_ram_bytes",
    "flash_bytes",
    "instructions",
)
_AXES = {"multiply_adds": "multiply-adds", "peak_bytes": "peak of activations, bytes"}


def page(results):
    """The whole page in Markdown.

    Args:
        results: by the data's name and the epochs of the trainings, what `table` takes.
    """
    parts = [_HEAD]
    for (data, epochs), networks in results.items():
        parts.append(f"\n## {data}, {epochs} epochs\n\n{table(networks)}")
    parts.append("\n![F1 over cost](detection.png)\n")
    return "".join(parts)


def table(networks):
    """Markdown rows.

    Args:
        networks: mapping name -> stage -> list of the figures of all seeds.
    """
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    for name, stages in networks.items():
        on_float, int8 = stages.get("float", []), stages.get("int8", [])
        (device,) = stages.get("device", [{}])
        cells = [
            name,
            str(len(on_float)),
            _mean(on_float, "validation_f1"),
            _mean(on_float, "test_f1"),
            _mean(int8, "test_f1"),
            _classes(int8),
            f"{np.mean([each['count_error'] for each in int8]):.2f}" if int8 else "",
        ]
        cells += [f"{device[key]:,}" if device.get(key) is not None else "" for key in _DEVICE]
        if "flash_bytes" not in device and "model_bytes" in device:
            cells[-2] = f"{device['model_bytes']:,} (model)"
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _mean(figures, key):
    if not figures:
        return "not yet run"
    values = 100 * np.array([each[key] for each in figures])
    return (
        f"{values.mean():.1f} ± {values.std(ddof=1):.1f}" if len(values) > 1 else f"{values[0]:.1f}"
    )


def _classes(figures):
    if not figures:
        return ""
    means = np.mean([each["class_f1"] for each in figures], axis=0)
    names = figures[0]["classes"]
    if len(names) > 4:
        return f"{100 * means.min():.0f} to {100 * means.max():.0f}"
    return ", ".join(f"{name} {100 * f1:.1f}" for name, f1 in zip(names, means, strict=True))


def plot(results):
    """F1 of int8 over multiply-adds and over the peak of activations, a row for each data set.

    Args:
        results: as for `page`.

    Returns:
        A Matplotlib figure.
    """
    figure = matplotlib.figure.Figure(figsize=(11, 4.5 * len(results)), layout="constrained")
    panels = figure.subplots(len(results), len(_AXES), squeeze=False)
    for row, ((data, _), networks) in zip(panels, results.items(), strict=True):
        for axes, (cost, label) in zip(row, _AXES.items(), strict=True):
            _draw(axes, networks, cost)
            axes.set(xscale="log", xlabel=label, title=data, ylabel="mean F1, int8, percent")
            axes.grid(alpha=0.3)
    return figure


def _draw(axes, networks, cost):
    for name, stages in networks.items():
        if not (stages.get("int8") and stages.get("device")):
            continue
        values = 100 * np.array([each["test_f1"] for each in stages["int8"]])
        at = stages["device"][0][cost]
        style = {"marker": "s", "color": "C1"} if name.startswith("FOMO") else {"color": "C0"}
        axes.scatter([at] * len(values), values, s=8, alpha=0.5, **style)
        axes.scatter([at], [values.mean()], s=40, **style)
        axes.annotate(name, (at, values.mean()), (5, 4), textcoords="offset points", fontsize=7)
