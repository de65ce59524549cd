# SPDX-License-Identifier: Apache-2.0
"""The deployment graph computes what the Keras model computes."""

import collections

import keras
import numpy as np
import pytest

import keras_micronet
from tests.keras_micronet.quantization import chains
from tests.tflm.micronets import random_images, random_micronet, randomize
from tflm.graph import float_execution
from tflm.passes import builtin_operations, channel_layout, lowering


def builtin_graph(model):
    return builtin_operations.to_builtin(channel_layout.fold_permutations(lowering.lower(model)))


def outputs_of(graph, images):
    return float_execution.run(graph, images)[graph.outputs[0]].numpy()


def assert_same_function(model, graph, inputs, graph_inputs=None):
    expected = np.asarray(model(inputs, training=False))
    actual = outputs_of(graph, inputs if graph_inputs is None else graph_inputs)
    np.testing.assert_allclose(
        actual.reshape(expected.shape), expected, atol=2e-5 * np.abs(expected).max()
    )


@pytest.mark.parametrize("variant", ["M0", "M1", "M2", "M3"])
@pytest.mark.parametrize("input_shape", [(64, 64, 3), (45, 58, 3)], ids=["even", "odd"])
def test_graph_equals_model(variant, input_shape):
    model = random_micronet(variant, input_shape, include_preprocessing=False)
    assert_same_function(model, builtin_graph(model), random_images(3, input_shape))


def test_full_rank_partner():
    model = random_micronet("M0", (32, 48, 3), include_preprocessing=False, full_rank=True)
    assert_same_function(model, builtin_graph(model), random_images(2, (32, 48, 3)))


def test_raw_images_are_normalized_before_the_graph():
    model = random_micronet("M0", (32, 32, 3))
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8)
    normalized = lowering.input_normalization(model).normalize(images)
    assert_same_function(model, builtin_graph(model), images, normalized)


def test_transfer_learning_head():
    backbone = random_micronet("M0", (32, 32, 3), include_top=False, include_preprocessing=False)
    x = keras.layers.GlobalAveragePooling2D()(backbone.output)
    x = keras.layers.Dense(12, activation="relu")(x)
    x = keras.layers.Dropout(0.3)(x)
    model = keras.Model(backbone.inputs, keras.layers.Dense(4)(x))
    randomize(model, seed=3)
    assert_same_function(model, builtin_graph(model), random_images(3, (32, 32, 3)))


def test_nested_backbone():
    backbone = random_micronet("M0", (32, 32, 3), include_top=False, include_preprocessing=False)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(backbone(inputs))
    model = keras.Model(inputs, keras.layers.Dense(4)(x))
    assert_same_function(model, builtin_graph(model), random_images(3, (32, 32, 3)))


def test_convolutions_of_keras():
    model = chains.keras_convolutions()
    assert_same_function(model, builtin_graph(model), chains.random_images(model, 4))


def test_softmax_is_left_out():
    with_softmax = random_micronet("M0", (32, 32, 3), classifier_activation="softmax")
    logits = random_micronet("M0", (32, 32, 3))
    images = random_images(2, (32, 32, 3))
    np.testing.assert_array_equal(
        outputs_of(builtin_graph(with_softmax), images), outputs_of(builtin_graph(logits), images)
    )


def test_deployment_graph_is_small():
    """A shuffle or a Dynamic Shift-Max is one operation, batch normalization none."""
    kinds = collections.Counter(
        operation.kind
        for operation in lowering.lower(random_micronet("M0", (64, 64, 3))).operations
    )
    # Counted in the table: two convolutions in the stem, three in each of three Micro-Block-A,
    # four in each of three Micro-Block-B or -C, one in the last row.
    assert kinds["CONV_2D"] + kinds["DEPTHWISE_CONV_2D"] == 2 + 3 * 3 + 3 * 4 + 1
    assert kinds["DYNAMIC_SHIFT_MAX"] == 1 + 2 * 2 + 3 * 3 + 1
    assert kinds["CHANNEL_PERMUTATION"] == 1 + 3 * 2 + 3 * 3
    assert kinds["FULLY_CONNECTED"] == 2


@pytest.mark.parametrize("variant", ["M0", "M2", "M3"])
def test_builtin_graph_copies_no_map_for_padding_or_means(variant):
    kinds = {
        operation.kind
        for operation in builtin_graph(random_micronet(variant, (64, 64, 3))).operations
    }
    assert not kinds & {"PAD", "MEAN", "TRANSPOSE", "RESHAPE", "CHANNEL_PERMUTATION", "SUB"}


def test_model_that_branches_is_refused():
    inputs = keras.Input((32, 32, 3))
    features = keras_micronet.layers.GroupedPointwiseConv2D(4, 1, name="one")(inputs)
    other = keras_micronet.layers.GroupedPointwiseConv2D(4, 1, name="other")(inputs)
    model = keras.Model(inputs, keras.layers.Add(name="both")([features, other]))
    with pytest.raises(ValueError, match="one chain.*Received: layer 'both' .* with 2 inputs"):
        lowering.lower(model)


def test_unknown_layer_is_named():
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, keras.layers.SeparableConv2D(4, 3, name="foreign")(inputs))
    with pytest.raises(ValueError, match="must consist of.*'foreign' of type SeparableConv2D"):
        lowering.lower(model)


def test_channels_first_model_is_refused():
    keras.config.set_image_data_format("channels_first")  # undone by the fixture of all tests
    model = random_micronet("M0", (3, 32, 32))
    with pytest.raises(ValueError, match="Devices take channels-last.*'to_channels_last'"):
        lowering.lower(model)


def test_layer_behind_softmax_is_refused():
    model = random_micronet("M0", (32, 32, 3), classifier_activation="softmax")
    model = keras.Model(model.inputs, keras.layers.Dense(2, name="late")(model.output))
    with pytest.raises(ValueError, match="softmax must be the last.*'late'"):
        lowering.lower(model)


def test_open_sizes_are_refused():
    with pytest.raises(ValueError, match=r"known size.*Received: input of shape \(None, None, 3\)"):
        lowering.lower(random_micronet("M0", (None, None, 3)))


def test_not_a_functional_model_is_refused():
    with pytest.raises(
        ValueError, match="keras.Model.inputs, outputs.*Received: model of type str"
    ):
        lowering.lower("model.keras")
