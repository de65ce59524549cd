# SPDX-License-Identifier: Apache-2.0
"""A dense layer has one scale for all outputs unless that is measurably worse."""

import keras
import numpy as np
import pytest

from keras_micronet.layer_chain import unroll
from keras_micronet.quantization import QuantizeAwareModel, quantize_aware
from keras_micronet.quantization.calibration import observe
from keras_micronet.quantization.dense_scales import per_tensor_error, sensitive_dense_layers
from keras_micronet.quantization.plan import plan
from tests.keras_micronet.quantization import chains

pytestmark = pytest.mark.usefixtures("eager")


def dense_model(*kernels):
    """Dense layers "dense_1", "dense_2"... with the given kernels on pixels of one image."""
    layers = [
        keras.layers.Dense(kernel.shape[1], name=f"dense_{number}")
        for number, kernel in enumerate(kernels, start=1)
    ]
    pool = keras.layers.GlobalAveragePooling2D()
    model = chains.chain((1, 1, len(kernels[0])), pool, *layers)
    for layer, kernel in zip(layers, kernels, strict=True):
        layer.kernel.assign(kernel)
        layer.bias.assign(np.zeros(kernel.shape[1]))
    return model


def kernel_and_images(factors, inputs=300, seed=0):
    """A kernel whose outputs are multiplied by `factors`, and images for it."""
    generator = np.random.default_rng(seed)
    kernel = generator.uniform(-1, 1, (inputs, len(factors))) * factors
    return kernel, generator.standard_normal((32, 1, 1, inputs)).astype(np.float32)


def drowning():
    """The first input is silent: its huge weight says nothing, yet would set the scale for all."""
    kernel, images = kernel_and_images(np.ones(10))
    kernel[0, 0] = 1000.0
    images[..., 0] = 0.0
    return kernel, images


def sensitive(model, images):
    observations = observe(plan(unroll(model)), [images])
    quantized = QuantizeAwareModel(model)
    quantized.activation_ranges = {
        name: (observations[name].low, observations[name].high)
        for name in quantized.activation_ranges
    }
    return sensitive_dense_layers(quantized, observations)


def test_outputs_of_like_size_share_a_scale():
    kernel, images = kernel_and_images(np.linspace(0.8, 1.2, 10))
    model = dense_model(kernel)
    assert sensitive(model, images) == []
    assert quantize_aware(model, images).per_channel_dense == ()


def test_outputs_that_would_drown_keep_their_own():
    kernel, images = drowning()
    model = dense_model(kernel)
    assert sensitive(model, images) == ["dense_1"]
    quantized = quantize_aware(model, images)
    assert quantized.per_channel_dense == ("dense_1",)
    # With one scale of 1000 / 127 nothing would be left of weights below 1.
    expected = model(images).numpy()[:, 1:]
    error = np.std(quantized.logits(images)[:, 1:] - expected)
    assert error < 0.05 * np.std(expected)
    frugal = QuantizeAwareModel(quantized.float_model)
    frugal.activation_ranges = quantized.activation_ranges
    assert np.std(frugal.logits(images)[:, 1:] - expected) > 0.9 * np.std(expected)


def test_large_output_that_hides_the_others():
    """The others are below one step of the outputs either way: nothing is suspected."""
    kernel, images = kernel_and_images([1.0] * 9 + [300.0])
    model = dense_model(kernel)
    assert sensitive(model, images) == []
    assert quantize_aware(model, images).per_channel_dense == ()


def test_suspicion_without_harm_changes_nothing():
    """The next layer reads the first output alone, whose scale is the largest in any case."""
    kernel, images = drowning()
    reader = np.zeros((10, 3))
    reader[0] = (1.0, -0.5, 0.25)
    model = dense_model(kernel, reader)
    assert "dense_1" in sensitive(model, images)
    assert quantize_aware(model, images).per_channel_dense == ()


def test_only_the_layer_that_suffers_is_suspected():
    kernel, images = drowning()
    second, _ = kernel_and_images(np.ones(4), inputs=10)
    assert sensitive(dense_model(kernel, second), images) == ["dense_1"]


@pytest.mark.parametrize("scheme", ["int8_head4", "int8_head4_per_channel"])
def test_layers_of_4_bits_keep_the_format_of_the_scheme(scheme):
    kernel, images = drowning()
    quantized = quantize_aware(dense_model(kernel), images, scheme)
    assert quantized.per_channel_dense == ()


def test_estimate_against_a_simulation():
    generator = np.random.default_rng(0)
    matrix = generator.uniform(-1, 1, (300, 40)) * np.linspace(0.2, 2, 40)
    inputs = generator.standard_normal((500, 300)) * np.linspace(0.1, 1.3, 300)
    scales = np.abs(matrix).max(axis=0) / 127

    def variance(scale):
        rounded = np.round(matrix / scale) * scale
        return np.mean((inputs @ (rounded - matrix)) ** 2)

    added = variance(scales.max()) - variance(scales)
    predicted = per_tensor_error(matrix, np.mean(inputs**2, axis=0))
    assert predicted == pytest.approx(added, rel=0.1)
