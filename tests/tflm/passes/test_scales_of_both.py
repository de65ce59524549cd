# SPDX-License-Identifier: Apache-2.0
"""Scales of weights and values that are zero, tiny or far apart: simulation and device are one.

The device is TensorFlow Lite Micro; what it puts out is compared with the simulation at inference,
and with the pass that trains, which has rounding of its own at halves.
"""

import keras
import numpy as np
import pytest

from keras_micronet import layers
from keras_micronet.quantization import KERNELS, quantize_aware
from tests.keras_micronet import models
from tflm import exporter

pytestmark = pytest.mark.usefixtures("eager")
SHAPE = (6, 6, 3)


def images(count=12):
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE)).astype(np.uint8)


def chain(*steps):
    x = inputs = keras.Input(SHAPE)
    for step in steps:
        x = step(x)
    model = keras.Model(inputs, x)
    models.randomize(model)
    return model


def pool():
    return keras.layers.GlobalAveragePooling2D()


def zero_dense():
    """The note's: it answers with its bias, and so it must be exact."""
    model = chain(pool(), keras.layers.Dense(2))
    model.layers[-1].kernel.assign(np.zeros((3, 2)))
    model.layers[-1].bias.assign([1.0, 5.0])
    return model


def dead_unit():
    """One scale for all outputs, of which one has neither weights nor a bias."""
    model = chain(pool(), keras.layers.Dense(4))
    kernel = np.random.default_rng(1).normal(0, 1e-4, (3, 4))
    kernel[:, 1] = 0
    model.layers[-1].kernel.assign(kernel)
    model.layers[-1].bias.assign(np.zeros(4))
    return model


def gammas_of_zero():
    """Pruned channels of a convolution, one of them all but pruned."""
    model = chain(
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(8, 1),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(6.0),
        layers.GroupedPointwiseConv2D(4, 1),
        pool(),
        keras.layers.Dense(5),
    )
    model.layers[3].gamma.assign([0, 1, 0, 1, 1e-30, 1, 1, 0])
    model.layers[3].beta.assign([1.1, 2, 3.3, 4, 5.2, 0.01, 0, 0])
    return model


def classifier_of_gamma_zero():
    model = chain(
        pool(),
        keras.layers.Dense(6, activation="relu"),
        keras.layers.Dense(4),
        keras.layers.BatchNormalization(),
    )
    model.layers[-1].gamma.assign(np.zeros(4))
    model.layers[-1].beta.assign([1.0, -2.0, 3.0, 0.1])
    return model


def shift_max(fusions=2):
    return chain(
        keras.layers.Rescaling(1 / 255),
        layers.NormalizedConv2D(8, 3),
        layers.DynamicShiftMax(2, fusions=fusions, reduction_ratio=1, name="fuse"),
        pool(),
        keras.layers.Dense(5),
    )


def zero_excite_kernel():
    model = shift_max()
    excite = model.get_layer("fuse").excite
    excite.kernel.assign(np.zeros(excite.kernel.shape))
    excite.bias.assign(np.random.default_rng(3).normal(0, 0.3, excite.bias.shape))
    return model


def zero_squeeze_kernel():
    model = shift_max(fusions=1)
    squeeze = model.get_layer("fuse").squeeze
    squeeze.kernel.assign(np.zeros(squeeze.kernel.shape))
    squeeze.bias.assign(np.linspace(-0.5, 1, squeeze.units))
    return model


def tiny_map():
    """A map times 1e-9 with a head times 1e9."""
    model = chain(
        keras.layers.Conv2D(8, 3, activation="relu6", use_bias=False),
        keras.layers.Conv2D(8, 1, use_bias=False),
        pool(),
        keras.layers.Dense(5, use_bias=False),
    )
    for index, factor in ((1, 1e-9 / 255), (-1, 1e9)):
        kernel = model.layers[index].kernel
        kernel.assign(kernel * factor)
    return model


