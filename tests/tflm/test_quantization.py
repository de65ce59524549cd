"""The integers that stand for real values, against TensorFlow Lite's definition."""

import numpy as np
import pytest

from tests.tflm.micronets import random_images, random_micronet
from tflm import (
    builtin_operations,
    calibration,
    channel_layout,
    dense_scales,
    flatbuffer,
    interpreter,
    lowering,
    quantization,
)
from tflm.calibration import Observation
from tflm.graph import Graph


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
        (0.0, 1e-12, 2.0**-27, -128),  # 6 / scale must fit in int32
    ],
)
def test_affine(low, high, scale, zero_point):
    result = quantization.affine(low, high)
    assert result.scale[0] == pytest.approx(scale, rel=1e-6)
    assert result.zero_point[0] == zero_point
    assert result.scale[0] == np.float32(result.scale[0])


@pytest.mark.parametrize(("low", "high"), [(np.nan, 1.0), (0.0, np.inf), (1.0, -1.0)])
def test_impossible_ranges_are_refused(low, high):
    with pytest.raises(ValueError, match="two finite numbers in order. Received: low="):
        quantization.affine(low, high)


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
        graph.add_operation(
            "FULLY_CONNECTED", inputs, output, (1, len(weights)), activation="NONE"
        )
    ]
    return graph


def observations(mean_square=1.0, inputs=(-1.28, 1.27), outputs=(-12.8, 12.7)):
    return {
        "inputs": Observation(*inputs, mean_square),
        "outputs": Observation(*outputs, mean_square),
    }


def test_dense_layer_has_one_scale():
    weights = np.array([[1.27, -0.5], [0.3, 1.20]])
    graph = quantization.quantize(dense_graph(weights, [0.5, -0.25]), observations())
    stored = graph.tensors["weights"]
    assert not stored.quantization.is_per_channel
    np.testing.assert_array_equal(stored.data, [[127, -50], [30, 120]])
    # input scale 0.01 times weight scale 0.01
    np.testing.assert_array_equal(graph.tensors["bias"].data, [5000, -2500])
    assert stored.data.dtype == np.int8 and graph.tensors["bias"].data.dtype == np.int32


def test_named_dense_layer_keeps_a_scale_for_each_output():
    weights = np.array([[127.0, -50.0], [0.3, 1.27]])
    graph = quantization.quantize(dense_graph(weights, [0.0, 0.0]), observations(), {"outputs"})
    stored = graph.tensors["weights"]
    np.testing.assert_array_equal(stored.data, [[127, -50], [30, 127]])
    np.testing.assert_allclose(stored.quantization.scale, [1.0, 0.01], rtol=1e-6)
    assert stored.quantization.axis == 0


def test_channel_with_tiny_weights_keeps_its_bias():
    """At the weights' own scale the bias would be 1e20 in units of int32."""
    weights = np.array([[1.0, 0.5], [1e-20, 0.0]])
    graph = dense_graph(weights, [0.0, 3.0])
    graph = quantization.quantize(graph, observations(), {"outputs"})
    bias = graph.tensors["bias"]
    np.testing.assert_allclose(bias.quantization.dequantize(bias.data), [0.0, 3.0], atol=1e-3)


def test_channel_of_zeros_is_zero():
    graph = quantization.quantize(dense_graph(np.zeros((2, 3)), [0.0, 0.0]), observations())
    assert not graph.tensors["weights"].data.any() and not graph.tensors["bias"].data.any()


def test_known_output_range_goes_before_observation_and_is_gone_afterwards():
    graph = dense_graph(np.ones((2, 3)), [0.0, 0.0])
    graph.operations[0].options["output_range"] = (-2.0, 2.0)
    result = quantization.quantize(graph, observations())
    assert result.tensors["outputs"].quantization.scale[0] == pytest.approx(4 / 255)
    assert "output_range" not in result.operations[0].options


def test_operands_of_a_maximum_share_its_quantization():
    graph = Graph()
    images = graph.add_tensor("images", (1, 2, 2, 1))
    graph.inputs = [images]
    first = graph.add_operation("ADD", [images, images], "first", (1, 2, 2, 1))
    second = graph.add_operation("MUL", [images, images], "second", (1, 2, 2, 1))
    graph.outputs = [graph.add_operation("MAXIMUM", [first, second], "both", (1, 2, 2, 1))]
    ranges = {
        "images": Observation(-1, 1, 1),
        "first": Observation(-50, 2, 1),
        "second": Observation(-4, 3, 1),
        "both": Observation(-1, 3, 1),
    }
    result = quantization.activation_quantizations(graph, ranges)
    assert result["first"] == result["second"] == result["both"]
    assert result["both"].scale[0] == pytest.approx(4 / 255)


def test_missing_observation_is_named():
    graph = dense_graph(np.ones((2, 3)), [0.0, 0.0])
    with pytest.raises(ValueError, match="Received: no observation of outputs"):
        quantization.quantize(graph, {"inputs": Observation(-1, 1, 1)})


@pytest.fixture(scope="module")
def m0_at_224():
    """M0 with 1000 classes at 224: the quantized graph and the model."""
    model = random_micronet("M0", (224, 224, 3), classes=1000, include_preprocessing=False)
    graph = builtin_operations.to_builtin(channel_layout.fold_permutations(lowering.lower(model)))
    images = random_images(4, (224, 224, 3))
    return dense_scales.quantize_frugally(graph, calibration.observe(graph, images), images), model


def test_m0_is_within_its_budgets(m0_at_224):
    quantized, _ = m0_at_224
    data = flatbuffer.serialize(quantized)
    assert len(quantized.operations) <= 230
    assert len(data) <= 1_150_000
    assert interpreter.MicroInterpreter(data).arena.total_bytes <= 260_000


def test_device_arithmetic_is_near_the_float_model(m0_at_224):
    """Random weights pass errors on unchecked, yet the answers must stay alike."""
    quantized, model = m0_at_224
    images = random_images(6, (224, 224, 3), seed=5)
    micro = interpreter.MicroInterpreter(flatbuffer.serialize(quantized))
    inputs = quantized.tensors[quantized.inputs[0]].quantization.quantize(images)
    outputs = quantized.tensors[quantized.outputs[0]].quantization.dequantize(micro.run(inputs))
    expected = np.asarray(model(images, training=False))
    error = np.mean((outputs.reshape(expected.shape) - expected) ** 2)
    assert error < 0.1 * np.var(expected)
