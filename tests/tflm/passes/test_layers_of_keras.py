# SPDX-License-Identifier: Apache-2.0
"""Every option of Keras's own layers that is accepted: simulated, lowered and on the device.

Each is compared by values with what Keras computes.
"""

import keras
import numpy as np
import pytest

from keras_micronet import layers
from keras_micronet.quantization import KERNELS, QuantizeAwareModel, quantize_aware
from tests.keras_micronet import models
from tflm import exporter
from tflm.graph import float_execution
from tflm.passes import builtin_operations, channel_layout, lowering

pytestmark = pytest.mark.usefixtures("eager")

SHAPE = (9, 8, 3)
K = keras.layers


def changed(layer, **values):
    """A layer of which some weights are set after it is built."""
    layer.values_of_the_test = values
    return layer


CASES = {
    **{
        f"conv_{size[0]}x{size[1]}_stride_{stride}_{padding}": (
            lambda size=size, stride=stride, padding=padding: [
                K.Conv2D(6, size, strides=stride, padding=padding)
            ]
        )
        for size in ((1, 1), (2, 2), (3, 3), (4, 2), (5, 5))
        for stride in (1, 2, 3)
        for padding in ("same", "valid")
    },
    "conv_unequal_strides": lambda: [K.Conv2D(6, 3, strides=(2, 3), padding="same")],
    "conv_without_bias": lambda: [K.Conv2D(6, 3, use_bias=False)],
    "conv_of_groups": lambda: [K.Conv2D(12, 1), K.Conv2D(8, 1, groups=4)],
    "conv_of_groups_stride_2": lambda: [K.Conv2D(12, 1), K.Conv2D(8, 1, strides=2, groups=4)],
    "conv_of_as_many_groups": lambda: [K.Conv2D(12, 1), K.Conv2D(12, 1, groups=12)],
    **{
        f"depthwise_{size}_stride_{stride}_times_{multiplier}_{padding}": (
            lambda size=size, stride=stride, multiplier=multiplier, padding=padding: [
                K.DepthwiseConv2D(
                    size, strides=stride, padding=padding, depth_multiplier=multiplier
                )
            ]
        )
        for size, stride, multiplier in ((3, 1, 1), (3, 2, 2), (2, 2, 1), (4, 3, 3), (1, 1, 2))
        for padding in ("same", "valid")
    },
    "depthwise_1x2": lambda: [K.DepthwiseConv2D((1, 2), padding="same", use_bias=False)],
    "normalization": lambda: [K.Conv2D(6, 3), K.BatchNormalization()],
    "normalization_without_scale": lambda: [K.Conv2D(6, 3), K.BatchNormalization(scale=False)],
    "normalization_without_centre": lambda: [
        K.Conv2D(6, 3, use_bias=False),
        K.BatchNormalization(center=False),
    ],
    "normalization_without_either": lambda: [
        K.DepthwiseConv2D(3, depth_multiplier=2),
        K.BatchNormalization(center=False, scale=False, epsilon=0.1),
    ],
    "normalization_of_variance_0": lambda: [
        K.Conv2D(6, 3),
        changed(K.BatchNormalization(), moving_variance=[0, 1, 0, 2, 1, 1]),
    ],
    "channels_of_zeros": lambda: [
        changed(K.Conv2D(4, 1), kernel=np.zeros((1, 1, 3, 4)), bias=[0, 1, -2, 0.5])
    ],
    "relu": lambda: [K.Conv2D(6, 3, activation="relu")],
    "relu6": lambda: [K.Conv2D(6, 3, activation="relu6")],
    "hard_silu": lambda: [K.Conv2D(6, 3, activation="hard_silu")],
    "hard_swish": lambda: [K.Conv2D(6, 3), K.Activation("hard_swish")],
    "activation_is_a_layer": lambda: [K.Conv2D(6, 3, activation=K.ReLU(6.0))],
    "activation_is_an_activation_layer": lambda: [
        K.DepthwiseConv2D(3, activation=K.Activation("relu"))
    ],
    "activation_of_ops": lambda: [K.Conv2D(6, 3, activation=keras.ops.relu)],
    "relu_layer": lambda: [K.Conv2D(6, 3), K.BatchNormalization(), K.ReLU()],
    "relu6_layer": lambda: [K.Conv2D(6, 3), K.BatchNormalization(), K.ReLU(max_value=6)],
    "pool": lambda: [K.Conv2D(6, 3), K.GlobalAveragePooling2D()],
    "pool_keepdims": lambda: [K.Conv2D(6, 3), K.GlobalAveragePooling2D(keepdims=True)],
    "pool_keepdims_conv": lambda: [
        K.GlobalAveragePooling2D(keepdims=True),
        K.Conv2D(8, 1, activation="relu"),
        K.Conv2D(4, 1),
    ],
    "pool_keepdims_dense": lambda: [
        K.GlobalAveragePooling2D(keepdims=True),
        K.Dense(8, activation="relu"),
        K.Dense(10),
        K.BatchNormalization(),
    ],
    "pool_keepdims_shift_max": lambda: [
        K.Conv2D(8, 3),
        K.GlobalAveragePooling2D(keepdims=True),
        layers.DynamicShiftMax(2, reduction_ratio=1),
        K.GlobalAveragePooling2D(),
        K.Dense(3),
    ],
    "dense_on_one_pixel": lambda: [K.Conv2D(6, (9, 8)), K.Dense(5)],
    "dense_without_bias": lambda: [K.GlobalAveragePooling2D(), K.Dense(5, use_bias=False)],
    "dense_normalized": lambda: [
        K.GlobalAveragePooling2D(),
        K.Dense(5),
        K.BatchNormalization(scale=False),
        K.ReLU(),
        K.Dense(4),
        K.BatchNormalization(center=False),
    ],
    "dense_of_zeros": lambda: [
        K.GlobalAveragePooling2D(),
        changed(K.Dense(3), kernel=np.zeros((3, 3)), bias=[1.0, -5.0, 0.01]),
    ],
    "dropout": lambda: [K.Conv2D(6, 3), K.SpatialDropout2D(0.5), K.Dropout(0.5), K.Conv2D(4, 1)],
}