def tiny_residual():
    """A block adds next to nothing to what it takes."""
    options = {"expansion": (1, 1), "expand_groups": (0, 1), "fusions": (0, 0, 0)}
    model = chain(
        keras.layers.Rescaling(1 / 255),
        layers.NormalizedConv2D(4, 1),
        layers.MicroBlock(4, **options, name="block"),
        pool(),
        keras.layers.Dense(3),
    )
    for weight in model.get_layer("block").weights:
        if weight.name in ("gamma", "beta", "moving_mean"):
            weight.assign(weight * 1e-6)
    return model


MODELS = [
    zero_dense,
    dead_unit,
    gammas_of_zero,
    classifier_of_gamma_zero,
    zero_excite_kernel,
    zero_squeeze_kernel,
    tiny_map,
    tiny_residual,
]
SCHEMES = {"fused": "int8_head4_per_channel", "builtin": "int8_head4"}


def answers(model, kernels, scheme):
    """What the float model, the simulation, its training pass and the device give, in steps."""
    quantized = quantize_aware(model, images(), scheme, kernels=kernels)
    deployment = exporter.deploy(quantized, kernels=kernels)
    quantized.batch_normalization_is_frozen = quantized.ranges_are_frozen = True
    output = deployment.graph.tensors[deployment.graph.outputs[0]].quantization
    device = deployment.outputs(images())
    values = (
        model(images(), training=False),
        quantized.logits(images()),
        quantized(images(), training=True),
        output.dequantize(device),
    )
    return [np.asarray(each).reshape(len(device), -1) / output.scale[0] for each in values]


@pytest.mark.parametrize("has_four_bits", [False, True], ids=["8_bits", "4_bits"])
@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_simulation_is_the_device(build, kernels, has_four_bits):
    scheme = SCHEMES[kernels] if has_four_bits else "int8"
    expected, simulated, trained, device = answers(build(), kernels, scheme)
    np.testing.assert_allclose(simulated, device, atol=0.01)
    assert np.abs(trained - device).max() < 4
    if not has_four_bits:  # 8 bits are near the float model; 4 bits are another question
        assert np.sqrt(np.mean((expected - device) ** 2)) < 3


@pytest.mark.parametrize("kernels", KERNELS)
def test_zero_weights_keep_their_bias(kernels):
    quantized = quantize_aware(zero_dense(), images(), kernels=kernels)
    np.testing.assert_allclose(quantized.predict(images(), verbose=0), [[1, 5]] * 12, rtol=1e-6)


def test_evaluate_is_fit():
    """The loss that training sees with everything frozen is the one that evaluation gives."""
    model = zero_excite_kernel()
    quantized = quantize_aware(model, images())
    quantized.batch_normalization_is_frozen = quantized.ranges_are_frozen = True
    labels = np.arange(12) % 5
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained = loss(labels, quantized(images(), training=True))
    evaluated = loss(labels, quantized(images(), training=False))
    assert float(trained) == pytest.approx(float(evaluated), rel=0.02)


def test_steps_that_builtin_operators_cannot_have_are_refused_by_name():
    """Products that are 0 beside a tiny map: fused kernels compute them within."""
    model = shift_max()
    kernel = model.layers[2].batch_normalization
    kernel.gamma.assign(kernel.gamma * 1e-9)
    kernel.beta.assign(kernel.beta * 1e-9)
    fuse = model.get_layer("fuse")
    fuse.excite.kernel.assign(np.zeros(fuse.excite.kernel.shape))
    fuse.excite.bias.assign(np.zeros(fuse.excite.bias.shape))
    exporter.deploy(quantize_aware(model, images()), kernels="fused")
    with pytest.raises(ValueError, match="fused kernels take more: --kernels.*'fuse/fusion1'"):
        exporter.deploy(quantize_aware(model, images(), kernels="builtin"), kernels="builtin")
