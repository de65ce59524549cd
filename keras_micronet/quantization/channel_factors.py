# SPDX-License-Identifier: Apache-2.0
"""Factors that give each channel of a map the scale that suits it, chosen by calibration.

int8 with one scale spends its steps on the widest channel. Where a map's neighbours take factors
along for nothing (`plan.channel_factor_rules`), each channel is divided by a factor of its
own instead, so that all of them fill one range with one zero point.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_micronet.quantization import fused_shift_max
from keras_micronet.quantization.execution import Execution, Unrounded
from keras_micronet.quantization.plan import FactorRule, PlannedStep, ShiftMaxNames
from keras_micronet.quantization.ranges import channel_ranges
from keras_micronet.quantization.schemes import ACTIVATION_BITS, BUILTIN, FUSED

_BINS = 256
_NEARLY = 0.98
_STEPS = 2**ACTIVATION_BITS - 1
_ZERO_POINTS = np.arange(_STEPS + 1)  # steps below 0


def choose_channel_factors(
    planned: Sequence[PlannedStep],
    rules: Mapping[str, FactorRule],
    batches: Sequence[np.ndarray],
    kernels: str = FUSED,
) -> dict[str, np.ndarray]:
    """The factors of each map.

    Builtin operators limit the coefficients of Dynamic Shift-Max by the ends of int8, which are the
    same for all channels: around an activation whose coefficients reach their limits on the
    images, all factors are 1 for them.

    Args:
        planned: list of `plan.PlannedStep`.
        rules: `plan.FactorRule`s by the names of values.
        batches: list of float32 batches of images, as the model takes them.
        kernels: one of `schemes.KERNELS`.

    Returns:
        A dictionary from names to float32 arrays `(channels,)`.
    """
    factors = {
        name: _factors(*channel_ranges(*observed), rules[name])
        for name, observed in _histograms(planned, rules, batches).items()
    }
    return factors if kernels == FUSED else without_limited(factors, planned, batches)


def without_limited(
    factors: Mapping[str, np.ndarray], planned: Sequence[PlannedStep], batches: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """Factors that builtin operators can have.

    Args:
        factors: arrays by the names of values.
        planned, batches: as for `choose_channel_factors`.

    Returns:
        The factors, those around activations whose coefficients reach their limits all 1.
    """
    limited = set(_around_limited_coefficients(planned, batches))
    return {name: np.ones_like(each) if name in limited else each for name, each in factors.items()}


def _around_limited_coefficients(planned, batches):
    """Yields what activations read and make whose coefficients reach a limit."""
    recorders = [_CoefficientRecorder() for _ in batches]
    for recorder, batch in zip(recorders, batches, strict=True):
        Execution(planned, recorder, BUILTIN).run(batch)
    for item in planned:
        if item.step.kind == "shift_max":
            names = ShiftMaxNames.of(item.step).coefficients
            layers = item.step.layer.coefficient_layers()
            if any(
                _nearly_reaches(recorder.values[name], *each.limits)
                for recorder in recorders
                for name, each in zip(names, layers, strict=True)
            ):
                yield recorders[0].sources[item.result]
                yield item.result


def _nearly_reaches(values, lowest, highest):
    middle, half = (highest + lowest) / 2, (highest - lowest) / 2
    return np.abs(values - middle).max() > _NEARLY * half


class _CoefficientRecorder(Unrounded):
    """Keeps the coefficients, and what is read where each value is made."""

    def __init__(self):
        self.values, self.sources = {}, {}
        self._last = None

    def stored(self, name, values, products=None):
        if len(values.shape) == 2:
            self.values[name] = np.array(values)
        elif products is None or products.weights is not None:
            self.sources[name], self._last = self._last, name
        return values


def _factors(lows, highs, rule):
    """Factors for ranges `(channels,)` of the channels, as the fused kernel can hold them."""
    scales = _channel_scales(lows, highs)
    if not np.any(scales > 0):
        return np.ones(len(scales), np.float32)
    scales = np.where(scales > 0, scales, scales[scales > 0].min())
    most, unit = fused_shift_max.MOST_FACTOR_STEPS, fused_shift_max.FACTOR_UNIT
    relative = scales / np.exp(np.mean(np.log(scales)))
    if rule.is_reciprocal:
        factors = unit / np.clip(np.round(unit / relative), 1, most)
    else:
        factors = np.clip(np.round(unit * relative), 1, most) / unit
    return factors.astype(np.float32)


def _channel_scales(lows, highs):
    """The scale of each channel with the zero point that lets them be smallest together."""
    below, above = _ZERO_POINTS[:, np.newaxis], _STEPS - _ZERO_POINTS[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        scales = np.maximum(
            np.where(lows < 0, -lows / below, 0.0), np.where(highs > 0, highs / above, 0.0)
        )
    used = scales[:, (lows < 0) | (highs > 0)]
    # Relative to the scales that the channels would have by themselves, each counts alike.
    return scales[np.argmin(np.sum(np.log(used), axis=1))]


def _histograms(planned, channels, batches):
    """For each value the smallest and largest of each channel, and counts `(channels, bins)`."""
    signature = [tf.TensorSpec([None, *batches[0].shape[1:]], tf.float32)]
    extremes = tf.function(
        lambda images: _extremes(planned, channels, images), signature, autograph=False
    )
    found = [tf.nest.map_structure(lambda one: one.numpy(), extremes(batch)) for batch in batches]
    ranges = {
        name: (
            np.minimum(np.min([each[name][0] for each in found], axis=0), 0),
            np.maximum(np.max([each[name][1] for each in found], axis=0), 0),
        )
        for name in channels
    }
    count = tf.function(lambda images: _counts(planned, ranges, images), signature, autograph=False)
    totals = dict.fromkeys(channels, 0)
    for batch in batches:
        for name, counts in count(batch).items():
            totals[name] = totals[name] + counts.numpy()
    return {name: (*ranges[name], totals[name]) for name in channels}


def _extremes(planned, channels, images):
    return {
        name: (tf.reduce_min(rows, axis=0), tf.reduce_max(rows, axis=0))
        for name, rows in _rows(planned, channels, images).items()
    }


def _counts(planned, ranges, images):
    counts = {}
    for name, rows in _rows(planned, ranges, images).items():
        low, high = ranges[name]
        widths = np.where(high > low, high - low, 1.0)
        bins = tf.cast((rows - low) / widths * _BINS, tf.int32)
        places = tf.clip_by_value(bins, 0, _BINS - 1) + _BINS * tf.range(len(low))
        total = tf.math.bincount(tf.reshape(places, [-1]), minlength=_BINS * len(low))
        counts[name] = tf.reshape(total, (len(low), _BINS))
    return counts


def _rows(planned, names, images):
    recorder = _Recorder(names)
    Execution(planned, recorder).run(images)
    return recorder.rows


class _Recorder(Unrounded):
    """Keeps some stored values as float32 `(positions, channels)`."""

    def __init__(self, names):
        self._names = names
        self.rows = {}

    def stored(self, name, values, products=None):
        if name in self._names:
            self.rows[name] = tf.reshape(tf.cast(values, tf.float32), (-1, values.shape[-1]))
        return values