def build(name):
    steps = CASES[name]()
    x = inputs = keras.Input(SHAPE)
    for step in [K.Rescaling(1 / 255), *steps]:
        x = step(x)
    model = keras.Model(inputs, x)
    models.randomize(model)
    for step in steps:
        for weight, value in getattr(step, "values_of_the_test", {}).items():
            getattr(step, weight).assign(value)
    return model


def images(count=8):
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE)).astype(np.uint8)


def assert_near(actual, expected):
    """Equal but for the order in which float32 adds."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(
        np.reshape(actual, expected.shape), expected, rtol=0, atol=2e-5 * np.abs(expected).max()
    )


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_keras(name):
    model = build(name)
    expected = np.asarray(model(images().astype(np.float32), training=False))
    quantized = QuantizeAwareModel(model)
    unrounded = quantized.float_logits(images())
    assert unrounded.shape == expected.shape
    assert_near(unrounded, expected)
    lowered = lowering.lower(model)
    inputs = lowering.input_normalization(model).normalize(images())
    for graph in (
        lowered,
        builtin_operations.to_builtin(channel_layout.fold_permutations(lowered)),
    ):
        assert_near(float_execution.run(graph, inputs)[graph.outputs[0]], expected)
    for kernels in KERNELS:
        compare_with_device(model, expected, kernels)


def compare_with_device(model, expected, kernels):
    """The device's outputs are the simulation's, but for a step where float32 meets a half.

    Hard-swish, with a slope of up to 1.5, makes two of one.
    From Keras's they differ by what rounding costs: with three rounded operations at most, a
    root mean square of two steps is four times what independent errors of 1/sqrt(12) give.
    """
    quantized = quantize_aware(model, images(), kernels=kernels)
    simulated = quantized(images(), training=False)
    assert simulated.shape == expected.shape
    deployment = exporter.deploy(quantized, kernels=kernels)
    output = deployment.graph.tensors[deployment.graph.outputs[0]].quantization
    device = deployment.outputs(images())
    steps = np.abs(output.quantize(simulated).reshape(device.shape) - device.astype(int))
    assert steps.max() <= 2 and np.mean(steps > 0) < 0.01
    error = (output.dequantize(device) - expected.reshape(device.shape)) / output.scale[0]
    assert np.sqrt(np.mean(error**2)) < 2


@pytest.mark.parametrize(
    "steps",
    [
        lambda: [K.Dense(4), K.Softmax()],
        lambda: [K.Dense(4), K.Activation("softmax")],
        lambda: [K.Dense(4, activation="softmax")],
        lambda: [K.Dense(4, activation=K.Softmax())],
        lambda: [K.Dense(4), K.BatchNormalization(), K.Softmax()],
    ],
)
def test_softmax_of_every_kind(steps):
    """The model answers with probabilities, the device with what goes into them."""
    x = inputs = keras.Input(SHAPE)
    for step in [K.Rescaling(1 / 255), K.GlobalAveragePooling2D(), *steps()]:
        x = step(x)
    model = keras.Model(inputs, x)
    models.randomize(model)
    quantized = quantize_aware(model, images())
    expected = np.asarray(model(images(), training=False))
    logits = quantized.float_logits(images())
    assert np.abs(logits.sum(axis=-1) - 1).min() > 1e-3
    np.testing.assert_allclose(keras.ops.softmax(logits), expected, atol=1e-5)
    np.testing.assert_allclose(quantized(images(), training=False), expected, atol=0.02)
    deployment = exporter.deploy(quantized, kernels="fused")
    output = deployment.graph.tensors[deployment.graph.outputs[0]].quantization
    np.testing.assert_allclose(
        output.dequantize(deployment.outputs(images())), quantized.logits(images()), atol=1e-5
    )
