# SPDX-License-Identifier: Apache-2.0
"""ChannelShuffle is the release's permutation, and undone by its counterpart."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf

from keras_micronet.layers import ChannelShuffle
from tests.keras_micronet import references


def divisors(number):
    return [count for count in range(1, number + 1) if number % count == 0]


@st.composite
def channels_and_groups(draw, length=1):
    channels = draw(st.integers(1, 36))
    return channels, [draw(st.sampled_from(divisors(channels))) for _ in range(length)]


def channel_numbers(channels):
    """One image whose channels hold their own numbers."""
    return np.arange(channels, dtype=np.float32).reshape(1, 1, 1, channels)


def order(groups, channels):
    return ChannelShuffle(groups)(channel_numbers(channels)).numpy().astype(int).flatten()


def test_two_groups_of_three_interleave():
    assert order(2, 6).tolist() == [0, 3, 1, 4, 2, 5]


@hypothesis.given(channels_and_groups())
def test_is_a_permutation(drawn):
    channels, (groups,) = drawn
    assert sorted(order(groups, channels)) == list(range(channels))


@hypothesis.given(channels_and_groups())
def test_equals_view_transpose_flatten(drawn):
    channels, (groups,) = drawn
    images = np.random.default_rng(channels).standard_normal((2, 3, 2, channels))
    images = images.astype(np.float32)
    np.testing.assert_array_equal(
        ChannelShuffle(groups)(images), references.shuffle(images, groups)
    )


@hypothesis.given(channels_and_groups())
def test_the_other_count_undoes_it(drawn):
    channels, (groups,) = drawn
    shuffled = ChannelShuffle(groups)(channel_numbers(channels))
    restored = ChannelShuffle(channels // groups)(shuffled)
    np.testing.assert_array_equal(restored, channel_numbers(channels))


@hypothesis.given(channels_and_groups(length=3))
def test_a_sequence_is_one_shuffle_after_another(drawn):
    channels, groups = drawn
    images = channel_numbers(channels)
    for count in groups:
        images = references.shuffle(images, count)
    np.testing.assert_array_equal(ChannelShuffle(groups)(channel_numbers(channels)), images)


@hypothesis.given(channels_and_groups(length=2))
def test_gradient_is_the_inverse_permutation(drawn):
    channels, groups = drawn
    images = tf.constant(channel_numbers(channels))
    upstream = np.random.default_rng(channels).standard_normal(images.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = ChannelShuffle(groups)(images)
    gradient = tape.gradient(outputs, images, output_gradients=upstream).numpy().flatten()
    np.testing.assert_array_equal(gradient[order(groups, channels)], upstream.flatten())


@pytest.mark.parametrize("groups", [0, -2, 2.0, "2", None, True, [2, 0], [2.5], np.array([2, 3])])
def test_group_counts_must_be_positive_integers(groups):
    with pytest.raises(ValueError, match="`groups` must be a positive integer. Received: groups="):
        ChannelShuffle(groups)


@pytest.mark.parametrize("groups", [5, [2, 5], 24])
def test_group_counts_must_divide_the_channels(groups):
    with pytest.raises(ValueError, match="`groups` must divide.*Received: groups=.*channels=12"):
        ChannelShuffle(groups)(channel_numbers(12))


def test_numpy_integers_are_integers():
    assert ChannelShuffle(np.int64(3)).get_config()["groups"] == 3
