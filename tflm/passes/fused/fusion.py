# SPDX-License-Identifier: Apache-2.0
"""What is said of each fused kernel for the passes: which operations it computes, and how."""

import collections.abc
import dataclasses

from tflm.graph.graph import Graph, Options, Quantization
from tflm.kernels.fused_kernel import FusedKernel
from tflm.passes.fused.operands import Operands


@dataclasses.dataclass(frozen=True)
class Match:
    """Operations of a lowered graph that one fused kernel computes.

    Attributes:
        count: how many, one after another; what the kernel absorbs is not among them.
        inputs: names of the activations and constants that the fused operation has.
        options: those of the fused operation, besides what `fused_operations.fuse` gives it.
    """

    count: int
    inputs: list[str]
    options: Options = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Fusion:
    """How operations become a fused kernel's.

    Attributes:
        kind: of the fused operation in float graphs.
        absorbs: what it computes besides, see `description.KernelDescription`.
        match: function of a lowered `Graph` and a position -> `Match`, or `None` if what begins
            there is nothing for this kernel.
        quantize: function of `operands.Operands` -> the kernel's integers, a `FusedKernel`, and
            the `Quantization` of its result.
    """

    kind: str
    absorbs: frozenset[str]
    match: collections.abc.Callable[[Graph, int], Match | None]
    quantize: collections.abc.Callable[[Operands], tuple[FusedKernel, Quantization]]


def match_kind(kind: str) -> collections.abc.Callable[[Graph, int], Match | None]:
    """A `Fusion.match` of each single operation of a kind, as it is."""

    def match(graph: Graph, position: int) -> Match | None:
        operation = graph.operations[position]
        return Match(1, operation.inputs) if operation.kind == kind else None

    return match
