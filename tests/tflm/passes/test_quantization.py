# SPDX-License-Identifier: Apache-2.0
"""The integers that stand for real values, against TensorFlow Lite's definition."""

import ml_dtypes
import numpy as np
import pytest

from keras_micronet.quantization import WeightFormat, quantize_aware
from keras_micronet.quantization.schemes import WeightRounding
from tests.tflm.micronets import random_images, random_micronet
from tflm import exporter
from tflm.graph.graph import Graph
from tflm.micro import flatbuffer
from tflm.micro.interpreter import MicroInterpreter
from tflm.passes import quantization, scales

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (-128.0, 127.0, 1.0, 0),
        (0.0, 6.0, 6.0 / 255, -128),
        (0.0, 255.0, 1.0, -128),
        (-255.0, 0.0, 1.0, 127),
        (2.0, 5.1, 5.1 / 255, -128),  # the range is widened to hold 0
        (-5.1, -2.0, 5.1 / 255, 127),
        (-1.0, 3.0, 4.0 / 255, -64),  # -128 + 255 / 4 = -64.25
        (0.0, 0.0, 1.0 / 255, -128),  # a tensor of zeros
        (0.0, 1e-12, 1e-12 / 255, -128),  # a map of tiny values keeps all its steps
        (-1e-18, 1e-18, 1.0 / 255, -128),  # values that count as 0
    ],
)
def test_affine(low, high, scale, zero_point):
    result = scales.affine(low, high)
    assert result.scale[0] == pytest.approx(scale, rel=1e-6)
    assert result.zero_point[0] == zero_point
    assert result.scale[0] == np.float32(result.scale[0])


@pytest.mark.parametrize(("low", "high"), [(np.nan, 1.0), (0.0, np.inf), (1.0, -1.0)])
def test_impossible_ranges_are_refused(low, high):
    with pytest.raises(ValueError, match="two finite numbers in order. Received: low="):
        scales.affine(low, high)


def dense_graph(weights, bias, output="outputs"):
    graph = Graph()
    tensor = graph.add_tensor("inputs", (1, weights.shape[1]))
    graph.inputs = [tensor]
    inputs = [
        tensor,
        graph.add_constant("weights", np.asarray(weights, np.float32)),
        graph.add_constant("bias", np.asarray(bias, np.float32)),
    ]
    graph.outputs = [
        graph.add_operation("FULLY_CONNECTED", inputs, output, (1, len(weights)), activation="NONE")
    ]
    return graph


RANGES = {"inputs": (-1.28, 1.27), "outputs": (-12.8, 12.7)}
PER_CHANNEL = {"outputs": WeightRounding(WeightFormat(bits=8, per_channel=True))}


def test_dense_layer_has_one_scale():
    weights = np.array([[1.27, -0.5], [0.3, 1.20]])
    graph = quantization.quantize(dense_graph(weights, [0.5, -0.25]), RANGES)
    stored = graph.tensors["weights"]
    assert not stored.quantization.is_per_channel
    np.testing.assert_array_equal(stored.data, [[127, -50], [30, 120]])
    # input scale 0.01 times weight scale 0.01
    np.testing.assert_array_equal(graph.tensors["bias"].data, [5000, -2500])
    assert stored.data.dtype == np.int8 and graph.tensors["bias"].data.dtype == np.int32


def test_named_dense_layer_keeps_a_scale_for_each_output():
    weights = np.array([[127.0, -50.0], [0.3, 1.27]])
    graph = quantization.quantize(dense_graph(weights, [0.0, 0.0]), RANGES, PER_CHANNEL)
    stored = graph.tensors["weights"]
    np.testing.assert_array_equal(stored.data, [[127, -50], [30, 127]])
    np.testing.assert_allclose(stored.quantization.scale, [1.0, 0.01], rtol=1e-6)
    assert stored.quantization.axis == 0


def test_channel_with_tiny_weights_keeps_its_bias():
    """At the weights' own scale the bias would be 1e20 in units of int32."""
    weights = np.array([[1.0, 0.5], [1e-20, 0.0]])
    graph = dense_graph(weights, [0.0, 3.0])
    graph = quantization.quantize(graph, RANGES, PER_CHANNEL)
    bias = graph.tensors["bias"]
    np.testing.assert_allclose(bias.quantization.dequantize(bias.data), [0.0, 3.0], atol=1e-3)


def test_channel_of_zeros_is_zero():
    graph = quantization.quantize(dense_graph(np.zeros((2, 3)), [0.0, 0.0]), RANGES)
    assert not graph.tensors["weights"].data.any() and not graph.tensors["bias"].data.any()


def test_four_bits_reach_as_far_as_the_clipping_says():
    weights = np.array([[1.4, -0.5], [0.3, -2.8]])
    four_bits = WeightRounding(WeightFormat(bits=4, per_channel=False), np.array([0.5]))
    graph = quantization.quantize(dense_graph(weights, [0.5, 0.0]), RANGES, {"outputs": four_bits})
    stored = graph.tensors["weights"]
    # The largest weight is 2.8: seven steps of 0.2 reach half as far.
    assert stored.data.dtype == ml_dtypes.int4
    np.testing.assert_array_equal(stored.data.astype(int), [[7, -2], [2, -7]])
    np.testing.assert_allclose(stored.quantization.scale, [0.2], rtol=1e-6)
    np.testing.assert_array_equal(graph.tensors["bias"].data, [250, 0])  # in units of 0.01 * 0.2


