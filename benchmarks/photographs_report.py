# SPDX-License-Identifier: Apache-2.0
"""The study of photographs as a table and a plot."""

import matplotlib.figure

from benchmarks.rivals import MOBILENET_V3, RIVALS

_HEAD = """# Photographs: MicroNet beside what else one may pick

CIFAR-10: ten classes, 50,000 photographs of 32 x 32 pixels to train on, a tenth of them to validate
with; top-1 accuracy in percent on all 10,000 test images. Every network was trained from scratch
for as many epochs as the heading says by the recipe `photographs` at the size in the table: the
same random changes of the images, optimizer, schedule and batches. Larger sizes are the same
pictures enlarged. By `python -m benchmarks.photographs DATA --tflite-micro FOLDER --write`, hours
on two cores: 20 epochs of M0 at 64 pixels took 28 minutes beside other work, M2 there takes three
times the arithmetic of a step.

- **Float** is the trained Keras model. The other accuracies are of int8 as a device computes it:
  MicroNets with fused kernels in TensorFlow Lite Micro, whose bytes are those of the static library
  (`python -m tflm RUN --runtime static`); the others by TensorFlow's converter, in TensorFlow Lite
  Micro.
- **After training**: quantized with 300 training images. **Aware**: trained on with quantization
  simulated, for {aware_epochs} epochs: MicroNets as by `python -m training --quantize-aware`, the
  others by TensorFlow's toolkit with Keras 2, which does not take MobileNetV3.
- **Instructions**, not cycles, of one image on an emulated Cortex-M4; RAM and flash in bytes. Of
  MicroNets: arena and stack, code and weights of the static library with the whole image in memory,
  as in [models.md](models.md). Of the others: the arena, and the whole program, in TensorFlow Lite
  Micro with CMSIS-NN. All with weights at random, which hardly matters.
- "Not yet run" is what the command would go on with.
"""
_COLUMNS = (
    "network",
    "size",
    "float",
    "int8, after training",
    "int8, aware",
    "multiply-adds",
    "instructions",
    "RAM",
    "flash",
)
_ACCURACIES = _FLOAT, _AFTER_TRAINING, _AWARE = ("float", "after-training", "aware")
_AXES = {"instructions": "instructions an image, Cortex-M4", "flash_bytes": "bytes of flash"}
_COSTS = ("multiply_adds", "instructions", "ram_bytes", "flash_bytes")


def accuracy_on_device(figures):
    """The best accuracy of a case on a device, in [0, 1], or `None`.

    Args:
        figures: by stage.
    """
    stages = (_AFTER_TRAINING, _AWARE)
    return max((figures[stage]["accuracy"] for stage in stages if stage in figures), default=None)


def page(results, aware_epochs):
    """The whole page in Markdown.

    Args:
        results: by number of epochs, what `table` takes; the study's own number first.
        aware_epochs: of the trainings with quantization simulated.
    """
    parts = [_HEAD.format(aware_epochs=aware_epochs)]
    own, *others = results
    parts.append(f"\n## {own} epochs\n\n![Accuracy over cost](photographs.png)\n\n")
    parts.append(table(results[own]))
    for epochs in others:
        trained = {case: it for case, it in results[epochs].items() if _FLOAT in it}
        parts.append(f"\n## {epochs} epochs\n\n{table(trained)}")
    return "".join(parts)


def table(results):
    """Markdown rows of the cases.

    Args:
        results: mapping (network, size) -> figures by stage.
    """
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    for (network, size), figures in results.items():
        cells = [_title(network), str(size)]
        cells += [_accuracy(network, stage, figures.get(stage)) for stage in _ACCURACIES]
        device = figures.get("device", {})
        cells += [f"{device[cost]:,}" if cost in device else "" for cost in _COSTS]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _accuracy(network, stage, figures):
    if figures is not None:
        return f"{100 * figures['accuracy']:.2f}"
    return "" if stage == _AWARE and network == MOBILENET_V3 else "not yet run"


def _title(network):
    return network if network in RIVALS else f"MicroNet {network}"


def pareto_front(points):
    """The points that no other one beats: none is at least as cheap and more accurate.

    Args:
        points: sequence of pairs (cost, accuracy).

    Returns:
        List of those pairs, by rising cost.
    """
    front = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or accuracy > front[-1][1]:
            front.append((cost, accuracy))
    return front


def plot(results):
    """Accuracy on the device over instructions and over flash, with the Pareto fronts.

    Args:
        results: as for `table`; cases without the figures are left out.

    Returns:
        A Matplotlib figure.
    """
    figure = matplotlib.figure.Figure(figsize=(11, 5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (cost, label) in zip(panels, _AXES.items(), strict=True):
        _draw_panel(axes, results, cost)
        axes.set(xscale="log", xlabel=label)
    panels[0].set_ylabel("top-1 accuracy on the device, percent")
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
    return figure


def _draw_panel(axes, results, cost):
    points = {}
    for (network, size), figures in results.items():
        accuracy = accuracy_on_device(figures)
        value = figures.get("device", {}).get(cost)
        if accuracy is not None and value is not None:
            points.setdefault(network, []).append((value, 100 * accuracy, size))
    for network, group in points.items():
        values, accuracies, sizes = zip(*sorted(group), strict=True)
        style = "s--" if network in RIVALS else "o-"
        axes.plot(values, accuracies, style, label=_title(network), markersize=5)
        for value, accuracy, size in zip(values, accuracies, sizes, strict=True):
            axes.annotate(
                f"{size}", (value, accuracy), (4, 4), textcoords="offset points", fontsize=8
            )
    front = pareto_front([point[:2] for group in points.values() for point in group])
    if front:
        costs, accuracies = zip(*front, strict=True)
        style = {"color": "0.7", "linewidth": 4, "zorder": 0, "label": "Pareto front"}
        axes.step(costs, accuracies, where="post", **style)
    axes.grid(alpha=0.3)
