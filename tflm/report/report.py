# SPDX-License-Identifier: Apache-2.0
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

from tflm.graph.operators import OPERATORS
from tflm.graph.validation import validate
from tflm.report import plots
from tflm.runtimes import MicroRuntime, StaticRuntime, size_text
from tflm.settings import MOST_POINTS_LOST
from tflm.verification.accuracy_cost import CLEAR_MARGIN, AccuracyCost
from tflm.verification.paired_interval import CONFIDENCE
from tflm.verification.verification import Verification

FLOAT, QUANTIZATION_AWARE = "float", "quantization-aware"

_ACTIVATION_ALIGNMENT = 16  # of TensorFlow Lite Micro's memory planner
_PROMINENT_OPERATIONS = 15
_PROMINENT_NOISE = 15
_NAMED_NOISE = 3


@dataclasses.dataclass(frozen=True)
class OperationCost:
    """What one operation takes.

    Attributes:
        position: index in the order of execution.
        kind: TensorFlow Lite's name of the operator.
        name: what it is called in the model; see `Operation.name`.
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
        keras_model: what the trained model is, `FLOAT` or `QUANTIZATION_AWARE`.
        keras_accuracy: its top-1 accuracy on the test images, 0 to 1, a quantization-aware one's
            with the rounding that it has learned with.
        float_run_accuracy: of the float model that a quantization-aware one continues, on all
            test images of the dataset, if that is known.
        cost: `AccuracyCost`, on the test images. The float side of a quantization-aware model is
            that of its own weights without rounding.
        only_class: name of the class that the device gives to every test image, or `None`.
        verification: `Verification` that the export has passed.
        kernels: "builtin" or "fused".
        run_folder: path of the run, as the user has given it.
        runtime: what runs the model on the device, with the memory it takes.
        costs: `OperationCost` of each operation, in order of execution.
        live_bytes: RAM of activations at each operation, see `live_bytes`; of a static library
            with the kernels' buffers, as they lie in the arena.
        model_multiply_adds: of the trained model, before zeros took the place of
            shuffles and of padding.
        examples: `Example`s to show, any number.
        noise: `tensor_noise.TensorNoise` of each activation, worst first; empty if
            it was not measured.
        most_points_lost: percentage points of accuracy that the device may lose.
        next_steps: `next_steps.NextStep`s, if the export is refused.
    """

    model_name: str
    input_shape: tuple
    classes: int
    keras_model: str
    keras_accuracy: float
    float_run_accuracy: float | None
    cost: AccuracyCost
    only_class: str | None
    verification: Verification
    kernels: str
    run_folder: str
    runtime: MicroRuntime | StaticRuntime
    costs: tuple
    live_bytes: tuple
    model_multiply_adds: int
    examples: tuple = ()
    noise: tuple = ()
    most_points_lost: float = MOST_POINTS_LOST
    next_steps: tuple = ()

    @property
    def is_refused(self):
        """Whether significantly more accuracy is lost than it may."""
        return self.cost.exceeds(self.most_points_lost)

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
        ValueError: the graph is not valid; see `validation.validate`.
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
        name=operation.name,
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
        ValueError: the graph is not valid; see `validation.validate`.
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
        **_cost_figures(report),
        "verification": _verification_figures(report.verification),
        "kernels": report.kernels,
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


def _cost_figures(report):
    cost = report.cost
    return {
        "refused": report.is_refused,
        "test_images": cost.images,
        "keras_model": report.keras_model,
        "keras_accuracy": report.keras_accuracy,
        "float_run_accuracy": report.float_run_accuracy,
        "float_accuracy": cost.float_accuracy,
        "int8_accuracy": cost.int8_accuracy,
        "points_lost": cost.points_lost,
        "points_lost_interval": list(cost.points_lost_interval),
        "confidence": CONFIDENCE,
        "most_points_lost": report.most_points_lost,
        "only_float_right": cost.only_float_right,
        "only_int8_right": cost.only_int8_right,
        "agreement": cost.agreement,
        "clear_margin": CLEAR_MARGIN,
        "clear_images": cost.clear,
        "clear_agreement": cost.clear_agreement,
        "only_class": report.only_class,
    }


def _verification_figures(verification):
    operations = verification.operations
    return {
        "made_up_images": verification.made_up_images,
        "operations": operations.operations,
        "operation_images": operations.images,
        "operation_values": operations.values,
        "exact_operation_values": operations.exact_values,
        "learned_kernels": verification.learned_kernels,
        "outputs": dataclasses.asdict(verification.outputs),
        "outputs_for_made_up_images": dataclasses.asdict(verification.made_up_outputs),
    }


