# SPDX-License-Identifier: Apache-2.0
"""What values are like over representative images, before anything is rounded."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_micronet.quantization.execution import Execution, Unrounded
from keras_micronet.quantization.plan import PlannedStep
from keras_micronet.quantization.schemes import BUILTIN

_BINS = 2048


@dataclasses.dataclass(frozen=True)
class Observation:
    """Values that one stored value of the chain took.

    Attributes:
        low, high: the smallest and the largest.
        means: of each channel, float64 `(channels,)`.
        mean_squares: of each channel, float64 `(channels,)`.
        counts: how many values lie in each of equal intervals from `low` to
            `high`, int64.
    """

    low: float
    high: float
    means: np.ndarray
    mean_squares: np.ndarray
    counts: np.ndarray

    @property
    def centres(self) -> np.ndarray:
        """The middles of the intervals of `counts`."""
        edges = np.linspace(self.low, self.high, len(self.counts) + 1)
        return (edges[:-1] + edges[1:]) / 2


def observe(
    planned: Sequence[PlannedStep],
    batches: Sequence[np.ndarray],
    channel_factors: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Observation]:
    """Observes every stored value of a chain while it computes without rounding.

    Args:
        planned: list of `plan.PlannedStep`.
        batches: list of float32 batches of images, as the model takes them.
        channel_factors: of the maps that have them, by name: what is observed is the
            values divided by them.

    Returns:
        A dictionary from names to `Observation`s.

    Raises:
        ValueError: if a value is not finite.
    """
    # One trace serves the last batch, too, which may be smaller.
    factors = channel_factors or {}
    signature = [tf.TensorSpec([None, *batches[0].shape[1:]], tf.float32)]
    statistics = tf.function(
        lambda images: _statistics(planned, factors, images), signature, autograph=False
    )
    gathered = [_as_numpy(statistics(batch)) for batch in batches]
    ranges = {name: _range(name, [taken[name] for taken in gathered]) for name in gathered[0]}
    histograms = tf.function(
        lambda images: _histograms(planned, factors, images, ranges), signature, autograph=False
    )
    counted = [_as_numpy(histograms(batch)) for batch in batches]
    sizes = [len(batch) for batch in batches]
    observations = {}
    for name, (low, high) in ranges.items():
        moments = np.stack([taken[name][1] for taken in gathered]).astype(np.float64)
        means, mean_squares = np.average(moments, axis=0, weights=sizes)
        counts = np.sum([taken[name] for taken in counted], axis=0)
        observations[name] = Observation(low, high, means, mean_squares, counts)
    return observations


def _as_numpy(tensors):
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), tensors)


def _range(name, gathered):
    low = float(min(extremes[0] for extremes, _ in gathered))
    high = float(max(extremes[1] for extremes, _ in gathered))
    # A mean finds the NaN and the overflow that a minimum passes over.
    if not np.all(np.isfinite([low, high])) or not all(
        np.all(np.isfinite(moments)) for _, moments in gathered
    ):
        raise ValueError(
            "Every value must be finite on the representative images. "
            f"Received: values of {name} between {low} and {high}"
        )
    return low, high


def _statistics(planned, factors, images):
    """For each value its extremes `(2,)` and the moments of its channels `(2, channels)`."""
    taken = {}
    for name, values in _stored_values(planned, factors, images).items():
        rows = tf.reshape(values, (-1, values.shape[-1]))
        extremes = tf.stack([tf.reduce_min(rows), tf.reduce_max(rows)])
        moments = tf.stack([tf.reduce_mean(rows, axis=0), tf.reduce_mean(rows**2, axis=0)])
        taken[name] = (extremes, moments)
    return taken


def _histograms(planned, factors, images, ranges):
    return {
        name: tf.histogram_fixed_width(values, _widened(*ranges[name]), _BINS, tf.int64)
        for name, values in _stored_values(planned, factors, images).items()
    }


def _widened(low, high):
    return (low, high if high > low else low + 1.0)


def _stored_values(planned, factors, images):
    recorder = _Recorder(factors)
    # Builtin operators store more values, of which fused kernels need none.
    Execution(planned, recorder, BUILTIN).run(images)
    return recorder.values


class _Recorder(Unrounded):
    """Keeps every stored value, as float32, divided by the factors of its channels."""

    def __init__(self, factors):
        self._factors = {name: tf.constant(each) for name, each in factors.items()}
        self.values = {}

    def channel_factors(self, name):
        return self._factors.get(name)

    def stored(self, name, values, products=None):
        self._keep(name, values, self.channel_factors(name))
        return values

    def stored_again(self, name, source, values):
        self._keep(name, values, source.channel_factors)
        return values

    def _keep(self, name, values, factors):
        values = tf.cast(values, tf.float32)
        self.values[name] = values if factors is None else values / factors
