# SPDX-License-Identifier: Apache-2.0
"""Which values of a chain a device stores, and by what name: where rounding happens.

A device computes an activation within the operation before it, so that only
the activation's result is rounded, and a pooled map keeps the quantization of
the map. These are the rules by which the model is exported to operators of
TensorFlow Lite Micro; a shuffle or a dropout never stores anything new.
"""

import dataclasses
import math
from collections.abc import Iterable
from typing import Self

from keras_micronet.layer_chain import PROBABILITIES, Step
from keras_micronet.quantization.schemes import BUILTIN

_COMPUTE_ACTIVATIONS = ("convolution", "depthwise", "dense", "residual")
_PASS_ON = ("shuffle", "dropout")
_TAKE_FACTORS = ("convolution", "depthwise", "shift_max")


@dataclasses.dataclass(frozen=True)
class PlannedStep:
    """A step with the activation that a device computes along with it.

    Attributes:
        step: `layer_chain.Step`.
        activation: "linear", "relu" or "relu6".
        result: name under which the range of the result is known, or `None`
            if the step gives its result the range of its input.
    """

    step: Step
    activation: str
    result: str | None

    @property
    def stores_something(self) -> bool:
        """Whether a device writes a new value for this step."""
        return self.result is not None or self.step.kind in ("pool", "relu", "relu6")


@dataclasses.dataclass(frozen=True)
class ShiftMaxNames:
    """What the values within a Dynamic Shift-Max are called.

    Attributes:
        name: of the activation itself.
        fusions: 1 or 2.
    """

    name: str
    fusions: int

    @classmethod
    def of(cls, step: Step) -> Self:
        """Those of a step."""
        return cls(step.name, step.layer.fusions)

    @property
    def pool(self) -> str:
        """The pooled map."""
        return f"{self.name}/pool"

    @property
    def squeeze(self) -> str:
        """What the squeeze layer computes."""
        return f"{self.name}/squeeze"

    @property
    def coefficients(self) -> list[str]:
        """The coefficient vectors: a1, b1 (, a2, b2)."""
        numbers = range(1, self.fusions + 1)
        return [f"{self.name}/{letter}{number}" for number in numbers for letter in "ab"]

    @property
    def terms(self) -> list[str]:
        """The products that are added, in the order of the coefficients."""
        operands = ("map", "shifted") * self.fusions
        return [
            f"{name}_times_{operand}"
            for name, operand in zip(self.coefficients, operands, strict=True)
        ]

    @property
    def sums(self) -> list[str]:
        """The fusions."""
        return [f"{self.name}/fusion{number}" for number in range(1, self.fusions + 1)]

    @property
    def result(self) -> str:
        """The maximum of the fusions, or the only one."""
        return f"{self.name}/maximum" if self.fusions == 2 else self.sums[0]


def plan(steps: Iterable[Step]) -> list[PlannedStep]:
    """Plans the steps of a chain.

    Args:
        steps: list of `layer_chain.Step`.

    Returns:
        A list of `PlannedStep`s, without the activations that others compute.
    """
    planned: list[PlannedStep] = []
    # Activations that are computed elsewhere, to the step that now has their result.
    renamed: dict[str | None, str] = {}
    for step in steps:
        computing = _last_computing(planned) if step.kind in ("relu", "relu6") else None
        if computing is not None:
            planned[computing] = dataclasses.replace(planned[computing], activation=step.kind)
            renamed[step.name] = planned[-1].step.name
            continue
        shortcut = renamed.get(step.shortcut, step.shortcut)
        step = dataclasses.replace(step, shortcut=shortcut)
        planned.append(PlannedStep(step, "linear", _result(step)))
    return planned


def range_names(planned: Iterable[PlannedStep], source: str, kernels: str = BUILTIN) -> list[str]:
    """Names of all values whose range is learned, in order.

    Args:
        planned: list of `PlannedStep`.
        source: name of the model's input.
        kernels: one of `schemes.KERNELS`. Within a Dynamic Shift-Max fused ones need the range of
            what is squeezed only.
    """
    names = [source]
    for item in planned:
        if item.step.kind == "shift_max":
            within = ShiftMaxNames.of(item.step)
            names.append(within.squeeze)
            if kernels == BUILTIN:
                names += [*within.coefficients, *within.terms]
        if item.result is not None:
            names.append(item.result)
    return names


@dataclasses.dataclass(frozen=True)
class FactorRule:
    """Which channel factors a stored map may have.

    Factors are positive: a maximum and a ReLU keep the sign.

    Attributes:
        channels: number of channels.
        is_reciprocal: whether the kernel holds one over each factor, as Dynamic Shift-Max does
            for its result, instead of the factor.
    """

    channels: int
    is_reciprocal: bool


def channel_factor_rules(planned: Iterable[PlannedStep]) -> dict[str, FactorRule]:
    """Stored maps whose channels may have scales of their own at no cost on a device.

    That is so between operations whose weights take the factors along: behind a convolution
    with a scale for each output channel or a Dynamic Shift-Max, before either of them. A sum of
    two maps and a mean over a map insist on one scale. The end of ReLU6 becomes the end of the
    range of each channel.

    Args:
        planned: list of `PlannedStep`.

    Returns:
        A dictionary from names to `FactorRule`s, in order.
    """
    rules: dict[str, FactorRule] = {}
    excluded: set[str | None] = set()
    current: str | None = None  # the value at hand
    names: dict[str | None, str | None] = {}  # the value that each step leaves
    for item in planned:
        step = item.step
        if step.kind not in _TAKE_FACTORS and (item.stores_something or step.kind in PROBABILITIES):
            excluded |= {current, names.get(step.shortcut)}
        if item.result is not None:
            current = item.result
            if step.kind in _TAKE_FACTORS:
                rules[current] = FactorRule(_output_channels(step), step.kind == "shift_max")
        names[step.name] = current
    excluded.add(current)  # the model's output
    return {name: rule for name, rule in rules.items() if name not in excluded}


def _output_channels(step):
    if step.kind == "shift_max":
        return len(step.layer.permutation)
    axes = step.layer.kernel.shape[2 if step.kind == "depthwise" else 3 :]
    return math.prod(axes)


def _last_computing(planned):
    """Index of the step that can compute an activation which comes next, or `None`."""
    for index in reversed(range(len(planned))):
        item = planned[index]
        if item.step.kind in _PASS_ON:
            continue
        computes = item.step.kind in _COMPUTE_ACTIVATIONS or (
            item.step.kind == "shift_max" and item.step.layer.fusions == 1
        )
        return index if computes and item.activation == "linear" else None
    return None


def _result(step):
    if step.kind in (*_COMPUTE_ACTIVATIONS, "hard_swish"):
        return step.name
    if step.kind == "shift_max":
        return ShiftMaxNames.of(step).result
    return None
