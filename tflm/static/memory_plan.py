# SPDX-License-Identifier: Apache-2.0
"""Where in one block of memory, the arena, a graph's activations and its kernels' buffers lie.

What is not needed at the same time may share its place; and some kernels may write over what
they have read. No order of placing is the best for all graphs: many are tried, each improved by
placing first what stuck out.
"""

import collections.abc
import dataclasses
import itertools
import math
import random
import typing

from tflm.graph.graph import Graph
from tflm.kernels.registry import BY_KIND

ALIGNMENT = 16  # bytes, of the arena and of every place in it

# Operations whose kernel may write its result over one of its inputs.
_OVERWRITING = tuple(kind for kind, kernel in BY_KIND.items() if kernel.may_overwrite_input)
_MOST_ATTEMPTS = 1000
_MOST_IMPROVEMENTS = 50  # of one order to start from

# By pairs of blocks' indices, see `arrange`.
Leads = collections.abc.Mapping[tuple[int, int], int]


@dataclasses.dataclass(frozen=True)
class Overlaps:
    """What operations that read one activation can do to make it share memory with their result.

    Attributes:
        leads: by position of an operation, how many bytes its input must at least begin behind
            its output if they overlap.
        in_place: by position of an operation that has another form, whose output takes the place
            of its input, bytes of the buffer that this form needs.
    """

    leads: dict[int, int] = dataclasses.field(default_factory=dict)
    in_place: dict[int, int] = dataclasses.field(default_factory=dict)


NO_OVERLAPS = Overlaps()


@dataclasses.dataclass(frozen=True)
class MemoryPlan:
    """Places in the arena, in bytes from its beginning.

    Attributes:
        tensor_offsets: of every activation, by name.
        buffer_offsets: of the buffer of each operation, `None` where it needs none.
        arena_bytes: size of the arena.
        lower_bound: what the operation that needs the most memory needs; no plan has less.
        in_place: positions of the operations that must be computed in their other form.
    """

    tensor_offsets: dict[str, int]
    buffer_offsets: tuple[int | None, ...]
    arena_bytes: int
    lower_bound: int
    in_place: frozenset[int] = frozenset()


@dataclasses.dataclass(frozen=True)
class Block:
    """Memory that is in use for a time.

    Attributes:
        size: bytes.
        first, last: positions of the first and of the last operation during which it is in use.
    """

    size: int
    first: int
    last: int

    def meets(self, other: typing.Self) -> bool:
        """Whether there is a time at which both are in use."""
        return self.first <= other.last and other.first <= self.last


def plan(
    graph: Graph,
    buffer_bytes: collections.abc.Sequence[int],
    outside: collections.abc.Collection[str] = (),
    lowest: collections.abc.Iterable[str] = (),
    overlaps: Overlaps = NO_OVERLAPS,
) -> MemoryPlan:
    """Plans the memory of a graph.

    The graph's inputs are in use from before the first operation until the last one
    that reads them, its outputs until the end.

    Args:
        graph: a quantized `Graph` whose activations are int8.
        buffer_bytes: bytes of the buffer that each operation needs while it runs, 0 for none.
        outside: names of inputs of the graph that are not in the arena.
        lowest: names of activations that are placed before all others, in this order: the first
            one at offset 0, each as low as it can be.
        overlaps: `Overlaps` that are possible. Only the needed ones are made use of, see
            `needed_overlaps`.

    Returns:
        A `MemoryPlan`. All its numbers are multiples of `ALIGNMENT`.

    Raises:
        ValueError: if there is not one size of a buffer, at least 0, for each operation.
    """
    used = needed_overlaps(graph, buffer_bytes, outside, overlaps)
    memory = _memory(graph, buffer_bytes, outside, used)
    first = tuple(memory.keys.index(memory.owners[name]) for name in lowest)
    offsets = arrange(memory.blocks, first, memory.leads)
    places = dict(zip(memory.keys, offsets, strict=True))
    return MemoryPlan(
        tensor_offsets={name: places[owner] for name, owner in memory.owners.items()},
        buffer_offsets=tuple(places.get(position) for position in range(len(graph.operations))),
        arena_bytes=arena_bytes(memory.blocks, offsets),
        lower_bound=lower_bound(memory.blocks, memory.leads),
        in_place=frozenset(used.in_place),
    )


