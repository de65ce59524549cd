# SPDX-License-Identifier: Apache-2.0
"""Small quantized graphs, put together by hand."""

import numpy as np

from tflm.graph.graph import Graph, Quantization


def quantization(scale, zero_point=0):
    return Quantization.per_tensor(np.float32(scale), zero_point)


def add_input(graph, name, shape, scale=0.05, zero_point=3):
    graph.inputs.append(graph.add_tensor(name, shape, None, quantization(scale, zero_point)))
    return name


def add_weights(graph, name, shape, axis=None, seed=0):
    """Random int8 weights with one scale, or one per channel of `axis`."""
    generator = np.random.default_rng(seed)
    data = generator.integers(-127, 128, shape).astype(np.int8)
    if axis is None:
        return graph.add_tensor(name, shape, data, quantization(0.004))
    scale = generator.uniform(0.001, 0.008, shape[axis]).astype(np.float32)
    zero_point = np.zeros(shape[axis], np.int64)
    return graph.add_tensor(name, shape, data, Quantization(scale, zero_point, axis))


def add_bias(graph, name, weights, inputs="x", channels=None, seed=1):
    """Random int32 bias with the scales that its layer computes in."""
    weights = graph.tensors[weights].quantization
    scale = graph.tensors[inputs].quantization.scale * weights.scale
    channels = channels or scale.size
    data = np.random.default_rng(seed).integers(-3000, 3000, channels).astype(np.int32)
    axis = 0 if weights.is_per_channel else None
    return graph.add_tensor(
        name, (channels,), data, Quantization(scale, np.zeros(scale.size, np.int64), axis)
    )


def add_index(graph, name, values):
    return graph.add_constant(name, np.asarray(values, np.int32))


def add_output(graph, kind, inputs, shape, scale=0.05, zero_point=3, **options):
    name = graph.add_operation(kind, inputs, "y", shape, **options)
    graph.tensors[name].quantization = quantization(scale, zero_point)
    graph.outputs.append(name)
    return name


def real(graph, name):
    tensor = graph.tensors[name]
    return tensor.quantization.dequantize(tensor.data).astype(np.float64)


def random_inputs(graph, seed=7):
    generator = np.random.default_rng(seed)
    shapes = [graph.tensors[name].shape for name in graph.inputs]
    return [generator.integers(-128, 128, shape).astype(np.int8) for shape in shapes]


def chain_of_two_convolutions():
    """Two equal layers: all that can be shared is there twice."""
    graph = Graph()
    add_input(graph, "x", (1, 4, 4, 6), 0.02, -7)
    for number, (source, name) in enumerate([("x", "m"), ("m", "y")]):
        weights = add_weights(graph, f"w{number}", (6, 1, 1, 6), axis=0)
        bias = add_bias(graph, f"b{number}", weights)
        graph.add_operation(
            "CONV_2D", [source, weights, bias], name, (1, 4, 4, 6), strides=(1, 1), padding="SAME"
        )
        graph.tensors[name].quantization = quantization(0.02, -7)
    graph.outputs.append("y")
    return graph


def add_step(graph, kind, inputs, name, shape, **options):
    graph.add_operation(kind, inputs, name, shape, **options)
    graph.tensors[name].quantization = quantization(0.05, 3)
    return name


def residual():
    """x -> a -> b -> b + x: the input lives to the end. 20 elements take 32 bytes."""
    graph = Graph()
    add_input(graph, "x", (1, 1, 1, 20))
    add_step(graph, "HARD_SWISH", ["x"], "a", (1, 1, 1, 20))
    add_step(graph, "HARD_SWISH", ["a"], "b", (1, 1, 1, 20))
    add_step(graph, "ADD", ["b", "x"], "sum", (1, 1, 1, 20))
    graph.outputs.append("sum")
    return graph


def early_output():
    """The first result is an output: it stays while the rest is computed."""
    graph = Graph()
    add_input(graph, "x", (1, 64))
    add_step(graph, "HARD_SWISH", ["x"], "kept", (1, 64))
    add_step(graph, "RELU6", ["x"], "r", (1, 64))
    add_step(graph, "HARD_SWISH", ["r"], "last", (1, 64))
    graph.outputs += ["kept", "last"]
    return graph


def long_graph(operations=210):
    """As many operations as MicroNet-M0 has, in blocks."""
    graph = Graph()
    tensor = add_input(graph, "x", (1, 16, 16, 4))
    for number in range(operations):
        kind = ["HARD_SWISH", "RELU6"][number % 2]
        name = f"block_{number // 30}/step_{number}"
        tensor = add_step(graph, kind, [tensor], name, (1, 16, 16, 4))
    graph.outputs.append(tensor)
    return graph
