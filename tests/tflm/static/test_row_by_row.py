# SPDX-License-Identifier: Apache-2.0
"""Images whose rows a stem's output replaces: no row is overwritten before its last reader."""

import numpy as np
import pytest

from tests.tflm.hand_made_graphs import chain_of_two_convolutions
from tests.tflm.kernels.test_factorized_conv import random_operation
from tflm.graph.graph import Graph, Operation
from tflm.kernels.factorized_depthwise_conv import FactorizedDepthwiseConv
from tflm.kernels.factorized_stem import FactorizedStem
from tflm.static import memory_plan, row_by_row
from tflm.static.memory_plan import Overlaps

# (input shape), (vertical, horizontal taps), strides, (multiplier of the input, depth multiplier)
SHAPES = [
    ((224, 224, 3), (3, 3), (2, 2), (2, 2)),
    ((224, 224, 3), (3, 3), (2, 2), (4, 3)),
    ((45, 58, 3), (3, 3), (2, 2), (4, 3)),
    ((9, 14, 1), (7, 3), (1, 1), (4, 4)),
    ((11, 9, 2), (1, 3), (4, 1), (2, 1)),
    ((1, 5, 3), (5, 3), (2, 2), (2, 2)),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_lead_is_the_least_that_keeps_unread_rows(shape):
    """Each output row, as long as windows reach into the image, must end before its last row."""
    stem = random_operation(np.random.default_rng(0), FactorizedStem, *shape)
    height, width, channels = stem.input_shape
    taps, stride = stem.vertical_weights.shape[1], stem.vertical_stride
    output_height, output_width, output_channels = stem.output_shape

    def keeps_rows(lead):
        for row in range(output_height):
            window = range(row * stride - taps // 2, row * stride - taps // 2 + taps)
            newest = max(y for y in window if 0 <= y < height)
            if (row + 1) * output_width * output_channels > lead + newest * width * channels:
                return False
        return True

    lead = row_by_row.lead_bytes(stem)
    assert keeps_rows(lead)
    assert lead == 0 or not keeps_rows(lead - 1)


def test_a_model_without_a_stem_takes_no_rows():
    assert not row_by_row.takes_rows(chain_of_two_convolutions())


def stem_and_depthwise(sides, multipliers, depth):
    """A stem with 3 x 3 taps and strides of 2, a depthwise convolution behind it, and a sum."""
    random = np.random.default_rng(0)
    stem = random_operation(random, FactorizedStem, (*sides, 3), (3, 3), (2, 2), multipliers)
    depthwise = random_operation(
        random, FactorizedDepthwiseConv, stem.output_shape, (3, 3), (2, 2), (1, depth)
    )
    graph = Graph(inputs=["image"], outputs=["sum"])
    shapes = (stem.input_shape, stem.output_shape, *2 * [depthwise.output_shape])
    for name, shape in zip(("image", "stem", "depthwise", "sum"), shapes, strict=True):
        graph.add_tensor(name, (1, *shape))
    graph.operations = [
        Operation("MICRONET_FACTORIZED_STEM_S8", ["image"], ["stem"], {"integers": stem}),
        Operation("MICRONET_FACTORIZED_DEPTHWISE_CONV_S8", ["stem"], ["depthwise"]),
        Operation("MICRONET_RESIDUAL_ADD_S8", ["depthwise", "depthwise"], ["sum"]),
    ]
    buffer_bytes = [stem.rows_buffer_bytes, depthwise.buffer_bytes, 0]
    return graph, buffer_bytes, Overlaps(leads={1: depthwise.lead_bytes})


def aligned(size):
    return -(-size // 16) * 16


def check_places(graph, plan, buffer_bytes, overlaps):
    """The image is read before the stem's output is there, and that before what overlaps it."""
    stem = graph.operations[0].options["integers"]
    offsets = plan.image_plan.tensor_offsets
    assert plan.image_offset >= offsets["stem"] + row_by_row.lead_bytes(stem)
    end = plan.image_offset + np.prod(stem.input_shape)
    assert end <= plan.image_buffer_offset
    assert plan.image_buffer_offset + buffer_bytes[0] <= plan.image_arena_bytes
    size = np.prod(stem.output_shape)
    for each in (plan.plan, plan.image_plan):
        stem_place, place = each.tensor_offsets["stem"], each.tensor_offsets["depthwise"]
        is_behind = place >= stem_place + size
        assert is_behind or stem_place >= place + overlaps.leads[1]
        assert each.arena_bytes <= plan.image_arena_bytes


def test_image_lies_behind_a_stem_that_lies_behind_what_overlaps_it():
    """The two maps apart, 112 x 32 x 24 and 56 x 16 x 96, take more than the image."""
    graph, buffer_bytes, overlaps = stem_and_depthwise((224, 64), (8, 3), 4)
    plan = row_by_row.plan(graph, buffer_bytes, overlaps)
    check_places(graph, plan, buffer_bytes, overlaps)
    assert plan.image_plan == plan.plan
    lead = aligned(overlaps.leads[1])
    assert plan.plan.tensor_offsets["stem"] == lead
    assert plan.plan.arena_bytes == lead + 112 * 32 * 24 + aligned(buffer_bytes[1])
    stem_lead = aligned(row_by_row.lead_bytes(graph.operations[0].options["integers"]))
    image_end = lead + stem_lead + 224 * 64 * 3 + aligned(buffer_bytes[0])
    assert plan.image_arena_bytes == max(image_end, plan.plan.arena_bytes)


def test_image_has_places_of_its_own_if_nothing_must_overlap_then():
    """The image, 224 x 224 x 3, takes more than both maps, 112 x 112 x 4 and 56 x 56 x 16."""
    graph, buffer_bytes, overlaps = stem_and_depthwise((224, 224), (2, 2), 4)
    plan = row_by_row.plan(graph, buffer_bytes, overlaps)
    check_places(graph, plan, buffer_bytes, overlaps)
    assert plan.plan.arena_bytes == plan.plan.lower_bound < plan.image_plan.arena_bytes
    assert plan.image_plan.tensor_offsets["stem"] == 0
    assert plan.image_arena_bytes == 224 * 224 * 3 + aligned(buffer_bytes[0])


def test_without_overlaps_the_stem_lies_at_the_beginning():
    graph, buffer_bytes, _ = stem_and_depthwise((224, 64), (8, 3), 4)
    plan = row_by_row.plan(graph, buffer_bytes)
    assert plan.image_plan == plan.plan
    assert plan.plan.tensor_offsets["stem"] == 0
    assert plan.plan == memory_plan.plan(graph, buffer_bytes, graph.inputs, ["stem"])