def occupied_bytes(
    graph: Graph,
    tensor_offsets: collections.abc.Mapping[str, int],
    buffers: collections.abc.Iterable[tuple[int, int] | None],
) -> tuple[int, ...]:
    """Bytes of the arena that are in use while each operation runs.

    What an operation writes over its input, and what shares memory in part, counts once: no
    operation needs more than there is.

    Args:
        graph: a quantized `Graph` whose activations are int8.
        tensor_offsets: of every activation in the arena, by name.
        buffers: of each operation's buffer the pair of offset and size, or `None`.

    Returns:
        A tuple of bytes, one element for each operation.
    """
    places = [
        (
            offset,
            _aligned(math.prod(graph.tensors[name].shape)),
            _first_use(graph, name),
            _last_use(graph, name),
        )
        for name, offset in tensor_offsets.items()
    ]
    occupied = []
    for position, buffer in enumerate(buffers):
        used = [(start, size) for start, size, first, last in places if first <= position <= last]
        if buffer is not None:
            used.append((buffer[0], _aligned(buffer[1])))
        total = end = 0
        for start, size in sorted(used):
            total += max(0, start + size - max(start, end))
            end = max(end, start + size)
        occupied.append(total)
    return tuple(occupied)


def needed_overlaps(
    graph: Graph,
    buffer_bytes: collections.abc.Iterable[int],
    outside: collections.abc.Collection[str],
    overlaps: Overlaps,
) -> Overlaps:
    """Those without which an operation needs more memory than any does with all of them.

    Args: as for `plan`.

    Returns:
        `Overlaps`.

    Raises:
        ValueError: as for `plan`.
    """
    buffer_bytes = tuple(buffer_bytes)
    if len(buffer_bytes) != len(graph.operations) or min(buffer_bytes, default=0) < 0:
        raise ValueError(
            f"Each of {len(graph.operations)} operations must have a buffer of at least 0 bytes. "
            f"Received: {buffer_bytes}"
        )
    possible = Overlaps(
        _where_input_may_be_overwritten(graph, overlaps.leads),
        _where_input_may_be_overwritten(graph, overlaps.in_place),
    )
    without = _memory(graph, buffer_bytes, outside, Overlaps())
    within = _memory(graph, buffer_bytes, outside, possible)
    times = range(-1, len(graph.operations) + 1)
    needs = {time: _bytes_in_use(without.blocks, without.leads, time) for time in times}
    least = max(
        min(need, _bytes_in_use(within.blocks, within.leads, time)) for time, need in needs.items()
    )
    leads, in_place = (
        {position: size for position, size in each.items() if needs[position] > least}
        for each in (possible.leads, possible.in_place)
    )
    return Overlaps(leads, in_place)


def arrange(
    blocks: collections.abc.Sequence[Block],
    lowest: collections.abc.Sequence[int] = (),
    leads: Leads | None = None,
) -> list[int]:
    """Offsets of blocks in an arena that is as small as a bounded search can make it.

    Args:
        blocks: list of `Block`s.
        lowest: indices of the blocks that are placed first, in this order.
        leads: by pairs of indices of blocks in use at the same time, how many bytes the first
            block must at least begin behind the second one if they overlap; at most the size of
            the second one, which must not end behind the first one then.

    Returns:
        A list of offsets such that no other blocks overlap that are in use at the same time.
    """
    leads = leads or {}
    bound = lower_bound(blocks, leads)
    best: list[int] = []
    for offsets in itertools.islice(_attempts(blocks, lowest, leads), _MOST_ATTEMPTS):
        if not best or arena_bytes(blocks, offsets) < arena_bytes(blocks, best):
            best = offsets
        if arena_bytes(blocks, best) == bound:
            break
    return best


def lower_bound(blocks: collections.abc.Sequence[Block], leads: Leads | None = None) -> int:
    """The most bytes that are in use at the same time; `leads` as for `arrange`."""
    times = {block.first for block in blocks}
    return max((_bytes_in_use(blocks, leads or {}, time) for time in times), default=0)


def arena_bytes(
    blocks: collections.abc.Sequence[Block], offsets: collections.abc.Iterable[int]
) -> int:
    """Size of the arena in which blocks lie at these offsets."""
    return max(
        (offset + block.size for offset, block in zip(offsets, blocks, strict=True)), default=0
    )


def _bytes_in_use(blocks, leads, time):
    """At least so many bytes are in use at a time: blocks of a pair share some."""
    in_use = [block.first <= time <= block.last for block in blocks]
    total = sum(block.size for block, is_in_use in zip(blocks, in_use, strict=True) if is_in_use)
    for (read, written), lead in leads.items():
        if in_use[read] and in_use[written]:
            total -= max(0, blocks[written].size - lead)
    return total


def _attempts(blocks, lowest, leads):
    """Endless lists of offsets, the promising ones first; the same in every process."""
    for order in _orders(blocks):
        yield from _improved(blocks, order, lowest, leads)


def _orders(blocks):
    """Orders of placing, as lists of indices: what is large or needed long comes first."""
    indices = range(len(blocks))
    for importance in (
        lambda block: block.size,
        lambda block: block.size * (1 + block.last - block.first),
        lambda block: (block.last - block.first, block.size),
        lambda block: -block.first,
    ):
        yield sorted(indices, key=lambda index: importance(blocks[index]), reverse=True)
    generator = random.Random(0)
    while True:
        yield generator.sample(indices, len(blocks))


