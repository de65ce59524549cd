# SPDX-License-Identifier: Apache-2.0
"""A model as a flat chain of named steps, or the reason why it is none."""

import keras
import pytest
import tensorflow as tf

from keras_micronet import layers
from keras_micronet.layer_chain import INPUT, unroll
from tests.keras_micronet import models


def chain(*steps, input_shape=(8, 8, 4)):
    inputs = keras.Input(input_shape)
    x = inputs
    for step in steps:
        x = step(x)
    return keras.Model(inputs, x)


def described(model):
    """Names and kinds."""
    return [(step.name, step.kind) for step in unroll(model)]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (lambda: layers.NormalizedConv2D(4, 3, name="x"), [("x", "convolution")]),
        (lambda: layers.GroupedPointwiseConv2D(4, 2, name="x"), [("x", "convolution")]),
        (lambda: layers.NormalizedDepthwiseConv2D(3, name="x"), [("x", "depthwise")]),
        (
            lambda: layers.FactorizedDepthwiseConv2D(3, name="x"),
            [("x/vertical", "depthwise"), ("x/horizontal", "depthwise")],
        ),
        (
            lambda: keras.layers.Conv2D(4, 3, activation="relu", name="x"),
            [("x", "convolution"), ("x/activation", "relu")],
        ),
        (lambda: keras.layers.DepthwiseConv2D(3, name="x"), [("x", "depthwise")]),
        (lambda: layers.ChannelShuffle(2, name="x"), [("x", "shuffle")]),
        (lambda: layers.DynamicShiftMax(2, name="x"), [("x", "shift_max")]),
        (lambda: keras.layers.GlobalAveragePooling2D(name="x"), [("x", "pool")]),
        (lambda: keras.layers.Dropout(0.1, name="x"), [("x", "dropout")]),
        (
            lambda: keras.layers.Normalization(mean=0, variance=1, name="x"),
            [("x", "normalization")],
        ),
        (
            lambda: keras.layers.Rescaling(1 / 255, offset=[0, 1, 2, 3], name="x"),
            [("x", "normalization")],
        ),
        (lambda: keras.layers.Softmax(name="x"), [("x", "softmax")]),
        (lambda: keras.layers.SpatialDropout2D(0.1, name="x"), [("x", "dropout")]),
        (
            lambda: keras.layers.Conv2D(4, 3, activation=keras.layers.ReLU(6), name="x"),
            [("x", "convolution"), ("x/activation", "relu6")],
        ),
        (lambda: keras.layers.Activation(tf.nn.relu6, name="x"), [("x", "relu6")]),
        (lambda: keras.layers.Activation(keras.ops.softmax, name="x"), [("x", "softmax")]),
        (lambda: keras.layers.ReLU(name="x"), [("x", "relu")]),
        (lambda: keras.layers.ReLU(6, name="x"), [("x", "relu6")]),
        (lambda: keras.layers.Activation("relu", name="x"), [("x", "relu")]),
        (lambda: keras.layers.Activation("relu6", name="x"), [("x", "relu6")]),
        (lambda: keras.layers.Activation("hard_swish", name="x"), [("x", "hard_swish")]),
        (lambda: keras.layers.Activation("hard_silu", name="x"), [("x", "hard_swish")]),
        (lambda: keras.layers.Activation("softmax", name="x"), [("x", "softmax")]),
        (lambda: keras.layers.Activation("sigmoid", name="x"), [("x", "sigmoid")]),
        (lambda: keras.layers.Activation(tf.nn.sigmoid, name="x"), [("x", "sigmoid")]),
        (
            lambda: keras.layers.Conv2D(4, 1, activation="sigmoid", name="x"),
            [("x", "convolution"), ("x/activation", "sigmoid")],
        ),
        (lambda: keras.layers.Activation("linear", name="x"), []),
        (lambda: keras.layers.Dense(3, name="x"), [("x", "dense")]),
        (
            lambda: keras.layers.Dense(3, activation="relu", name="x"),
            [("x", "dense"), ("x/activation", "relu")],
        ),
        (
            lambda: keras.layers.Dense(3, activation="softmax", name="x"),
            [("x", "dense"), ("x/activation", "softmax")],
        ),
        (
            lambda: layers.FactorizedStem((2, 2), name="x"),
            [
                ("x/vertical", "convolution"),
                ("x/horizontal", "depthwise"),
                ("x/shuffle", "shuffle"),
                ("x/activation", "relu6"),
            ],
        ),
        (
            lambda: layers.FactorizedStem((2, 2), full_rank=True, name="x"),
            [("x/convolution", "convolution"), ("x/activation", "relu6")],
        ),
        (
            lambda: layers.MicroBlock(8, expand_groups=(2, 4), project_groups=(0, 0), name="x"),
            [("x/expand", "convolution"), ("x/expand_activation", "shift_max")],
        ),
        (
            lambda: layers.MicroBlock(
                8, expansion=(1, 2), expand_groups=(0, 2), fusions=(0, 0, 0), name="x"
            ),
            [
                ("x/depthwise/vertical", "depthwise"),
                ("x/depthwise/horizontal", "depthwise"),
                ("x/depthwise_activation", "relu6"),
                ("x/depthwise_shuffle", "shuffle"),
                ("x/project", "convolution"),
                ("x/project_shuffle", "shuffle"),
            ],
        ),
    ],
)
def test_steps_of_a_layer(layer, expected):
    layer = layer()
    is_dense = isinstance(layer, keras.layers.Dense)
    assert described(chain(layer, input_shape=(1, 1, 4) if is_dense else (8, 8, 4))) == expected


