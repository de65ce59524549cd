"""Memory of a model whose first operation, the stem, takes the image row by row.

The image need not be in memory at all; or it is, and the stem's output takes the place
of the rows that have been read.
"""

import dataclasses

from tflm import kernel_sources, memory_plan
from tflm.kernels.fused_operation import custom_name
from tflm.memory_plan import ALIGNMENT


@dataclasses.dataclass(frozen=True)
class RowByRowPlan:
    """Places in the arena, in bytes from its beginning.

    Attributes:
        plan: `MemoryPlan` for an image outside of the arena. The stem's buffer is that of its
            form for rows, and all else holds for an image within the arena, too.
        image_offset: of an image within the arena.
        image_buffer_offset: of the stem's buffer then.
        image_arena_bytes: size of the arena then.
    """

    plan: memory_plan.MemoryPlan
    image_offset: int
    image_buffer_offset: int
    image_arena_bytes: int


def takes_rows(graph):
    """Whether the first operation of a graph, and no other, reads its one input row by row."""
    readers = [operation for operation in graph.operations if graph.inputs[0] in operation.inputs]
    return (
        len(graph.inputs) == 1
        and readers == graph.operations[:1]
        and readers[0].kind == custom_name(kernel_sources.STEM)
        and graph.inputs[0] not in graph.outputs
    )


def plan(graph, buffer_bytes):
    """Plans the memory of a graph.

    Args:
        graph: a quantized `Graph` for which `takes_rows`.
        buffer_bytes: bytes of the buffer of each operation, those of the stem as in
            `FactorizedStem.rows_buffer_bytes`.

    Returns:
        A `RowByRowPlan`.
    """
    stem = graph.operations[0].options["integers"]
    (output,) = graph.operations[0].outputs
    rows = memory_plan.plan(graph, buffer_bytes, outside=graph.inputs, lowest=output)
    image_offset = _aligned(lead_bytes(stem))
    height, width, channels = stem.input_shape
    buffer_offset = image_offset + _aligned(height * width * channels)
    end = buffer_offset + _aligned(stem.rows_buffer_bytes)
    return RowByRowPlan(rows, image_offset, buffer_offset, max(end, rows.arena_bytes))


def lead_bytes(stem):
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
