# SPDX-License-Identifier: Apache-2.0
"""Scales of channels: the same function, in every form that a graph takes on its way."""

import numpy as np
import pytest

from keras_micronet import layers
from keras_micronet.layer_chain import unroll
from keras_micronet.quantization.plan import channel_factor_rules, plan
from tests.keras_micronet.quantization import chains
from tflm.graph import float_execution
from tflm.passes import builtin_operations, channel_layout, fused_operations, lowering
from tflm.passes.channel_factors import scale_channels

BUILDS = [build for build in chains.CHAINS if channel_factor_rules(plan(unroll(build())))]


def random_factors(model, seed):
    """Of all maps that may have them, from a quarter to four times."""
    random = np.random.default_rng(seed)
    rules = channel_factor_rules(plan(unroll(model)))
    return {name: 2.0 ** random.uniform(-2, 2, rule.channels) for name, rule in rules.items()}


def outputs_of(graph, images):
    return float_execution.run(graph, images)[graph.outputs[0]].numpy().reshape(len(images), -1)


def assert_near(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_most_chains_have_maps_with_factors():
    assert len(BUILDS) >= 5


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("build", BUILDS)
def test_scaled_graph_is_the_same_function(build, seed):
    model = build()
    images = chains.random_images(model, 4, seed)
    graph = lowering.lower(model)
    factors = random_factors(model, seed)
    scaled = scale_channels(graph, factors)
    expected = outputs_of(graph, images)
    assert_near(outputs_of(scaled, images), expected)
    before, after = float_execution.run(graph, images), float_execution.run(scaled, images)
    changed = {
        name: tensor.channel_factors
        for name, tensor in scaled.tensors.items()
        if tensor.channel_factors is not None
    }
    assert changed
    for name, its_factors in changed.items():
        assert_near(after[name] * its_factors, before[name].numpy())
    builtin = builtin_operations.to_builtin(channel_layout.fold_permutations(scaled))
    assert_near(outputs_of(builtin, images), expected)
    fused = fused_operations.float_reference(
        scaled, builtin_operations.to_builtin(fused_operations.fuse(scaled))
    )
    assert_near(outputs_of(fused, images), expected)


def test_factors_of_one_change_nothing():
    model = chains.block_a()
    graph = lowering.lower(model)
    ones = {name: np.ones_like(each) for name, each in random_factors(model, 0).items()}
    scaled = scale_channels(graph, ones)
    for name, tensor in graph.tensors.items():
        if tensor.is_constant:
            np.testing.assert_array_equal(scaled.tensors[name].data, tensor.data)


def test_refuses_factors_that_an_operation_cannot_take():
    model = chains.residual_of_an_activation()
    graph = lowering.lower(model)
    (name,) = [step.name for step in unroll(model) if step.kind == "residual"]
    added = [operation for operation in graph.operations if operation.outputs == [name]][0].inputs
    shortcut = next(
        operation.outputs[0]
        for operation in graph.operations
        if operation.kind == "CONV_2D" and operation.outputs[0].startswith("normalized")
    )
    with pytest.raises(ValueError, match="Received: .* read by ADD"):
        scale_channels(graph, {shortcut: np.full(4, 2.0)})
    assert len(added) == 2


def test_layers_of_grouped_inputs():
    """Each output of a group takes the factors of the inputs that it reads."""
    model = chains.chain(
        (3, 3, 4),
        layers.GroupedPointwiseConv2D(8, 2, name="first"),
        layers.ChannelShuffle(4),
        layers.GroupedPointwiseConv2D(12, 4, name="second"),
    )
    graph = lowering.lower(model)
    factors = {"first": np.arange(1.0, 9.0)}
    scaled = scale_channels(graph, factors)
    images = chains.random_images(model, 3)
    assert_near(outputs_of(scaled, images), outputs_of(graph, images))
    weights = graph.tensors["second/weights"].data
    order = np.arange(1.0, 9.0).reshape(4, 2).T.flatten()  # the shuffle's transposition
    ratios = scaled.tensors["second/weights"].data / weights
    np.testing.assert_allclose(ratios[:, 0, 0], np.repeat(order.reshape(4, 2), 3, axis=0))