def test_layers_are_those_of_the_model():
    stem = layers.FactorizedStem((2, 2), name="stem")
    dense = keras.layers.Dense(3, name="dense")
    pool = keras.layers.GlobalAveragePooling2D()
    steps = {step.name: step.layer for step in unroll(chain(stem, pool, dense))}
    assert steps["stem/vertical"] is stem.convolutions[0]
    assert steps["stem/shuffle"] is stem.shuffle
    assert steps["dense"] is dense


def test_residual_sum_names_what_it_adds():
    """A block that keeps its shape adds its input: the images, or what the step before gives."""
    options = {"expansion": (1, 2), "expand_groups": (0, 2), "fusions": (0, 0, 1)}
    model = chain(
        layers.MicroBlock(4, name="first", **options),
        layers.MicroBlock(4, name="second", **options),
        layers.MicroBlock(4, strides=2, name="narrower", **options),
        layers.MicroBlock(8, name="wider", **options),
        keras.layers.ReLU(name="relu"),
        layers.MicroBlock(8, name="last", **options),
    )
    sums = {step.name: step for step in unroll(model) if step.kind == "residual"}
    assert {name: step.shortcut for name, step in sums.items()} == {
        "first/sum": INPUT,
        "second/sum": "first/sum",
        "last/sum": "relu",
    }
    assert sums["second/sum"].layer is model.get_layer("second")
    assert all(step.shortcut is None for step in unroll(model) if step.kind != "residual")


def test_batch_normalization_belongs_to_the_dense_layer_before_it():
    normalization = keras.layers.BatchNormalization()
    dense = keras.layers.Dense(3, name="dense")
    swish = keras.layers.Activation("hard_swish", name="swish")
    pool = keras.layers.GlobalAveragePooling2D(name="pool")
    steps = unroll(chain(pool, dense, normalization, swish))
    assert [step.name for step in steps] == ["pool", "dense", "swish"]
    assert steps[1].normalization is normalization
    assert steps[0].normalization is None


def test_nested_models_are_unrolled():
    inner = chain(layers.NormalizedConv2D(6, 1, name="b"), layers.ChannelShuffle(2, name="c"))
    middle = chain(layers.NormalizedConv2D(4, 1, name="a"), inner, keras.layers.ReLU(name="d"))
    model = chain(middle, keras.layers.GlobalAveragePooling2D(name="e"))
    assert [step.name for step in unroll(model)] == ["a", "b", "c", "d", "e"]


def test_sequential_models_are_chains():
    """With an input, or when they have seen images; outside and within other models."""
    inner = keras.Sequential([layers.NormalizedConv2D(6, 1, name="a"), keras.layers.ReLU(name="b")])
    model = keras.Sequential(
        [keras.Input((8, 8, 4)), inner, keras.layers.GlobalAveragePooling2D(name="c")]
    )
    assert [step.name for step in unroll(model)] == ["a", "b", "c"]
    outer = keras.Sequential([inner])
    outer.build((None, 8, 8, 4))
    assert [step.name for step in unroll(outer)] == ["a", "b"]


