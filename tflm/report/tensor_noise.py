# SPDX-License-Identifier: Apache-2.0
"""Where quantization loses accuracy: each activation on the device against its float value.

The device's values come from TensorFlow Lite Micro itself (`device_activations`).
"""

import dataclasses
import math

import numpy as np

from tflm.graph import float_execution
from tflm.graph.graph import Graph
from tflm.verification.device_activations import DeviceActivations

_BATCH_SIZE = 4  # of images all of whose activations are in memory at once
_INPUT_KIND = "INPUT"


@dataclasses.dataclass(frozen=True)
class TensorNoise:
    """What quantization has done to one activation, with all that came before it.

    Attributes:
        position: index of the operation that makes it, in the order of execution;
            `None` for the graph's input.
        name: what the operation that makes it is called, see `Operation.name`; of several
            outputs of one operation the activation's own name.
        kind: TensorFlow Lite's name of that operation; "INPUT" for the graph's input.
        signal_mean_square: mean square of the float values.
        noise_mean_square: mean square of their differences from the device's values.
        own_noise_mean_square: the part that the operation makes itself: mean square of the
            differences of the device's values from what the float operation computes from the
            inputs that the device has, saturated where int8 is.
        input_signal_to_noise_decibels: the lowest signal-to-noise ratio of the
            activations that the operation reads; `None` for the graph's input.
        low, high: the smallest and the largest float value.
        scale: real value of one step of the int8 quantization; the root of the mean square over
            the channels where each has a scale of its own.
        clipped_fraction: part of the float values, 0 to 1, that lie beyond what int8
            holds by more than half a step.
    """

    position: int | None
    name: str
    kind: str
    signal_mean_square: float
    noise_mean_square: float
    own_noise_mean_square: float
    input_signal_to_noise_decibels: float | None
    low: float
    high: float
    scale: float
    clipped_fraction: float

    @property
    def signal_to_noise_decibels(self) -> float:
        """Signal-to-quantization-noise ratio in decibels.

        It is infinite if the device has the float values exactly, and minus infinity
        if it makes something of values that are all 0.
        """
        return _decibels(self.signal_mean_square, self.noise_mean_square)

    @property
    def own_signal_to_noise_decibels(self) -> float:
        """The same of the noise that the operation makes itself."""
        return _decibels(self.signal_mean_square, self.own_noise_mean_square)


def measure(
    float_graph: Graph, quantized_graph: Graph, images: np.ndarray, most_images: int = 32
) -> tuple[TensorNoise, ...]:
    """Compares all activations that both graphs have, by name.

    An operand of a MAXIMUM shares the quantization of its result, which begins where
    the result does: what it loses below that never wins. So its float values count
    as if they were no lower.

    Args:
        float_graph: a float `Graph` that `float_execution` runs.
        quantized_graph: the same model after quantization, ready to be written; activations
            of the same name have the same channels in the same order.
        images: float32 array `(count, height, width, channels)`, as the float graph's
            input takes them.
        most_images: number of images to use, evenly spread over `images`; all of
            them if there are fewer.

    Returns:
        A tuple of `TensorNoise`, the lowest signal-to-noise ratio first.

    Raises:
        ValueError: there are no images, they have another shape than the graph's
            input, a float value is not finite, the graphs have different inputs, or
            no operation's output is in both.
        ImportError: the tflite-micro wheel is not installed.
    """
    _check(float_graph, quantized_graph, images)
    images = _spread(np.asarray(images), most_images)
    device = DeviceActivations(quantized_graph, float_graph.tensors)
    input_quantization = quantized_graph.tensors[quantized_graph.inputs[0]].quantized_by
    sums = {name: _Sums() for name in device.names}
    for start in range(0, len(images), _BATCH_SIZE):
        batch = images[start : start + _BATCH_SIZE]
        reals = _float_values(float_graph, batch)
        integers = device.run(input_quantization.quantize(batch))
        own = _own_values(float_graph, quantized_graph, batch, integers)
        for name, values in integers.items():
            quantization = quantized_graph.tensors[name].quantization
            real = reals[name]
            if _is_read_by_maximum_only(quantized_graph, name):
                real = np.maximum(real, _limits(quantization)[0])
            factors = float_graph.tensors[name].channel_factors
            sums[name].add(real, own[name], values, quantization, factors)
    return _rows(quantized_graph, float_graph, sums)


