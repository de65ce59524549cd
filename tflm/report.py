"""What an exported model costs and how well it works: for engineers, and as JSON.

`operation_costs` and `live_bytes` compute exact figures from a graph;
`ExportReport` collects them with what the exporter has measured; `report_files`
renders all of it.
"""

import collections
import dataclasses
import json
import math

import numpy as np

from tflm import plots
from tflm.graph_validation import validate
from tflm.operator_table import OPERATORS
from tflm.runtimes import MicroRuntime, StaticRuntime, size_text
from tflm.verification import FLOAT, QUANTIZATION_AWARE

_ACTIVATION_ALIGNMENT = 16  # of TensorFlow Lite Micro's memory planner
_PROMINENT_OPERATIONS = 15
_PROMINENT_NOISE = 15
_NOISE_ADVICE = {
    FLOAT.name: (
        "If the accuracy on the device is too low, train on with quantization in the loop, so that "
        "the\nweights learn to live with it: `python -m training --quantize-aware RUN`."
    ),
    QUANTIZATION_AWARE.name: (
        "The weights have learned with this noise: it says what they live with, not what is wrong."
    ),
}


@dataclasses.dataclass(frozen=True)
class OperationCost:
    """What one operation takes.

    Attributes:
        position: index in the order of execution.
        kind: TensorFlow Lite's name of the operator.
        name: name of the operation's first output.
        output_shape: shape of that output.
        multiply_adds: of convolutions and dense layers; 0 for other operators.
        constant_bytes: weights, biases and indices that it reads from flash.
        output_bytes: activations that it writes to RAM.
    """

    position: int
    kind: str
    name: str
    output_shape: tuple
    multiply_adds: int
    constant_bytes: int
    output_bytes: int


@dataclasses.dataclass(frozen=True)
class Example:
    """A test image and what the exported model says to it.

    Attributes:
        image: uint8 array (height, width, 3), raw RGB.
        class_name: what it shows.
        prediction: the class that the exported model names.
    """

    image: np.ndarray
    class_name: str
    prediction: str


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """Everything known of one export.

    Attributes:
        model_name: what the model calls itself.
        input_shape: shape of the input with the batch of 1 in front.
        classes: number of classes.
        test_images: number of labelled images behind both accuracies.
        keras_model: what the trained model is, "float" or "quantization-aware".
        keras_accuracy: its top-1 accuracy on them, 0 to 1, or
            `None` without labels.
        int8_accuracy: the same of the exported model.
        compared_images: number of images behind `agreement`.
        agreement: part of them, 0 to 1, that both models put into the same class.
        runtime: what runs the model on the device, with the memory it takes.
        costs: `OperationCost` of each operation, in order of execution.
        live_bytes: RAM of activations at each operation; see `live_bytes`.
        model_multiply_adds: of the trained model, before zeros took the place of
            shuffles and of padding.
        examples: `Example`s to show, any number.
        noise: `tensor_noise.TensorNoise` of each activation, worst first; empty if
            it was not measured.
    """

    model_name: str
    input_shape: tuple
    classes: int
    test_images: int
    keras_model: str
    keras_accuracy: float | None
    int8_accuracy: float | None
    compared_images: int
    agreement: float
    runtime: MicroRuntime | StaticRuntime
    costs: tuple
    live_bytes: tuple
    model_multiply_adds: int
    examples: tuple = ()
    noise: tuple = ()

    @property
    def multiply_adds(self):
        """Of all convolutions and dense layers."""
        return sum(cost.multiply_adds for cost in self.costs)

    @property
    def operations_by_kind(self):
        """Number of operations of each kind, the commonest first."""
        return dict(collections.Counter(cost.kind for cost in self.costs).most_common())


def operation_costs(graph):
    """Computes what each operation takes, exactly, from shapes.

    Args:
        graph: a quantized `Graph`.

    Returns:
        A tuple of `OperationCost`, in order of execution.

    Raises:
        ValueError: the graph is not valid; see `graph_validation.validate`.
    """
    validate(graph)
    return tuple(
        _cost(graph, position, operation) for position, operation in enumerate(graph.operations)
    )


def _cost(graph, position, operation):
    row, tensors = OPERATORS[operation.kind], graph.tensors
    return OperationCost(
        position=position,
        kind=operation.kind,
        name=operation.outputs[0],
        output_shape=tuple(tensors[operation.outputs[0]].shape),
        multiply_adds=row.multiply_adds(operation, row.complete_options(operation), tensors),
        constant_bytes=sum(_bytes(tensors[name]) for name in _constants(operation, tensors)),
        output_bytes=sum(_bytes(tensors[name]) for name in operation.outputs),
    )


def _constants(operation, tensors):
    return [name for name in dict.fromkeys(operation.inputs) if tensors[name].is_constant]


