"""Where quantization loses accuracy: each activation on the device against its float value.

The device's values come from TensorFlow Lite Micro itself. It runs the quantized
graph with every activation made an output, so that none is overwritten.
"""

import dataclasses
import math

import numpy as np

from tflm import flatbuffer, float_execution, kernel_sources
from tflm.interpreter import MultipleOutputInterpreter

_BATCH_SIZE = 4  # of images all of whose activations are in memory at once
_INPUT_KIND = "INPUT"


@dataclasses.dataclass(frozen=True)
class TensorNoise:
    """What quantization has done to one activation, with all that came before it.

    Attributes:
        position: index of the operation that makes it, in the order of execution;
            `None` for the graph's input.
        name: the activation's name.
        kind: TensorFlow Lite's name of that operation; "INPUT" for the graph's input.
        signal_mean_square: mean square of the float values.
        noise_mean_square: mean square of their differences from the device's values.
        input_signal_to_noise_decibels: the lowest signal-to-noise ratio of the
            activations that the operation reads; `None` for the graph's input.
        low, high: the smallest and the largest float value.
        scale: real value of one step of the int8 quantization.
        clipped_fraction: part of the float values, 0 to 1, that lie beyond what int8
            holds by more than half a step.
    """

    position: int | None
    name: str
    kind: str
    signal_mean_square: float
    noise_mean_square: float
    input_signal_to_noise_decibels: float | None
    low: float
    high: float
    scale: float
    clipped_fraction: float

    @property
    def signal_to_noise_decibels(self):
        """Signal-to-quantization-noise ratio in decibels.

        It is infinite if the device has the float values exactly, and minus infinity
        if it makes something of values that are all 0.
        """
        return _decibels(self.signal_mean_square, self.noise_mean_square)


def measure(float_graph, quantized_graph, images, most_images=32):
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
    device = _Device(quantized_graph, float_graph.tensors)
    sums = {name: _Sums() for name in device.names}
    for start in range(0, len(images), _BATCH_SIZE):
        batch = images[start : start + _BATCH_SIZE]
        reals = _float_values(float_graph, batch)
        for name, integers in device.run(batch).items():
            quantization = quantized_graph.tensors[name].quantization
            real = reals[name]
            if _is_read_by_maximum_only(quantized_graph, name):
                real = np.maximum(real, _limits(quantization)[0])
            sums[name].add(real, integers, quantization, float_graph.tensors[name].channel_factors)
    return _rows(quantized_graph, sums)


class _Device:
    """TensorFlow Lite Micro with a quantized graph of which it keeps activations.

    Attributes:
        names: of the graph's input and of all outputs of operations that are `wanted`.
    """

    def __init__(self, graph, wanted):
        outputs = [name for operation in graph.operations for name in operation.outputs]
        kept = [name for name in outputs if name in wanted]
        self.names = [graph.inputs[0], *kept]
        self._quantization = graph.tensors[graph.inputs[0]].quantization
        model = flatbuffer.serialize(dataclasses.replace(graph, outputs=kept))
        self._interpreter = MultipleOutputInterpreter(model, kernel_sources.operators(graph))

    def run(self, images):
        """int8 values of each activation, by name."""
        integers = self._quantization.quantize(images)
        return dict(zip(self.names, [integers, *self._interpreter.run(integers)], strict=True))


class _Sums:
    """What is known of one activation after some batches."""

    def __init__(self):
        self.count = self.clipped = 0
        self.signal = self.noise = 0.0
        self.low, self.high = math.inf, -math.inf

    def add(self, real, integers, quantization, factors=None):
        """Adds the float values of a batch and the device's integers, alike but for sizes of 1.

        Where channels have factors, signal and noise are those of the model's own units; range
        and clipping are those of the values that are stored.
        """
        errors = real.astype(np.float64) - quantization.dequantize(integers).reshape(real.shape)
        factors = 1.0 if factors is None else factors
        self.signal += np.sum((real * factors) ** 2)
        self.noise += np.sum((errors * factors) ** 2)
        real = real.astype(np.float64).ravel()
        half_step = quantization.scale[0] / 2
        lowest, highest = _limits(quantization)
        self.count += real.size
        self.clipped += np.count_nonzero(
            (real < lowest - half_step) | (real > highest + half_step)
        )
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


def _rows(graph, sums):
    """The rows of all activations with sums, worst first; ties in the order of execution."""
    source = graph.inputs[0]
    rows = [_row(graph, source, _INPUT_KIND, None, None, sums[source])]
    for position, operation in enumerate(graph.operations):
        read = [sums[name].decibels for name in operation.inputs if name in sums]
        for name in operation.outputs:
            if name in sums:
                worst = min(read, default=None)
                rows.append(_row(graph, name, operation.kind, position, worst, sums[name]))
    return tuple(sorted(rows, key=lambda row: row.signal_to_noise_decibels))


def _row(graph, name, kind, position, input_decibels, sums):
    return TensorNoise(
        position=position,
        name=name,
        kind=kind,
        signal_mean_square=float(sums.signal / sums.count),
        noise_mean_square=float(sums.noise / sums.count),
        input_signal_to_noise_decibels=input_decibels,
        low=float(sums.low),
        high=float(sums.high),
        scale=float(graph.tensors[name].quantization.scale[0]),
        clipped_fraction=float(sums.clipped / sums.count),
    )
