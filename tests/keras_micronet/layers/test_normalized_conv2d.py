# SPDX-License-Identifier: Apache-2.0
"""The convolution layers against PyTorch's convolutions and NumPy's normalization."""

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest

from keras_micronet.layers import (
    FactorizedDepthwiseConv2D,
    FactorizedPointwiseConv2D,
    GroupedPointwiseConv2D,
    NormalizedConv2D,
    NormalizedDepthwiseConv2D,
)
from tests.keras_micronet import models, references

image_sizes = st.integers(1, 9)
odd_sizes = st.sampled_from([1, 3, 5])
strides = st.integers(1, 3)
channel_counts = st.integers(1, 4)


def random_images(height, width, channels, batch=2):
    generator = np.random.default_rng(height * 10 + width)
    return generator.standard_normal((batch, height, width, channels)).astype(np.float32)


def randomized(layer, images):
    layer.build(images.shape)
    models.randomize(layer)
    return layer


@hypothesis.settings(max_examples=30)
@hypothesis.given(image_sizes, image_sizes, channel_counts, odd_sizes, odd_sizes, strides, strides)
def test_convolution_of_any_geometry(
    height, width, channels, kernel_height, kernel_width, row_stride, column_stride
):
    images = random_images(height, width, channels)
    layer = NormalizedConv2D(3, (kernel_height, kernel_width), strides=(row_stride, column_stride))
    randomized(layer, images)
    expected = references.normalized_convolution(images, layer)
    assert layer.compute_output_shape(images.shape) == expected.shape
    np.testing.assert_allclose(layer(images), expected, atol=2e-5)


@hypothesis.settings(max_examples=40)
@hypothesis.given(
    image_sizes,
    image_sizes,
    channel_counts,
    st.integers(1, 3),
    odd_sizes,
    odd_sizes,
    strides,
    strides,
)
def test_depthwise_of_any_geometry(
    height, width, channels, multiplier, kernel_height, kernel_width, row_stride, column_stride
):
    images = random_images(height, width, channels)
    layer = NormalizedDepthwiseConv2D(
        (kernel_height, kernel_width),
        strides=(row_stride, column_stride),
        depth_multiplier=multiplier,
    )
    randomized(layer, images)
    expected = references.normalized_convolution(images, layer, depthwise=True)
    assert layer.compute_output_shape(images.shape) == expected.shape
    np.testing.assert_allclose(layer(images), expected, atol=2e-5)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_grouped_pointwise(groups):
    images = random_images(5, 4, 12)
    layer = randomized(GroupedPointwiseConv2D(18, groups), images)
    assert layer.kernel.shape == (1, 1, 12 // groups, 18)
    expected = references.normalized_convolution(images, layer, groups=groups)
    np.testing.assert_allclose(layer(images), expected, atol=2e-5)


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (3, 2), (5, 2), (5, 3)])
@pytest.mark.parametrize("shape", [(7, 6, 3), (1, 5, 1), (8, 8, 2)])
def test_factorized_depthwise(kernel_size, stride, shape):
    images = random_images(*shape)
    layer = FactorizedDepthwiseConv2D(kernel_size, strides=stride, depth_multipliers=(2, 3))
    randomized(layer, images)
    vertical, horizontal = layer.steps
    assert vertical.kernel.shape == (kernel_size, 1, shape[-1], 2)
    assert horizontal.kernel.shape == (1, kernel_size, 2 * shape[-1], 3)
    rows = references.depthwise_convolution(images, np.array(vertical.kernel), (stride, 1))
    rows = references.normalize(rows, *references.normalization_weights(vertical))
    expected = references.depthwise_convolution(rows, np.array(horizontal.kernel), (1, stride))
    expected = references.normalize(expected, *references.normalization_weights(horizontal))
    np.testing.assert_allclose(layer(images), expected, atol=5e-5)


