# SPDX-License-Identifier: Apache-2.0
"""What makes a new graph of another, operation by operation."""

from tflm.graph.graph import Graph


class GraphRewriter:
    """The new graph so far.

    Attributes:
        source: the `Graph` that is rewritten.
        result: the new `Graph`; it has the inputs of `source` from the beginning.
        name: dictionary from names in `source` to names in `result`.
    """

    def __init__(self, source):
        self.source = source
        self.result = Graph()
        self.name = {}
        for name in source.inputs:
            self.name[name] = self.result.add_tensor(name, source.tensors[name].shape)
        self.result.inputs = [self.name[name] for name in source.inputs]

    def finish(self):
        """The new graph, with the outputs of `source`."""
        self.result.outputs = [self.name[name] for name in self.source.outputs]
        return self.result

    def translated(self, name):
        """Name in the new graph of a tensor of `source`; adds it if it is a constant."""
        if name not in self.name:
            self.name[name] = self.result.add_constant(name, self.constant(name))
        return self.name[name]

    def constant(self, name):
        """Value of a constant of `source`."""
        return self.source.tensors[name].data

    def shape(self, name):
        """Shape of a tensor of `source`."""
        return self.source.tensors[name].shape
