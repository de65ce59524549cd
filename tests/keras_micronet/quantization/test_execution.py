# SPDX-License-Identifier: Apache-2.0
"""A pass without rounding is the float model's, and every stored value passes by its name."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_micronet import layers
from keras_micronet.layer_chain import INPUT, unroll
from keras_micronet.quantization import QuantizeAwareModel
from keras_micronet.quantization.execution import Execution, Products, Unrounded
from keras_micronet.quantization.plan import plan, range_names
from keras_micronet.quantization.quantizers import WeightQuantizer
from keras_micronet.quantization.schemes import BUILTIN, CONVOLUTION
from tests.keras_micronet import models
from tests.keras_micronet.quantization import chains

pytestmark = pytest.mark.usefixtures("eager")


class Journal(Unrounded):
    """Notes every value and kernel that passes."""

    def __init__(self):
        self.stored_names = []
        self.again = {}
        self.products = {}
        self.products_of_biases = []
        self.kernels = {}
        self.values = {}

    def stored(self, name, values, products=None):
        self.stored_names.append(name)
        if products is not None:
            self.products[name] = products
        self.values[name] = values.numpy()
        return values

    def stored_again(self, name, source, values):
        self.again[name] = source.range_name
        self.values[name] = values.numpy()
        return values

    def weights(self, name, kernel, scale=None):
        self.kernels[name] = kernel.shape
        return kernel

    def layer(self, products, kernel, bias):
        self.products_of_biases.append(products)
        return super().layer(products, kernel, bias)


def copied(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def without_softmax(model):
    """The float model itself; its last layer's softmax is replaced if it has one."""
    copy = copied(model)
    if getattr(copy.layers[-1], "activation", None) is keras.activations.softmax:
        copy.layers[-1].activation = keras.activations.linear
    return copy