def test_micronet(small_m0):
    """From the images to the softmax, each step once."""
    steps = unroll(small_m0)
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    assert (steps[0].kind, steps[-1].kind) == ("normalization", "softmax")
    convolutions = [step for step in steps if step.kind in ("convolution", "depthwise", "dense")]
    kernels = [
        weight
        for weight in small_m0.weights
        if weight.name == "kernel" and "squeeze" not in weight.path and "excite" not in weight.path
    ]
    assert [id(step.layer.kernel) for step in convolutions] == [id(kernel) for kernel in kernels]


def two_inputs():
    one, other = keras.Input((4, 4, 2)), keras.Input((4, 4, 2))
    return keras.Model([one, other], layers.ChannelShuffle(2)(one))


def two_outputs():
    inputs = keras.Input((4, 4, 2))
    shuffled = layers.ChannelShuffle(2)(inputs)
    return keras.Model(inputs, [shuffled, keras.layers.ReLU()(shuffled)])


def branches():
    inputs = keras.Input((4, 4, 2))
    shuffled = layers.ChannelShuffle(2)(inputs)
    return keras.Model(inputs, keras.layers.Add(name="both")([inputs, shuffled]))


def shared():
    layer = layers.NormalizedConv2D(4, 1, name="twice")
    return chain(layer, layer)


def same_name_in_a_nested_model():
    inner = chain(layers.ChannelShuffle(2, name="mix"))
    return chain(layers.ChannelShuffle(2, name="mix"), inner)


class UsersLayer(keras.layers.Layer):
    """A layer that the library does not know."""

    def call(self, inputs):
        return inputs


def derived(base, **members):
    """A class of a user's that is derived from a layer."""
    return type(f"Users{base.__name__}", (base,), members)


class StandardizedConv2D(keras.layers.Conv2D):
    """A convolution that changes its kernel before it is applied."""

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, kernel - keras.ops.mean(kernel))


class ModelWithCall(keras.Model):
    """A functional model that does not do what its layers do."""

    def call(self, inputs):
        return 2 * super().call(inputs)


class ModelWithTrainStep(keras.Model):
    """A functional model that only trains in its own way."""

    def train_step(self, data):
        return super().train_step(data)


def relu(x):
    """A function of a user's whose name is that of another one."""
    return keras.ops.abs(x)


def model_of_type(model_class):
    inputs = keras.Input((4, 4, 2))
    return model_class(inputs, layers.ChannelShuffle(2, name="mix")(inputs), name="m")


def quantized_by_keras():
    model = dense()
    model.quantize("int8")
    return model


def patched(layer):
    """A layer with a `call` of its own, as some tutorials make them."""
    original = layer.call
    layer.call = lambda inputs: 2 * original(inputs)
    return layer


