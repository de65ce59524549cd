"""Where in one block of memory, the arena, a graph's activations and its kernels' buffers lie.

What is not needed at the same time may share its place. No order of placing is the
best for all graphs: many are tried, each improved by placing first what stuck out.
"""

import dataclasses
import itertools
import math
import random

ALIGNMENT = 16  # bytes, of the arena and of every place in it

# Operations whose kernel may write its result over one of its inputs.
_OVERWRITING = ("MICRONET_RESIDUAL_ADD_S8",)
_MOST_ATTEMPTS = 1000
_MOST_IMPROVEMENTS = 50  # of one order to start from


@dataclasses.dataclass(frozen=True)
class MemoryPlan:
    """Places in the arena, in bytes from its beginning.

    Attributes:
        tensor_offsets: of every activation, by name.
        buffer_offsets: of the buffer of each operation, `None` where it needs none.
        arena_bytes: size of the arena.
        lower_bound: what the operation that needs the most memory needs; no plan has less.
    """

    tensor_offsets: dict
    buffer_offsets: tuple
    arena_bytes: int
    lower_bound: int


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

    def meets(self, other):
        """Whether there is a time at which both are in use."""
        return self.first <= other.last and other.first <= self.last


def plan(graph, buffer_bytes, outside=(), lowest=None):
    """Plans the memory of a graph.

    The graph's inputs are in use from before the first operation until the last one
    that reads them, its outputs until the end.

    Args:
        graph: a quantized `Graph` whose activations are int8.
        buffer_bytes: bytes of the buffer that each operation needs while it runs, 0 for none.
        outside: names of inputs of the graph that are not in the arena.
        lowest: name of an activation that must begin at offset 0; `None` for any.

    Returns:
        A `MemoryPlan`. All its numbers are multiples of `ALIGNMENT`.

    Raises:
        ValueError: if there is not one size of a buffer, at least 0, for each operation.
    """
    buffer_bytes = tuple(buffer_bytes)
    if len(buffer_bytes) != len(graph.operations) or min(buffer_bytes, default=0) < 0:
        raise ValueError(
            f"Each of {len(graph.operations)} operations must have a buffer of at least 0 bytes. "
            f"Received: {buffer_bytes}"
        )
    owners = {
        name: owner for name, owner in _owners(graph).items() if owner not in outside
    }
    names = list(dict.fromkeys(owners.values()))
    blocks = [_tensor_block(graph, name, owners) for name in names]
    buffers = [position for position, size in enumerate(buffer_bytes) if size > 0]
    blocks += [Block(_aligned(buffer_bytes[i]), i, i) for i in buffers]
    offsets = arrange(blocks, None if lowest is None else names.index(owners[lowest]))
    places = dict(zip([*names, *buffers], offsets))
    return MemoryPlan(
        tensor_offsets={name: places[owner] for name, owner in owners.items()},
        buffer_offsets=tuple(places.get(position) for position in range(len(buffer_bytes))),
        arena_bytes=arena_bytes(blocks, offsets),
        lower_bound=lower_bound(blocks),
    )


def arrange(blocks, lowest=None):
    """Offsets of blocks in an arena that is as small as a bounded search can make it.

    Args:
        blocks: list of `Block`s.
        lowest: index of the block that must have offset 0; `None` for any.

    Returns:
        A list of offsets such that no blocks overlap that are in use at the same time.
    """
    bound, best = lower_bound(blocks), None
    for offsets in itertools.islice(_attempts(blocks, lowest), _MOST_ATTEMPTS):
        if best is None or arena_bytes(blocks, offsets) < arena_bytes(blocks, best):
            best = offsets
        if arena_bytes(blocks, best) == bound:
            break
    return best


def lower_bound(blocks):
    """The most bytes that are in use at the same time."""
    return max(
        (
            sum(other.size for other in blocks if other.first <= block.first <= other.last)
            for block in blocks
        ),
        default=0,
    )


def arena_bytes(blocks, offsets):
    """Size of the arena in which blocks lie at these offsets."""
    return max((offset + block.size for offset, block in zip(offsets, blocks)), default=0)


def _attempts(blocks, lowest):
    """Endless lists of offsets, the promising ones first; the same in every process."""
    for order in _orders(blocks):
        yield from _improved(blocks, order, lowest)


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


def _improved(blocks, order, lowest):
    """Offsets for an order of placing and for those that follow from it."""
    seen = set()
    while len(seen) < _MOST_IMPROVEMENTS:
        if lowest is not None:  # what is placed first begins at 0
            order = _with_first(order, lowest)
        if tuple(order) in seen:
            return
        seen.add(tuple(order))
        offsets = _first_fit(blocks, order)
        yield offsets
        highest = max(order, key=lambda index: offsets[index] + blocks[index].size)
        order = _with_first(order, highest)


def _with_first(order, index):
    return [index, *(other for other in order if other != index)]


def _first_fit(blocks, order):
    """Offsets of blocks that are placed in an order, each as low as those before it let it."""
    offsets = [None] * len(blocks)
    for index in order:
        block = blocks[index]
        taken = sorted(
            (offsets[other], offsets[other] + blocks[other].size)
            for other in range(len(blocks))
            if offsets[other] is not None and block.meets(blocks[other])
        )
        offset = 0
        for start, end in taken:
            if start - offset >= block.size:
                break
            offset = max(offset, end)
        offsets[index] = offset
    return offsets


def _owners(graph):
    """Which activation's memory each activation has, by name: its own, or that of an input."""
    owners = {name: name for name in graph.inputs}
    for position, operation in enumerate(graph.operations):
        owners.update((name, name) for name in operation.outputs)
        if operation.kind in _OVERWRITING:
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
