# SPDX-License-Identifier: Apache-2.0
"""Composite operations in TensorFlow Lite's vocabulary."""

import numpy as np
import pytest

from tests.tflm.micronets import random_images, random_micronet
from tflm.graph import float_execution
from tflm.graph.graph import Graph
from tflm.passes import builtin_operations, channel_layout, lowering


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", list(range(1, 20)))
def test_same_padding_with_zero_taps_is_symmetric_padding(kernel, stride, size):
    """TensorFlow's rule for "SAME", written out: the front must get half of the kernel."""
    taps = kernel + builtin_operations.trailing_zero_taps(size, kernel, stride)
    remainder = size % stride
    total = max(taps - (stride if remainder == 0 else remainder), 0)
    assert total // 2 == kernel // 2


def test_no_tap_is_added_where_same_is_symmetric():
    assert builtin_operations.trailing_zero_taps(size=7, kernel=3, stride=2) == 0
    assert builtin_operations.trailing_zero_taps(size=8, kernel=3, stride=1) == 0
    assert builtin_operations.trailing_zero_taps(size=8, kernel=3, stride=2) == 1


def shift_max_graph(initial_values, excite_bias):
    channels = 4
    graph = Graph()
    tensor = graph.add_tensor("images", (1, 3, 3, channels))
    graph.inputs = [tensor]
    count = len(initial_values) * channels
    constants = [
        graph.add_constant("squeeze_weights", np.zeros((4, channels), np.float32)),
        graph.add_constant("squeeze_bias", np.zeros(4, np.float32)),
        graph.add_constant("excite_weights", np.zeros((count, 4), np.float32)),
        graph.add_constant("excite_bias", np.full(count, excite_bias, np.float32)),
    ]
    graph.outputs = [
        graph.add_operation(
            "DYNAMIC_SHIFT_MAX",
            [tensor, *constants],
            "shift_max",
            (1, 3, 3, channels),
            permutation=np.array([3, 2, 1, 0]),
            initial_values=initial_values,
        )
    ]
    return graph


@pytest.mark.parametrize(
    ("excite_bias", "dynamic"),
    # 4 (hard_sigmoid(z) - 1/2), by hand
    [(0.0, 0.0), (1.5, 1.0), (3.0, 2.0), (100.0, 2.0), (-100.0, -2.0)],
)
def test_coefficients_of_shift_max(excite_bias, dynamic):
    initial_values = (1.0, 0.0, 0.5, 0.25)
    graph = builtin_operations.to_builtin(shift_max_graph(initial_values, excite_bias))
    images = random_images(2, (3, 3, 4))
    shifted = images[..., ::-1]
    a1, b1, a2, b2 = (value + dynamic for value in initial_values)
    expected = np.maximum(a1 * images + b1 * shifted, a2 * images + b2 * shifted)
    actual = float_execution.run(graph, images)[graph.outputs[0]].numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_shift_max_with_two_fusions_takes_fourteen_operations():
    graph = builtin_operations.to_builtin(shift_max_graph((1.0, 0.0, 1.0, 0.0), 0.0))
    assert len(graph.operations) == 14
    coefficients = [
        operation.options["output_range"]
        for operation in graph.operations
        if "output_range" in operation.options
    ]
    expected = [(-1.0, 3.0), (-2.0, 2.0), (-1.0, 3.0), (-2.0, 2.0)]
    for (low, high), (expected_low, expected_high) in zip(coefficients, expected, strict=True):
        np.testing.assert_array_equal(low, np.full(4, expected_low))
        np.testing.assert_array_equal(high, np.full(4, expected_high))


def test_activation_is_fused_only_where_nobody_reads_the_value_before_it():
    graph = Graph()
    images = graph.add_tensor("images", (1, 2, 2, 1))
    graph.inputs = [images]
    total = graph.add_operation("ADD", [images, images], "total", (1, 2, 2, 1))
    rectified = graph.add_operation("RELU6", [total], "rectified", (1, 2, 2, 1))
    graph.outputs = [graph.add_operation("ADD", [rectified, total], "both", (1, 2, 2, 1))]
    result = builtin_operations.to_builtin(graph)
    assert [operation.kind for operation in result.operations] == ["ADD", "RELU6", "ADD"]
    values = np.array([[[[-1.0], [1.0]], [[2.0], [4.0]]]], np.float32)
    outputs = float_execution.run(result, values)[result.outputs[0]].numpy()
    np.testing.assert_array_equal(outputs.flatten(), [-2.0, 4.0, 8.0, 14.0])


def test_m0_is_within_the_budget_of_operations():
    model = random_micronet("M0", (224, 224, 3), classes=1000)
    graph = builtin_operations.to_builtin(channel_layout.fold_permutations(lowering.lower(model)))
    assert len(graph.operations) <= 230