def dense(*after):
    return chain(keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, name="dense"), *after)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: "model", "build it as `keras.Model.* Received: model of type str"),
        (lambda: models.small_classifier, "Received: model of type function"),
        (
            lambda: keras.Sequential([layers.ChannelShuffle(2)]),
            "`keras.Sequential` with a `keras.Input`. Received: model of type Sequential",
        ),
        (two_inputs, "one input and one output. Received: 2 inputs and 1 outputs"),
        (two_outputs, "one input and one output. Received: 1 inputs and 2 outputs"),
        (branches, "each fed by the one before.*'both' of type Add with 2 inputs"),
        (shared, "a name of its own and be used once; .* Received: layer 'twice'"),
        (same_name_in_a_nested_model, "Received: layer 'mix' of type ChannelShuffle twice"),
        (
            lambda: chain(keras.layers.Dense(2), input_shape=(7,)),
            r"an image \(height, width, channels\) of known size.*shape \(7,\)",
        ),
        (
            lambda: chain(layers.ChannelShuffle(2), input_shape=(None, 8, 4)),
            r"build it with `input_shape`. Received: input of shape \(None, 8, 4\)",
        ),
        (lambda: chain(UsersLayer(name="mine")), "Received: layer 'mine' of type UsersLayer"),
        (
            lambda: chain(keras.layers.SeparableConv2D(4, 3, name="c")),
            "layer 'c' of type SeparableConv2D",
        ),
        (
            lambda: chain(keras.layers.Conv2D(4, 3, dilation_rate=2, name="c")),
            r"must not be dilated.*Received: layer 'c' with dilation_rate=\(2, 2\)",
        ),
        (
            lambda: chain(keras.layers.Conv2D(4, 3, groups=2, name="c")),
            r"groups only if it is 1x1. Received: layer 'c' .*kernel_size=\(3, 3\)",
        ),
        (
            lambda: chain(
                keras.layers.Conv2D(4, 1), keras.layers.BatchNormalization(axis=1, name="b")
            ),
            "must normalize channels. Received: layer 'b' with axis=1",
        ),
        (
            lambda: chain(
                keras.layers.Conv2D(4, 1, activation="relu"),
                keras.layers.BatchNormalization(name="b"),
            ),
            "layer 'b' of type BatchNormalization",
        ),
        (lambda: chain(keras.layers.MaxPooling2D(name="m")), "layer 'm' of type MaxPooling2D"),
        (
            lambda: chain(StandardizedConv2D(4, 3, name="s")),
            "'s' of type StandardizedConv2D, which is derived from Conv2D and may compute ",
        ),
        (
            lambda: chain(derived(keras.layers.DepthwiseConv2D)(3, name="s")),
            "type UsersDepthwiseConv2D, which is derived from DepthwiseConv2D",
        ),
        (
            lambda: dense(derived(keras.layers.Dense)(3, name="s")),
            "'s' of type UsersDense, which is derived from Dense",
        ),
        (
            lambda: chain(
                keras.layers.Conv2D(4, 1), derived(keras.layers.BatchNormalization)(name="s")
            ),
            "'s' of type UsersBatchNormalization, which is derived from BatchNormalization",
        ),
        (
            lambda: chain(derived(keras.layers.GlobalAveragePooling2D)(name="s")),
            "which is derived from GlobalAveragePooling2D",
        ),
        (lambda: chain(derived(keras.layers.ReLU)(name="s")), "which is derived from ReLU"),
        (
            lambda: chain(derived(keras.layers.Activation)("relu", name="s")),
            "which is derived from Activation",
        ),
        (
            lambda: chain(derived(keras.layers.Normalization)(mean=0, variance=1, name="s")),
            "which is derived from Normalization",
        ),
        (
            lambda: chain(derived(layers.DynamicShiftMax)(2, name="s")),
            "which is derived from DynamicShiftMax",
        ),
        (
            lambda: chain(derived(layers.MicroBlock)(8, name="s")),
            "which is derived from MicroBlock",
        ),
        (lambda: chain(derived(keras.layers.Dropout)(0.1)), "which is derived from Dropout"),
        (
            lambda: chain(patched(keras.layers.Conv2D(4, 3, name="p"))),
            "`call` that is set on the layer itself. Received: layer 'p' of type Conv2D",
        ),
        (lambda: model_of_type(ModelWithCall), "'m' of type ModelWithCall with a `call` of"),
        (
            lambda: chain(keras.layers.Activation(relu, name="a")),
            "layer 'a' of type Activation with activation=relu",
        ),
        (
            lambda: chain(keras.layers.Conv2D(4, 3, activation=keras.layers.PReLU(), name="c")),
            "layer 'c/activation' of type Conv2D with activation=a layer of type PReLU",
        ),
        (
            lambda: chain(keras.layers.Conv2D(4, 3, activation=keras.layers.ReLU(5), name="c")),
            "layer 'c/activation' of type ReLU with .*max_value=5",
        ),
        (lambda: chain(keras.layers.Softmax(axis=1, name="s")), "of type Softmax with axis=1"),
        (
            quantized_by_keras,
            "before Keras's `model.quantize`.*dense of type Dense with quantization_mode='int8'",
        ),
        (
            lambda: chain(keras.layers.Dense(2, name="d")),
            r"put a GlobalAveragePooling2D before it.*'d' of type Dense on .*\(8, 8, 4\)",
        ),
        (
            lambda: chain(
                keras.layers.GlobalAveragePooling2D(keepdims=True),
                keras.layers.Dense(2),
                keras.layers.Conv2D(3, 1, name="c"),
            ),
            "before the first dense layer; .* Received: layer 'c' after a Dense",
        ),
        (
            lambda: chain(
                keras.layers.GlobalAveragePooling2D(keepdims=True),
                keras.layers.Dense(2),
                keras.layers.BatchNormalization(axis=1, name="b"),
            ),
            "must normalize its outputs. Received: layer 'b' with axis=1",
        ),
        (
            lambda: chain(
                keras.layers.Normalization(axis=1, mean=[0] * 8, variance=[1] * 8, name="n")
            ),
            r"numbers of their channels. Received: layer 'n' .*\(1, 8, 1, 1\)",
        ),
        (
            lambda: chain(keras.layers.ReLU(), keras.layers.Rescaling(2.0, name="r")),
            "layer 'r' of type Rescaling",
        ),
        (lambda: chain(keras.layers.ReLU(negative_slope=0.1, name="r")), "layer 'r' of type ReLU"),
        (lambda: chain(keras.layers.ReLU(threshold=0.1, name="r")), "layer 'r' of type ReLU"),
        (lambda: chain(keras.layers.ReLU(max_value=5, name="r")), "layer 'r' of type ReLU"),
        (lambda: chain(keras.layers.Activation("gelu", name="g")), "layer 'g' of type Activation"),
        (
            lambda: chain(keras.layers.Activation(lambda x: x, name="l")),
            "layer 'l' of type Activation",
        ),
        (
            lambda: dense(keras.layers.Dense(2, activation="tanh", name="d")),
            "layer 'd/activation' of type Dense with activation=tanh",
        ),
        (
            lambda: chain(keras.layers.BatchNormalization(name="b")),
            "layer 'b' of type BatchNormalization",
        ),
        (
            lambda: dense(keras.layers.ReLU(), keras.layers.BatchNormalization(name="b")),
            "layer 'b' of type BatchNormalization",
        ),
        (
            lambda: dense(
                keras.layers.BatchNormalization(), keras.layers.BatchNormalization(name="b")
            ),
            "layer 'b' of type BatchNormalization",
        ),
        (
            lambda: dense(keras.layers.Activation("softmax"), keras.layers.Dense(2, name="later")),
            "softmax must be the last layer. Received: layer 'later' of type Dense after it",
        ),
        (
            lambda: chain(
                keras.layers.Activation("sigmoid"), layers.GroupedPointwiseConv2D(4, 2, name="a")
            ),
            "sigmoid must be the last layer. Received: layer 'a' of type GroupedPointwiseConv2D",
        ),
        (
            lambda: chain(
                keras.layers.ReLU(), keras.layers.Normalization(mean=0, variance=1, name="n")
            ),
            "layer 'n' of type Normalization",
        ),
        (
            lambda: chain(layers.ChannelShuffle(2, data_format="channels_first", name="s")),
            "channels-last.*'channels_last'. Received: layer 's' of type ChannelShuffle",
        ),
        (
            lambda: chain(layers.ChannelShuffle(2, name="images")),
            "'images' is the input. Received: layer 'images' of type ChannelShuffle",
        ),
        (
            lambda: chain(keras.layers.Permute((3, 1, 2), name="p")),
            "channels-last.*Received: layer 'p' of type Permute",
        ),
    ],
)
def test_other_models_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        unroll(build())