def _improved(blocks, order, lowest, leads):
    """Offsets for an order of placing and for those that follow from it."""
    seen = set()
    while len(seen) < _MOST_IMPROVEMENTS:
        order = _with_first(order, *lowest)
        if tuple(order) in seen:
            return
        seen.add(tuple(order))
        offsets = _first_fit(blocks, order, leads)
        yield offsets
        highest = max(order, key=lambda index: offsets[index] + blocks[index].size)
        order = _with_first(order, highest)


def _with_first(order, *first):
    return [*first, *(other for other in order if other not in first)]


def _first_fit(blocks, order, leads):
    """Offsets of blocks that are placed in an order, each as low as those before it let it."""
    offsets = [None] * len(blocks)
    for index in order:
        taken = sorted(
            _offsets_between(blocks, leads, index, other, offsets[other])
            for other in range(len(blocks))
            if offsets[other] is not None and blocks[index].meets(blocks[other])
        )
        offset = 0
        for low, high in taken:
            if offset <= low:
                break
            offset = max(offset, high)
        offsets[index] = offset
    return offsets


def _offsets_between(blocks, leads, index, other, offset):
    """Two offsets between which a block must not begin, as another one lies at `offset`."""
    if (other, index) in leads:
        return offset - leads[other, index], offset + blocks[other].size
    if (index, other) in leads:
        return offset - blocks[index].size, offset + leads[index, other]
    return offset - blocks[index].size, offset + blocks[other].size


@dataclasses.dataclass(frozen=True)
class _Memory:
    """What has to be placed.

    Attributes:
        owners: whose memory each activation has, by name.
        keys: for each block the name of its owner, or the position of the buffer's operation.
        blocks: `Block`s.
        leads: as for `arrange`.
    """

    owners: dict[str, str]
    keys: list[str | int]
    blocks: list[Block]
    leads: Leads


def _memory(graph, buffer_bytes, outside, overlaps):
    """What has to be placed; all of the overlaps are made use of."""
    owners = {
        name: owner
        for name, owner in _owners(graph, overlaps.in_place).items()
        if owner not in outside
    }
    names = list(dict.fromkeys(owners.values()))
    blocks = [_tensor_block(graph, name, owners) for name in names]
    sizes = {**dict(enumerate(buffer_bytes)), **overlaps.in_place}
    buffers = [position for position, size in sorted(sizes.items()) if size > 0]
    blocks += [Block(_aligned(sizes[i]), i, i) for i in buffers]
    leads = {}
    for position, lead in overlaps.leads.items():
        (read,), (written,) = _read(graph, position), graph.operations[position].outputs
        leads[names.index(owners[read]), names.index(owners[written])] = _aligned(lead)
    return _Memory(owners, [*names, *buffers], blocks, leads)


def _where_input_may_be_overwritten(graph, values):
    """Those of the values by positions whose operation is the last to read its one input."""
    chosen = {}
    for position, value in values.items():
        read = _read(graph, position)
        if len(read) == 1 and read[0] not in graph.inputs and _ends_at(graph, read[0], position):
            chosen[position] = value
    return chosen


def _read(graph, position):
    """Names of the activations that an operation reads."""
    names = graph.operations[position].inputs
    return [name for name in names if not graph.tensors[name].is_constant]


def _owners(graph, in_place):
    """Which activation's memory each activation has, by name: its own, or that of an input."""
    owners = {name: name for name in graph.inputs}
    for position, operation in enumerate(graph.operations):
        owners.update((name, name) for name in operation.outputs)
        if operation.kind in _OVERWRITING or position in in_place:
            (output,) = operation.outputs
            dying = [name for name in operation.inputs if _ends_at(graph, name, position)]
            if dying:
                owners[output] = owners[dying[0]]
    return owners


def _ends_at(graph, name, position):
    """Whether an activation is read by the operation at `position` and not needed after it."""
    is_activation = not graph.tensors[name].is_constant
    return is_activation and _last_use(graph, name) == position


def _tensor_block(graph, owner, owners):
    """The memory of all activations that have one owner."""
    names = [name for name, other in owners.items() if other == owner]
    size = max(math.prod(graph.tensors[name].shape) for name in names)
    return Block(
        _aligned(size),
        min(_first_use(graph, name) for name in names),
        max(_last_use(graph, name) for name in names),
    )


def _first_use(graph, name):
    """Position of the operation that makes an activation; -1 for an input of the graph."""
    made = [i for i, operation in enumerate(graph.operations) if name in operation.outputs]
    return made[0] if made else -1


def _last_use(graph, name):
    """Position of the last operation that needs an activation; one behind the last for outputs."""
    if name in graph.outputs:
        return len(graph.operations)
    read = [i for i, operation in enumerate(graph.operations) if name in operation.inputs]
    return read[-1] if read else _first_use(graph, name)


def _aligned(size):
    return -(-size // ALIGNMENT) * ALIGNMENT