def _noise_figures(noise):
    """Decibels are null where they are infinite; the mean squares then say which is 0."""
    ratio = noise.signal_to_noise_decibels
    own_ratio = noise.own_signal_to_noise_decibels
    figures = {
        **dataclasses.asdict(noise),
        "signal_to_noise_decibels": ratio,
        "own_signal_to_noise_decibels": own_ratio,
    }
    return {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in figures.items()
    }


def to_markdown(report):
    """The report as Markdown text: verdict, budget, then where it goes."""
    height, width, channels = report.input_shape[1:]
    by_cost = sorted(report.costs, key=_rank)
    runtime = report.runtime
    return f"""# {report.model_name} {runtime.title}

int8, input {height} x {width} x {channels}, {report.classes} classes.

| | |
|---|---|
{_accuracy_rows(report)}
{_budget_rows(runtime)}
| multiply-adds | {multiply_adds_text(report)} |
| operations | {len(report.costs)} |

{runtime.budget_note()}
{_refusal(report)}{_cost_section(report)}{_verification_section(report)}{_examples(report)}
{_firmware_section(report)}## Memory over time

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


def _refusal(report):
    if not report.is_refused:
        return ""
    steps = "\n".join(
        f"- {step.effect}" if step.command is None else f"- `{step.command}`\n  {step.effect}"
        for step in report.next_steps
    )
    return f"""
## Refused: no sources were written

{_points(report.most_points_lost)} of accuracy may be lost, and significantly more are: the whole
interval lies beyond. What to do, best first:

{steps}
"""


def _cost_section(report):
    cost, low_and_high = report.cost, "{:.2f} to {:.2f}".format(*report.cost.points_lost_interval)
    remarks = "".join(f"\n\n{remark}" for remark in _cost_remarks(report))
    clear = "no image is clear to it" if cost.clear == 0 else f"{_percent(cost.clear_agreement)}"
    return f"""
## What int8 costs

Float and int8 have seen the same {cost.images:,} test images: {cost.only_float_right:,} of them
only float recognises, {cost.only_int8_right:,} only int8, which makes {cost.points_lost:.2f} points
lost. On all images of the kind it is, with {CONFIDENCE:.0%} confidence, {low_and_high} points
(score interval of paired proportions, Tango 1998). Both give the same class to
{_percent(cost.agreement)}; among the {cost.clear:,} images that are clear to float, whose best
class is at least {CLEAR_MARGIN:g} more probable than the second: {clear}.{remarks}
"""


def _cost_remarks(report):
    """What else must be known of the cost, a sentence or two each."""
    cost = report.cost
    if report.keras_model == QUANTIZATION_AWARE:
        accuracy = _percent(report.keras_accuracy)
        text = (
            "Float is the same weights without rounding. With the rounding that they have learned "
            f"with, simulated, the accuracy is {accuracy}."
        )
        if report.float_run_accuracy is not None:
            text += (
                f" The float run that came before has {_percent(report.float_run_accuracy)} of "
                "all test images of the dataset."
            )
        yield text
    if report.only_class is not None:
        others = "" if cost.agreement == 1 else ", and float does not"
        yield (
            f"**The device gives the class {report.only_class} to every test image{others}.** It "
            "computes what it is defined to; but accuracy and agreement say nothing of such "
            "answers."
        )
    if not report.is_refused and cost.points_lost_interval[1] > report.most_points_lost:
        yield (
            f"{cost.images:,} images cannot show that no more than "
            f"{_points(report.most_points_lost)} are lost: more test images narrow the interval."
        )


def _verification_section(report):
    verification = report.verification
    operations, outputs = verification.operations, verification.outputs
    inexact = operations.values - operations.exact_values
    one_step = f", {inexact:,} of them a step beside it, as it may be" if inexact else ""
    simulated = (
        "The outputs for made-up and other images are those of the model with its rounding "
        f"simulated. For {outputs.images} of yours, the root mean square of the differences "
        f"is {outputs.root_mean_square_steps:.2f} steps, and "
        f"{outputs.float_root_mean_square_steps:.2f} from the model without rounding."
    )
    if verification.learned_kernels is not None:
        simulated += (
            f" The training has learned the rounding of {verification.learned_kernels} kernels, "
            "which these are not: what they cost, the accuracy below says."
        )
    return f"""
## Whether it is right

