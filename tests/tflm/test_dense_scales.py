"""A dense layer has one scale for all outputs unless that is measurably worse."""

import numpy as np
import pytest

from tests.tflm.test_quantization import dense_graph
from tflm import calibration, dense_scales


def graph_and_inputs(factors, seed=0):
    """A dense layer whose outputs' weights are multiplied by `factors`, and inputs for it."""
    generator = np.random.default_rng(seed)
    weights = generator.uniform(-1, 1, (len(factors), 300)) * np.reshape(factors, (-1, 1))
    inputs = generator.standard_normal((64, 300)).astype(np.float32)
    return dense_graph(weights, np.zeros(len(factors))), inputs


def is_per_channel(graph, inputs):
    observations = calibration.observe(graph, inputs)
    quantized = dense_scales.quantize_frugally(graph, observations, inputs)
    return quantized.tensors["weights"].quantization.is_per_channel


def test_outputs_of_like_size_share_a_scale():
    assert not is_per_channel(*graph_and_inputs(np.linspace(0.8, 1.2, 10)))


def test_outputs_that_would_drown_keep_their_own():
    """The first input is silent: its huge weights say nothing, yet would set the scale for all."""
    graph, inputs = graph_and_inputs(np.ones(10))
    graph.tensors["weights"].data[0, 0] = 1000.0
    inputs[:, 0] = 0.0
    assert is_per_channel(graph, inputs)


def test_suspicion_without_harm_changes_nothing():
    """Output 0 is so large that the others are below one step of the output either way."""
    graph, inputs = graph_and_inputs([1.0] * 9 + [300.0])
    observations = calibration.observe(graph, inputs)
    assert dense_scales.sensitive_dense_layers(graph, observations) == set()
    assert not is_per_channel(graph, inputs)


def test_estimate_against_a_simulation():
    generator = np.random.default_rng(0)
    weights = generator.uniform(-1, 1, (40, 300)) * np.linspace(0.2, 2, 40)[:, np.newaxis]
    inputs = generator.standard_normal((500, 300)) * 0.7
    scales = np.abs(weights).max(axis=1) / 127

    def variance(scale):
        rounded = np.round(weights / scale) * scale
        return np.mean((inputs @ (rounded - weights).T) ** 2)

    added = variance(scales.max()) - variance(scales[:, np.newaxis])
    predicted = dense_scales.per_tensor_error(scales, 300, np.mean(inputs**2))
    assert predicted == pytest.approx(added, rel=0.1)
