# SPDX-License-Identifier: Apache-2.0
"""What a static library calls, and where its data lies in the arena."""

import dataclasses
import math

from tflm.graph import validation
from tflm.graph.graph import Graph, Operation
from tflm.kernels.registry import BY_KIND
from tflm.static import memory_plan, row_by_row


@dataclasses.dataclass(frozen=True)
class LibraryPlan:
    """Where a library has its data in the arena, in bytes from its beginning.

    Attributes:
        input_offset: of the image.
        buffer_offset: of the first operation's buffer while the image is in the arena, or `None`.
        arena_bytes: size of the arena with the image.
        image_plan: `MemoryPlan` of the other activations and buffers then.
        plan: `MemoryPlan` for an image that comes row by row, if it may. Often the same.
        takes_rows: whether the image may come row by row.
    """

    input_offset: int
    buffer_offset: int | None
    arena_bytes: int
    image_plan: memory_plan.MemoryPlan
    plan: memory_plan.MemoryPlan
    takes_rows: bool

    @property
    def rows_arena_bytes(self) -> int | None:
        """Size of the arena for an image that comes row by row, or `None`."""
        return self.plan.arena_bytes if self.takes_rows else None


def plan_memory(graph: Graph) -> LibraryPlan:
    """The `LibraryPlan` of a graph.

    Args:
        graph: a quantized `Graph` of fused kernels only, with one input and one output.

    Raises:
        ValueError: the graph has another operation, several inputs or outputs, or is not valid.
    """
    _check_operations(graph)
    _check_ends(graph)
    integers = [operation.options["integers"] for operation in graph.operations]
    buffer_bytes = [each.buffer_bytes for each in integers]
    overlaps = _overlaps(integers)
    if row_by_row.takes_rows(graph):
        buffer_bytes[0] = integers[0].rows_buffer_bytes
        rows = row_by_row.plan(graph, buffer_bytes, overlaps)
        return LibraryPlan(
            rows.image_offset,
            rows.image_buffer_offset,
            rows.image_arena_bytes,
            rows.image_plan,
            rows.plan,
            takes_rows=True,
        )
    plan = memory_plan.plan(graph, buffer_bytes, overlaps=overlaps)
    input_offset, buffer_offset = plan.tensor_offsets[graph.inputs[0]], plan.buffer_offsets[0]
    return LibraryPlan(input_offset, buffer_offset, plan.arena_bytes, plan, plan, takes_rows=False)


def occupied_bytes(graph: Graph, plan: LibraryPlan) -> tuple[int, ...]:
    """Bytes of the arena that are in use while each operation of a whole frame runs.

    Args:
        graph: a quantized `Graph`.
        plan: its `LibraryPlan`.

    Returns:
        A tuple of bytes, one element for each operation; see `memory_plan.occupied_bytes`.
    """
    frame = plan.image_plan
    integers = [operation.options["integers"] for operation in graph.operations]
    offsets = list(frame.buffer_offsets)
    sizes = [
        each.in_place_buffer_bytes if position in frame.in_place else each.buffer_bytes
        for position, each in enumerate(integers)
    ]
    if plan.takes_rows:
        offsets[0], sizes[0] = plan.buffer_offset, integers[0].rows_buffer_bytes
    return memory_plan.occupied_bytes(
        graph,
        {**frame.tensor_offsets, graph.inputs[0]: plan.input_offset},
        [
            None if offset is None else (offset, size)
            for offset, size in zip(offsets, sizes, strict=True)
        ],
    )


def _overlaps(integers):
    """`Overlaps` that the kernels of a graph's operations can do."""
    return memory_plan.Overlaps(
        leads={
            position: each.lead_bytes
            for position, each in enumerate(integers)
            if each.lead_bytes is not None
        },
        in_place={
            position: each.in_place_buffer_bytes
            for position, each in enumerate(integers)
            if each.in_place_buffer_bytes is not None
        },
    )


def _check_operations(graph):
    for operation in graph.operations:
        if operation.kind not in BY_KIND:
            raise ValueError(
                "A static library must be made of fused kernels only; export the model for "
                "TensorFlow Lite Micro instead, which computes all operations. "
                f"Received: {operation.kind} for {operation.outputs[0]}"
            )
    validation.validate(graph)
    for operation in graph.operations:
        shapes = [graph.tensors[name].shape[1:] for name in activations(operation, graph)]
        expected = operation.options["integers"].packed().input_shapes
        if list(map(math.prod, shapes)) != list(map(math.prod, expected)):
            raise ValueError(
                f"{operation.kind} for {operation.outputs[0]} must read activations of the shapes "
                f"{expected}. Received: {shapes}"
            )


def _check_ends(graph):
    for end, names in (("input", graph.inputs), ("output", graph.outputs)):
        if len(names) != 1:
            raise ValueError(f"The graph must have one {end}. Received: {', '.join(names)}")


def activations(operation: Operation, graph: Graph) -> list[str]:
    """Names of the inputs that are computed."""
    return [name for name in operation.inputs if not graph.tensors[name].is_constant]


def kernel_name(index: int, operation: Operation, plan: memory_plan.MemoryPlan) -> str:
    """Name of the kernel that computes an operation: its operator, or another form of it.

    Args:
        index: the operation's position.
        operation: of the graph.
        plan: `MemoryPlan`.
    """
    kernel = BY_KIND[operation.kind]
    form = kernel.in_place if index in plan.in_place else None
    return kernel.name if form is None else form.name


def called_functions(graph: Graph, plan: LibraryPlan) -> tuple[str, ...]:
    """The function that each operation calls; of a stem that takes rows, what the names of its
    functions begin with."""
    names = [
        kernel_name(index, operation, plan.image_plan)
        for index, operation in enumerate(graph.operations)
    ]
    form = row_by_row.form(graph) if plan.takes_rows else None
    if form is not None:
        names[0] = form.name
    return tuple(f"micronet_{name}" for name in names)


def called_kernels(graph: Graph, plan: LibraryPlan) -> set[str]:
    """Names of all kernels that the library of a graph with a `LibraryPlan` calls."""
    names = {
        kernel_name(index, operation, each)
        for each in (plan.plan, plan.image_plan)
        for index, operation in enumerate(graph.operations)
        if index > 0 or not plan.takes_rows
    }
    form = row_by_row.form(graph) if plan.takes_rows else None
    return names if form is None else names | {form.name}
