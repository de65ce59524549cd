# SPDX-License-Identifier: Apache-2.0
"""The model that rounds: a device's integers, saving, training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_micronet import layers
from keras_micronet.layer_chain import INPUT
from keras_micronet.quantization import QuantizeAwareModel, quantize_aware
from keras_micronet.quantization.plan import range_names
from keras_micronet.quantization.schemes import FUSED, KERNELS
from tests.keras_micronet import models, references
from tests.keras_micronet.quantization import chains, integer_kernels
from tests.keras_micronet.quantization.integer_kernels import Affine

pytestmark = pytest.mark.slow


def compiled(model, learning_rate=0.05, **options):
    model.compile(
        keras.optimizers.SGD(learning_rate, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **options,
    )
    return model


def problem(count=32):
    images, labels = models.red_or_blue_images(count, 8)
    return images / 127.5 - 1.0, labels


def quantized_classifier(scheme="int8", kernels=FUSED):
    images, _ = problem()
    return quantize_aware(chains.classifier(), images, scheme, kernels=kernels)


@pytest.mark.usefixtures("eager")
def test_logits_are_those_of_integer_kernels():
    """A convolution with ReLU6, a mean and two dense layers, computed in integers."""
    model = chains.chain(
        (1, 2, 6),  # means of two integers are often halves
        layers.GroupedPointwiseConv2D(8, 1, name="mix"),
        keras.layers.ReLU(6.0),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(7, activation="relu", name="first"),
        keras.layers.Dense(5, name="second"),
        keras.layers.Activation("softmax"),
    )
    mix = model.get_layer("mix")
    mix.batch_normalization.beta.assign(np.linspace(-2, 7, 8))  # so that ReLU6 limits some
    ranges = {"images": (-1.0, 3.0), "mix": (0.0, 6.1), "first": (0, 9.7), "second": (-5.0, 7.5)}
    quantized = QuantizeAwareModel(model)
    quantized.activation_ranges = ranges
    images = chains.random_images(model, 100)

    stored = {name: Affine.of_range(*ends) for name, ends in ranges.items()}
    gamma, beta, mean, variance = references.normalization_weights(mix)
    factors = gamma / np.sqrt(variance + references.EPSILON)

    def weighted_sum(integers, source, kernel, bias, axis=None):
        weights, scales = integer_kernels.quantized_weights(kernel, axis)
        scale = scales * stored[source].scale
        offset = integer_kernels.quantized_bias(bias, scale)
        return (integers - stored[source].zero_point) @ weights + offset, scale

    def dense(name, integers, source, **limits):
        kernel, bias = references.dense_weights(model.get_layer(name))
        sums, scale = weighted_sum(integers, source, kernel, bias)
        return integer_kernels.store(sums, scale / stored[name].scale, stored[name], **limits)

    integers = stored["images"].quantize(images)
    kernel = np.array(mix.kernel, np.float64)[0, 0] * factors
    sums, scale = weighted_sum(integers, "images", kernel, beta - mean * factors, axis=0)
    integers = integer_kernels.store(sums, scale / stored["mix"].scale, stored["mix"], (0, 6))
    assert np.mean(integers == integers.max()) > 0.1
    integers = integer_kernels.average(integers, (1, 2))
    integers = dense("first", integers, "mix", limits=(0, np.inf))
    expected = dense("second", integers, "first")
    assert len(np.unique(expected)) > 80

    logits = quantized.logits(images)
    actual = stored["second"].quantize(logits)
    np.testing.assert_allclose(logits, stored["second"].dequantize(actual), atol=1e-5)
    # float32 cannot tell every sum from a half.
    assert np.mean(actual == expected) > 0.99
    assert np.abs(actual - expected).max() <= 1


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("bias", "expected"), [(0.0, 0.0), (0.4, 0.0), (0.6, 1.0), (-0.6, -1.0), (2.4, 2.0)]
)
def test_bias_is_an_integer_at_the_scale_of_the_products(bias, expected):
    """Steps of 1 for the input and for the weight: so are those of the bias."""
    model = chains.chain(
        (1, 1, 1), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1, name="dense")
    )
    model.layers[-1].kernel.assign([[127.0]])
    model.layers[-1].bias.assign([bias])
    quantized = QuantizeAwareModel(model)
    quantized.activation_ranges = {"images": (-128, 127), "dense": (-12.8, 12.7)}
    logits = quantized.logits(np.zeros((1, 1, 1, 1), np.float32))
    np.testing.assert_allclose(logits, [[expected]], atol=1e-5)


@pytest.mark.usefixtures("eager")
def test_call_gives_the_softmax_of_the_logits():
    model = chains.head()
    images = chains.random_images(model, 5)
    quantized = quantize_aware(model, images)
    np.testing.assert_allclose(
        quantized(images), tf.nn.softmax(quantized.logits(images)), rtol=1e-6
    )


@pytest.mark.usefixtures("eager")
def test_inference_changes_nothing():
    quantized = quantized_classifier()
    images, _ = problem()
    before = models.weight_values(quantized)
    np.testing.assert_array_equal(quantized(images), quantized(images, training=False))
    quantized.logits(images)
    quantized.float_logits(images)
    models.assert_same_weights(quantized, before)


@pytest.mark.usefixtures("eager")
def test_what_is_trained():
    quantized = quantized_classifier("int8_head4")
    trained = {weight.path for weight in quantized.trainable_weights}
    assert trained == {weight.path for weight in quantized.float_model.trainable_weights}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("batch_normalization_is_frozen", "ranges_are_frozen"),
    [(False, False), (True, False), (False, True), (True, True)],
)
@pytest.mark.parametrize("kernels", KERNELS)
def test_what_a_training_call_moves(kernels, batch_normalization_is_frozen, ranges_are_frozen):
    quantized = quantized_classifier(kernels=kernels)
    quantized.batch_normalization_is_frozen = batch_normalization_is_frozen
    quantized.ranges_are_frozen = ranges_are_frozen
    assert quantized.ranges_are_frozen == ranges_are_frozen
    images, _ = problem()
    statistics = {
        weight.path: np.array(weight) for weight in quantized.float_model.non_trainable_weights
    }
    calibrated = quantized.activation_ranges
    ranges = {name: (low - 1, high + 1) for name, (low, high) in calibrated.items()}
    quantized.activation_ranges = ranges
    outputs = quantized(images, training=True)
    for weight in quantized.float_model.non_trainable_weights:
        is_same = np.array_equal(weight, statistics[weight.path])
        assert is_same == batch_normalization_is_frozen, weight.path
    learned = range_names(quantized.planned_steps, INPUT, kernels)
    for name, ends in quantized.activation_ranges.items():
        is_same = ends == pytest.approx(ranges[name], rel=1e-6)
        assert is_same == (ranges_are_frozen or name not in learned), name
    if batch_normalization_is_frozen and ranges_are_frozen:
        # Training then sees what the device computes but for the device's own way with halves.
        low, high = ranges[quantized.planned_steps[-1].result]
        steps = np.abs(outputs - quantized(images, training=False)) / (high - low) * 255
        assert steps.mean() < 0.3 and steps.max() < 4


@pytest.mark.usefixtures("eager")
def test_range_moves_by_a_thousandth_towards_the_batch():
    quantized = quantized_classifier()
    quantized.activation_ranges = dict.fromkeys(quantized.activation_ranges, (-1.0, 1.0))
    images, _ = problem()
    images = images * np.float32(2.5 / images.max())
    quantized(images, training=True)
    low = min(images.min(), 0)
    assert quantized.activation_ranges["images"] == pytest.approx(
        (-1 + (low + 1) / 1000, 1 + 1.5 / 1000), rel=1e-6
    )


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("scheme", ["int8", "int8_head4", "int8_head4_per_channel"])
def test_every_trained_weight_is_reached(scheme):
    """Except by what is clipped: so no weight as a whole stays without a gradient."""
    model = chains.block_a() if scheme == "int8" else chains.head()
    images = chains.random_images(model, 8)
    quantized = quantize_aware(model, images, scheme)
    weights = quantized.trainable_weights
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(quantized(images, training=True)[..., :2] ** 2)
    for weight, gradient in zip(
        weights, tape.gradient(loss, [item.value for item in weights]), strict=True
    ):
        assert np.all(np.isfinite(gradient)), weight.path
        is_shift = weight.name == "bias" and "dense" in weight.path  # taken out by normalization
        assert np.any(gradient) or is_shift, weight.path


@pytest.mark.usefixtures("eager")
def test_losses_of_regularizers_remain():
    model = chains.chain((1, 1, 4), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2))
    kernel = model.layers[-1].kernel
    kernel.regularizer = keras.regularizers.L2(0.5)
    quantized = QuantizeAwareModel(model)
    assert float(sum(quantized.losses)) == pytest.approx(0.5 * np.sum(np.array(kernel) ** 2))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("scheme", ["int8", "int8_head4_per_channel"])
def test_saved_model_is_the_same_and_goes_on_training(scheme, tmp_path):
    images, labels = problem()
    quantized = compiled(quantized_classifier(scheme), run_eagerly=True)
    quantized.train_on_batch(images, labels)
    quantized.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, QuantizeAwareModel)
    np.testing.assert_array_equal(loaded(images), quantized(images))
    assert loaded.activation_ranges == quantized.activation_ranges
    assert loaded.scheme == quantized.scheme
    assert loaded.per_channel_dense == quantized.per_channel_dense
    for name, rounding in quantized.weight_roundings.items():
        assert loaded.weight_roundings[name].weight_format == rounding.weight_format
        np.testing.assert_array_equal(loaded.weight_roundings[name].clipping, rounding.clipping)
    for model in (quantized, loaded):  # one more step, momentum included, is the same step
        compiled_loss = model.train_on_batch(images, labels)
        assert np.isfinite(compiled_loss)
    for weight, value in zip(loaded.weights, quantized.get_weights(), strict=True):
        np.testing.assert_allclose(weight, value, rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("eager")
def test_layers_with_a_scale_for_each_output_are_saved(tmp_path):
    """With numbers far apart, so that the outputs differ if the names are lost."""
    model = chains.chain(
        (1, 1, 4),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, name="dense"),
    )
    model.layers[-1].kernel.assign(np.array([[900.0, 1, 2]] * 4) * [[1], [2], [3], [-4]])
    quantized = QuantizeAwareModel(model, per_channel_dense=["dense"])
    quantized.activation_ranges = {"images": (-4, 4), "dense": (-10, 10)}
    images = chains.random_images(model, 6)
    quantized.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.per_channel_dense == ("dense",)
    np.testing.assert_array_equal(loaded(images), quantized(images))
    frugal = QuantizeAwareModel(model)
    frugal.activation_ranges = quantized.activation_ranges
    assert not np.array_equal(frugal(images), quantized(images))


def test_fit_learns():
    """As Keras's users train: traced, `jit_compile` at its default, validation, metrics."""
    images, labels = problem(64)
    quantized = quantized_classifier("int8_head4")
    compiled(quantized, metrics=["accuracy"])
    before = {weight.path: np.array(weight) for weight in quantized.weights}
    ranges = quantized.activation_ranges
    history = quantized.fit(images, labels, batch_size=16, epochs=8, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert np.mean(quantized(images).numpy().argmax(axis=-1) == labels) > 0.9
    for weight in quantized.float_model.weights:
        assert not np.array_equal(weight, before[weight.path]), weight.path
    for name in range_names(quantized.planned_steps, INPUT, quantized.kernels):
        assert quantized.activation_ranges[name] != ranges[name], name


@pytest.mark.parametrize("scheme", ["int9", None])
def test_unknown_scheme_is_refused(scheme):
    with pytest.raises(ValueError, match="`scheme` must be one of"):
        QuantizeAwareModel(chains.head(), scheme)


def test_other_layers_are_refused():
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, keras.layers.SeparableConv2D(2, 3, name="foreign")(inputs))
    with pytest.raises(ValueError, match="Received: layer 'foreign' of type SeparableConv2D"):
        QuantizeAwareModel(model)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
@pytest.mark.parametrize("kernels", KERNELS)
def test_global_dtype_changes_nothing(policy, kernels, tmp_path):
    """Integers are exact in float32, whatever Keras is told to compute in when a model is made."""
    model = chains.block_a()
    images = chains.random_images(model, 4)
    quantized = quantize_aware(model, images, kernels=kernels)
    expected = quantized.predict(images, verbose=0)
    quantized.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy(policy)  # undone by the fixture of all tests
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    made = quantize_aware(model, images, kernels=kernels)
    for each in (loaded, made, made.simulating(kernels)):
        outputs = each.predict(images, verbose=0)
        assert outputs.dtype == np.float32
        np.testing.assert_array_equal(outputs, expected)
        np.testing.assert_array_equal(each.logits(images), expected)
    made.compile(keras.optimizers.SGD(1e-3), "mean_squared_error")
    assert np.isfinite(made.train_on_batch(images, expected))
