# SPDX-License-Identifier: Apache-2.0
"""Deployment operations in TensorFlow Lite's builtin vocabulary.

Nothing of a map is copied only to be padded, and no mean is taken by a general
kernel: a strided convolution gets a zero tap where "SAME" pads less on the left
than the release does, pooling is AVERAGE_POOL_2D, activations go into the
operation before them, and each coefficient vector of Dynamic Shift-Max is one
FULLY_CONNECTED whose integer range ends at the latest where the hard sigmoid
saturates.
"""

import numpy as np

from keras_micronet.layers.dynamic_shift_max import coefficient_layers
from keras_micronet.quantization.fused_shift_max import coefficient_factors
from keras_micronet.quantization.plan import ShiftMaxNames
from tflm.graph.graph import Graph
from tflm.graph.rewriter import GraphRewriter

_FUSED_ACTIVATIONS = ("RELU", "RELU6")
_MAY_FUSE = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MUL")


def to_builtin(graph: Graph) -> Graph:
    """Rewrites a graph of `channel_layout.fold_permutations`.

    Args:
        graph: a float `Graph` without `CHANNEL_PERMUTATION`.

    Returns:
        An equivalent float `Graph` of TensorFlow Lite kinds only. Where an
        output's range is known beforehand, the operation has an option
        `output_range` (low, high): values are clipped to it, which on a device
        is the saturation of int8.
    """
    builder = _Builder(graph)
    for operation in graph.operations:
        builder.translate(operation)
    return builder.finish()


