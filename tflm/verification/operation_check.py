# SPDX-License-Identifier: Apache-2.0
"""Each operation on the device against its own definition, from the inputs that it has there.

So a wrong operation is named, and what comes after it is not blamed. A kernel of `tflm.kernels` is
defined by integers, which NumPy computes a second time (`reference`): it must give the same bytes.
A builtin operator of TensorFlow Lite Micro is defined by real numbers: its integers stand for
inputs and constants, from which TensorFlow computes the result, and this is rounded. There the
device may be one step off, for it rounds sums more than once on the way and halves in another
direction. Measured on M0 to M3 of 32 to 64 pixels with random weights, and on M0 trained on digits
and on CIFAR-10, no operator was ever further off: products in up to 5% of an operation's values,
convolutions in up to 1.3%, means, which often end in a half, in up to 26%.
"""

import dataclasses

import numpy as np

from tflm.graph import float_execution
from tflm.graph.graph import Graph
from tflm.verification.device_activations import DeviceActivations
from tflm.verification.verification import VerificationError, fault

MOST_STEPS_OFF = 1  # of a builtin operator
_BATCH_SIZE = 4  # of images all of whose activations are in memory at once
_NAMED_OPERATIONS = 3


@dataclasses.dataclass(frozen=True)
class OperationCheck:
    """What has been compared, all of which is as it is defined.

    Attributes:
        images: number of images.
        operations: number of operations.
        values: number of values that they computed.
        exact_values: those that equal their definition; the others are one step off.
        outputs: int8 array `(images, ...)`, the model's output for each image.
    """

    images: int
    operations: int
    values: int
    exact_values: int
    outputs: np.ndarray


def check_operations(graph: Graph, images: np.ndarray) -> OperationCheck:
    """Compares every value that every operation computes.

    Args:
        graph: a quantized `Graph`.
        images: int8 array `(count, height, width, channels)`, as the graph's input takes them.

    Returns:
        An `OperationCheck`.

    Raises:
        VerificationError: if an operation computes something else.
        ImportError: the tflite-micro wheel is not installed.
    """
    names = [name for operation in graph.operations for name in operation.outputs]
    device = DeviceActivations(graph, names)
    real_graph = _dequantized(graph)
    comparisons = [_Comparison(operation) for operation in graph.operations]
    outputs = []
    for start in range(0, len(images), _BATCH_SIZE):
        values = device.run(images[start : start + _BATCH_SIZE])
        for comparison in comparisons:
            expected = _defined(graph, real_graph, comparison.operation, values)
            comparison.add(expected, values[comparison.operation.outputs[0]])
        outputs.append(values[graph.outputs[0]])
    _require_none_wrong(comparisons)
    return OperationCheck(
        images=len(images),
        operations=len(comparisons),
        values=sum(comparison.values for comparison in comparisons),
        exact_values=sum(comparison.exact_values for comparison in comparisons),
        outputs=np.concatenate(outputs),
    )


class _Comparison:
    """What is known of one operation after some batches."""

    def __init__(self, operation):
        self.operation = operation
        self.most_steps_off = 0 if "integers" in operation.options else MOST_STEPS_OFF
        self.values = self.exact_values = self.wrong_values = 0
        self._first_wrong = None

    def add(self, expected, received):
        """Adds the integers of a batch."""
        steps_off = np.abs(expected.astype(np.int32) - received)
        wrong = steps_off > self.most_steps_off
        self.values += received.size
        self.exact_values += int(np.count_nonzero(steps_off == 0))
        self.wrong_values += int(np.count_nonzero(wrong))
        if self._first_wrong is None and wrong.any():
            self._first_wrong = int(expected[wrong][0]), int(received[wrong][0])

    def describe(self):
        """What is wrong, in words."""
        expected, received = self._first_wrong
        return (
            f"{self.operation.name} ({self.operation.kind}): {self.wrong_values:,} of "
            f"{self.values:,} values, the first of them {received} instead of {expected}"
        )


def _defined(graph, real_graph, operation, values):
    """The integers that an operation must give, in the shape that the device has."""
    output = operation.outputs[0]
    names = [name for name in operation.inputs if not graph.tensors[name].is_constant]
    if "integers" in operation.options:
        integers = operation.options["integers"]
        shapes = integers.packed().input_shapes
        inputs = [
            values[name].reshape(-1, *shape) for name, shape in zip(names, shapes, strict=True)
        ]
        defined = np.stack([integers.reference(*image) for image in zip(*inputs, strict=True)])
    else:
        reals = {name: graph.tensors[name].quantization.dequantize(values[name]) for name in names}
        computed = float_execution.run_operation(real_graph, operation, reals)
        defined = graph.tensors[output].quantization.quantize(computed.numpy())
    return defined.reshape(values[output].shape)


def _dequantized(graph):
    """The graph with the real values that its constants stand for."""
    tensors = {
        name: dataclasses.replace(tensor, data=tensor.quantization.dequantize(tensor.data))
        if tensor.is_constant and tensor.quantization is not None
        else tensor
        for name, tensor in graph.tensors.items()
    }
    return dataclasses.replace(graph, tensors=tensors)


def _require_none_wrong(comparisons):
    wrong = [comparison for comparison in comparisons if comparison.wrong_values]
    if not wrong:
        return
    named = "; ".join(comparison.describe() for comparison in wrong[:_NAMED_OPERATIONS])
    others = len(wrong) - _NAMED_OPERATIONS
    raise VerificationError(
        fault(
            "Every operation on the device must compute what it is defined to: a fused kernel the "
            "bytes of its NumPy reference, a builtin operator the rounded result, give or take "
            f"{MOST_STEPS_OFF} step",
            named + (f"; and {others} more operations" if others > 0 else ""),
        )
    )