def test_equal_biases_have_the_scales_of_their_channels():
    """A converter that keeps one value of them keeps channel 0's scale for all."""
    graph = dense_graph(np.array([[1.27, 0.0], [12.7, 0.0]]), [0.6, 0.6])
    graph = quantization.quantize(graph, RANGES, PER_CHANNEL)
    # input scale 0.01 times weight scales 0.01 and 0.1
    np.testing.assert_array_equal(graph.tensors["bias"].data, [6000, 600])
    interpreter = MicroInterpreter(flatbuffer.serialize(graph))
    outputs = interpreter.run(np.zeros((1, 2), np.int8))
    np.testing.assert_allclose(
        graph.tensors["outputs"].quantization.dequantize(outputs), [[0.6, 0.6]], atol=0.05
    )


def test_known_output_range_is_gone_afterwards():
    graph = dense_graph(np.ones((2, 3)), [0.0, 0.0])
    graph.operations[0].options["output_range"] = (-2.0, 2.0)
    result = quantization.quantize(graph, {**RANGES, "outputs": (-1.0, 1.5)})
    assert result.tensors["outputs"].quantization.scale[0] == pytest.approx(2.5 / 255)
    assert "output_range" not in result.operations[0].options


def test_operands_of_a_maximum_share_its_quantization():
    graph = Graph()
    images = graph.add_tensor("images", (1, 2, 2, 1))
    graph.inputs = [images]
    first = graph.add_operation("ADD", [images, images], "first", (1, 2, 2, 1))
    second = graph.add_operation("MUL", [images, images], "second", (1, 2, 2, 1))
    graph.outputs = [graph.add_operation("MAXIMUM", [first, second], "both", (1, 2, 2, 1))]
    ranges = {
        "images": (-1, 1),
        "both": (-1, 3),
    }
    tensors = quantization.quantize(graph, ranges).tensors
    result = {name: tensors[name].quantization for name in ("first", "second", "both")}
    assert result["first"] == result["second"] == result["both"]
    assert result["both"].scale[0] == pytest.approx(4 / 255)


def test_activation_that_copies_integers_shares_their_quantization():
    """TensorFlow Lite Micro's RELU6 clips integers and does not requantize them."""
    graph = Graph()
    images = graph.add_tensor("images", (1, 2, 2, 1))
    graph.inputs = [images]
    pooled = graph.add_operation(
        "AVERAGE_POOL_2D",
        [images],
        "pooled",
        (1, 1, 1, 1),
        filter=(2, 2),
        strides=(1, 1),
        padding="VALID",
        activation="NONE",
    )
    graph.outputs = [graph.add_operation("RELU6", [pooled], "clipped", (1, 1, 1, 1))]
    graph = quantization.quantize(graph, {"images": (-8.0, 12.0)})
    values = np.array([-3.0, 4.0, 9.0])
    inputs = np.tile(values.reshape(-1, 1, 1, 1), (1, 2, 2, 1))
    integers = graph.tensors["images"].quantization.quantize(inputs)
    outputs = MicroInterpreter(flatbuffer.serialize(graph)).run(integers)
    actual = graph.tensors["clipped"].quantization.dequantize(outputs).flatten()
    np.testing.assert_allclose(actual, [0.0, 4.0, 6.0], atol=20 / 255)


def test_missing_range_is_named():
    graph = dense_graph(np.ones((2, 3)), [0.0, 0.0])
    with pytest.raises(ValueError, match="Received: no range of outputs"):
        quantization.quantize(graph, {"inputs": (-1, 1)})


@pytest.fixture(scope="module")
def m0_at_224():
    """M0 with 1000 classes at 224: the deployment and the model."""
    model = random_micronet("M0", (224, 224, 3), classes=1000, include_preprocessing=False)
    return exporter.deploy(quantize_aware(model, random_images(4, (224, 224, 3)))), model


def test_m0_is_within_its_budgets(m0_at_224):
    deployment, _ = m0_at_224
    assert len(deployment.graph.operations) <= 230
    assert len(deployment.model_bytes) <= 1_150_000
    assert deployment.interpreter.arena.total_bytes <= 260_000


def test_device_arithmetic_is_near_the_float_model(m0_at_224):
    """Random weights pass errors on unchecked, yet the answers must stay alike."""
    deployment, model = m0_at_224
    images = random_images(6, (224, 224, 3), seed=5)
    graph = deployment.graph
    outputs = deployment.interpreter.run(deployment.input_quantization.quantize(images))
    outputs = graph.tensors[graph.outputs[0]].quantization.dequantize(outputs)
    expected = np.asarray(model(images, training=False))
    error = np.mean((outputs.reshape(expected.shape) - expected) ** 2)
    assert error < 0.1 * np.var(expected)
