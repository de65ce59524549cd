# SPDX-License-Identifier: Apache-2.0
"""From a float model to one that rounds: ranges, formats, biases, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_micronet import layers
from keras_micronet.grid import HeatmapCrossentropy, MicroNetGrid
from keras_micronet.quantization import (
    CalibrationTools,
    QuantizeAwareModel,
    WeightFormat,
    quantize_aware,
)
from keras_micronet.quantization.dense_layers import dense_layers
from tests.keras_micronet import models
from tests.keras_micronet.quantization import chains

pytestmark = pytest.mark.usefixtures("eager")

SCHEMES = ["int8", "int8_head4", "int8_head4_per_channel"]


@pytest.mark.parametrize("build", chains.CHAINS)
def test_int8_is_near_the_float_model(build):
    """8 bits hold 40 dB and more of a value; a chain of them leaves 20 dB here."""
    model = build()
    images = chains.random_images(model, 24)
    quantized = quantize_aware(model, images)
    expected = quantized.float_logits(images)
    error = np.mean((quantized.logits(images) - expected) ** 2)
    assert 0 < error < 0.01 * np.var(expected)


def test_result():
    model = chains.head()
    quantized = quantize_aware(model, chains.random_images(model, 4), "int8_head4")
    assert isinstance(quantized, QuantizeAwareModel)
    assert quantized.name == f"quantized_{model.name}"
    assert quantized.scheme.name == "int8_head4"
    assert quantized.input_shape == model.input_shape
    assert quantized.output_shape == model.output_shape
    outputs = quantized(chains.random_images(model, 4))
    np.testing.assert_allclose(np.sum(outputs, axis=-1), 1, rtol=1e-6)  # the softmax stays


@pytest.mark.parametrize("scheme", SCHEMES)
def test_given_model_is_not_changed(scheme):
    """Neither by quantizing nor by training what comes of it."""
    model = chains.head()
    model.layers[3].trainable = False
    config, weights = model.get_config(), models.weight_values(model)
    images = chains.random_images(model, 6)
    expected = model(images).numpy()
    quantized = quantize_aware(model, images, scheme)
    quantized.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    quantized.train_on_batch(images, np.zeros(6, int))
    assert model.get_config() == config
    models.assert_same_weights(model, weights)
    np.testing.assert_array_equal(model(images), expected)
    assert not {id(weight) for weight in model.weights} & {
        id(weight) for weight in quantized.weights
    }
    assert len(quantized.trainable_weights) == len(model.trainable_weights)


def test_ranges_are_those_of_the_data():
    """Uniform values are not clipped, and a ReLU's range begins at 0."""
    model = chains.classifier()
    images = np.random.default_rng(0).uniform(-1, 3, (32, 8, 8, 3)).astype(np.float32)
    quantized = quantize_aware(model, images)
    assert quantized.activation_ranges["images"] == pytest.approx((-1, 3), abs=0.01)
    convolution = model.layers[1](images).numpy()
    low, high = quantized.activation_ranges[model.layers[1].name]
    assert low == 0
    assert 0.3 * np.clip(convolution.max(), 0, 6) <= high <= 6
    assert high < 10 * np.std(np.clip(convolution, 0, 6))


def test_ranges_by_other_rules():
    """Of 38,400 normal values about 4 are left out at either end."""
    model = chains.classifier()
    images = chains.random_images(model, 200)
    extremes, percentile = (
        quantize_aware(model, images, tools=CalibrationTools(ranges=rule)).activation_ranges
        for rule in ("extremes", "percentile")
    )
    assert extremes["images"] == (images.min(), images.max())
    values = np.sort(images, axis=None)
    assert values[2] < percentile["images"][0] < values[7]
    assert values[-8] < percentile["images"][1] < values[-3]
    assert extremes.keys() == percentile.keys()


@pytest.mark.parametrize("rule", ["minmax", "", None])
def test_unknown_rule_is_refused(rule):
    message = r"`ranges` must be one of \['extremes', 'least_error', 'percentile'\]. Received: "
    with pytest.raises(ValueError, match=message):
        CalibrationTools(ranges=rule)