def _bytes(tensor):
    """Bytes of a constant as stored, or of an int8 activation."""
    elements = math.prod(tensor.shape)
    if not tensor.is_constant:
        return elements
    if tensor.data.dtype.name == "int4":
        return -(-elements // 2)
    return elements * tensor.data.dtype.itemsize


def live_bytes(graph):
    """Computes the RAM that activations need while each operation runs.

    An activation lives from the operation that makes it to the last that reads
    it; the graph's inputs live from the beginning, and its outputs to the end.
    Sizes count in steps of 16 bytes, as TensorFlow Lite Micro allocates them.
    The largest element is a bound that no memory plan for this order gets below.

    Args:
        graph: a quantized `Graph`.

    Returns:
        A tuple of bytes, one element for each operation.

    Raises:
        ValueError: the graph is not valid; see `graph_validation.validate`.
    """
    validate(graph)
    first = dict.fromkeys(graph.inputs, 0)
    last = dict(first)
    for position, operation in enumerate(graph.operations):
        for name in operation.outputs:
            first[name] = last[name] = position
        for name in operation.inputs:
            if not graph.tensors[name].is_constant:
                last[name] = position
    last.update(dict.fromkeys(graph.outputs, len(graph.operations) - 1))

    live = [0] * len(graph.operations)
    for name in first:
        size = _aligned(_bytes(graph.tensors[name]))
        for position in range(first[name], last[name] + 1):
            live[position] += size
    return tuple(live)


def _aligned(size):
    return -(-size // _ACTIVATION_ALIGNMENT) * _ACTIVATION_ALIGNMENT


# Rendering


def report_files(report):
    """Renders a report.

    Args:
        report: `ExportReport`.

    Returns:
        Mapping from file name to contents: `report.md` (read this first),
        `report.json` (all figures), and the plots in `report.md` as PNG.
    """
    return {
        "report.md": to_markdown(report),
        "report.json": to_json(report),
        "report_operations.png": plots.operations_png(report),
        "report_memory.png": plots.memory_png(report),
        **({"report_predictions.png": plots.predictions_png(report)} if report.examples else {}),
    }


def to_json(report):
    """All figures of a report as JSON text, sizes in bytes, parts of one as 0 to 1."""
    figures = {
        "model_name": report.model_name,
        "input_shape": list(report.input_shape),
        "classes": report.classes,
        "test_images": report.test_images,
        "keras_model": report.keras_model,
        "keras_accuracy": report.keras_accuracy,
        "int8_accuracy": report.int8_accuracy,
        "compared_images": report.compared_images,
        "agreement": report.agreement,
        "runtime": report.runtime.name,
        **report.runtime.figures(),
        "multiply_adds": report.multiply_adds,
        "model_multiply_adds": report.model_multiply_adds,
        "operations_by_kind": report.operations_by_kind,
        "operations": [
            {**dataclasses.asdict(cost), "live_bytes": live}
            for cost, live in zip(report.costs, report.live_bytes, strict=True)
        ],
        "tensor_noise": [_noise_figures(noise) for noise in report.noise],
    }
    return json.dumps(figures, indent=2, allow_nan=False) + "\n"


def _noise_figures(noise):
    """Decibels are null where they are infinite; the mean squares then say which is 0."""
    ratio = noise.signal_to_noise_decibels
    figures = {**dataclasses.asdict(noise), "signal_to_noise_decibels": ratio}
    return {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in figures.items()
    }


def to_markdown(report):
    """The report as Markdown text: verdict, budget, then where it goes."""
    height, width, channels = report.input_shape[1:]
    by_cost = sorted(report.costs, key=_rank)
    agreement = f"{_percent(report.agreement)} of {report.compared_images:,} images"
    runtime = report.runtime
    return f"""# {report.model_name} {runtime.title}

int8, input {height} x {width} x {channels}, {report.classes} classes.

| | |
|---|---|
{_accuracy_rows(report)}
| same class as the {report.keras_model} model | {agreement} |
{_budget_rows(runtime)}
| multiply-adds | {_multiply_adds(report)} |
| operations | {len(report.costs)} |

{runtime.budget_note()}
{_examples(report)}
## In firmware

{runtime.firmware(_frame(channels))}

`test_vectors.h` has frames with the outputs that must come out: run them first.

## Memory over time

![activation memory at each operation](report_memory.png)

The peak is {size_text(max(report.live_bytes))} at operation {_peak(report)}. {runtime.plan_note()}

## Where the work is

![multiply-adds, flash and RAM of each operation](report_operations.png)

{_kinds_table(report)}

The {min(_PROMINENT_OPERATIONS, len(by_cost))} costliest operations:

{_operations_table(by_cost[:_PROMINENT_OPERATIONS])}

<details><summary>All {len(by_cost)} operations, costliest first</summary>

{_operations_table(by_cost)}

</details>
{_noise(report)}"""


def _budget_rows(runtime):
    return "\n".join(f"| {label} | {text} |" for label, text in runtime.budget())


def _multiply_adds(report):
    added = report.multiply_adds - report.model_multiply_adds
    if added == 0:
        return f"{report.multiply_adds:,}"
    return (
        f"{report.multiply_adds:,} ({report.model_multiply_adds:,} of the model, {added:,} with "
        "zeros that take the place of shuffles and of padding)"
    )


def _examples(report):
    if not report.examples:
        return ""
    return """
## What it sees

![test images with the classes that the exported model names](report_predictions.png)
"""


def _noise(report):
    if not report.noise:
        return ""
    worst = report.noise[:_PROMINENT_NOISE]
    return f"""
## Where quantization loses accuracy

Activations in TensorFlow Lite Micro against those of the same weights without rounding:
signal-to-quantization-noise ratio, the {len(worst)} worst of {len(report.noise)}
(`report.json` has all). At 20 dB the noise is a tenth of the signal; every 6 dB less double it.

{_noise_table(worst)}

An operation loses accuracy itself if its tensor is far below the inputs that it reads; otherwise
it passes on what came before. A noisy term of a sum does no harm if the sum is well. Clipped values
lie outside of the range that was calibrated: calibrate on images like those of the field. Where
nothing is clipped and the ratio is low all the same, a few large values leave all others few steps.
{_NOISE_ADVICE[report.keras_model]}
"""


def _noise_table(rows):
    heads = (
        "#",
        "tensor",
        "kind",
        "ratio (dB)",
        "of its inputs (dB)",
        "float range",
        "step",
        "clipped",
    )
    return _table(
        heads,
        [
            (
                "" if noise.position is None else f"{noise.position}",
                f"`{noise.name}`",
                noise.kind,
                _decibels(noise.signal_to_noise_decibels),
                _decibels(noise.input_signal_to_noise_decibels),
                f"{noise.low:.3g} to {noise.high:.3g}",
                f"{noise.scale:.3g}",
                _percent(noise.clipped_fraction),
            )
            for noise in rows
        ],
        numbers=("#", "ratio (dB)", "of its inputs (dB)", "step", "clipped"),
    )


def _decibels(ratio):
    if ratio is None:
        return ""
    return f"{ratio:.1f}".replace("inf", "∞")


def _rank(cost):
    """Costliest first; operations of equal cost in order of execution."""
    return -cost.multiply_adds, -(cost.constant_bytes + cost.output_bytes), cost.position


def _accuracy_rows(report):
    if report.keras_accuracy is None or report.int8_accuracy is None:
        return "| accuracy | no labelled images |"
    on_the_device = f"**{_percent(report.int8_accuracy)}** of {report.test_images:,} test images"
    points = 100 * (report.keras_accuracy - report.int8_accuracy)
    lost = f"{points:.2f} points lost" if points >= 0 else f"{-points:.2f} points gained"
    return (
        f"| **accuracy on the device** | {on_the_device}, {lost} |\n"
        f"| accuracy of the {report.keras_model} model | {_percent(report.keras_accuracy)} |"
    )


def _percent(part):
    return f"{100 * part:.2f}%"


def _frame(channels):
    return "RGB888" if channels == 3 else "8-bit gray"


def _peak(report):
    position = report.live_bytes.index(max(report.live_bytes))
    return f"{position} (`{report.costs[position].name}`, {report.costs[position].kind})"


def _kinds_table(report):
    rows = [
        (
            f"`{kind}`",
            count,
            sum(cost.multiply_adds for cost in report.costs if cost.kind == kind),
            sum(cost.constant_bytes for cost in report.costs if cost.kind == kind),
            sum(cost.output_bytes for cost in report.costs if cost.kind == kind),
        )
        for kind, count in report.operations_by_kind.items()
    ]
    totals = ("**all**", *(sum(row[column] for row in rows) for column in range(1, 5)))
    heads = ("kind", "operations", "multiply-adds", "constant bytes", "output bytes")
    return _table(heads, [*rows, totals])


def _operations_table(costs):
    heads = (
        "#",
        "operation",
        "kind",
        "output",
        "multiply-adds",
        "constant bytes",
        "output bytes",
    )
    return _table(
        heads,
        [
            (
                cost.position,
                f"`{cost.name}`",
                cost.kind,
                " x ".join(str(size) for size in cost.output_shape),
                cost.multiply_adds,
                cost.constant_bytes,
                cost.output_bytes,
            )
            for cost in costs
        ],
    )


def _table(heads, rows, numbers=()):
    """A Markdown table. Integers and the columns that `numbers` names stand at the right."""
    first = zip(heads, rows[0], strict=True)
    is_number = [isinstance(value, int) or head in numbers for head, value in first]
    rules = ["---:" if number else "---" for number in is_number]
    lines = [heads, rules] + [
        [f"{value:,}" if isinstance(value, int) else value for value in row] for row in rows
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
