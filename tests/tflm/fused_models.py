# SPDX-License-Identifier: Apache-2.0
"""A graph of fused operations computed in NumPy, by the kernels' own definitions."""


def run(graph, image):
    """Every activation of a graph of fused operations only, by name.

    Args:
        graph: a quantized `Graph`.
        image: int8 array `(height, width, channels)`.
    """
    values = {graph.inputs[0]: image}
    for operation in graph.operations:
        integers, output = operation.options["integers"], operation.outputs[0]
        activations = [name for name in operation.inputs if not graph.tensors[name].is_constant]
        shapes = integers.packed().input_shapes
        inputs = [
            values[name].reshape(shape) for name, shape in zip(activations, shapes, strict=True)
        ]
        values[output] = integers.reference(*inputs).reshape(graph.tensors[output].shape[1:])
    return values
