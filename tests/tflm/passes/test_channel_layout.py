# SPDX-License-Identifier: Apache-2.0
"""Permutations are folded into weights; only grouped convolutions still gather."""

import numpy as np
import pytest

from tests.tflm.micronets import random_micronet
from tflm.graph import float_execution
from tflm.graph.graph import Graph
from tflm.passes import channel_layout, lowering


def gathers(graph):
    return [operation for operation in graph.operations if operation.kind == "GATHER"]


def chain_with_shuffle(groups, size=4, channels=(8, 8)):
    """A permutation between the input and a grouped pointwise convolution."""
    inputs, outputs = channels
    generator = np.random.default_rng(0)
    graph = Graph()
    tensor = graph.add_tensor("images", (1, size, size, inputs))
    graph.inputs = [tensor]
    permutation = np.arange(inputs).reshape(2, -1).T.flatten()
    shape = (1, size, size, inputs)
    tensor = graph.add_operation(
        "CHANNEL_PERMUTATION", [tensor], "shuffled", shape, permutation=permutation
    )
    weights = generator.standard_normal((outputs, 1, 1, inputs // groups)).astype(np.float32)
    bias = generator.standard_normal(outputs).astype(np.float32)
    tensor = graph.add_operation(
        "CONV_2D",
        [tensor, graph.add_constant("weights", weights), graph.add_constant("bias", bias)],
        "outputs",
        (1, size, size, outputs),
        strides=(1, 1),
        padding="SAME",
        activation="NONE",
    )
    graph.outputs = [tensor]
    return graph, permutation, weights[:, 0, 0], bias


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("size", [1, 4])
def test_permutation_before_a_convolution(groups, size):
    graph, permutation, weights, bias = chain_with_shuffle(groups, size)
    images = np.random.default_rng(1).standard_normal((2, size, size, 8)).astype(np.float32)
    shuffled = images[..., permutation]
    per_group = 8 // groups
    expected = np.concatenate(
        [
            shuffled[..., g * per_group : (g + 1) * per_group]
            @ weights[g * per_group : (g + 1) * per_group].T
            for g in range(groups)
        ],
        axis=-1,
    )
    folded = channel_layout.fold_permutations(graph)
    for operation in folded.operations:
        operation.options.setdefault("activation", "NONE") if operation.kind == "CONV_2D" else None
    actual = float_execution.run(folded, images)[folded.outputs[0]].numpy()
    np.testing.assert_allclose(actual, expected + bias, rtol=1e-5, atol=1e-5)


def test_dense_convolution_absorbs_a_permutation():
    graph, *_ = chain_with_shuffle(groups=1)
    assert gathers(channel_layout.fold_permutations(graph)) == []


def test_wide_grouped_convolution_keeps_its_groups():
    """512 to 512 channels in 16 groups: zeros would take 245,760 bytes, a GATHER takes none."""
    graph, *_ = chain_with_shuffle(groups=16, channels=(512, 512))
    folded = channel_layout.fold_permutations(graph)
    assert len(gathers(folded)) == 1
    assert folded.tensors["weights"].shape == (512, 1, 1, 32)


def test_every_shuffle_of_m0_but_three_costs_nothing():
    """Sixteen shuffles in the model; blocks 5 and 6 gather around their wide convolutions."""
    model = random_micronet("M0", (224, 224, 3), classes=1000)
    assert len(gathers(channel_layout.fold_permutations(lowering.lower(model)))) == 3


def test_residual_sums_meet_in_one_order():
    """M3 has four residual blocks; its output stays the model's (see test_lowering)."""
    folded = channel_layout.fold_permutations(lowering.lower(random_micronet("M3", (64, 64, 3))))
    sums = [operation for operation in folded.operations if operation.kind == "ADD"]
    assert len(sums) == 4