On {operations.images} images, {verification.made_up_images} of them made up, each of the
{operations.operations} operations computed what it is defined to: {operations.values:,}
values{one_step}.

{simulated}
"""


def _firmware_section(report):
    if report.is_refused:
        return ""
    return f"""## In firmware

{report.runtime.firmware(_frame(report.input_shape[-1]))}

`test_vectors.h` has frames with the outputs that must come out: run them first.

"""


def _budget_rows(runtime):
    return "\n".join(f"| {label} | {text} |" for label, text in runtime.budget())


def multiply_adds_text(report):
    """How many the device computes, and how many of them are the model's, if others are, too."""
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

Mistakes first, if there are any: these are not in proportion to the accuracy.

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

An operation loses accuracy itself if its own ratio is low, that of what it makes of the inputs that
it has on the device; otherwise it passes on what came before. A noisy term of a sum does no harm if
the sum is well. Clipped values lie outside of the range that was calibrated: calibrate on images
like those of the field. Where nothing is clipped and the ratio is low all the same, a few large
values leave all others few steps.
{_noise_advice(report)}
"""


def _noise_advice(report):
    if report.keras_model == QUANTIZATION_AWARE:
        return (
            "The weights have learned with this noise: it says what they live with, not what is "
            "wrong."
        )
    return (
        "If the accuracy on the device is too low, train on with quantization in the loop, so that "
        f"the\nweights learn to live with it: `python -m training quantize "
        f"{report.run_folder}`."
    )


def _noise_table(rows):
    heads = (
        "#",
        "tensor",
        "kind",
        "ratio (dB)",
        "own (dB)",
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
                _decibels(noise.own_signal_to_noise_decibels),
                _decibels(noise.input_signal_to_noise_decibels),
                f"{noise.low:.3g} to {noise.high:.3g}",
                f"{noise.scale:.3g}",
                _percent(noise.clipped_fraction),
            )
            for noise in rows
        ],
        numbers=("#", "ratio (dB)", "own (dB)", "of its inputs (dB)", "step", "clipped"),
    )


def _decibels(ratio):
    if ratio is None:
        return ""
    return f"{ratio:.1f}".replace("inf", "∞")


def _rank(cost):
    """Costliest first; operations of equal cost in order of execution."""
    return -cost.multiply_adds, -(cost.constant_bytes + cost.output_bytes), cost.position


def _accuracy_rows(report):
    cost = report.cost
    return (
        f"| **accuracy on the device** | **{_percent(cost.int8_accuracy)}** of {cost.images:,} "
        f"test images, {_loss(cost)} |\n"
        f"| accuracy without rounding | {_percent(cost.float_accuracy)} |\n"
        f"| same class without rounding | {_agreement(cost)} |"
    )


def verdict(report):
    """The cost in two lines for a terminal, and a third if all images got one class."""
    cost = report.cost
    lines = [
        f"accuracy on {cost.images:,} test images: float {_percent(cost.float_accuracy)}, int8 "
        f"{report.runtime.title} {_percent(cost.int8_accuracy)}, {_loss(cost)}",
        f"same class as float: {_agreement(cost)}; {_noisiest(report)}",
    ]
    if report.only_class is not None:
        lines.append(f"the device gives the class {report.only_class} to every test image")
    return "\n".join(lines)


def refusal(report):
    """Why an export is refused, and what to do."""
    low, high = report.cost.points_lost_interval
    return (
        f"The device may lose at most {_points(report.most_points_lost)} of accuracy. Received: "
        f"{report.cost.points_lost:.2f} points lost, significantly more (the whole interval of "
        f"{low:.2f} to {high:.2f} points lies beyond)"
    )


def _loss(cost):
    low, high = cost.points_lost_interval
    points = abs(cost.points_lost)
    what = "lost" if cost.points_lost >= 0 else "gained"
    interval = f"{CONFIDENCE:.0%} interval of the loss: {low:.2f} to {high:.2f}"
    return f"{points:.2f} points {what} ({interval})"


def _agreement(cost):
    text = _percent(cost.agreement)
    if cost.clear:
        text += f", {_percent(cost.clear_agreement)} of the {cost.clear:,} clear ones"
    return text


def _noisiest(report):
    worst = report.noise[:_NAMED_NOISE]
    rows = ", ".join(f"{row.name} ({row.signal_to_noise_decibels:.1f} dB)" for row in worst)
    return f"noisiest activations: {rows}"


def _points(points):
    return f"{points:g} point" if points == 1 else f"{points:g} points"


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
