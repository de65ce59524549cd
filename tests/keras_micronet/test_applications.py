# SPDX-License-Identifier: Apache-2.0
"""MicroNetM0 to MicroNetM3 keep the habits of `keras.applications`."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_micronet
from keras_micronet import layers
from tests.keras_micronet import models
from tests.keras_micronet.golden import golden

pytestmark = pytest.mark.slow

every_variant = pytest.mark.parametrize("variant", golden.VARIANTS)

# Channels of the last block, from the tables.
FEATURES = {"M0": 384, "M1": 576, "M2": 768, "M3": 864}
BLOCKS = {"M0": 7, "M1": 7, "M2": 9, "M3": 12}
HEAD = {"M0": 640, "M1": 960, "M2": 1024, "M3": 1024}
DROPOUT = {"M0": 0.05, "M1": 0.05, "M2": 0.1, "M3": 0.1}


def images(*shape):
    return np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)


def model_m0(**arguments):
    return keras_micronet.MicroNetM0(**{"weights": None, "input_shape": (32, 32, 3), **arguments})


# Outputs


def test_defaults():
    model = keras_micronet.MicroNetM0(weights=None)
    assert model.input_shape == (None, 224, 224, 3)
    assert model.output_shape == (None, 1000)
    assert model.name == "micronet_m0"
    assert model.count_params() == keras_micronet.summarize(model).parameters


@every_variant
def test_with_top(variant, released_model):
    model = released_model(variant)
    assert model.input_shape == (None, None, None, 3)
    assert model.output_shape == (None, 1000)
    assert model.name == f"micronet_{variant.lower()}"
    assert model.get_layer("head_dense").units == HEAD[variant]
    assert model.get_layer("head_dropout").rate == DROPOUT[variant]
    blocks = [layer.name for layer in model.layers if isinstance(layer, layers.MicroBlock)]
    assert blocks == [f"block_{number}" for number in range(1, BLOCKS[variant] + 1)]


@every_variant
def test_without_top(variant):
    model = models.builder(variant)(include_top=False, weights=None)
    assert model.input_shape == (None, None, None, 3)
    assert model.output_shape == (None, None, None, FEATURES[variant])
    assert not [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    outputs = model(images(1, 64, 96, 3))
    assert outputs.shape == (1, 2, 3, FEATURES[variant])


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_pooling(pooling, released_model):
    model = models.logits_model("M0", include_top=False, pooling=pooling)
    assert model.output_shape == (None, 384)
    source = released_model("M0")
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(source.get_layer(layer.name).get_weights())
    features = golden.measured("M0")["features_7_64"]
    expected = features.mean((1, 2)) if pooling == "avg" else features.max((1, 2))
    np.testing.assert_allclose(model(golden.images(64)), expected, atol=1e-4)


def test_pooling_is_left_alone_with_the_top():
    assert model_m0(pooling="max", classes=3).output_shape == (None, 3)


def test_softmax_by_default(released_model):
    model = model_m0(input_shape=(64, 64, 3), include_preprocessing=False)
    model.set_weights(released_model("M0").get_weights())
    logits = golden.measured("M0")["logits_64"].astype(np.float64)
    exponentials = np.exp(logits)
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model(golden.images(64)), expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("sigmoid", lambda logits: 1 / (1 + np.exp(-logits))),
        (keras.ops.square, np.square),
        ("linear", lambda logits: logits),
    ],
)
def test_other_classifier_activations(activation, function, released_model):
    model = models.logits_model("M0", classifier_activation=activation)
    model.set_weights(released_model("M0").get_weights())
    expected = function(golden.measured("M0")["logits_64"])
    np.testing.assert_allclose(model(golden.images(64)), expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1, 3), (33, 47, 3), (31, 64, 3), (5, 200, 3)])
def test_any_image_size(shape):
    outputs = np.array(model_m0(input_shape=shape, classes=4)(images(2, *shape)))
    assert outputs.shape == (2, 4)
    np.testing.assert_allclose(outputs.sum(axis=1), 1.0, atol=1e-5)


def test_open_sizes_give_what_fixed_sizes_give(released_model):
    fixed = model_m0(
        input_shape=(33, 50, 3), classifier_activation=None, include_preprocessing=False
    )
    fixed.set_weights(released_model("M0").get_weights())
    batch = images(2, 33, 50, 3) / 255.0
    np.testing.assert_allclose(released_model("M0")(batch), fixed(batch), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channel_counts(channels):
    model = model_m0(input_shape=(16, 16, channels), include_preprocessing=False, classes=3)
    assert model(images(2, 16, 16, channels)).shape == (2, 3)


def test_one_class():
    model = model_m0(classes=1, classifier_activation="sigmoid")
    assert model(images(2, 32, 32, 3)).shape == (2, 1)


@pytest.mark.parametrize(("rate", "expected"), [(None, 0.05), (0, 0.0), (np.float32(0.5), 0.5)])
def test_dropout_rate(rate, expected):
    assert model_m0(dropout_rate=rate).get_layer("head_dropout").rate == expected


def test_dropout_acts_in_training_only():
    model = model_m0(dropout_rate=0.9, classes=50)
    for layer in model.layers:
        if layer.name != "head_dropout":
            layer.trainable = False
    models.randomize(model)
    batch = images(2, 32, 32, 3)
    np.testing.assert_allclose(model(batch), model(batch), atol=0)
    assert not np.allclose(model(batch, training=True), model(batch, training=True))


def test_name():
    assert model_m0(name="mine").name == "mine"


# Input


def test_preprocessing_inside_equals_preprocess_input_outside(small_m0):
    outside = model_m0(include_preprocessing=False, classes=5)
    outside.set_weights(small_m0.get_weights())
    raw = images(2, 32, 32, 3)
    expected = small_m0(raw)
    np.testing.assert_allclose(
        outside(keras_micronet.preprocess_input(raw)), expected, rtol=1e-4, atol=1e-6
    )


def test_preprocessing_inside_normalizes_by_the_imagenet_statistics(small_m0):
    raw = images(2, 32, 32, 3)
    normalize = keras.Model(small_m0.input, small_m0.get_layer("preprocessing").output)
    expected = (raw / 255.0 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    np.testing.assert_allclose(normalize(raw), expected, rtol=1e-4, atol=1e-5)


def test_preprocess_input_normalizes_by_the_imagenet_statistics():
    raw = np.array([[[[0.0, 127.5, 255.0]]]], np.float32)
    expected = [(0 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    normalized = keras_micronet.preprocess_input(raw)
    np.testing.assert_allclose(normalized.flatten(), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        keras_micronet.preprocess_input(raw[0].astype(np.uint8)).flatten(),
        [expected[0], (127 / 255 - 0.456) / 0.224, expected[2]],
        rtol=1e-5,
    )
    first = keras_micronet.preprocess_input(raw.transpose(0, 3, 1, 2), data_format="channels_first")
    np.testing.assert_allclose(first.flatten(), expected, rtol=1e-5)
    tensor = keras_micronet.preprocess_input(tf.constant(raw))
    np.testing.assert_allclose(tensor, normalized, rtol=1e-5)


def test_gray_images_are_normalized_by_the_brightness_of_the_statistics():
    mean, deviation = (
        np.dot((0.299, 0.587, 0.114), values)
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    raw = images(2, 16, 16, 1)
    expected = (raw / 255.0 - mean) / deviation
    model = model_m0(input_shape=(16, 16, 1), classes=3)
    normalize = keras.Model(model.input, model.get_layer("preprocessing").output)
    np.testing.assert_allclose(normalize(raw), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(keras_micronet.preprocess_input(raw), expected, rtol=1e-5, atol=1e-6)
    tensor = keras_micronet.preprocess_input(tf.constant(raw.astype(np.uint8)))
    bytes_of = keras_micronet.preprocess_input(raw.astype(np.uint8))
    np.testing.assert_allclose(tensor, bytes_of, rtol=1e-5, atol=1e-6)
    first = keras_micronet.preprocess_input(raw.transpose(0, 3, 1, 2), data_format="channels_first")
    np.testing.assert_allclose(first.transpose(0, 2, 3, 1), expected, rtol=1e-5, atol=1e-6)


def test_preprocess_input_leaves_the_callers_array_alone():
    raw = images(1, 2, 2, 3)
    copy = raw.copy()
    keras_micronet.preprocess_input(raw)
    np.testing.assert_array_equal(raw, copy)


def test_images_of_bytes_serve_as_floats_do(small_m0):
    pixels = images(2, 32, 32, 3).astype(np.uint8)
    expected = small_m0(pixels.astype(np.float32))
    np.testing.assert_allclose(small_m0.predict(pixels, verbose=0), expected, atol=1e-6)


def test_input_tensor(small_m0):
    inputs = keras.Input((32, 32, 3), name="camera")
    on_tensor = model_m0(input_shape=None, input_tensor=inputs, classes=5)
    on_tensor.set_weights(small_m0.get_weights())
    assert on_tensor.input is inputs
    batch = images(2, 32, 32, 3)
    np.testing.assert_allclose(on_tensor(batch), small_m0(batch), atol=1e-6)


def test_input_tensor_from_other_layers():
    inputs = keras.Input((64, 64, 1))
    colour = keras.layers.Concatenate()([keras.layers.AveragePooling2D(2)(inputs)] * 3)
    model = model_m0(input_tensor=colour, classes=5)
    assert model.input_shape == (None, 64, 64, 1)
    assert model(images(2, 64, 64, 1)).shape == (2, 5)


@pytest.mark.parametrize(
    "arguments", [{"classes": 5}, {"include_top": False}, {"include_top": False, "pooling": "avg"}]
)
def test_channels_first(arguments, channels_first):
    first = model_m0(input_shape=(3, 32, 48), **arguments)
    assert first.input_shape == (None, 3, 32, 48)
    models.randomize(first)
    keras.config.set_image_data_format("channels_last")
    last = model_m0(input_shape=(32, 48, 3), **arguments)
    last.set_weights(first.get_weights())
    batch = images(2, 32, 48, 3)
    expected = np.array(last(batch))
    if arguments == {"include_top": False}:
        expected = expected.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(first(batch.transpose(0, 3, 1, 2)), expected, atol=1e-5)


def test_channels_first_default_shape_and_reload(channels_first, tmp_path):
    model = keras_micronet.MicroNetM0(weights=None, classes=3)
    assert model.input_shape == (None, 3, 224, 224)
    model.save(tmp_path / "first.keras")
    keras.config.set_image_data_format("channels_last")
    loaded = keras.saving.load_model(tmp_path / "first.keras")
    batch = images(1, 3, 224, 224)
    np.testing.assert_allclose(loaded(batch), model(batch), atol=1e-6)


def test_image_data_format_may_change_after_building(small_m0, channels_first):
    batch = images(2, 32, 32, 3)
    outputs = small_m0(batch)
    keras.config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(outputs, small_m0(batch))


# Saving and cloning


@every_variant
def test_saved_model_needs_no_custom_objects(variant, released_model, tmp_path):
    model = released_model(variant)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    batch = golden.images(64)
    np.testing.assert_allclose(loaded(batch), model(batch), atol=1e-6)
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]


def test_saved_full_rank_model_in_half_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    model = model_m0(full_rank=True, classes=4)
    models.randomize(model)
    model.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy("float32")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("block_3").compute_dtype == "float16"
    batch = images(2, 32, 32, 3)
    np.testing.assert_allclose(loaded(batch), model(batch), atol=1e-6)


def test_clone(small_m0):
    clone = keras.models.clone_model(small_m0)
    assert not any(layer in small_m0.layers for layer in clone.layers)
    clone.set_weights(small_m0.get_weights())
    batch = images(2, 32, 32, 3)
    np.testing.assert_allclose(clone(batch), small_m0(batch), atol=1e-6)


# Dtypes


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_global_policy(policy, small_m0):
    keras.config.set_dtype_policy(policy)
    model = model_m0(classes=5)
    model.set_weights(small_m0.get_weights())
    expected_policy = keras.DTypePolicy(policy)
    assert {layer.compute_dtype for layer in model.layers[1:-1]} == {expected_policy.compute_dtype}
    outputs = model(images(2, 32, 32, 3))
    assert outputs.dtype.name == expected_policy.variable_dtype
    tolerance = {"mixed_float16": 0.03, "mixed_bfloat16": 0.2, "float64": 1e-5}[policy]
    np.testing.assert_allclose(outputs, small_m0(images(2, 32, 32, 3)), atol=tolerance)


# The full-rank partner


@every_variant
def test_full_rank_partner_has_the_same_widths_and_depth(variant, released_model):
    factorized = released_model(variant)
    partner = models.logits_model(variant, full_rank=True)
    assert [layer.name for layer in partner.layers] == [layer.name for layer in factorized.layers]
    shapes = [[layer.output.shape for layer in model.layers] for model in (factorized, partner)]
    assert shapes[0] == shapes[1]
    for layer, thin in zip(partner.layers, factorized.layers, strict=True):
        if isinstance(layer, layers.FactorizedStem):
            (convolution,) = layer.convolutions
            assert convolution.kernel.shape == (3, 3, 3, layer.channels[0] * layer.channels[1])
        if not isinstance(layer, layers.MicroBlock):
            continue
        for pointwise, sparse in ((layer.expand, thin.expand), (layer.project, thin.project)):
            if pointwise is not None:
                _, _, inputs, outputs = pointwise.kernel.shape
                assert inputs == sparse.kernel.shape[2] * sparse.groups
                assert outputs == sparse.kernel.shape[3]
        if layer.depthwise is not None:
            assert isinstance(layer.depthwise, layers.NormalizedDepthwiseConv2D)
            assert layer.depthwise.kernel.shape[:2] == (layer.kernel_size, layer.kernel_size)
    assert partner.count_params() > factorized.count_params()


# Bad input


@pytest.mark.parametrize(
    "shape",
    [
        (0, 32, 3),
        (-32, 32, 3),
        (32.0, 32, 3),
        (32, 32),
        (32, 32, 3, 1),
        (None, 32, 32, 3),
        (32, 32, None),
        (32, True, 3),
        ("32", "32", "3"),
        "323",
        32,
        (),
    ],
)
def test_input_shape_is_checked(shape):
    with pytest.raises(ValueError, match="`input_shape` must be three.*Received: input_shape="):
        model_m0(input_shape=shape)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 0}, "`classes` must be a positive integer. Received: classes=0"),
        ({"classes": -5}, "`classes` must be a positive integer. Received: classes=-5"),
        ({"classes": 2.5}, "`classes` must be a positive integer. Received: classes=2.5"),
        ({"classes": None}, "`classes` must be a positive integer. Received: classes=None"),
        ({"classes": True}, "`classes` must be a positive integer. Received: classes=True"),
        ({"pooling": "sum"}, "`pooling` must be None, 'avg' or 'max'. Received: pooling='sum'"),
        ({"pooling": True}, "`pooling` must be None, 'avg' or 'max'. Received: pooling=True"),
        ({"dropout_rate": 1}, "`dropout_rate` must be None or .*Received: dropout_rate=1"),
        ({"dropout_rate": -0.1}, "`dropout_rate` must be None or .*Received: dropout_rate=-0.1"),
        ({"dropout_rate": "0.1"}, "`dropout_rate` must be None or .*Received: dropout_rate='0.1'"),
        ({"dropout_rate": float("nan")}, "`dropout_rate` must be .*Received: dropout_rate=nan"),
        ({"weights": "imagnet"}, "`weights` must be None, 'imagenet' or .*weights='imagnet'"),
        ({"weights": "a.h5"}, "`weights` must be None, 'imagenet' or .*weights='a.h5'"),
        ({"weights": 5}, "`weights` must be None, 'imagenet' or .*weights=5"),
        ({"weights": "no.pth"}, "`weights` must be.*no such file exists. Received.*'no.pth'"),
        (
            {"weights": "no.weights.h5"},
            "`weights` must be.*no such file exists. Received.*'no.weights.h5'",
        ),
        (
            {"weights": "imagenet", "classes": 10},
            "`classes` must be 1000 with `weights='imagenet'`.*Received: classes=10",
        ),
        (
            {"weights": "imagenet", "full_rank": True},
            "`weights='imagenet'` must go with `full_rank=False`.*Received: full_rank=True",
        ),
        ({"input_shape": (32, 32, 2)}, "must have 3 channels.*or 1 .gray.*: .*32, 32, 2"),
        (
            {
                "input_shape": (32, 32, 4),
                "include_preprocessing": False,
                "weights": "imagenet",
            },
            "must have 3 channels.*Received: .*32, 32, 4",
        ),
        ({"input_tensor": np.zeros((1, 32, 32, 3))}, "`input_tensor` must be.*type ndarray"),
        (
            {"classifier_activation": "softmux"},
            "`classifier_activation` must be .*Received: classifier_activation='softmux'",
        ),
        (
            {"classifier_activation": 5},
            "`classifier_activation` must be .*Received: classifier_activation=5",
        ),
        ({"dropout_rate": True}, "`dropout_rate` must be None or .*Received: dropout_rate=True"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        model_m0(**arguments)


@pytest.mark.parametrize("shape", [(32, 3), (32, 32, 32, 3), (32, 32, None)])
def test_input_tensor_must_be_a_batch_of_images(shape):
    with pytest.raises(ValueError, match="`input_shape` must be three.*Received"):
        model_m0(input_shape=None, input_tensor=keras.Input(shape))


def test_input_tensor_must_agree_with_the_shape():
    with pytest.raises(ValueError, match="`input_shape` must agree with `input_tensor`.*64"):
        model_m0(input_shape=(32, 32, 3), input_tensor=keras.Input((64, 64, 3)))


def test_a_channels_last_shape_under_channels_first_is_refused(channels_first):
    with pytest.raises(ValueError, match="must have 3 channels.*Received"):
        model_m0(input_shape=(32, 32, 3))


# Predictions


@pytest.mark.parametrize("shape", [(1, 10), (1000,), (2, 1000, 1)])
def test_decode_predictions_needs_the_thousand_classes(shape):
    with pytest.raises(ValueError, match=r"\(samples, 1000\).*Received"):
        keras_micronet.decode_predictions(np.zeros(shape))


def test_decode_predictions_names_the_best_classes(monkeypatch):
    module = inspect.getmodule(keras.applications.imagenet_utils.decode_predictions)
    names = {str(index): [f"n{index:08d}", f"class_{index}"] for index in range(1000)}
    monkeypatch.setattr(module, "CLASS_INDEX", names)
    scores = np.zeros((2, 1000), np.float32)
    scores[0, [7, 900, 3]] = 0.2, 0.5, 0.3
    scores[1, 999] = 1.0
    first, second = keras_micronet.decode_predictions(scores, top=3)
    assert [entry[:2] for entry in first] == [
        ("n00000900", "class_900"),
        ("n00000003", "class_3"),
        ("n00000007", "class_7"),
    ]
    np.testing.assert_allclose([entry[2] for entry in first], [0.5, 0.3, 0.2])
    assert second[0] == ("n00000999", "class_999", 1.0)
