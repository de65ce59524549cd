# SPDX-License-Identifier: Apache-2.0
"""Signal-to-quantization-noise ratios against what theory and hand-made cases say."""

import math

import numpy as np
import pytest

from tests.tflm.hand_made_graphs import quantization
from tflm.graph.graph import Graph
from tflm.micro import flatbuffer
from tflm.micro.interpreter import MicroInterpreter
from tflm.report import tensor_noise

SHAPE = (1, 8, 8, 4)


def make_graphs(operations, output, scales, constants=None):
    """A float graph with input "x" and the same graph quantized.

    Args:
        operations: (kind, inputs, output) of each, in order; all activations have `SHAPE`.
        output: name of the graph's output.
        scales: each activation's (scale, zero point).
        constants: index constants by name.
    """
    graphs = []
    for is_quantized in (False, True):
        graph = Graph(inputs=["x"], outputs=[output])
        graph.add_tensor("x", SHAPE)
        for name, values in (constants or {}).items():
            graph.add_constant(name, np.asarray(values, np.int32))
        for kind, inputs, name in operations:
            options = {"axis": 3} if kind == "GATHER" else {}
            graph.add_operation(kind, inputs, name, SHAPE, **options)
        for name, (scale, zero_point) in scales.items() if is_quantized else ():
            graph.tensors[name].quantization = quantization(scale, zero_point)
        graphs.append(graph)
    return graphs


def uniform_images(low, high, count=40, seed=0):
    generator = np.random.default_rng(seed)
    return generator.uniform(low, high, (count, *SHAPE[1:])).astype(np.float32)


def by_name(rows):
    return {row.name: row for row in rows}


def decibels(ratio):
    return 10 * math.log10(ratio)


# Values


def test_rounding_makes_noise_of_a_twelfth_of_a_squared_step():
    """The input is rounded once, and its sum with itself twice, to steps that do not meet."""
    step, sum_step = 0.01, 0.0371
    graphs = make_graphs(
        [("ADD", ["x", "x"], "sum")], "sum", {"x": (step, 0), "sum": (sum_step, 0)}
    )
    rows = by_name(tensor_noise.measure(*graphs, uniform_images(-1, 1)))
    signal = 1 / 3  # mean square of numbers spread evenly over [-1, 1]
    noise = step**2 / 12
    assert rows["x"].signal_to_noise_decibels == pytest.approx(decibels(signal / noise), abs=0.15)
    expected = decibels(4 * signal / (4 * noise + sum_step**2 / 12))
    assert rows["sum"].signal_to_noise_decibels == pytest.approx(expected, abs=0.15)
    assert rows["sum"].noise_mean_square == pytest.approx(4 * noise + sum_step**2 / 12, rel=0.04)
    assert rows["sum"].input_signal_to_noise_decibels == rows["x"].signal_to_noise_decibels
    assert rows["x"].input_signal_to_noise_decibels is None


def test_what_int8_holds_exactly_has_no_noise():
    graphs = make_graphs(
        [("GATHER", ["x", "order"], "shuffled"), ("RELU6", ["shuffled"], "positive")],
        "positive",
        dict.fromkeys(("x", "shuffled", "positive"), (2.0**-6, 5)),
        {"order": [3, 1, 0, 2]},
    )
    images = np.round(uniform_images(-1, 1) * 64) / 64
    rows = by_name(tensor_noise.measure(*graphs, images))
    assert len(rows) == 3
    for row in rows.values():
        assert row.signal_to_noise_decibels == math.inf and row.noise_mean_square == 0
    assert rows["shuffled"].input_signal_to_noise_decibels == math.inf
    used = images[np.linspace(0, 39, 32).astype(int)]
    assert rows["shuffled"].signal_mean_square == pytest.approx(np.mean(used**2), rel=1e-5)
    assert (rows["x"].low, rows["x"].high) == (used.min(), used.max())
    assert (rows["positive"].low, rows["positive"].high) == (0, used.max())


def test_zeros_that_stay_zeros_are_exact():
    graphs = make_graphs([("ADD", ["x", "x"], "sum")], "sum", {"x": (0.01, 3), "sum": (0.1, -9)})
    rows = tensor_noise.measure(*graphs, np.zeros((3, *SHAPE[1:]), np.float32))
    assert [row.signal_to_noise_decibels for row in rows] == [math.inf] * 2


def test_something_made_of_zeros_is_the_worst():
    """In float, RELU leaves nothing of negative values; the spoilt device graph does."""
    graphs = make_graphs([("RELU", ["x"], "y")], "y", {"x": (0.01, 0), "y": (0.01, 0)})
    graphs[1].operations[0].kind = "HARD_SWISH"
    rows = tensor_noise.measure(*graphs, uniform_images(-1, -0.5, count=2))
    assert [row.name for row in rows] == ["y", "x"]
    assert rows[0].signal_to_noise_decibels == -math.inf
    assert rows[0].signal_mean_square == 0 and rows[0].noise_mean_square > 0


# Order


CHAIN = [
    ("ADD", ["x", "x"], "first"),
    ("ADD", ["first", "x"], "second"),
    ("ADD", ["second", "x"], "third"),
]
FINE = {"x": (0.008, 0), "first": (0.016, 0), "second": (0.024, 0), "third": (0.032, 0)}