def as_generator(images):
    for start in range(0, len(images), 5):
        yield images[start : start + 5]


def as_labelled_dataset(images):
    return tf.data.Dataset.from_tensor_slices((images, np.zeros(len(images)))).batch(7)


@pytest.mark.parametrize(
    "kind", [lambda images: [images[:1], images[1:]], as_generator, as_labelled_dataset]
)
def test_data_of_every_kind(kind):
    model = chains.head()
    images = chains.random_images(model, 12)
    expected = quantize_aware(model, images).activation_ranges
    actual = quantize_aware(model, kind(images)).activation_ranges
    assert set(actual) == set(expected)
    for name, ends in actual.items():
        assert ends == pytest.approx(expected[name], rel=1e-5, abs=1e-6), name


def model_with(layer):
    return chains.chain(
        (4, 4, 3),
        layers.NormalizedConv2D(4, 3),
        layer,
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(2),
    )


class UsersLayer(keras.layers.Layer):
    """A layer that the library does not know."""

    def call(self, inputs):
        return 2 * inputs


GOOD = np.ones((2, 4, 4, 3), np.float32)


@pytest.mark.parametrize(
    ("model", "data", "scheme", "message"),
    [
        (
            lambda: model_with(UsersLayer(name="mine")),
            GOOD,
            "int8",
            "must consist of the layers of keras_micronet, Conv2D, .*build it of these, or "
            "quantize and export only the part that is. Received: layer 'mine' of type UsersLayer",
        ),
        (
            lambda: model_with(keras.layers.ELU(name="elu")),
            GOOD,
            "int8",
            "Received: layer 'elu' of type ELU",
        ),
        (
            lambda: object(),
            GOOD,
            "int8",
            "keras.Model.inputs, outputs.*Received: model of type object",
        ),
        (chains.head, GOOD, "int7", "`scheme` must be one of .*Received: scheme='int7'"),
        (None, np.where(GOOD == 1, np.nan, GOOD), "int8", "must be finite"),
        (None, (batch for batch in ()), "int8", "at least one image"),
        (None, GOOD[:, :3], "int8", r"of shape \(4, 4, 3\). Received: .* shape \(2, 3, 4, 3\)"),
        (None, GOOD[0], "int8", r"Received: an array of shape \(4, 4, 3\)"),
        (None, 7, "int8", "array of images or an iterable of such arrays. Received: int"),
        (None, None, "int8", "Received: NoneType"),
    ],
)
def test_refused_before_anything_is_computed(model, data, scheme, message, monkeypatch):
    model = model_with(keras.layers.ReLU()) if model is None else model()
    # Copying the model is the first step.
    monkeypatch.setattr(keras.models, "clone_model", lambda *_: pytest.fail("computes"))
    with pytest.raises(ValueError, match=message):
        quantize_aware(model, data, scheme)


def test_value_that_is_not_finite_is_named():
    model = model_with(keras.layers.ReLU())
    model.layers[-1].bias.assign([3e38, 0])  # finite, but its square is not
    with pytest.raises(ValueError, match=f"finite.*values of {model.layers[-1].name} between"):
        quantize_aware(model, GOOD)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_formats(scheme):
    """Convolutions and Dynamic Shift-Max are 8-bit in every scheme, the model's own dense not."""
    model = chains.classifier()
    convolution, _, fuse, _, first, _, second = (layer.name for layer in model.layers[1:])
    quantized = quantize_aware(model, chains.random_images(model, 8), scheme)
    assert quantized.per_channel_dense == ()
    head = {
        "int8": WeightFormat(8, False),
        "int8_head4": WeightFormat(4, False),
        "int8_head4_per_channel": WeightFormat(4, True),
    }[scheme]
    one_scale = WeightFormat(8, False)
    assert {name: item.weight_format for name, item in quantized.weight_roundings.items()} == {
        convolution: WeightFormat(8, True),
        f"{fuse}/squeeze": one_scale,
        f"{fuse}/a1": one_scale,
        f"{fuse}/b1": one_scale,
        first: head,
        second: head,
    }


