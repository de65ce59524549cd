"""Plans of memory: nothing is overwritten while it is needed, and no byte more than necessary."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from tflm import memory_plan
from tflm.graph import Graph, Operation
from tflm.memory_plan import Block

OVERWRITING = "MICRONET_RESIDUAL_ADD_S8"
OTHER = "MICRONET_DENSE_S8"


def graph_of(sizes, operations, inputs=("x",), outputs=("y",)):
    """A graph of activations with these sizes; operations are (kind, names of inputs, output)."""
    graph = Graph(inputs=list(inputs), outputs=list(outputs))
    for name, size in sizes.items():
        graph.add_tensor(name, (1, size))
    for kind, names, output in operations:
        weights = graph.add_constant("weights", np.zeros(100_000, np.int8))
        graph.operations.append(Operation(kind, [*names, weights], [output]))
    return graph


def planned(graph, buffer_bytes=None):
    return memory_plan.plan(graph, buffer_bytes or [0] * len(graph.operations))


def check_by_running(graph, plan, buffer_bytes):
    """Fills memory as a run would: who reads must find what was written for him."""
    memory = np.full(plan.arena_bytes, -1)

    def region(name):
        start = plan.tensor_offsets[name]
        return range(start, start + graph.tensors[name].shape[1])

    def write(places, mark):
        assert 0 <= places.start and places.stop <= plan.arena_bytes
        assert places.start % 16 == 0
        memory[places.start : places.stop] = mark

    def check(name):
        assert np.all(memory[region(name).start : region(name).stop] == marks[name])

    marks = {name: mark for mark, name in enumerate(plan.tensor_offsets)}
    for name in graph.inputs:
        write(region(name), marks[name])
    for position, operation in enumerate(graph.operations):
        (output,) = operation.outputs
        read = [name for name in operation.inputs if not graph.tensors[name].is_constant]
        for name in read:
            check(name)
        if buffer_bytes[position]:
            start = plan.buffer_offsets[position]
            write(range(start, start + buffer_bytes[position]), -2 - position)
        else:
            assert plan.buffer_offsets[position] is None
        for name in read:  # the buffer is none of the inputs, the output only where it may be
            check(name)
        may_be_output = [name for name in read if region(name) == region(output)]
        write(region(output), marks[output])
        for name in read:
            if operation.kind != OVERWRITING or name not in may_be_output:
                check(name)
        if buffer_bytes[position]:
            assert np.all(memory[start : start + buffer_bytes[position]] == -2 - position)
    for name in graph.outputs:
        check(name)


def test_chain_needs_its_largest_pair_of_neighbours():
    operations = [(OTHER, "x", "a"), (OTHER, "a", "b"), (OTHER, "b", "y")]
    plan = planned(graph_of({"x": 32, "a": 64, "b": 16, "y": 48}, operations))
    assert plan.arena_bytes == plan.lower_bound == 96


def test_sizes_are_rounded_up():
    plan = planned(graph_of({"x": 17, "y": 1}, [(OTHER, "x", "y")]), [1])
    assert plan.arena_bytes == plan.lower_bound == 32 + 16 + 16


def test_buffers_are_there_during_their_operation_only():
    operations = [(OTHER, "x", "a"), (OTHER, "a", "y")]
    graph = graph_of({"x": 16, "a": 16, "y": 64}, operations)
    plan = planned(graph, [48, 0])
    assert plan.arena_bytes == plan.lower_bound == 80
    assert plan.buffer_offsets[1] is None


@pytest.mark.parametrize(("kind", "expected"), [(OVERWRITING, 128), (OTHER, 192)])
def test_sum_overwrites_an_operand(kind, expected):
    graph = graph_of({"x": 64, "a": 64, "y": 64}, [(OTHER, "x", "a"), (kind, "xa", "y")])
    plan = planned(graph)
    assert plan.arena_bytes == plan.lower_bound == expected


def test_sum_overwrites_the_operand_that_nobody_needs_any_more():
    operations = [(OTHER, "x", "a"), (OVERWRITING, "xa", "b"), (OVERWRITING, "xb", "y")]
    plan = planned(graph_of(dict.fromkeys("xaby", 64), operations))
    assert plan.tensor_offsets["b"] == plan.tensor_offsets["a"]
    assert plan.arena_bytes == 128


def test_sum_leaves_an_operand_that_is_an_output():
    operations = [(OTHER, "x", "a"), (OVERWRITING, "aa", "y")]
    graph = graph_of(dict.fromkeys("xay", 64), operations, outputs=["a", "y"])
    assert planned(graph).arena_bytes == 128
    assert planned(graph).tensor_offsets["a"] != planned(graph).tensor_offsets["y"]


def test_second_input_is_there_from_the_beginning():
    operations = [(OTHER, "x", "a"), (OTHER, "az", "y")]
    graph = graph_of(dict.fromkeys("xzay", 16), operations, inputs="xz")
    assert planned(graph).arena_bytes == 48


@strategies.composite
def graphs(draw):
    """Graphs in which any operation reads anything made before, with buffers for some."""
    names = ["x"]
    operations = []
    sizes = {"x": draw(strategies.integers(1, 200))}
    for number in range(draw(strategies.integers(1, 9))):
        read = draw(strategies.lists(strategies.sampled_from(names), min_size=1, max_size=2))
        equal = len({sizes[name] for name in read}) == 1
        kind = draw(strategies.sampled_from([OTHER, OVERWRITING])) if equal else OTHER
        name = f"t{number}"
        is_sum = kind == OVERWRITING
        sizes[name] = sizes[read[0]] if is_sum else draw(strategies.integers(1, 200))
        operations.append((kind, read, name))
        names.append(name)
    outputs = draw(strategies.lists(strategies.sampled_from(names), unique=True))
    buffers = draw(
        strategies.lists(
            strategies.integers(0, 100), min_size=len(operations), max_size=len(operations)
        )
    )
    return graph_of(sizes, operations, outputs=[*outputs, *({names[-1]} - {*outputs})]), buffers


@given(graphs())
@settings(max_examples=200, deadline=None)
def test_nothing_is_overwritten_while_it_is_needed(case):
    graph, buffer_bytes = case
    plan = memory_plan.plan(graph, buffer_bytes)
    assert plan.arena_bytes >= plan.lower_bound
    check_by_running(graph, plan, buffer_bytes)


def random_blocks(generator, count):
    """Times of use that overlap much, which is where packing is hard."""
    blocks = []
    for _ in range(count):
        first = generator.randrange(6)
        blocks.append(Block(16 * generator.randint(1, 20), first, first + generator.randint(0, 4)))
    return blocks


def least_arena(blocks):
    """By trying all orders: a best packing comes about by placing from its lowest block on."""
    best = sum(block.size for block in blocks)
    for order in itertools.permutations(blocks):
        placed, highest = [], 0
        for block in order:
            others = [(start, other) for start, other in placed if overlap_in_time(block, other)]
            candidates = [0, *(start + other.size for start, other in others)]
            offset = min(
                candidate
                for candidate in candidates
                if all(
                    candidate + block.size <= start or start + other.size <= candidate
                    for start, other in others
                )
            )
            placed.append((offset, block))
            highest = max(highest, offset + block.size)
        best = min(best, highest)
    return best


def overlap_in_time(block, other):
    return bool({*range(block.first, block.last + 1)} & {*range(other.first, other.last + 1)})


@pytest.mark.parametrize("seed", range(40))
def test_small_arrangements_are_as_good_as_can_be(seed):
    blocks = random_blocks(random.Random(seed), 6)
    offsets = memory_plan.arrange(blocks)
    assert memory_plan.arena_bytes(blocks, offsets) == least_arena(blocks)


def test_large_arrangements_end_in_time_and_are_valid():
    """60 blocks, of which many are in use at the same time: near what is needed at least."""
    blocks = random_blocks(random.Random(0), 60)
    offsets = memory_plan.arrange(blocks)
    for (offset, block), (other_offset, other) in itertools.combinations(zip(offsets, blocks), 2):
        if overlap_in_time(block, other):
            assert offset + block.size <= other_offset or other_offset + other.size <= offset
    size = memory_plan.arena_bytes(blocks, offsets)
    assert memory_plan.lower_bound(blocks) <= size <= 1.1 * memory_plan.lower_bound(blocks)


@pytest.mark.parametrize("buffer_bytes", [[], [0, 0], [-1]])
def test_every_operation_has_its_buffer(buffer_bytes):
    graph = graph_of({"x": 16, "y": 16}, [(OTHER, "x", "y")])
    with pytest.raises(ValueError, match="1 operations must have a buffer"):
        memory_plan.plan(graph, buffer_bytes)


def test_inputs_outside_of_the_arena_have_no_place():
    operations = [(OTHER, "x", "a"), (OTHER, "a", "y")]
    graph = graph_of({"x": 320, "a": 64, "y": 48}, operations)
    plan = memory_plan.plan(graph, [16, 0], outside=["x"])
    assert sorted(plan.tensor_offsets) == ["a", "y"]
    assert plan.arena_bytes == plan.lower_bound == 112


@pytest.mark.parametrize("lowest", ["a", "b"])
def test_an_activation_can_be_the_lowest(lowest):
    operations = [(OTHER, "x", "a"), (OTHER, "a", "b"), (OTHER, "b", "y")]
    graph = graph_of({"x": 32, "a": 64, "b": 16, "y": 48}, operations)
    plan = memory_plan.plan(graph, [0] * 3, lowest=lowest)
    assert plan.tensor_offsets[lowest] == 0
    assert plan.arena_bytes == plan.lower_bound == 96
    check_by_running(graph, plan, [0] * 3)
