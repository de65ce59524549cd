"""Which dense layers keep a scale for each output: as few as cost no accuracy."""

import numpy as np

from tflm import flatbuffer, float_execution, quantization
from tflm.interpreter import MicroInterpreter

_MOST_IMAGES = 100
_TOLERATED_RATIO = 1.25  # of the mean squared errors of the outputs, 1 dB


def quantize_frugally(graph, observations, images):
    """Quantizes a graph with one scale for each dense layer, unless that is measurably worse.

    The layers that an estimate suspects (`sensitive_dense_layers`) get a scale
    for each output if TensorFlow Lite Micro's outputs are then nearer to the
    float ones by more than 1 dB.

    Args:
        graph: a float `Graph` of TensorFlow Lite kinds.
        observations: as for `quantization.quantize`.
        images: float32 images for the graph's input to measure on; some will do.

    Returns:
        A quantized `Graph`.
    """
    frugal = quantization.quantize(graph, observations)
    sensitive = sensitive_dense_layers(graph, observations)
    if not sensitive:
        return frugal
    images = images[:_MOST_IMAGES]
    expected = float_execution.run(graph, images)[graph.outputs[0]].numpy()
    careful = quantization.quantize(graph, observations, sensitive)
    if _error(frugal, images, expected) <= _TOLERATED_RATIO * _error(careful, images, expected):
        return frugal
    return careful


def sensitive_dense_layers(graph, observations):
    """Names of the dense layers' outputs that one scale may move by a step or more.

    Args:
        graph, observations: as for `quantize_frugally`.

    Returns:
        A set of names: those whose outputs gain an error with a standard
        deviation above one step of their quantization.
    """
    quantizations = quantization.activation_quantizations(graph, observations)
    names = set()
    for operation in graph.operations:
        if operation.kind != "FULLY_CONNECTED":
            continue
        source, output = operation.inputs[0], operation.outputs[0]
        weights, bias = (graph.tensors[name].data for name in operation.inputs[1:])
        scales = quantization.channel_scales(weights, bias, 0, quantizations[source].scale[0])
        error = per_tensor_error(scales, weights.shape[1], observations[source].mean_square)
        if error > quantizations[output].scale[0] ** 2:
            names.add(output)
    return names


def per_tensor_error(scales, connections, input_mean_square):
    """Variance that one scale for all outputs adds to a dense layer's outputs.

    Rounding weights to multiples of s leaves errors of variance s²/12 in each;
    inputs of mean square m over n connections turn them into n·m·s²/12.

    Args:
        scales: the scales of the separate outputs.
        connections: number of inputs of the layer.
        input_mean_square: mean square of its inputs.

    Returns:
        The mean over the outputs of the variance with the largest scale minus
        that with their own.
    """
    excess = np.max(scales) ** 2 - np.mean(np.square(scales))
    return connections * input_mean_square * excess / 12


def _error(graph, images, expected):
    """Mean squared error of the outputs in TensorFlow Lite Micro."""
    inputs = graph.tensors[graph.inputs[0]].quantization.quantize(images)
    outputs = MicroInterpreter(flatbuffer.serialize(graph)).run(inputs)
    outputs = graph.tensors[graph.outputs[0]].quantization.dequantize(outputs)
    return np.mean((outputs.reshape(expected.shape) - expected) ** 2)
