# SPDX-License-Identifier: Apache-2.0
"""The fused graph: what goes into one operation, and what stays outside."""

import collections

import keras
import numpy as np
import pytest

from keras_micronet import layers
from tests.keras_micronet.quantization import chains
from tests.tflm.micronets import random_micronet
from tflm.graph.graph import Graph
from tflm.kernels.registry import BY_KIND
from tflm.passes import builtin_operations, fused_operations, lowering
from tflm.passes.fused import (
    FUSIONS,
    dense,
    dynamic_shift_max,
    factorized_depthwise_conv,
    factorized_stem,
    global_average_pool,
    grouped_pointwise_conv,
    residual_add,
)


def fused(model):
    return fused_operations.fuse(lowering.lower(model))


def kinds_of(graph):
    return [operation.kind for operation in graph.operations]


@pytest.mark.parametrize("variant", ["M0", "M1", "M2", "M3"])
def test_micronet_is_fused_kernels_only(variant):
    model = random_micronet(variant, (64, 64, 3), include_preprocessing=False)
    lowered = collections.Counter(kinds_of(lowering.lower(model)))
    counts = collections.Counter(kinds_of(fused(model)))
    # The stem takes a convolution and a depthwise one, each other depthwise pair two of these.
    pairs = (lowered["DEPTHWISE_CONV_2D"] - 1) // 2
    assert counts == {
        factorized_stem.FUSION.kind: 1,
        factorized_depthwise_conv.FUSION.kind: pairs,
        grouped_pointwise_conv.FUSION.kind: lowered["CONV_2D"] - 1,
        dynamic_shift_max.FUSION.kind: lowered["DYNAMIC_SHIFT_MAX"],
        **({residual_add.FUSION.kind: lowered["ADD"]} if lowered["ADD"] else {}),
        global_average_pool.FUSION.kind: 1,
        dense.FUSION.kind: 2,
    }


def test_every_kernel_has_a_fusion():
    """4-bit dense layers begin as others do: quantization decides."""
    assert {fusion.kind for fusion in FUSIONS} == {*BY_KIND, dense.FUSION.kind} - {
        kind for kind in BY_KIND if kind.startswith("MICRONET_DENSE")
    }


def test_outputs_are_named_after_the_last_operation_that_went_in():
    lowered = lowering.lower(chains.stem())
    (operation,) = fused_operations.fuse(lowered).operations
    assert operation.outputs == lowered.outputs
    assert operation.options["result"].endswith("/horizontal")
    assert operation.options["activation"] == "RELU6"


@pytest.mark.parametrize("variant", ["M0", "M3"])
def test_operations_are_called_what_they_compute(variant):
    model = random_micronet(variant, (64, 64, 3), include_preprocessing=False)
    names = {}
    for operation in fused(model).operations:
        names.setdefault(operation.kind, []).append(operation.options["layer"])
    ends = {
        factorized_stem.FUSION.kind: ("stem",),
        factorized_depthwise_conv.FUSION.kind: ("/depthwise",),
        grouped_pointwise_conv.FUSION.kind: ("/expand", "/project"),
        dynamic_shift_max.FUSION.kind: (
            "/expand_activation",
            "/depthwise_activation",
            "/project_activation",
        ),
        residual_add.FUSION.kind: ("/sum",),
        global_average_pool.FUSION.kind: ("head_pool",),
        dense.FUSION.kind: ("head_dense", "classifier_dense"),
    }
    for kind, found in names.items():
        assert all(name.endswith(ends[kind]) for name in found), (kind, found)
    every = [name for found in names.values() for name in found]
    assert len(every) == len(set(every))


def test_shuffles_compose():
    """Two shuffles with an activation between them are one order of the channels."""
    model = chains.chain(
        (4, 4, 12),
        layers.GroupedPointwiseConv2D(12, groups=3),
        layers.ChannelShuffle(3),
        keras.layers.ReLU(6.0),
        layers.ChannelShuffle(2),
    )
    (operation,) = fused(model).operations
    channels = np.arange(12).reshape(3, 4).T.ravel().reshape(2, 6).T.ravel()
    np.testing.assert_array_equal(operation.options["permutation"], channels)


def test_value_that_two_operations_read_keeps_its_order():
    """A residual sum and the next block read the value before the shuffle."""
    inputs = keras.Input((4, 4, 8))
    block = layers.MicroBlock(
        8, expansion=(1, 2), expand_groups=(4, 4), project_groups=(4, 2), fusions=(2, 2, 1)
    )
    graph = fused(keras.Model(inputs, block(inputs)))
    add = graph.operations[-1]
    assert add.kind == residual_add.FUSION.kind
    assert add.inputs[1] == graph.inputs[0]


def test_what_no_kernel_computes_becomes_builtin():
    graph = builtin_operations.to_builtin(fused(chains.keras_convolutions()))
    assert kinds_of(graph) == [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "GATHER",
        grouped_pointwise_conv.FUSION.kind,
        "DEPTHWISE_CONV_2D",
        global_average_pool.FUSION.kind,
    ]


def vertical_then_horizontal(vertical, horizontal):
    """Two convolutions in a row, with the given kernels, strides and paddings."""
    graph = Graph()
    tensor = graph.add_tensor("images", (1, 8, 8, 4))
    graph.inputs = [tensor]
    for name, (taps, strides, padding) in (("first", vertical), ("second", horizontal)):
        weights = graph.add_constant(f"{name}/weights", np.zeros((1, *taps, 4)))
        bias = graph.add_constant(f"{name}/bias", np.zeros(4))
        tensor = graph.add_operation(
            "DEPTHWISE_CONV_2D",
            [tensor, weights, bias],
            name,
            (1, 8, 8, 4),
            strides=strides,
            padding=padding,
        )
    graph.outputs = [tensor]
    return graph


PAIR = (((3, 1), (1, 1), "SYMMETRIC"), ((1, 3), (1, 1), "SYMMETRIC"))


@pytest.mark.parametrize(
    ("vertical", "horizontal", "count"),
    [
        (*PAIR, 1),
        (((7, 1), (4, 1), "SYMMETRIC"), ((1, 5), (1, 2), "SYMMETRIC"), 1),
        (PAIR[1], PAIR[0], 2),  # the other way round
        (((3, 3), (1, 1), "SYMMETRIC"), PAIR[1], 2),
        (((9, 1), (1, 1), "SYMMETRIC"), PAIR[1], 2),  # too many taps
        (((3, 1), (5, 1), "SYMMETRIC"), PAIR[1], 2),  # too large a stride
        (((3, 1), (1, 1), "SAME"), PAIR[1], 2),
        (PAIR[0], ((1, 3), (2, 1), "SYMMETRIC"), 2),
    ],
)
def test_factorized_pairs(vertical, horizontal, count):
    graph = fused_operations.fuse(vertical_then_horizontal(vertical, horizontal))
    assert len(graph.operations) == count


def test_pair_whose_middle_is_an_output_stays_two():
    graph = vertical_then_horizontal(*PAIR)
    graph.outputs = ["first", "second"]
    assert len(fused_operations.fuse(graph).operations) == 2
