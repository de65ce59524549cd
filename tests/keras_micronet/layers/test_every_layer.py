# SPDX-License-Identifier: Apache-2.0
"""What holds for every public layer, checked on every case of `cases`."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_micronet.layers
from tests.keras_micronet import models
from tests.keras_micronet.layers.cases import LAYER_CASES

every_case = pytest.mark.parametrize("case", LAYER_CASES, ids=str)


def random_images(shape, batch=2, seed=3):
    return np.random.default_rng(seed).standard_normal((batch, *shape)).astype(np.float32)


def built(case, **overrides):
    """A layer of the case with random weights and statistics."""
    layer = case.layer(**overrides)
    layer.build((None, *case.input_shape))
    models.randomize(layer)
    return layer


def test_the_cases_cover_every_public_layer():
    covered = {case.layer_class.__name__ for case in LAYER_CASES}
    assert covered == set(keras_micronet.layers.__all__)


@every_case
def test_output_shape(case):
    expected = (2, *case.output_shape)
    layer = case.layer()
    assert layer.compute_output_shape((2, *case.input_shape)) == expected
    assert case.layer()(keras.Input(case.input_shape)).shape == (None, *case.output_shape)
    assert layer(random_images(case.input_shape)).shape == expected
    assert layer.compute_output_shape((2, *case.input_shape)) == expected


@every_case
def test_output_shape_of_open_sizes(case):
    open_shape = (None, None, None, case.input_shape[-1])
    expected = (None, None, None, case.output_shape[-1])
    assert case.layer().compute_output_shape(open_shape) == expected
    assert case.layer()(keras.Input(open_shape[1:])).shape == expected


@every_case
def test_number_of_weights(case):
    layer = built(case)
    assert len(layer.trainable_weights) == case.trainable
    assert len(layer.non_trainable_weights) == case.statistics


@every_case
def test_config_round_trip(case):
    config = case.layer(name="named", trainable=False).get_config()
    copy = case.layer_class.from_config(json.loads(json.dumps(config)))
    assert copy.get_config() == config
    assert (copy.name, copy.trainable) == ("named", False)


@every_case
def test_every_argument_is_in_the_config(case):
    config = case.layer().get_config()
    for argument, value in case.arguments.items():
        if argument in ("kernel_initializer", "kernel_regularizer"):
            assert config[argument]["class_name"]
        elif isinstance(value, (list, tuple)):
            assert list(config[argument]) == list(value)
        else:
            stored = config[argument]
            assert (stored == [value, value]) if isinstance(stored, list) else (stored == value)


@every_case
def test_saved_model_needs_no_custom_objects(case, tmp_path):
    inputs = keras.Input(case.input_shape)
    model = keras.Model(inputs, case.layer(name="tested")(inputs))
    models.randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("tested")) is case.layer_class
    images = random_images(case.input_shape)
    np.testing.assert_array_equal(loaded(images), model(images))


@every_case
def test_weights_file_round_trip(case, tmp_path):
    saved, loaded = (keras.Sequential([keras.Input(case.input_shape), case.layer()]) for _ in "12")
    models.randomize(saved, seed=1)
    models.randomize(loaded, seed=2)
    saved.save_weights(tmp_path / "a.weights.h5")
    loaded.load_weights(tmp_path / "a.weights.h5")
    models.assert_same_weights(loaded, models.weight_values(saved))


@every_case
def test_sizes_known_only_at_run_time(case):
    layer = built(case)
    signature = tf.TensorSpec((None, None, None, case.input_shape[-1]), tf.float32)
    traced = tf.function(layer, input_signature=[signature])
    for height, width, batch in ((7, 6, 2), (1, 1, 1), (4, 9, 3)):
        images = random_images((height, width, case.input_shape[-1]), batch)
        np.testing.assert_allclose(traced(images), layer(images), atol=1e-5)


@every_case
def test_each_image_is_on_its_own_at_inference(case):
    layer = built(case)
    images = random_images(case.input_shape, batch=3)
    np.testing.assert_allclose(layer(images)[1:2], layer(images[1:2]), atol=1e-5)


@every_case
@pytest.mark.parametrize("training", [False, True])
def test_channels_first_is_channels_last_transposed(case, training):
    last, first = built(case), case.layer(data_format="channels_first")
    images = random_images(case.input_shape)
    transposed = images.transpose(0, 3, 1, 2)
    height, width, channels = case.output_shape
    assert first.compute_output_shape(transposed.shape) == (2, channels, height, width)
    first.build(transposed.shape)
    first.set_weights(last.get_weights())
    outputs = np.array(first(transposed, training=training))
    expected = np.array(last(images, training=training))
    np.testing.assert_allclose(outputs.transpose(0, 2, 3, 1), expected, atol=1e-5)
    for got, wanted in zip(first.get_weights(), last.get_weights(), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)


@every_case
def test_data_format_defaults_to_keras_setting(case, channels_first):
    layer = case.layer()
    assert layer.data_format == "channels_first"
    assert layer.get_config()["data_format"] == "channels_first"
    height, width, channels = case.input_shape
    out_height, out_width, out_channels = case.output_shape
    outputs = layer(keras.Input((channels, height, width)))
    assert outputs.shape == (None, out_channels, out_height, out_width)


@every_case
@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [("mixed_float16", 2e-2), ("float16", 2e-2), ("bfloat16", 1.5e-1), ("float64", 1e-5)],
)
def test_dtype_policies(case, policy, tolerance):
    reference = built(case)
    layer = built(case, dtype=policy)
    expected = keras.DTypePolicy(policy)
    images = random_images(case.input_shape)
    outputs = layer(images)
    assert outputs.dtype.name == expected.compute_dtype
    assert {variable.dtype for variable in layer.weights} <= {expected.variable_dtype}
    for inner in layer._flatten_layers():
        assert inner.dtype_policy.name == policy, inner.path
    wanted = np.array(reference(images))
    error = np.abs(np.array(outputs).astype(np.float64) - wanted).max()
    assert error <= tolerance * np.abs(wanted).max()


@every_case
@pytest.mark.parametrize("training", [False, True])
def test_gradient_agrees_with_finite_differences(case, training):
    layer = built(case, dtype="float64")
    images = tf.Variable(random_images(case.input_shape), dtype=tf.float64)
    sources = [images, *(variable.value for variable in layer.trainable_variables)]
    statistics = [np.array(variable) for variable in layer.non_trainable_variables]
    generator = np.random.default_rng(8)
    projection = generator.standard_normal((2, *case.output_shape))
    direction = [generator.standard_normal(source.shape) for source in sources]

    def loss():
        for variable, value in zip(layer.non_trainable_variables, statistics, strict=True):
            variable.assign(value)
        return tf.reduce_sum(layer(images, training=training) * projection)

    def loss_after_step(length):
        for source, component in zip(sources, direction, strict=True):
            source.assign_add(length * component)
        value = loss().numpy()
        for source, component in zip(sources, direction, strict=True):
            source.assign_sub(length * component)
        return value

    with tf.GradientTape() as tape:
        value = loss()
    gradients = [np.array(gradient) for gradient in tape.gradient(value, sources)]
    slope = sum(
        np.sum(gradient * part) for gradient, part in zip(gradients, direction, strict=True)
    )
    difference = (loss_after_step(1e-6) - loss_after_step(-1e-6)) / 2e-6
    largest = max(np.abs(gradient).max() for gradient in gradients)
    assert abs(difference - slope) <= 1e-6 * largest + 1e-7


@every_case
def test_frozen_layer_infers_and_keeps_its_weights(case):
    layer = built(case)
    images = random_images(case.input_shape)
    layer.trainable = False
    before = models.weight_values(layer)
    outputs = layer(images, training=True)
    np.testing.assert_allclose(outputs, layer(images, training=False), atol=1e-6)
    models.assert_same_weights(layer, before)
    assert layer.trainable_weights == []


@every_case
def test_layer_made_frozen_stays_frozen_inside(case, tmp_path):
    model = keras.Sequential([keras.Input(case.input_shape), case.layer(trainable=False)])
    models.randomize(model)
    model.save(tmp_path / "model.keras")
    for frozen in (model, keras.saving.load_model(tmp_path / "model.keras")):
        before = models.weight_values(frozen)
        frozen(random_images(case.input_shape), training=True)
        models.assert_same_weights(frozen, before)
        assert frozen.trainable_weights == []


@every_case
def test_thawed_layer_trains_again(case):
    layer = built(case, trainable=False)
    layer.trainable = True
    assert len(layer.trainable_weights) == case.trainable
    before = models.weight_values(layer)
    layer(random_images(case.input_shape), training=True)
    changed = sum(
        not np.array_equal(old, new)
        for old, new in zip(before, models.weight_values(layer), strict=True)
    )
    assert changed == case.statistics


@every_case
def test_inputs_must_be_images_of_the_built_channels(case):
    layer = built(case)
    with pytest.raises(ValueError, match=r"expected ndim=4"):
        layer(np.zeros((2, *case.input_shape[:2]), np.float32))
    with pytest.raises(ValueError, match=r"expected axis -?\d+ of input shape to have value"):
        layer(random_images((*case.input_shape[:2], case.input_shape[2] * 2)))


@every_case
@pytest.mark.parametrize("shape", [(None, 8), (None, 8, 8, None)])
def test_channels_must_be_known_to_build(case, shape):
    with pytest.raises(ValueError, match="must be.*Received: shape="):
        case.layer().build(shape)


@every_case
def test_unknown_data_format(case):
    with pytest.raises(ValueError, match="`data_format` must be.*Received: data_format='NHWC'"):
        case.layer(data_format="NHWC")