class _Builder(GraphRewriter):
    def translate(self, operation):
        if operation.kind in _FUSED_ACTIVATIONS:
            self._activation(operation)
        elif operation.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self._convolution(operation)
        elif operation.kind == "DYNAMIC_SHIFT_MAX":
            self._shift_max(operation)
        elif operation.kind == "GLOBAL_AVERAGE_POOL":
            tensor = self._input(operation)
            self._set(operation, self._pool(tensor, operation.outputs[0]))
        else:
            self._copy(operation)

    def _activation(self, operation):
        """Fuses into the producer, unless somebody else reads the value before the activation."""
        tensor = self._input(operation)
        producer = self.result.operations[-1] if self.result.operations else None
        readers = [other for other in self.source.operations if operation.inputs[0] in other.inputs]
        if (
            producer is not None
            and producer.outputs == [tensor]
            and producer.kind in _MAY_FUSE
            and producer.options.get("activation", "NONE") == "NONE"
            and len(readers) == 1
        ):
            self._absorb(producer, operation)
            self._set(operation, tensor)
        else:
            self._copy(operation)

    def _absorb(self, producer, operation):
        """Lets an operation compute the activation that follows."""
        ceilings = operation.options.get("ceilings")
        producer.options["activation"] = operation.kind
        if ceilings is not None:  # the ends of the channels' ranges
            producer.options |= {"activation": "RELU", "output_range": (0.0, ceilings)}

    def _convolution(self, operation):
        strides = operation.options["strides"]
        weights = self.constant(operation.inputs[1])
        sizes = self.shape(operation.inputs[0])[1:3]
        padding = operation.options["padding"]
        if padding == "SYMMETRIC":
            padding = "SAME"
            taps = [
                trailing_zero_taps(size, kernel, stride)
                for size, kernel, stride in zip(sizes, weights.shape[1:3], strides, strict=True)
            ]
            weights = np.pad(weights, ((0, 0), (0, taps[0]), (0, taps[1]), (0, 0)))
        names = [
            self._input(operation),
            self.result.add_constant(operation.inputs[1], weights),
            self.result.add_constant(operation.inputs[2], self.constant(operation.inputs[2])),
        ]
        options = {"strides": tuple(strides), "padding": padding, "activation": "NONE"}
        if operation.kind == "DEPTHWISE_CONV_2D":
            channels = self.shape(operation.inputs[0])[-1]
            options["depth_multiplier"] = weights.shape[-1] // channels
        self._append(operation, names, **options)

    def _shift_max(self, operation):
        fusions = len(operation.options["initial_values"]) // 2
        names = ShiftMaxNames(operation.outputs[0], fusions)
        images = self._input(operation)
        shape = self.result.tensors[images].shape
        coefficients = self._coefficients(operation, names, images)
        indices = self.result.add_constant(
            f"{names.name}/shift", operation.options["permutation"].astype(np.int32)
        )
        shifted = self._emit("GATHER", [images, indices], f"{names.name}/shifted", shape, axis=3)
        fused = []
        pairs = zip(
            coefficients[::2], coefficients[1::2], names.terms[::2], names.terms[1::2], strict=True
        )
        for name, (a, b, first, second) in zip(names.sums, pairs, strict=True):
            terms = [
                self._emit("MUL", [images, a], first, shape),
                self._emit("MUL", [shifted, b], second, shape),
            ]
            fused.append(self._emit("ADD", terms, name, shape))
        factors = operation.options.get("output_factors")
        for name in (*names.terms, *names.sums):  # they are added to become the result
            self.result.tensors[name].channel_factors = factors
        if len(fused) == 2:
            fused = [self._emit("MAXIMUM", fused, names.result, shape)]
        self._set(operation, fused[0])

    def _coefficients(self, operation, names, images):
        """Emits the coefficient vectors (1, channels) in the order a1, b1 (, a2, b2)."""
        squeeze_weights, squeeze_bias, excite_weights, excite_bias = (
            self.constant(constant) for constant in operation.inputs[1:]
        )
        pooled = self._pool(images, names.pool)
        squeezed = self._dense(
            pooled, squeeze_weights, squeeze_bias, names.squeeze, activation="RELU"
        )
        layers = coefficient_layers(
            excite_weights.T, excite_bias, operation.options["initial_values"]
        )
        ratios = coefficient_factors(
            operation.options["permutation"],
            operation.options.get("input_factors"),
            operation.options.get("output_factors"),
        )
        ratios = [ratio.numpy() for ratio in ratios] * (len(layers) // 2)
        return [
            self._dense(
                squeezed,
                (each.kernel.numpy() * ratio).T,
                each.bias.numpy() * ratio,
                name,
                output_range=tuple(limit * ratio for limit in each.limits),
            )
            for name, each, ratio in zip(names.coefficients, layers, ratios, strict=True)
        ]

    def _dense(self, tensor, weights, bias, name, activation="NONE", **options):
        inputs = [
            tensor,
            self.result.add_constant(f"{name}/weights", weights.astype(np.float32)),
            self.result.add_constant(f"{name}/bias", bias.astype(np.float32)),
        ]
        shape = (1, len(bias))
        return self._emit("FULLY_CONNECTED", inputs, name, shape, activation=activation, **options)

    def _pool(self, tensor, name):
        _, height, width, channels = self.result.tensors[tensor].shape
        return self._emit(
            "AVERAGE_POOL_2D",
            [tensor],
            name,
            (1, 1, 1, channels),
            filter=(height, width),
            strides=(1, 1),
            padding="VALID",
        )

    def _copy(self, operation):
        names = [self.translated(name) for name in operation.inputs]
        self._append(operation, names, **operation.options)

    def _append(self, operation, inputs, **options):
        output = operation.outputs[0]
        name = self._emit(operation.kind, inputs, output, self.shape(output), **options)
        self._set(operation, name)

    def _emit(self, kind, inputs, name, shape, **options):
        if kind in _MAY_FUSE or kind == "AVERAGE_POOL_2D":
            options.setdefault("activation", "NONE")
        return self.result.add_operation(kind, inputs, name, shape, **options)

    def _input(self, operation):
        return self.name[operation.inputs[0]]

    def _set(self, operation, name):
        output = operation.outputs[0]
        self.name[output] = name
        self.result.tensors[name].channel_factors = self.source.tensors[output].channel_factors


def trailing_zero_taps(size: int, kernel: int, stride: int) -> int:
    """Zero taps to append to an odd kernel so that "SAME" pads `kernel // 2` in front.

    "SAME" gives the larger half of the padding to the end, so that a strided
    convolution over an even size would start one pixel later than the release's
    symmetric padding.

    Args:
        size: of the input along the axis.
        kernel: number of taps, odd.
        stride: between outputs.

    Returns:
        The smallest number of taps, 0 where "SAME" is symmetric by itself.
    """
    outputs = -(-size // stride)
    taps = 0
    while max((outputs - 1) * stride + kernel + taps - size, 0) // 2 != kernel // 2:
        taps += 1
    return taps