def test_refusal_says_what_to_do():
    message = (
        "must consist of the layers of keras_micronet, Conv2D, .*Dense .*: "
        "build it of these, or quantize and export only the part that is. Received: layer 'mine'"
    )
    with pytest.raises(ValueError, match=message):
        unroll(chain(layers.ChannelShuffle(2), UsersLayer(name="mine")))


def test_all_that_does_not_fit_is_named_at_once():
    """A batch normalization behind a refused layer is not one more complaint."""
    model = chain(
        StandardizedConv2D(4, 3, name="first"),
        keras.layers.BatchNormalization(name="innocent"),
        keras.layers.ReLU(5.0, name="second"),
        keras.layers.Conv2D(4, 3, dilation_rate=2, name="third"),
        keras.layers.MaxPooling2D(name="fourth"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(2, activation="tanh", name="fifth"),
    )
    with pytest.raises(ValueError) as raised:
        unroll(model)
    lines = str(raised.value).splitlines()
    names = ["first", "second", "third", "fourth", "fifth/activation"]
    assert len(lines) == len(names)
    for line, name in zip(lines, names, strict=True):
        assert f"layer {name!r}" in line.split("Received: ")[1]


def test_model_that_trains_in_its_own_way_is_taken():
    assert [step.name for step in unroll(model_of_type(ModelWithTrainStep))] == ["mix"]
