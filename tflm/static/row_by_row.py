# SPDX-License-Identifier: Apache-2.0
"""Memory of a model whose first operation, the stem, takes the image row by row.

The image need not be in memory at all; or it is, and the stem's output takes the place
of the rows that have been read.
"""

import collections.abc
import dataclasses

from tflm.graph.graph import Graph
from tflm.kernels.description import Form
from tflm.kernels.factorized_stem import FactorizedStem
from tflm.kernels.registry import BY_KIND
from tflm.static import memory_plan
from tflm.static.memory_plan import ALIGNMENT, NO_OVERLAPS


@dataclasses.dataclass(frozen=True)
class RowByRowPlan:
    """Places in the arena, in bytes from its beginning.

    Attributes:
        plan: `MemoryPlan` for an image outside of the arena. The stem's buffer is that of its
            form for rows.
        image_plan: the same for an image within the arena; often equal to `plan`. The stem's
            buffer is at `image_buffer_offset` then.
        image_offset: of an image within the arena.
        image_buffer_offset: of the stem's buffer then.
        image_arena_bytes: size of the arena then, enough for `plan`, too.
    """

    plan: memory_plan.MemoryPlan
    image_plan: memory_plan.MemoryPlan
    image_offset: int
    image_buffer_offset: int
    image_arena_bytes: int


def takes_rows(graph: Graph) -> bool:
    """Whether the first operation of a graph, and no other, reads its one input row by row."""
    readers = [operation for operation in graph.operations if graph.inputs[0] in operation.inputs]
    return (
        len(graph.inputs) == 1
        and readers == graph.operations[:1]
        and readers[0].kind in BY_KIND
        and form(graph) is not None
        and graph.inputs[0] not in graph.outputs
    )


def form(graph: Graph) -> Form | None:
    """The `Form` of the first operation's kernel that takes rows, or `None`."""
    return BY_KIND[graph.operations[0].kind].rows


def plan(
    graph: Graph,
    buffer_bytes: collections.abc.Sequence[int],
    overlaps: memory_plan.Overlaps = NO_OVERLAPS,
) -> RowByRowPlan:
    """Plans the memory of a graph.

    Args:
        graph: a quantized `Graph` for which `takes_rows`.
        buffer_bytes: bytes of the buffer of each operation, those of the stem as in
            `FactorizedStem.rows_buffer_bytes`.
        overlaps: possible `Overlaps` of the operations behind the stem.

    Returns:
        A `RowByRowPlan`.
    """
    (output,) = graph.operations[0].outputs
    needed = memory_plan.needed_overlaps(graph, buffer_bytes, graph.inputs, overlaps)
    # The stem's output, behind which the image is, lies as low as it can: at 0, or a little behind
    # what overlaps it.
    overlapping = [i for i in needed.leads if output in graph.operations[i].inputs]
    first = [graph.operations[i].outputs[0] for i in overlapping]
    rows = memory_plan.plan(graph, buffer_bytes, graph.inputs, [*first, output], overlaps)
    together = _with_image(graph, rows, rows)
    if not overlapping:
        return together
    others = {i: lead for i, lead in overlaps.leads.items() if i not in overlapping}
    less = memory_plan.Overlaps(others, overlaps.in_place)
    image_plan = memory_plan.plan(graph, buffer_bytes, graph.inputs, [output], less)
    apart = _with_image(graph, rows, image_plan)
    return apart if apart.image_arena_bytes < together.image_arena_bytes else together


def _with_image(graph, rows, image_plan):
    """The `RowByRowPlan` in which an image is as near behind the stem's output as it can be."""
    stem = graph.operations[0].options["integers"]
    (output,) = graph.operations[0].outputs
    image_offset = image_plan.tensor_offsets[output] + _aligned(lead_bytes(stem))
    height, width, channels = stem.input_shape
    buffer_offset = image_offset + _aligned(height * width * channels)
    end = buffer_offset + _aligned(stem.rows_buffer_bytes)
    arena_bytes = max(end, image_plan.arena_bytes, rows.arena_bytes)
    return RowByRowPlan(rows, image_plan, image_offset, buffer_offset, arena_bytes)


def lead_bytes(stem: FactorizedStem) -> int:
    """How far the image must begin behind the output for no row to be overwritten unread.

    Args:
        stem: `FactorizedStem`.
    """
    height, width, channels = stem.input_shape
    output_height, output_width, output_channels = stem.output_shape
    padding = stem.vertical_weights.shape[1] // 2
    lead = 0
    for row in range(output_height):
        last_read = min(row * stem.vertical_stride + padding, height - 1)
        end = (row + 1) * output_width * output_channels
        lead = max(lead, end - last_read * width * channels)
    return lead


def _aligned(size):
    return -(-size // ALIGNMENT) * ALIGNMENT
