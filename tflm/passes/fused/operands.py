# SPDX-License-Identifier: Apache-2.0
"""What the integers of a fused operation are made of: its weights, ranges and formats."""

import collections.abc
import dataclasses

import numpy as np

from keras_micronet.quantization import scales
from keras_micronet.quantization.schemes import WeightFormat, WeightRounding
from tflm.graph.graph import Graph, Operation, Quantization, Shape
from tflm.kernels.requantization import integer_multipliers
from tflm.passes.scales import Ranges, affine, quantize_layer, range_of


@dataclasses.dataclass(frozen=True)
class Layer:
    """Weights of one layer in integers.

    Attributes:
        weights: int8 array, output channels first.
        biases: int32 array `(channels,)`.
        product_scales: float64 array `(channels,)`, of the sums.
    """

    weights: np.ndarray
    biases: np.ndarray
    product_scales: np.ndarray

    def multipliers(self, scale: float) -> np.ndarray:
        """Requantization multipliers to values of one scale."""
        return integer_multipliers(self.product_scales / scale)

    def output(self, low: float, high: float) -> Quantization:
        """Quantization of a range, with steps that no sum's single step exceeds half of."""
        return affine(low, high, scales.least_scale_of_sums(self.product_scales))


class Operands:
    """What one float operation is made of."""

    def __init__(
        self,
        graph: Graph,
        source: Graph,
        operation: Operation,
        ranges: Ranges,
        weight_roundings: collections.abc.Mapping[str, WeightRounding],
    ) -> None:
        self._graph = graph
        self._source = source
        self._operation = operation
        self._ranges = ranges
        self._weight_roundings = weight_roundings
        self.options = operation.options

    @property
    def name(self) -> str:
        return self._operation.outputs[0]

    @property
    def input_shape(self) -> Shape:
        return self.input_shapes[0]

    @property
    def input_shapes(self) -> list[Shape]:
        """Shapes without the batch."""
        return [self._graph.tensors[name].shape[1:] for name in self._activations]

    @property
    def inputs(self) -> list[Quantization]:
        """Quantization of each activation that is read."""
        return [self._graph.tensors[name].quantized_by for name in self._activations]

    @property
    def _activations(self) -> list[str]:
        names = self._operation.inputs
        return [name for name in names if not self._source.tensors[name].is_constant]

    @property
    def constants(self) -> list[np.ndarray]:
        names = self._operation.inputs
        return [
            self._source.tensors[name].constant
            for name in names
            if self._source.tensors[name].is_constant
        ]

    def range_of(self, name: str) -> tuple[float, float]:
        return range_of(name, self._ranges)

    def rounding(self, name: str, default: WeightFormat) -> WeightRounding:
        return self._weight_roundings.get(name, WeightRounding(default))

    def layer(
        self,
        name: str,
        weights: np.ndarray,
        bias: np.ndarray,
        input_scale: float,
        default: WeightFormat,
    ) -> Layer:
        """A layer's float weights, output channels first, in the format of the layer's name."""
        layer = quantize_layer(weights, bias, 0, input_scale, self.rounding(name, default))
        product_scales = np.broadcast_to(layer.bias_quantization.scale, bias.shape)
        return Layer(layer.weights, layer.biases, product_scales)

    def limits(self, output: Quantization) -> dict[str, int]:
        """The ends of the output that its activation leaves, as keyword arguments."""
        limits = {"lowest": -128, "highest": 127}
        zero = zero_point(output)
        if self.options["activation"] in ("RELU", "RELU6"):
            limits["lowest"] = zero
        if self.options["activation"] == "RELU6":
            limits["highest"] = int(min(np.round(6 / output.scale[0]) + zero, 127))
        return limits

    @property
    def output_positions(self) -> np.ndarray:
        """Where each channel goes, in the order in which the operation computes them."""
        return np.argsort(self.options["permutation"])

    def hard_swish_table(
        self, quantization: Quantization
    ) -> tuple[np.ndarray | None, Quantization]:
        """int8 table of the activation, or `None`, and the quantization of what comes out."""
        if self.options["activation"] != "HARD_SWISH":
            return None, quantization
        least = quantization.scale[0] / scales.MOST_STEPS_OF_AN_ARGUMENT
        output = affine(*self.range_of(self.options["activation_result"]), least)
        reals = quantization.dequantize(np.arange(-128, 128)).astype(np.float64)
        return output.quantize(reals * np.clip(reals + 3, 0, 6) / 6), output


def zero_point(quantization: Quantization) -> int:
    """Of a `Quantization` with one."""
    return int(quantization.zero_point[0])
