# SPDX-License-Identifier: Apache-2.0
"""All activations of a quantized model as TensorFlow Lite Micro computes them.

It runs the graph with every activation made an output, so that none is overwritten.
"""

import collections.abc
import dataclasses

import numpy as np

from tflm.graph.graph import Graph
from tflm.micro import flatbuffer
from tflm.micro.interpreter import MultipleOutputInterpreter
from tflm.sources import kernel_sources


class DeviceActivations:
    """TensorFlow Lite Micro with a quantized graph of which it keeps activations.

    Args:
        graph: a quantized `Graph`.
        wanted: names of activations; those that no operation makes are left out.

    Attributes:
        names: of the graph's input and of all outputs of operations that are wanted.

    Raises:
        ImportError: the tflite-micro wheel is not installed.
    """

    def __init__(self, graph: Graph, wanted: collections.abc.Container[str]) -> None:
        outputs = [name for operation in graph.operations for name in operation.outputs]
        kept = [name for name in outputs if name in wanted]
        self.names = [graph.inputs[0], *kept]
        model = flatbuffer.serialize(dataclasses.replace(graph, outputs=kept))
        self._interpreter = MultipleOutputInterpreter(model, kernel_sources.operators(graph))

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Values of each activation.

        Args:
            images: int8 array `(count, height, width, channels)`, the model's input.

        Returns:
            A dictionary from names to int8 arrays with `count` in front.
        """
        return dict(zip(self.names, [images, *self._interpreter.run(images)], strict=True))
