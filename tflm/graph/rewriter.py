# SPDX-License-Identifier: Apache-2.0
"""What makes a new graph of another, operation by operation."""

import numpy as np

from tflm.graph.graph import Graph, Shape


class GraphRewriter:
    """The new graph so far.

    Attributes:
        source: the `Graph` that is rewritten.
        result: the new `Graph`; it has the inputs of `source` from the beginning.
        name: dictionary from names in `source` to names in `result`.
    """

    def __init__(self, source: Graph) -> None:
        self.source = source
        self.result = Graph()
        self.name: dict[str, str] = {}
        for name in source.inputs:
            self.name[name] = self.result.add_tensor(name, source.tensors[name].shape)
        self.result.inputs = [self.name[name] for name in source.inputs]

    def finish(self) -> Graph:
        """The new graph, with the outputs of `source`."""
        self.result.outputs = [self.name[name] for name in self.source.outputs]
        return self.result

    def translated(self, name: str) -> str:
        """Name in the new graph of a tensor of `source`; adds it if it is a constant."""
        if name not in self.name:
            self.name[name] = self.result.add_constant(name, self.constant(name))
        return self.name[name]

    def constant(self, name: str) -> np.ndarray:
        """Value of a constant of `source`."""
        return self.source.tensors[name].constant

    def shape(self, name: str) -> Shape:
        """Shape of a tensor of `source`."""
        return self.source.tensors[name].shape