class _Sums:
    """What is known of one activation after some batches."""

    def __init__(self):
        self.count = self.clipped = 0
        self.signal = self.noise = self.own_noise = 0.0
        self.low, self.high = math.inf, -math.inf

    def add(self, real, own, integers, quantization, factors=None):
        """Adds the float values of a batch, those that the operation itself should have made of
        its inputs, and the device's integers, alike but for sizes of 1.

        Where channels have factors, all but clipping is in the model's own units.
        """
        real, own = real.astype(np.float64), own.astype(np.float64).reshape(real.shape)
        received = quantization.dequantize(integers).reshape(real.shape)
        half_step = quantization.scale[0] / 2
        lowest, highest = _limits(quantization)
        self.count += real.size
        self.clipped += np.count_nonzero((real < lowest - half_step) | (real > highest + half_step))
        factors = 1.0 if factors is None else factors
        self.own_noise += np.sum(((np.clip(own, lowest, highest) - received) * factors) ** 2)
        self.noise += np.sum(((real - received) * factors) ** 2)
        real = real * factors
        self.signal += np.sum(real**2)
        self.low = min(self.low, real.min())
        self.high = max(self.high, real.max())

    @property
    def decibels(self):
        return _decibels(self.signal, self.noise)


def _check(float_graph, quantized_graph, images):
    expected = tuple(float_graph.tensors[float_graph.inputs[0]].shape[1:])
    if len(images) == 0 or np.shape(images)[1:] != expected:
        raise ValueError(
            f"Images must be at least one array of shape {expected}. "
            f"Received: array of shape {np.shape(images)}"
        )
    if float_graph.inputs != quantized_graph.inputs:
        raise ValueError(
            "Both graphs must have the same input. "
            f"Received: {float_graph.inputs} and {quantized_graph.inputs}"
        )


def _spread(images, most):
    return images[np.linspace(0, len(images) - 1, min(most, len(images))).astype(int)]


def _float_values(graph, images):
    values = {name: value.numpy() for name, value in float_execution.run(graph, images).items()}
    for name, value in values.items():
        if not np.all(np.isfinite(value)):
            raise ValueError(
                "Every activation of the float graph must be finite. "
                f"Received: NaN or infinity in {name}"
            )
    return values


def _own_values(float_graph, quantized_graph, images, integers):
    """What each float operation makes of the inputs that it has on the device, by name."""
    source = float_graph.inputs[0]
    own, values = {source: images}, {source: _real(quantized_graph, source, integers)}
    for operation in float_graph.operations:
        name = operation.outputs[0]
        own[name] = float_execution.run_operation(float_graph, operation, values).numpy()
        values[name] = own[name]
        if name in integers:
            values[name] = _real(quantized_graph, name, integers).reshape(own[name].shape)
    return own


def _real(graph, name, integers):
    return graph.tensors[name].quantization.dequantize(integers[name])


def _is_read_by_maximum_only(graph, name):
    kinds = {operation.kind for operation in graph.operations if name in operation.inputs}
    return kinds == {"MAXIMUM"} and name not in graph.outputs


def _limits(quantization):
    """The smallest and the largest value that int8 holds."""
    return quantization.dequantize(np.array([-128, 127], np.int8)).astype(np.float64)


def _decibels(signal, noise):
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def _rows(graph, float_graph, sums):
    """The rows of all activations with sums, worst first; ties in the order of execution."""
    source = graph.inputs[0]

    def scale(name):
        factors = float_graph.tensors[name].channel_factors
        factor = 1.0 if factors is None else np.sqrt(np.mean(np.square(factors)))
        return float(graph.tensors[name].quantization.scale[0] * factor)

    rows = [_row(scale(source), source, _INPUT_KIND, None, None, sums[source])]
    for position, operation in enumerate(graph.operations):
        read = [sums[name].decibels for name in operation.inputs if name in sums]
        for name in operation.outputs:
            if name in sums:
                worst = min(read, default=None)
                called = operation.name if operation.outputs == [name] else name
                row = _row(scale(name), called, operation.kind, position, worst, sums[name])
                rows.append(row)
    return tuple(sorted(rows, key=lambda row: row.signal_to_noise_decibels))


def _row(scale, name, kind, position, input_decibels, sums):
    return TensorNoise(
        position=position,
        name=name,
        kind=kind,
        signal_mean_square=float(sums.signal / sums.count),
        noise_mean_square=float(sums.noise / sums.count),
        own_noise_mean_square=float(sums.own_noise / sums.count),
        input_signal_to_noise_decibels=input_decibels,
        low=float(sums.low),
        high=float(sums.high),
        scale=scale,
        clipped_fraction=float(sums.clipped / sums.count),
    )