@pytest.mark.parametrize("per_channel", [False, True])
def test_weights_of_4_bits_take_at_most_15_values(per_channel):
    scheme = "int8_head4_per_channel" if per_channel else "int8_head4"
    model = chains.chain(
        (1, 1, 60),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(20, name="plain"),
        keras.layers.Dense(10, name="normalized"),
        keras.layers.BatchNormalization(),
    )
    quantized = quantize_aware(model, chains.random_images(model, 16), scheme)
    found = list(dense_layers(quantized.planned_steps))
    assert [layer.name for layer in found] == ["plain", "normalized"]
    # Normal weights are clipped: 600 and more with one end, 60 with an end of their own.
    clippings = [quantized.weight_roundings[layer.name].clipping for layer in found]
    assert max(clipping.min() for clipping in clippings) < 0.95
    for layer, clipping in zip(found, clippings, strict=True):
        assert clipping.shape == (layer.matrix.shape[1] if per_channel else 1,)
        rounded = quantized.weight_quantizers[layer.name].call(tf.constant(layer.matrix)).numpy()
        largest = np.abs(layer.matrix).max(axis=0 if per_channel else None)
        integers = rounded / (largest * clipping / 7)
        np.testing.assert_allclose(integers, np.round(integers), atol=1e-4)
        levels = set(np.round(integers).astype(int).flat)
        assert levels <= set(range(-7, 8)) and len(levels) >= 14


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("scheme", SCHEMES[1:])
def test_mean_error_of_4_bits_is_taken_from_the_bias(scheme, normalized):
    """Inputs with a mean shift the outputs when weights are rounded; the bias shifts them back."""
    dense = keras.layers.Dense(8)
    steps = [keras.layers.GlobalAveragePooling2D(), dense]
    if normalized:
        steps.append(keras.layers.BatchNormalization())
    model = chains.chain((1, 1, 40), *steps)
    images = 3 + chains.random_images(model, 200)
    quantized = quantize_aware(model, images, scheme)
    expected = model(images).numpy().mean(axis=0)
    corrected = np.abs(quantized.logits(images).mean(axis=0) - expected)
    quantized.float_model.set_weights(model.get_weights())
    uncorrected = np.abs(quantized.logits(images).mean(axis=0) - expected)
    assert uncorrected.mean() > 0.05
    assert corrected.mean() < 0.1 * uncorrected.mean()


@pytest.mark.parametrize("weight_clipping", [False, True])
@pytest.mark.parametrize("bias_correction", [False, True])
def test_tools_for_4_bits_are_used_as_asked(weight_clipping, bias_correction):
    model = chains.chain(
        (1, 1, 200), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(8, name="dense")
    )
    images = 3 + chains.random_images(model, 8)
    tools = CalibrationTools(weight_clipping=weight_clipping, bias_correction=bias_correction)
    quantized = quantize_aware(model, images, "int8_head4", tools)
    (clipping,) = quantized.weight_roundings["dense"].clipping
    assert (clipping < 0.95) == weight_clipping
    assert weight_clipping or clipping == 1
    bias = quantized.float_model.layers[-1].bias
    assert np.array_equal(bias, model.layers[-1].bias) != bias_correction


def test_layer_without_a_bias_is_left_without():
    model = chains.chain(
        (1, 1, 9),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(4, use_bias=False),
        keras.layers.BatchNormalization(center=False),
        keras.layers.Dense(3, use_bias=False),
    )
    quantized = quantize_aware(model, chains.random_images(model, 8), "int8_head4")
    models.assert_same_weights(quantized.float_model, model.get_weights())


def test_int8_leaves_the_weights_alone():
    model = chains.head()
    quantized = quantize_aware(model, chains.random_images(model, 8))
    models.assert_same_weights(quantized.float_model, model.get_weights())


def test_half_precision_model_computes_in_float32():
    images, _ = models.red_or_blue_images(8, 16)
    keras.config.set_dtype_policy("mixed_float16")  # undone by the fixture of all tests
    model = models.small_classifier()
    quantized = quantize_aware(model, images)
    # float16 has 11 significant bits.
    np.testing.assert_allclose(quantized.float_logits(images), model(images), rtol=0, atol=5e-3)
    assert {str(variable.dtype) for variable in quantized.weights} == {"float32"}


