"""What activations are like, observed while a float graph runs over representative images."""

import dataclasses

import numpy as np
import tensorflow as tf

from tflm import float_execution

_BATCH_SIZE = 16


@dataclasses.dataclass(frozen=True)
class Observation:
    """Values that one activation took.

    Attributes:
        low, high: the smallest and the largest.
        mean_square: the mean of their squares.
    """

    low: float
    high: float
    mean_square: float


def observe(graph, images):
    """Observes every activation over `images`.

    Args:
        graph: a float `Graph` of TensorFlow Lite kinds.
        images: float32 array `(count, height, width, channels)`, as the graph's
            input takes them.

    Returns:
        A dictionary from tensor names to `Observation`s.

    Raises:
        ValueError: if there are no images, they have another shape than the
            graph's input, or a value is not finite.
    """
    _check_images(graph, images)
    step = tf.function(lambda batch: _statistics(float_execution.run(graph, batch)))
    batches = []
    for start in range(0, len(images), _BATCH_SIZE):
        batch = images[start : start + _BATCH_SIZE]
        batches.append((len(batch), {name: value.numpy() for name, value in step(batch).items()}))
    return {
        name: _merged(name, [(count, values[name]) for count, values in batches])
        for name in batches[0][1]
    }


def _statistics(values):
    return {
        name: tf.stack([tf.reduce_min(value), tf.reduce_max(value), tf.reduce_mean(value**2)])
        for name, value in values.items()
    }


def _merged(name, batches):
    counts = np.array([count for count, _ in batches], np.float64)
    low, high, mean_square = np.stack([values for _, values in batches], axis=1).astype(np.float64)
    if not np.all(np.isfinite(mean_square)):
        raise ValueError(
            "Every activation must be finite on the calibration images. "
            f"Received: values of {name} between {low.min()} and {high.max()}"
        )
    return Observation(low.min(), high.max(), np.average(mean_square, weights=counts))


def _check_images(graph, images):
    expected = graph.tensors[graph.inputs[0]].shape[1:]
    if len(images) == 0 or tuple(images.shape[1:]) != expected:
        raise ValueError(
            f"Calibration images must be at least one array of shape {expected}. "
            f"Received: array of shape {tuple(images.shape)}"
        )
    if not np.all(np.isfinite(images)):
        raise ValueError("Calibration images must be finite. Received: NaN or infinity in them")
