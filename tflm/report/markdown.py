# SPDX-License-Identifier: Apache-2.0
"""An `ExportReport` as Markdown, for engineers: verdict, budget, then where it goes."""

from tflm.report import milliseconds
from tflm.report.report import QUANTIZATION_AWARE, ExportReport
from tflm.report.tables import table
from tflm.report.verdict import multiply_adds, percent, points
from tflm.sources.runtime import size_text

_PROMINENT_OPERATIONS = 15
_PROMINENT_NOISE = 15


def to_markdown(report: ExportReport) -> str:
    """The report as Markdown text: verdict, budget, then where it goes."""
    height, width, channels = report.input_shape[1:]
    by_cost = sorted(report.costs, key=_rank)
    runtime = report.runtime
    return f"""# {report.model_name} {runtime.title}

int8, input {height} x {width} x {channels}, {report.answers.about}.

| | |
|---|---|
{_rows(report.answers.rows())}
{_rows(runtime.budget())}
{_time_row(report)}| multiply-adds | {multiply_adds(report)} |
| operations | {len(report.costs)} |

{runtime.budget_note()}
{_refusal(report)}{_cost_section(report)}{_verification_section(report)}{report.answers.examples_section()}
{_more_sections(report)}## Memory over time

![activation memory at each operation](report_memory.png)

The peak is {size_text(max(report.live_bytes))} at operation {_peak(report)}. {runtime.plan_note()}

## Where the work is

![multiply-adds, flash and RAM of each operation](report_operations.png)

{_kinds_table(report)}

The {min(_PROMINENT_OPERATIONS, len(by_cost))} costliest operations:

{_operations_table(report, by_cost[:_PROMINENT_OPERATIONS])}

<details><summary>All {len(by_cost)} operations, costliest first</summary>

{_operations_table(report, by_cost)}

</details>
{_noise(report)}"""


def _more_sections(report):
    """What not every report has, or has in the same words."""
    choices = report.answers.choices_section(report.is_own_model)
    return f"{milliseconds.section(report)}{choices}{_firmware_section(report)}"


def _refusal(report):
    if not report.is_refused:
        return ""
    steps = "\n".join(
        f"- {step.effect}" if step.command is None else f"- `{step.command}`\n  {step.effect}"
        for step in report.next_steps
    )
    allowed = f"{points(report.most_points_lost)} of {report.answers.measure}"
    return f"""
## Refused: no sources were written

{allowed} may be lost, and significantly more are: the whole
interval lies beyond. What to do, best first:

{steps}
"""


def _cost_section(report):
    remarks = "".join(f"\n\n{remark}" for remark in _cost_remarks(report))
    return f"""
## What int8 costs

{report.answers.cost_text()}{remarks}
"""


def _cost_remarks(report):
    """What else must be known of the cost, a sentence or two each."""
    cost = report.answers.cost
    if report.keras_model == QUANTIZATION_AWARE:
        yield report.answers.learned_remark()
    yield from report.answers.remarks()
    if not report.is_refused and cost.points_lost_interval[1] > report.most_points_lost:
        yield (
            f"{cost.images:,} images cannot show that no more than "
            f"{points(report.most_points_lost)} are lost: more test images narrow the interval."
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
            f"which these are not: what they cost, the {report.answers.measure} below says."
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

{report.runtime.firmware(report.frame, _outputs_note(report))}

`test/` has images with the scores that must come out: run them first. `README.md` tells how, and
how this folder goes into a project.

"""


def _outputs_note(report):
    return report.answers.outputs_note(report.runtime.library)


def _rows(rows):
    return "\n".join(f"| {label} | {text} |" for label, text in rows)


def _time_row(report):
    no_estimate = report.time is None and not report.no_time
    return "" if no_estimate else f"| **time** of an image | {milliseconds.row(report)} |\n"


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
    return table(
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
                percent(noise.clipped_fraction),
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
    return table(heads, [*rows, totals])


def _operations_table(report, costs):
    heads = (
        "#",
        "operation",
        "kind",
        "output",
        "multiply-adds",
        "constant bytes",
        "output bytes",
        *milliseconds.operation_head(report),
    )
    return table(
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
                *milliseconds.operation_column(report, cost.position),
            )
            for cost in costs
        ],
        milliseconds.operation_head(report),
    )