@pytest.mark.parametrize(("groups", "pair"), [((2, 3), (2, 3)), (6, (6, 6)), (1, (1, 1))])
def test_factorized_pointwise(groups, pair):
    images = random_images(4, 5, 12)
    layer = randomized(FactorizedPointwiseConv2D(18, 6, groups=groups), images)
    assert layer.squeeze.kernel.shape == (1, 1, 12 // pair[0], 6)
    assert layer.expand.kernel.shape == (1, 1, 6 // pair[1], 18)
    hidden = references.normalized_convolution(images, layer.squeeze, groups=pair[0])
    hidden = references.shuffle(hidden, pair[0])
    expected = references.normalized_convolution(hidden, layer.expand, groups=pair[1])
    np.testing.assert_allclose(layer(images), expected, atol=5e-5)


@pytest.mark.parametrize(
    ("channels", "hidden", "filters", "groups"),
    [
        (64, 16, 64, 4),  # sqrt(16)
        (18, 6, 18, 2),  # sqrt(6) = 2.45 lies between the divisors 2 and 3, nearer to 2
        (18, 12, 18, 3),  # sqrt(12) = 3.46, common divisors 1, 2, 3, 6
        (7, 9, 5, 1),  # nothing else divides all three
    ],
)
def test_factorized_pointwise_takes_the_papers_group_count(channels, hidden, filters, groups):
    layer = FactorizedPointwiseConv2D(filters, hidden)
    layer.build((None, None, None, channels))
    assert (layer.squeeze.groups, layer.expand.groups) == (groups, groups)
    assert layer.get_config()["groups"] is None


def test_factorized_pointwise_connects_every_input_to_every_output():
    # C = 16, R = 4, so G = sqrt(16 / 4) = 2: one path, by the paper's Equation 2.
    layer = FactorizedPointwiseConv2D(16, 4)
    layer.build((None, None, None, 16))
    for convolution in (layer.squeeze, layer.expand):
        convolution.kernel.assign(np.ones(convolution.kernel.shape))
    responses = np.array(layer(np.eye(16, dtype=np.float32).reshape(16, 1, 1, 16)))
    np.testing.assert_allclose(responses, np.ones((16, 1, 1, 16)), rtol=1e-4)


def convolution_layers():
    return [
        NormalizedConv2D(4, 3, strides=2),
        NormalizedConv2D(4, 1, groups=2),
        NormalizedDepthwiseConv2D(3, strides=(2, 1), depth_multiplier=2),
        GroupedPointwiseConv2D(6, 2),
    ]


def convolved(layer, images):
    kernel = np.array(layer.kernel)
    if isinstance(layer, NormalizedDepthwiseConv2D):
        return references.depthwise_convolution(images, kernel, layer.strides)
    return references.convolution(images, kernel, layer.strides, layer.groups)


@pytest.mark.parametrize("index", range(4))
def test_training_normalizes_with_the_batch_and_moves_the_statistics(index):
    layer = convolution_layers()[index]
    images = random_images(6, 5, 4, batch=3)
    randomized(layer, images)
    gamma, beta, mean, variance = references.normalization_weights(layer)
    raw = convolved(layer, images)
    batch_mean, batch_variance = references.batch_statistics(raw)

    outputs = layer(images, training=True)

    expected = references.normalize(raw, gamma, beta, batch_mean, batch_variance)
    np.testing.assert_allclose(outputs, expected, atol=5e-5)
    _, _, new_mean, new_variance = references.normalization_weights(layer)
    np.testing.assert_allclose(new_mean, 0.9 * mean + 0.1 * batch_mean, atol=1e-5)
    np.testing.assert_allclose(new_variance, 0.9 * variance + 0.1 * batch_variance, atol=1e-5)


@pytest.mark.parametrize("index", range(4))
def test_inference_moves_nothing(index):
    layer = convolution_layers()[index]
    images = random_images(6, 5, 4)
    randomized(layer, images)
    before = models.weight_values(layer)
    layer(images)
    layer(images, training=False)
    models.assert_same_weights(layer, before)


@pytest.mark.parametrize("index", range(4))
def test_folded_weights_are_one_convolution_with_a_bias(index):
    layer = convolution_layers()[index]
    images = random_images(6, 5, 4)
    randomized(layer, images)
    kernel, bias = layer.folded_weights()
    assert (kernel.dtype, bias.dtype) == (np.float32, np.float32)
    assert kernel.shape == tuple(layer.kernel.shape)
    if isinstance(layer, NormalizedDepthwiseConv2D):
        folded = references.depthwise_convolution(images, kernel, layer.strides) + bias
    else:
        folded = references.convolution(images, kernel, layer.strides, layer.groups) + bias
    _, *normalization = convolved(layer, images), *references.normalization_weights(layer)
    expected = references.normalize(convolved(layer, images), *normalization)
    np.testing.assert_allclose(folded, expected, atol=5e-5)


def test_frozen_normalization_keeps_its_statistics_while_the_kernel_trains():
    layer = NormalizedConv2D(4, 3)
    images = random_images(6, 5, 4)
    randomized(layer, images)
    layer.batch_normalization.trainable = False
    model = keras.Sequential([keras.Input((6, 5, 4)), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    kernel, *normalization = models.weight_values(layer)
    assert [weight.path for weight in layer.trainable_weights] == [layer.kernel.path]
    model.fit(images, np.zeros((2, 6, 5, 4)), verbose=0)
    new_kernel, *new_normalization = models.weight_values(layer)
    assert not np.array_equal(new_kernel, kernel)
    np.testing.assert_equal(new_normalization, normalization)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_statistics_are_collected_in_full_precision(policy):
    images = 200.0 + random_images(16, 16, 4)
    half = randomized(NormalizedConv2D(4, 1, dtype=policy), images)
    kernel = np.eye(4, dtype=np.float32).reshape(1, 1, 4, 4)
    half.kernel.assign(kernel)
    half(images, training=True)
    assert half.batch_normalization.moving_mean.dtype == "float32"
    rounded = np.array(keras.ops.cast(images, half.compute_dtype)).astype(np.float64)
    _, _, mean, _ = references.normalization_weights(half)
    start = models.weight_values(randomized(NormalizedConv2D(4, 1), images))[3]
    np.testing.assert_allclose(mean, 0.9 * start + 0.1 * rounded.mean((0, 1, 2)), rtol=1e-3)


@pytest.mark.parametrize(
    ("layer", "deviation"),
    [
        # sqrt(2 / (kernel height * kernel width * output channels)), as in the release
        (NormalizedConv2D(64, 3), np.sqrt(2 / (9 * 64))),
        (NormalizedConv2D(96, 1, groups=2), np.sqrt(2 / 96)),
        (NormalizedDepthwiseConv2D((3, 1), depth_multiplier=2), np.sqrt(2 / (3 * 1024))),
    ],
)
def test_kernels_start_as_in_the_release(layer, deviation):
    layer.build((None, None, None, 512))
    assert np.array(layer.kernel).std() == pytest.approx(deviation, rel=0.05)
    assert abs(np.array(layer.kernel).mean()) < 0.1 * deviation
    for weight, value in zip(
        references.normalization_weights(layer), (1.0, 0.0, 0.0, 1.0), strict=True
    ):
        np.testing.assert_array_equal(weight, np.full_like(weight, value))


def test_seeds_make_kernels_repeatable():
    kernels = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        layer = NormalizedConv2D(4, 3)
        layer.build((None, None, None, 4))
        kernels.append(np.array(layer.kernel))
    assert np.array_equal(kernels[0], kernels[1])
    assert not np.allclose(kernels[0], kernels[2])


@pytest.mark.parametrize(
    ("layer", "first", "second"),
    [
        (FactorizedDepthwiseConv2D(3, kernel_initializer="he_normal"), "vertical", "horizontal"),
        (
            FactorizedPointwiseConv2D(4, 4, groups=1, kernel_initializer="he_normal"),
            "squeeze",
            "expand",
        ),
    ],
)
def test_two_kernels_of_one_initializer_differ(layer, first, second):
    layer.build((None, None, None, 4))
    kernels = [np.sort(np.array(getattr(layer, name).kernel).flatten()) for name in (first, second)]
    assert not np.allclose(*kernels)


@pytest.mark.parametrize(
    ("layer_class", "arguments", "kernels"),
    [
        (NormalizedConv2D, {"filters": 4, "kernel_size": 3}, 1),
        (NormalizedDepthwiseConv2D, {"kernel_size": 3}, 1),
        (GroupedPointwiseConv2D, {"filters": 4, "groups": 2}, 1),
        (FactorizedDepthwiseConv2D, {"kernel_size": 3}, 2),
        (FactorizedPointwiseConv2D, {"filters": 4, "hidden_filters": 4}, 2),
    ],
)
def test_kernel_regularizer(layer_class, arguments, kernels):
    layer = layer_class(**arguments, kernel_regularizer=keras.regularizers.L2(0.5))
    layer.build((None, None, None, 4))
    squares = [
        np.sum(np.square(np.array(weight))) for weight in layer.weights if weight.name == "kernel"
    ]
    assert len(squares) == kernels
    np.testing.assert_allclose(sum(layer.losses), 0.5 * sum(squares), rtol=1e-5)
    copy = layer_class.from_config(layer.get_config())
    assert float(copy.kernel_regularizer.l2) == 0.5


@pytest.mark.parametrize(
    "build",
    [
        lambda size: NormalizedConv2D(4, size),
        lambda size: NormalizedConv2D(4, (3, size)),
        lambda size: NormalizedDepthwiseConv2D(size),
        lambda size: FactorizedDepthwiseConv2D(size),
    ],
)
@pytest.mark.parametrize("size", [0, -1, 2, 4, 3.0, "3", None])
def test_kernel_sizes_must_be_odd_positive_integers(build, size):
    with pytest.raises(ValueError, match="`kernel_size` must be.*Received: kernel_size="):
        build(size)


@pytest.mark.parametrize(
    "build",
    [
        lambda stride: NormalizedConv2D(4, 3, strides=stride),
        lambda stride: NormalizedDepthwiseConv2D(3, strides=(1, stride)),
        lambda stride: FactorizedDepthwiseConv2D(3, strides=stride),
    ],
)
@pytest.mark.parametrize("stride", [0, -1, 1.5, "2", None])
def test_strides_must_be_positive_integers(build, stride):
    with pytest.raises(ValueError, match="`strides` must be.*Received: strides="):
        build(stride)


@pytest.mark.parametrize("value", [(3,), (3, 3, 3)])
def test_pairs_have_two_elements(value):
    with pytest.raises(ValueError, match="`kernel_size` must be 2 integers.*Received"):
        NormalizedConv2D(4, value)
    with pytest.raises(ValueError, match="`strides` must be 2 integers.*Received"):
        NormalizedDepthwiseConv2D(3, strides=value)
    with pytest.raises(ValueError, match="`depth_multipliers` must be 2 integers.*Received"):
        FactorizedDepthwiseConv2D(3, depth_multipliers=value)
    with pytest.raises(ValueError, match="`groups` must be 2 integers.*Received"):
        FactorizedPointwiseConv2D(6, 6, groups=value)


@pytest.mark.parametrize("count", [0, -4, 1.5, None])
@pytest.mark.parametrize(
    ("argument", "build"),
    [
        ("filters", lambda count: NormalizedConv2D(count, 3)),
        ("filters", lambda count: GroupedPointwiseConv2D(count, 1)),
        ("groups", lambda count: GroupedPointwiseConv2D(4, count)),
        ("depth_multiplier", lambda count: NormalizedDepthwiseConv2D(3, depth_multiplier=count)),
        ("hidden_filters", lambda count: FactorizedPointwiseConv2D(4, count)),
    ],
)
def test_counts_must_be_positive_integers(argument, build, count):
    with pytest.raises(ValueError, match=f"`{argument}` must be a positive.*Received: {argument}="):
        build(count)


def test_groups_must_divide_both_sides():
    with pytest.raises(ValueError, match="`groups` must divide.*Received: groups=5, filters=12"):
        GroupedPointwiseConv2D(12, 5)
    with pytest.raises(ValueError, match="`groups` must divide.*groups=3, input channels=8"):
        GroupedPointwiseConv2D(12, 3).build((None, 4, 4, 8))
    with pytest.raises(ValueError, match="`groups` must divide.*groups=4, hidden filters=6"):
        FactorizedPointwiseConv2D(12, 6, groups=(4, 3))
    with pytest.raises(ValueError, match="`groups` must divide.*groups=3, filters=16"):
        FactorizedPointwiseConv2D(16, 6, groups=3)
    with pytest.raises(ValueError, match="`groups` must divide.*groups=3, input channels=8"):
        FactorizedPointwiseConv2D(12, 6, groups=3).build((None, 4, 4, 8))


@pytest.mark.parametrize("arguments", [{"kernel_size": 3}, {"kernel_size": 1, "strides": 2}])
def test_groups_go_with_1x1_kernels_only(arguments):
    with pytest.raises(ValueError, match="`groups` above 1 must.*Received: groups=2"):
        NormalizedConv2D(4, groups=2, **arguments)
