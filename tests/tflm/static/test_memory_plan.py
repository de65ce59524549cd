# SPDX-License-Identifier: Apache-2.0
"""Plans of memory: nothing is overwritten while it is needed, and no byte more than necessary."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from tflm.graph.graph import Graph, Operation
from tflm.static import memory_plan
from tflm.static.memory_plan import Block, Overlaps

OVERWRITING = "MICRONET_RESIDUAL_ADD_S8"
OTHER = "MICRONET_DENSE_S8"
NO_OVERLAPS = Overlaps()


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


def check_by_running(graph, plan, buffer_bytes, overlaps=NO_OVERLAPS):
    """Fills memory as a run would: who reads must find what was written for him."""
    memory = np.full(plan.arena_bytes, -1)
    sizes = [
        overlaps.in_place[position] if position in plan.in_place else size
        for position, size in enumerate(buffer_bytes)
    ]

    def region(name):
        start = plan.tensor_offsets[name]
        return range(start, start + graph.tensors[name].shape[1])

    def write(places, mark):
        assert places.start >= 0 and places.stop <= plan.arena_bytes
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
        if sizes[position]:
            start = plan.buffer_offsets[position]
            write(range(start, start + sizes[position]), -2 - position)
        else:
            assert plan.buffer_offsets[position] is None
        for name in read:  # the buffer is none of the inputs, the output only where it may be
            check(name)
        write(region(output), marks[output])
        overwrites = operation.kind == OVERWRITING or position in plan.in_place
        for name in read:
            if overwrites and region(name) == region(output):
                continue
            lead = overlaps.leads.get(position)
            if lead is None or len(read) > 1 or region(name).start < region(output).start + lead:
                check(name)  # it does not begin far enough behind the output to be overwritten
        if position in plan.in_place:
            assert [region(name) for name in read] == [region(output)]
        if sizes[position]:
            assert np.all(memory[start : start + sizes[position]] == -2 - position)
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


def chain(*sizes):
    """A graph of operations that read what the last one made: x, a, b, ..., y."""
    names = ["x", *"abcdefgh"[: len(sizes) - 2], "y"]
    operations = [(OTHER, read, made) for read, made in itertools.pairwise(names)]
    return graph_of(dict(zip(names, sizes, strict=True)), operations)


def test_output_lies_a_lead_before_its_input():
    graph, overlaps = chain(16, 160, 320, 16), Overlaps(leads={1: 176})
    plan = memory_plan.plan(graph, [0, 32, 0], overlaps=overlaps)
    assert plan.tensor_offsets["a"] >= plan.tensor_offsets["b"] + 176
    assert plan.arena_bytes == plan.lower_bound == 176 + 160 + 32
    check_by_running(graph, plan, [0, 32, 0], overlaps)


def test_leads_are_rounded_up():
    plan = memory_plan.plan(chain(16, 160, 160, 16), [0] * 3, overlaps=Overlaps(leads={1: 33}))
    assert plan.arena_bytes == plan.lower_bound == 48 + 160


def test_operation_in_place_has_one_map_and_its_own_buffer():
    graph, overlaps = chain(16, 160, 160, 16), Overlaps(in_place={1: 48})
    plan = memory_plan.plan(graph, [0, 32, 0], overlaps=overlaps)
    assert plan.in_place == {1}
    assert plan.tensor_offsets["a"] == plan.tensor_offsets["b"]
    assert plan.arena_bytes == plan.lower_bound == 160 + 48
    check_by_running(graph, plan, [0, 32, 0], overlaps)


def test_overlaps_follow_each_other():
    graph = chain(16, 96, 160, 160, 320, 16)
    overlaps = Overlaps(leads={1: 80, 3: 176}, in_place={2: 16})
    plan = memory_plan.plan(graph, [0] * 5, overlaps=overlaps)
    assert plan.arena_bytes == plan.lower_bound == 176 + 160
    check_by_running(graph, plan, [0] * 5, overlaps)


@pytest.mark.parametrize("kind", ["leads", "in_place"])
@pytest.mark.parametrize("last, is_needed", [(288, True), (304, False)])
def test_overlaps_serve_only_where_others_need_less(kind, last, is_needed):
    """160 and 160 bytes, or with `last` 304: those and 16 are what the last operation needs."""
    graph, overlaps = chain(16, 160, 160, 16, last), Overlaps(**{kind: {1: 16}})
    needed = memory_plan.needed_overlaps(graph, [0] * 4, (), overlaps)
    assert getattr(needed, kind) == ({1: 16} if is_needed else {})
    plan = memory_plan.plan(graph, [0] * 4, overlaps=overlaps)
    assert plan.arena_bytes == plan.lower_bound == 16 + last
    assert bool(plan.in_place) == (is_needed and kind == "in_place")


def test_form_in_place_is_not_used_if_its_buffer_is_too_large():
    graph, overlaps = chain(16, 160, 160, 16), Overlaps(in_place={1: 176})
    plan = memory_plan.plan(graph, [0] * 3, overlaps=overlaps)
    assert plan.in_place == set()
    assert plan.arena_bytes == plan.lower_bound == 320


@pytest.mark.parametrize("kind", ["leads", "in_place"])
@pytest.mark.parametrize(
    "operations, outputs",
    [
        ([(OTHER, "x", "a"), (OTHER, "a", "b"), (OTHER, "ab", "y")], "y"),  # read later
        ([(OTHER, "x", "a"), (OTHER, "a", "b"), (OTHER, "b", "y")], "ay"),  # an output
        ([(OTHER, "x", "a"), (OTHER, "aa", "b"), (OTHER, "b", "y")], "y"),  # read twice
    ],
)
def test_what_is_not_free_is_not_overwritten(kind, operations, outputs):
    sizes = {"x": 16, "a": 160, "b": 160, "y": 16}
    graph = graph_of(sizes, operations, "x", outputs)
    overlaps = Overlaps(**{kind: {1: 16}})
    assert memory_plan.needed_overlaps(graph, [0] * 3, (), overlaps) == NO_OVERLAPS
    plan = memory_plan.plan(graph, [0] * 3, overlaps=overlaps)
    assert plan == memory_plan.plan(graph, [0] * 3)
    check_by_running(graph, plan, [0] * 3)


@pytest.mark.parametrize("kind", ["leads", "in_place"])
def test_inputs_of_the_graph_are_not_overwritten(kind):
    graph, overlaps = chain(160, 160, 16), Overlaps(**{kind: {0: 16}})
    assert memory_plan.needed_overlaps(graph, [0, 0], (), overlaps) == NO_OVERLAPS
    assert memory_plan.plan(graph, [0, 0], overlaps=overlaps).arena_bytes == 320


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


@given(graphs(), strategies.data())
@settings(max_examples=250, deadline=None)
def test_nothing_is_overwritten_while_it_is_needed(case, data):
    graph, buffer_bytes = case
    overlaps = data.draw(overlaps_of(graph))
    plan = memory_plan.plan(graph, buffer_bytes, overlaps=overlaps)
    assert plan.arena_bytes >= plan.lower_bound
    check_by_running(graph, plan, buffer_bytes, overlaps)


@strategies.composite
def overlaps_of(draw, graph):
    """Overlaps of some operations: in place those whose output is as large as their input."""
    leads, in_place = {}, {}
    for position, operation in enumerate(graph.operations):
        read, written = (
            graph.tensors[name].shape[1] for name in (operation.inputs[0], operation.outputs[0])
        )
        if operation.kind == OVERWRITING or not draw(strategies.booleans()):
            continue
        if read == written and draw(strategies.booleans()):
            in_place[position] = draw(strategies.integers(0, 100))
        else:
            leads[position] = draw(strategies.integers(max(0, written - read), written))
    return Overlaps(leads, in_place)


def random_blocks(generator, count):
    """Times of use that overlap much, which is where packing is hard."""
    blocks = []
    for _ in range(count):
        first = generator.randrange(6)
        blocks.append(Block(16 * generator.randint(1, 20), first, first + generator.randint(0, 4)))
    return blocks


def least_arena(blocks, leads=None):
    """By trying all orders: a best packing comes about by placing from its lowest block on."""
    leads = leads or {}
    best = sum(block.size for block in blocks)
    for order in itertools.permutations(range(len(blocks))):
        placed, highest = {}, 0
        for index in order:
            others = [i for i in placed if overlap_in_time(blocks[index], blocks[i])]
            candidates = [0, *(placed[i] + blocks[i].size for i in others)]
            candidates += [placed[i] + leads[index, i] for i in others if (index, i) in leads]
            offset = min(
                candidate
                for candidate in candidates
                if all(
                    are_apart(blocks, leads, {index: candidate, other: placed[other]})
                    for other in others
                )
            )
            placed[index] = offset
            highest = max(highest, offset + blocks[index].size)
        best = min(best, highest)
    return best


def are_apart(blocks, leads, offsets):
    """Whether two blocks at these offsets, by index, do not share bytes, or may."""
    (first, start), (second, other_start) = offsets.items()
    if start + blocks[first].size <= other_start or other_start + blocks[second].size <= start:
        return True
    return any(
        pair in leads and offsets[pair[0]] >= offsets[pair[1]] + leads[pair]
        for pair in ((first, second), (second, first))
    )


def random_leads(generator, blocks):
    """For some pairs of a block that ends and another that begins at the same time."""
    leads = {}
    for (i, read), (j, written) in itertools.permutations(enumerate(blocks), 2):
        follow = read.first < read.last == written.first < written.last
        if follow and generator.random() < 0.7 and not {i, j} & set(itertools.chain(*leads)):
            least = max(0, written.size - read.size) // 16
            leads[i, j] = 16 * generator.randint(least, written.size // 16)
    return leads


def overlap_in_time(block, other):
    return bool({*range(block.first, block.last + 1)} & {*range(other.first, other.last + 1)})


@pytest.mark.parametrize("seed", range(40))
def test_small_arrangements_are_as_good_as_can_be(seed):
    blocks = random_blocks(random.Random(seed), 6)
    offsets = memory_plan.arrange(blocks)
    assert memory_plan.arena_bytes(blocks, offsets) == least_arena(blocks)


@pytest.mark.parametrize("seed", range(20))
def test_small_arrangements_with_leads_are_as_good_as_can_be(seed):
    generator = random.Random(seed)
    blocks, leads = [], {}
    while not leads:
        blocks = random_blocks(generator, 6)
        leads = random_leads(generator, blocks)
    offsets = memory_plan.arrange(blocks, leads=leads)
    for i, j in itertools.combinations(range(6), 2):
        if overlap_in_time(blocks[i], blocks[j]):
            assert are_apart(blocks, leads, {i: offsets[i], j: offsets[j]})
    size = memory_plan.arena_bytes(blocks, offsets)
    assert memory_plan.lower_bound(blocks, leads) <= size == least_arena(blocks, leads)


def test_large_arrangements_end_in_time_and_are_valid():
    """60 blocks, of which many are in use at the same time: near what is needed at least."""
    blocks = random_blocks(random.Random(0), 60)
    offsets = memory_plan.arrange(blocks)
    for (offset, block), (other_offset, other) in itertools.combinations(
        zip(offsets, blocks, strict=True), 2
    ):
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


def test_occupied_bytes_are_those_of_what_is_alive():
    graph = graph_of({"x": 20, "a": 40, "y": 10}, [(OTHER, ["x"], "a"), (OTHER, ["a"], "y")])
    plan = planned(graph, [5, 0])
    buffers = [(plan.buffer_offsets[0], 5), None]
    # In steps of 16 bytes: 32, 48 and a buffer of 16; then 48 and 16.
    occupied = memory_plan.occupied_bytes(graph, plan.tensor_offsets, buffers)
    assert occupied == (32 + 48 + 16, 48 + 16)
    assert max(occupied) == plan.arena_bytes


def test_occupied_bytes_count_shared_memory_once():
    graph = graph_of({"x": 64, "y": 32}, [(OTHER, ["x"], "y")])
    for start, occupied in ((0, 64), (16, 64), (48, 80), (64, 96), (80, 96)):
        places = {"x": 0, "y": start}
        assert memory_plan.occupied_bytes(graph, places, [None]) == (occupied,)


@pytest.mark.parametrize("lowest", ["a", "b"])
def test_an_activation_can_be_the_lowest(lowest):
    operations = [(OTHER, "x", "a"), (OTHER, "a", "b"), (OTHER, "b", "y")]
    graph = graph_of({"x": 32, "a": 64, "b": 16, "y": 48}, operations)
    plan = memory_plan.plan(graph, [0] * 3, lowest=[lowest])
    assert plan.tensor_offsets[lowest] == 0
    assert plan.arena_bytes == plan.lower_bound == 96
    check_by_running(graph, plan, [0] * 3)
