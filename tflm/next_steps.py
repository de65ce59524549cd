# SPDX-License-Identifier: Apache-2.0
"""What a user can do about an export that loses too much, best first."""

import collections.abc
import dataclasses
import math
import os
import shlex

from keras_micronet.quantization import QuantizeAwareModel
from tflm.report.task_answers import Cost
from tflm.trained_run import TrainedRun

_BEST_SCHEME = "int8"
_MANY_EPOCHS = 30  # three times as many as by default


@dataclasses.dataclass(frozen=True)
class NextStep:
    """One thing to try.

    Attributes:
        command: a complete command line, or `None` if it is none.
        effect: what it does, or what to do, a sentence without a full stop.
    """

    command: str | None
    effect: str


def next_steps(
    run: TrainedRun,
    cost: Cost,
    kernels: str,
    other_kernels: collections.abc.Iterable[str],
    runtime: str | None,
    output: os.PathLike[str] | str | None = None,
    name: str | None = None,
) -> tuple[NextStep, ...]:
    """Steps for an export that was refused.

    Args:
        run: `TrainedRun`.
        cost: `Cost`.
        kernels: of the export.
        other_kernels: those that the runtime has besides.
        runtime: its name, or `None` for the default.
        output: folder that was asked for, or `None` for the default.
        name: the model's in C that was asked for, or `None` for the default.

    Returns:
        A tuple of `NextStep`.
    """
    is_aware = isinstance(run.model, QuantizeAwareModel)
    asked = {"output": output, "name": name}
    if run.is_own_model:
        steps = [_train_own_model(is_aware)]
    else:
        steps = [_train_again(run) if is_aware else _train_with_rounding(run)]
    if not is_aware:
        steps.append(_more_calibration(run))
    for other in other_kernels:
        effect = f"uses the {other} kernels, which round elsewhere than the {kernels} ones"
        steps.append(NextStep(_export(run.folder, kernels=other, **asked), effect))
    words = {"runtime": runtime, "kernels": kernels, **asked}
    words["most_accuracy_lost"] = f"{_accepting(cost):g}"
    accept = _export(run.folder, **words)
    steps.append(NextStep(accept, "accepts the loss and writes the sources"))
    return tuple(steps)


def _train_with_rounding(run):
    name = run.folder.resolve().name
    return NextStep(
        _command("training", "quantize", run.folder),
        "trains on with the rounding of int8 in the loop; it writes a run for this command, "
        f"runs/{name}-{_BEST_SCHEME}",
    )


def _more_calibration(run):
    return NextStep(
        None,
        f"put more images, like those of the field, into {run.folder / 'calibration.npz'}, which "
        f"has {len(run.calibration)}: the ranges of activations are chosen on them",
    )


def _train_again(run):
    """For a model that has learned its rounding already."""
    folder = "FLOAT_RUN" if run.float_run is None else run.float_run.folder
    command = _command("training", "quantize", folder)
    scheme = run.model.scheme.name
    if scheme == _BEST_SCHEME:
        return NextStep(
            f"{command} --epochs {_MANY_EPOCHS} --output {shlex.quote(f'{run.folder}-longer')}",
            "trains longer with the rounding in the loop",
        )
    return NextStep(
        f"{command} --scheme {_BEST_SCHEME}",
        f"trains with 8 bits for the weights that have 4 in the scheme {scheme}",
    )


def _train_own_model(is_aware):
    """For a model that was trained by other means than `python -m training`, which cannot go on."""
    how = (
        "longer" if is_aware else "on, as what keras_micronet.quantization.quantize_aware returns,"
    )
    return NextStep(
        None,
        f"train the model {how} with the rounding of int8 in the loop, and write it with "
        "keras_micronet.write_run_folder",
    )


def _accepting(cost):
    """The least number of points to allow so that the export is not refused, to a tenth."""
    return math.ceil(10 * max(cost.points_lost, cost.points_lost_interval[0])) / 10


def _export(folder, **options):
    words = []
    for name, value in options.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", value]
    return _command("tflm", folder, *words)


def _command(module, *words):
    return shlex.join(["python", "-m", module, *(str(word) for word in words)])


def as_text(steps: collections.abc.Iterable[NextStep]) -> str:
    """Steps for a terminal, a command or an advice in each block of lines."""
    return "\n".join(
        f"  {step.effect}" if step.command is None else f"  {step.command}\n      {step.effect}"
        for step in steps
    )