def assert_near(actual, expected):
    """Equal to float rounding, by the size of the largest value."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("build", chains.CHAINS)
def test_float_logits_are_those_of_the_float_model(build):
    model = build()
    images = chains.random_images(model, 5)
    expected = without_softmax(model)(images, training=False)
    assert np.std(expected) > 0.01
    assert_near(QuantizeAwareModel(model).float_logits(images), expected)


def test_float_logits_of_micronet(small_m0):
    images, _ = models.red_or_blue_images(4, 32)
    assert small_m0.layers[-1].activation is keras.activations.softmax
    logits = QuantizeAwareModel(small_m0).float_logits(images)
    assert_near(tf.nn.softmax(logits), small_m0(images, training=False))


@pytest.mark.parametrize("build", chains.CHAINS)
def test_training_pass_is_that_of_the_float_model(build):
    model = build()
    before = model.get_weights()
    expected_model = copied(model)
    images = chains.random_images(model, 6)
    execution = Execution(
        plan(unroll(model)), Unrounded(), uses_batch_statistics=True, training=True
    )
    actual = execution.run(images)
    expected = expected_model(images, training=True)
    assert_near(actual, expected)
    for weight, expected_weight in zip(model.weights, expected_model.weights, strict=True):
        np.testing.assert_allclose(weight, expected_weight, rtol=1e-5, atol=1e-6)
    moved = [not np.array_equal(*pair) for pair in zip(model.get_weights(), before, strict=True)]
    assert sum(moved) == len(model.non_trainable_weights)


@pytest.mark.parametrize("build", [chains.stem, chains.block_a, chains.head])
def test_gradients_are_those_of_the_float_model(build):
    model = build()
    images = chains.random_images(model, 4)
    planned = plan(unroll(model))

    def gradients(function):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(function() ** 2)
        return tape.gradient(loss, [weight.value for weight in model.trainable_weights])

    actual = gradients(lambda: Execution(planned, Unrounded()).run(images))
    expected = gradients(lambda: model(images, training=False))
    for weight, one, other in zip(model.trainable_weights, actual, expected, strict=True):
        scale = np.abs(other).max() + 1e-12
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * scale, err_msg=weight.path)


@pytest.mark.parametrize("uses_batch_statistics", [False, True])
def test_dropout_drops_in_training_only(uses_batch_statistics):
    model = chains.head(dropout=0.5)
    planned = plan(unroll(model))
    images = chains.random_images(model, 8)
    options = {"uses_batch_statistics": uses_batch_statistics}

    def outputs(training):
        return Execution(planned, Unrounded(), training=training, **options).run(images).numpy()

    if not uses_batch_statistics:
        np.testing.assert_array_equal(outputs(False), outputs(False))
    assert np.abs(outputs(True) - outputs(True)).max() > 1e-3


@pytest.mark.parametrize("build", chains.CHAINS)
def test_every_range_is_used_once_and_every_kernel_rounded(build):
    model = build()
    planned = plan(unroll(model))
    journal = Journal()
    Execution(planned, journal, BUILTIN).run(chains.random_images(model, 2))
    names = range_names(planned, INPUT)
    assert sorted(journal.stored_names) == sorted(names)
    assert len(set(names)) == len(names)
    assert set(journal.again.values()) <= set(names)
    # Every trainable matrix and convolution kernel; an excite kernel is one for each coefficient.
    kernels = [weight for weight in model.weights if weight.name == "kernel"]
    excites = [weight for weight in kernels if "excite" in weight.path]
    parts = [name for name in journal.kernels if name[-2:] in ("a1", "b1", "a2", "b2")]
    assert len(journal.kernels) - len(parts) == len(kernels) - len(excites)
    assert sum(np.prod(shape) for shape in journal.kernels.values()) == sum(
        np.prod(weight.shape) for weight in kernels
    )


def test_values_within_dynamic_shift_max():
    """By the paper's formula, in NumPy."""
    layer = layers.DynamicShiftMax(2, reduction_ratio=1, initial_b=(0.5, 0.0), name="fuse")
    model = chains.chain((3, 2, 4), layer)
    # Logits far beyond 3, so that coefficients are limited.
    layer.excite.bias.assign(np.linspace(-9, 9, 16))
    images = chains.random_images(model, 3).astype(np.float64)
    journal = Journal()
    Execution(plan(unroll(model)), journal, BUILTIN).run(images.astype(np.float32))
    values = journal.values

    pooled = images.mean(axis=(1, 2))
    hidden = np.maximum(pooled @ np.array(layer.squeeze.kernel) + np.array(layer.squeeze.bias), 0)
    logits = hidden @ np.array(layer.excite.kernel) + np.array(layer.excite.bias)
    dynamic = 4 * (np.clip(logits + 3, 0, 6) / 6 - 0.5)
    a1, b1, a2, b2 = np.split(dynamic + np.repeat([1.0, 0.5, 1.0, 0.0], 4), 4, axis=-1)
    assert np.abs(dynamic).max() == 2
    # Channels as a 2 x 2 matrix, moved up and to the left.
    shifted = images[..., [3, 2, 1, 0]]
    expected = {
        "fuse/pool": pooled,
        "fuse/squeeze": hidden,
        "fuse/a1": a1,
        "fuse/b1": b1,
        "fuse/a2": a2,
        "fuse/b2": b2,
    }
    spread = {name: value[:, None, None] for name, value in expected.items()}
    terms = {
        "fuse/a1_times_map": spread["fuse/a1"] * images,
        "fuse/b1_times_shifted": spread["fuse/b1"] * shifted,
        "fuse/a2_times_map": spread["fuse/a2"] * images,
        "fuse/b2_times_shifted": spread["fuse/b2"] * shifted,
    }
    first, second, third, fourth = terms.values()
    expected |= terms
    expected["fuse/maximum"] = np.maximum(first + second, third + fourth)
    assert set(values) == {INPUT, *expected}
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, atol=1e-5, err_msg=name)
    assert journal.again == {"fuse/pool": INPUT}


@pytest.mark.parametrize(
    ("steps", "again"),
    [
        ([keras.layers.GlobalAveragePooling2D(name="pool")], {"pool": INPUT}),
        (
            [
                layers.GroupedPointwiseConv2D(4, 1, name="mix"),
                layers.ChannelShuffle(2, name="shuffle"),
                keras.layers.GlobalAveragePooling2D(name="pool"),
                keras.layers.ReLU(name="relu"),
            ],
            {"pool": "mix", "relu": "mix"},
        ),
        (
            [
                layers.DynamicShiftMax(2, fusions=2, name="fuse"),
                keras.layers.ReLU(6.0, name="relu6"),
            ],
            {"fuse/pool": INPUT, "relu6": "fuse/maximum"},
        ),
    ],
    ids=["pooled_images", "after_a_shuffle", "after_a_maximum"],
)
def test_values_that_keep_the_range_of_what_they_come_from(steps, again):
    model = chains.chain((4, 4, 4), *steps)
    journal = Journal()
    Execution(plan(unroll(model)), journal, BUILTIN).run(chains.random_images(model, 2))
    assert journal.again == again


