# SPDX-License-Identifier: Apache-2.0
"""The definition of smoothing: what a user of a camera sees."""

import numpy as np
import pytest

from tflm.recognition.scores import NONE_OF_THESE, ONE
from tflm.recognition.smoothing import Smoothing, SmoothingSettings

QUICK = SmoothingSettings(weight=ONE // 2, threshold=24576, release=16384)


def frame(*parts):
    """Probabilities of parts of one."""
    return np.round(np.array(parts) * ONE).astype(np.uint16)


def answers(smoothing, frames):
    received = []
    for each in frames:
        smoothing.update(each)
        received.append(smoothing.answer)
    return received


@pytest.mark.parametrize("weight", [1, 100, 5000, ONE // 2, ONE])
def test_averages_are_those_of_real_numbers(weight):
    frames = np.random.default_rng(0).integers(0, ONE + 1, (200, 1)).astype(np.uint16)
    smoothing = Smoothing(SmoothingSettings(weight, ONE, 0), 1)
    expected = 0.0
    for each in frames:
        smoothing.update(each)
        expected += (int(each[0]) - expected) * weight / ONE
        assert abs(smoothing.probability - expected) <= 1


@pytest.mark.parametrize("weight", [60, 300, 10_000])
@pytest.mark.parametrize("probability", [1, 12_345, ONE])
def test_averages_reach_what_stays_the_same(weight, probability):
    """Coarser averages would stop short of it."""
    smoothing = Smoothing(SmoothingSettings(weight, ONE, 0), 1)
    for _ in range(25 * ONE // weight):
        smoothing.update(np.array([probability], np.uint16))
    assert smoothing.probability == probability


def test_a_single_frame_is_no_answer():
    quiet, flash = frame(0.4, 0.3, 0.3), frame(0, 1, 0)
    assert answers(Smoothing(QUICK, 3), [quiet, flash, quiet, quiet]) == [NONE_OF_THESE] * 4


def test_an_answer_comes_stays_and_goes():
    """Averages of the first class: 0.5, 0.75, 0.675, 0.6375, 0.31875."""
    smoothing = Smoothing(QUICK, 2)
    frames = [frame(1, 0)] * 2 + [frame(0.6, 0.4)] * 2 + [frame(0, 0)]
    is_new = []
    received = []
    for each in frames:
        is_new.append(smoothing.update(each))
        received.append(smoothing.answer)
    assert received == [NONE_OF_THESE, 0, 0, 0, NONE_OF_THESE]
    assert is_new == [False, True, False, False, True]


def test_noise_about_the_threshold_changes_nothing():
    """Beside it one without a margin, which flickers."""
    frames = [frame(1, 0)] * 5 + [frame(part, 1 - part) for part in [0.6, 0.85] * 20]
    steady = answers(Smoothing(SmoothingSettings(ONE, 24576, 16384), 2), frames)
    flickering = answers(Smoothing(SmoothingSettings(ONE, 24576, 24576), 2), frames)
    assert set(steady) == {0}
    assert set(flickering[5:]) == {0, NONE_OF_THESE}


def test_another_class_must_be_ahead_by_the_margin():
    """A threshold that two classes reach at once."""
    settings = SmoothingSettings(ONE, 12_000, 9_000)
    frames = [frame(0.5, 0.4), frame(0.45, 0.5), frame(0.42, 0.52), frame(0.5, 0.45)]
    assert answers(Smoothing(settings, 2), frames) == [0, 0, 1, 1]  # margin: 3000 / 32768 = 0.0916


def test_an_answer_is_held():
    settings = SmoothingSettings(ONE, 24576, 16384, hold=3)
    frames = [frame(0, 0), frame(1, 0), *[frame(0, 1)] * 4]
    assert answers(Smoothing(settings, 2), frames) == [NONE_OF_THESE, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    "changes",
    [{"weight": 0}, {"weight": ONE + 1}, {"threshold": 0}, {"release": 24577}, {"hold": -1}],
)
def test_settings_are_checked(changes):
    values = {"weight": ONE, "threshold": 24576, "release": 16384, "hold": 0}
    (name,) = changes
    with pytest.raises(ValueError, match=rf"`{name}` must be from \d+ to \d+. Received: {name}="):
        SmoothingSettings(**{**values, **changes})


@pytest.mark.parametrize("weight", [100, 8192, ONE])
@pytest.mark.parametrize("threshold", [1, 16_417, ONE])
def test_a_probability_that_stays_at_the_threshold_becomes_the_answer(weight, threshold):
    """A threshold is the very probability of some validation image."""
    smoothing = Smoothing(SmoothingSettings(weight, threshold, threshold // 2), 1)
    for _ in range(20 * ONE // weight):
        smoothing.update(np.array([threshold], np.uint16))
    assert (smoothing.answer, smoothing.probability) == (0, threshold)