def test_bad_scale_is_found_at_its_tensor_and_not_before():
    bad = {**FINE, "second": (0.3, 0)}
    rows = tensor_noise.measure(*make_graphs(CHAIN, "third", bad), uniform_images(-1, 1))
    assert rows[0].name == "second" and rows[0].kind == "ADD" and rows[0].position == 1
    assert rows[0].scale == pytest.approx(0.3)
    named = by_name(rows)
    # 0.3 * 0.3 / 12 is the noise of "second"; "third" has it, too, and a larger signal.
    assert rows[0].signal_to_noise_decibels == pytest.approx(decibels(3 / (0.09 / 12)), abs=0.3)
    assert rows[0].input_signal_to_noise_decibels > 40
    assert named["third"].input_signal_to_noise_decibels == rows[0].signal_to_noise_decibels
    assert named["first"].signal_to_noise_decibels > 40
    ratios = [row.signal_to_noise_decibels for row in rows]
    assert ratios == sorted(ratios) and len(rows) == 4
    assert named["x"].kind == "INPUT" and named["x"].position is None


def test_clipped_part_is_what_lies_outside():
    """Of values spread evenly over [-0.5, 1], a third lies beyond 0.5."""
    scales = {**FINE, "x": (0.5 / 127, 0)}
    images = uniform_images(-0.5, 1)
    rows = by_name(tensor_noise.measure(*make_graphs(CHAIN, "third", scales), images))
    assert rows["x"].clipped_fraction == pytest.approx(1 / 3, abs=0.02)
    assert rows["third"].clipped_fraction == 0
    assert rows["x"].signal_to_noise_decibels < 15


# Maximum


MAXIMUM = [
    ("ADD", ["x", "x"], "double"),
    ("MUL", ["x", "x"], "square"),
    ("MAXIMUM", ["double", "square"], "larger"),
]
SHARED = (3.0 / 255, -128 + 85)  # from -1 to 2


def maximum_rows(operations, output):
    scales = {"x": (1 / 127, 0), "double": SHARED, "square": SHARED, "larger": SHARED}
    scales["kept"] = (4 / 255, 0)
    names = {"x", *(name for _, _, name in operations)}
    graphs = make_graphs(operations, output, {name: scales[name] for name in names})
    return by_name(tensor_noise.measure(*graphs, uniform_images(-1, 1)))


def test_loss_that_never_wins_is_no_noise():
    """Twice the input goes down to -2, and the squares above 0: nothing below -1 comes through."""
    rows = maximum_rows(MAXIMUM, "larger")
    assert rows["double"].signal_to_noise_decibels > 40
    assert rows["double"].clipped_fraction == 0
    assert rows["double"].low == pytest.approx(-1.0, abs=0.01)
    assert rows["larger"].input_signal_to_noise_decibels == min(
        rows["double"].signal_to_noise_decibels, rows["square"].signal_to_noise_decibels
    )


def test_loss_that_somebody_else_reads_is_noise():
    rows = maximum_rows([*MAXIMUM, ("ADD", ["double", "larger"], "kept")], "kept")
    assert rows["double"].signal_to_noise_decibels < 15
    assert rows["double"].clipped_fraction == pytest.approx(1 / 4, abs=0.02)
    assert rows["double"].low == pytest.approx(-2.0, abs=0.01)


# The device


def test_values_are_those_of_the_model_as_it_is_exported():
    """Keeping all tensors must not change the last one."""
    graphs = make_graphs(CHAIN, "third", FINE)
    images = uniform_images(-1, 1, count=6)
    (row,) = [row for row in tensor_noise.measure(*graphs, images) if row.name == "third"]
    quantized = graphs[1]
    assert quantized.outputs == ["third"]  # the graph is as it was
    integers = quantized.tensors["x"].quantization.quantize(images)
    outputs = MicroInterpreter(flatbuffer.serialize(quantized)).run(integers)
    error = quantized.tensors["third"].quantization.dequantize(outputs) - 4.0 * images
    assert row.noise_mean_square == pytest.approx(np.mean(error**2), rel=1e-4)


def test_only_some_images_are_used():
    images = np.zeros((9, *SHAPE[1:]), np.float32)
    images[[0, 4, 8]] = 0.5  # evenly spread
    rows = tensor_noise.measure(*make_graphs(CHAIN, "third", FINE), images, most_images=3)
    assert by_name(rows)["x"].low == 0.5


def test_activations_of_one_graph_only_are_left_out():
    float_graph, quantized_graph = make_graphs(CHAIN, "third", FINE)
    float_graph.tensors["other"] = float_graph.tensors.pop("first")
    float_graph.operations[0].outputs = ["other"]
    float_graph.operations[1].inputs = ["other", "x"]
    rows = tensor_noise.measure(float_graph, quantized_graph, uniform_images(-1, 1, count=2))
    assert {row.name for row in rows} == {"x", "second", "third"}


# Refusals


@pytest.mark.parametrize("shape", [(0, 8, 8, 4), (2, 8, 8, 3), (8, 8, 4)])
def test_unfit_images_are_refused(shape):
    graphs = make_graphs(CHAIN, "third", FINE)
    with pytest.raises(ValueError, match=r"array of shape \(8, 8, 4\). Received: .* of shape"):
        tensor_noise.measure(*graphs, np.zeros(shape, np.float32))


def test_overflow_is_named():
    graphs = make_graphs(CHAIN, "third", FINE)
    with pytest.raises(ValueError, match="must be finite. Received: NaN or infinity in first"):
        tensor_noise.measure(*graphs, np.full((1, 8, 8, 4), 3e38, np.float32))


def test_graphs_of_different_inputs_are_refused():
    float_graph, quantized_graph = make_graphs(CHAIN, "third", FINE)
    quantized_graph.inputs = ["first"]
    with pytest.raises(ValueError, match=r"same input. Received: \['x'\] and \['first'\]"):
        tensor_noise.measure(float_graph, quantized_graph, uniform_images(-1, 1))