def test_what_values_are_sums_of_products_of():
    """By the names of the factors' ranges and weights; what a device only adds has none."""
    model = chains.chain(
        (2, 2, 4),
        layers.NormalizedConv2D(4, 3, name="mix"),
        layers.ChannelShuffle(2),
        layers.NormalizedDepthwiseConv2D(3, name="depthwise"),
        layers.DynamicShiftMax(2, fusions=1, reduction_ratio=1, name="fuse"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(4, name="dense"),
        keras.layers.Activation("hard_swish"),
    )
    journal = Journal()
    Execution(plan(unroll(model)), journal, BUILTIN).run(chains.random_images(model, 2))
    with_weights = {
        "mix": Products((INPUT,), "mix"),
        "depthwise": Products(("mix",), "depthwise"),
        "fuse/squeeze": Products(("depthwise",), "fuse/squeeze"),
        "fuse/a1": Products(("fuse/squeeze",), "fuse/a1"),
        "fuse/b1": Products(("fuse/squeeze",), "fuse/b1"),
        "dense": Products(("fuse/fusion1",), "dense"),  # the mean keeps the range of its map
    }
    assert journal.products == with_weights | {
        "fuse/a1_times_map": Products(("fuse/a1", "depthwise")),
        "fuse/b1_times_shifted": Products(("fuse/b1", "depthwise")),
    }
    assert journal.products_of_biases == list(with_weights.values())


def test_frozen_layers_keep_their_statistics():
    """As in the float model: what is not trainable normalizes by its moving statistics."""
    model = chains.nested()
    backbone = model.get_layer("backbone")
    backbone.trainable = False
    before = models.weight_values(backbone)
    images = chains.random_images(model, 5)
    options = {"uses_batch_statistics": True, "training": True}
    outputs = Execution(plan(unroll(model)), Unrounded(), **options).run(images)
    models.assert_same_weights(backbone, before)
    assert_near(outputs, model(images, training=True))


class RoundedWeights(Unrounded):
    """Rounds kernels alone."""

    def __init__(self, quantizers):
        self.quantizers = quantizers

    def weights(self, name, kernel, scale=None):
        return self.quantizers[name].call(kernel, scale)


def test_kernel_rounded_per_channel_is_the_folded_kernel_rounded():
    """A channel's factor changes the channel's scale and not its integers."""
    generator = np.random.default_rng(4)
    kernel = tf.constant(generator.standard_normal((3, 3, 6, 8)), tf.float32)
    factors = tf.constant(generator.uniform(0.1, 3, 8) * ([1, -1] * 4), tf.float32)
    quantizer = WeightQuantizer(CONVOLUTION, 8)
    before = quantizer.call(kernel) * factors
    after = quantizer.call(kernel * factors)
    np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-7)
    assert np.abs(before - kernel * factors).max() > 1e-3


@pytest.mark.parametrize("build", [chains.stem, chains.residual_blocks])
def test_training_rounds_the_weights_that_inference_uses(build):
    """With the batch's statistics as moving ones both passes are one: one convolution is enough.

    Training normalizes after a convolution with the raw kernel; inference folds first.
    """
    model = build()
    rounding = RoundedWeights(QuantizeAwareModel(model).weight_quantizers)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # moving statistics are the last batch's
    images = chains.random_images(model, 8)
    planned = plan(unroll(model))
    training = Execution(planned, rounding, uses_batch_statistics=True).run(images)
    inference = Execution(planned, rounding).run(images)
    unrounded = Execution(planned, Unrounded()).run(images)
    assert np.abs(inference - unrounded).max() > 1e-3 * np.abs(unrounded).max()
    assert_near(training, inference)


@pytest.mark.parametrize("scheme", ["int8", "int8_head4", "int8_head4_per_channel"])
def test_dense_layer_is_rounded_by_its_moving_statistics_in_training_too(scheme):
    """One scale for the layer depends on them: training's outputs are inference's, normalized."""
    normalization = keras.layers.BatchNormalization(momentum=1.0)  # moving statistics stay
    model = chains.chain(
        (1, 1, 5), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4), normalization
    )
    normalization.gamma.assign([0.5, -2.0, 1.0, 0.1])
    rounding = RoundedWeights(QuantizeAwareModel(model, scheme).weight_quantizers)
    images = chains.random_images(model, 9)
    planned = plan(unroll(model))
    training = Execution(planned, rounding, uses_batch_statistics=True).run(images)
    inference = Execution(planned, rounding).run(images).numpy()

    gamma, beta, mean, variance = (np.array(weight) for weight in normalization.weights)
    sums = (inference - beta) / gamma * np.sqrt(variance + normalization.epsilon) + mean
    expected = (sums - sums.mean(axis=0)) / np.sqrt(sums.var(axis=0) + normalization.epsilon)
    np.testing.assert_allclose(training, expected * gamma + beta, atol=1e-5)
    unrounded = Execution(planned, Unrounded()).run(images)
    assert np.abs(inference - unrounded).max() > 1e-3