def test_layers_that_were_adapted_compute_what_they_did():
    """Keras's `set_weights` brings no state into a `Normalization`, which computes with copies."""
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3)).astype(np.float32)
    images[..., 1] = 77  # constant: Keras divides by its epsilon
    outer, inner = keras.layers.Normalization(), keras.layers.Normalization()
    outer.adapt(images)
    inner.adapt(np.asarray(outer(images)) + 1)
    chain = keras.layers.Conv2D(6, 3, activation="relu")
    nested = keras.Sequential([keras.Input((8, 8, 3)), inner, chain])
    x = inputs = keras.Input((8, 8, 3))
    for layer in (outer, nested, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4)):
        x = layer(x)
    model = keras.Model(inputs, x)
    quantized = quantize_aware(model, images)
    expected = model(images).numpy()
    np.testing.assert_allclose(quantized.float_logits(images), expected, rtol=0, atol=1e-5)
    error = np.mean((quantized.logits(images) - expected) ** 2)
    assert error < 0.01 * np.var(expected)


def test_frozen_parts_stay_frozen():
    model = models.small_classifier()
    inner = model.layers[1].convolutions[0].batch_normalization
    inner.trainable = False
    quantized = quantize_aware(model, models.red_or_blue_images(8, 16)[0])
    copies = [layer.trainable for layer in quantized.float_model._flatten_layers()]
    assert copies == [layer.trainable for layer in model._flatten_layers()]
    assert copies.count(False) == 1


def test_damaged_weights_are_refused_before_anything_is_done():
    model = chains.head()
    model.layers[3].kernel.assign(np.full(model.layers[3].kernel.shape, np.nan))
    model.layers[4].bias.assign([np.inf] * 10)
    damaged = f"{model.layers[3].kernel.path}, {model.layers[4].bias.path}"
    with pytest.raises(ValueError, match=f"Every weight must be finite: .*in {damaged}"):
        quantize_aware(model, chains.random_images(model, 4))


# Models that answer for the cells of a grid


def grid_model(task, output_stride=8, size=(20, 29)):
    """Of odd sides: three rows and four columns of 8 pixels."""
    options = {"classes": 2, "weights": None, "blocks": 2, "shift_max": (2,)}
    return MicroNetGrid("M0", task, input_shape=(*size, 1), output_stride=output_stride, **options)


@pytest.mark.parametrize(
    ("task", "activation", "answers"),
    [("detect", tf.nn.softmax, 3), ("keypoints", tf.sigmoid, 2)],
)
def test_grids_have_maps_of_logits(task, activation, answers):
    model = grid_model(task)
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 29, 1)).astype(np.float32)
    quantized = quantize_aware(model, images)
    logits = quantized.logits(images)
    assert logits.shape == (3, 3, 4, answers)
    np.testing.assert_allclose(quantized(images), activation(logits), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        activation(quantized.float_logits(images)), model(images), rtol=1e-3, atol=1e-5
    )


def test_grids_learn_with_their_rounding():
    model = grid_model("keypoints")
    images = np.random.default_rng(0).integers(0, 256, (4, 20, 29, 1)).astype(np.float32)
    quantized = quantize_aware(model, images)
    quantized.compile(keras.optimizers.Adam(1e-3), HeatmapCrossentropy(), run_eagerly=True)
    there = np.zeros((4, 3, 4, 2), np.float32)
    there[:, 1, 2] = 1
    before = quantized.logits(images)
    losses = [float(quantized.train_on_batch(images, there)) for _ in range(5)]
    assert losses[-1] < losses[0]
    assert np.abs(quantized.logits(images) - before).max() > 0


@pytest.mark.parametrize("scheme", SCHEMES[1:])
def test_schemes_of_dense_layers_are_refused_where_there_are_none(scheme):
    rule = f"dense layers at its end.*int8'. Received: scheme='{scheme}'"
    with pytest.raises(ValueError, match=rule):
        quantize_aware(grid_model("detect"), np.zeros((1, 20, 29, 1)), scheme)
