# SPDX-License-Identifier: Apache-2.0
"""DynamicShiftMax against the paper's formula in loops, and at its initial coefficients."""

import keras
import numpy as np
import pytest

from keras_micronet.layers import DynamicShiftMax
from tests.keras_micronet import models, references

CHANNELS = 12


def random_images(channels=CHANNELS, size=5, batch=3):
    generator = np.random.default_rng(7)
    return generator.standard_normal((batch, size, size + 1, channels)).astype(np.float32)


def shifted(images, groups):
    """The circular shift, from the definition x[(i + 1) mod G, (j + 1) mod C / G]."""
    columns = images.shape[-1] // groups
    source = [
        (i + 1) % groups * columns + (j + 1) % columns
        for i in range(groups)
        for j in range(columns)
    ]
    return images[..., source]


def with_zero_dense_weights(**arguments):
    layer = DynamicShiftMax(**arguments)
    layer.build((None, None, None, CHANNELS))
    for variable in layer.weights:
        variable.assign(np.zeros(variable.shape))
    return layer


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 6, 12])
@pytest.mark.parametrize("fusions", [1, 2])
def test_equals_the_formula_in_loops(groups, fusions):
    initial_a, initial_b = (1.0, 0.5)[:fusions], (0.0, 0.5)[:fusions]
    layer = DynamicShiftMax(
        groups,
        fusions=fusions,
        reduction_ratio=2,
        initial_a=initial_a,
        initial_b=initial_b,
        dtype="float64",
    )
    images = random_images() * 3.0
    layer.build(images.shape)
    models.randomize(layer)
    expected = references.shift_max(
        images,
        groups,
        fusions,
        initial_a,
        initial_b,
        references.dense_weights(layer.squeeze),
        references.dense_weights(layer.excite),
    )
    np.testing.assert_allclose(layer(images), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("groups", [1, 3, 4])
@pytest.mark.parametrize("fusions", [1, 2])
def test_starts_as_the_identity(groups, fusions):
    layer = with_zero_dense_weights(groups=groups, fusions=fusions)
    images = random_images()
    np.testing.assert_allclose(layer(images), images, atol=1e-6)


@pytest.mark.parametrize("groups", [1, 3, 4])
def test_starts_as_the_maximum_with_the_mean_of_the_shift_in_m3(groups):
    layer = with_zero_dense_weights(
        groups=groups, fusions=2, initial_a=(1.0, 0.5), initial_b=(0.0, 0.5)
    )
    images = random_images()
    expected = np.maximum(images, (images + shifted(images, groups)) / 2)
    np.testing.assert_allclose(layer(images), expected, atol=1e-6)


def test_initial_coefficients_are_in_the_order_a1_b1_a2_b2():
    layer = with_zero_dense_weights(groups=4, initial_a=(1.0, 3.0), initial_b=(2.0, 4.0))
    coefficients = layer.coefficients(random_images()).numpy()
    assert coefficients.shape == (3, 4 * CHANNELS)
    expected = np.repeat([1.0, 2.0, 3.0, 4.0], CHANNELS)
    np.testing.assert_allclose(coefficients, np.tile(expected, (3, 1)), atol=1e-6)


@pytest.mark.parametrize("fusions", [1, 2])
def test_each_coefficient_has_a_dense_layer_with_limits(fusions):
    """What is squeezed, times its kernel, plus its bias, and clipped."""
    layer = DynamicShiftMax(
        4,
        fusions=fusions,
        reduction_ratio=2,
        initial_a=(1.0, 0.5)[:fusions],
        initial_b=(0.0, 0.25)[:fusions],
        dtype="float64",
    )
    images = random_images().astype(np.float64) * 30.0
    layer.build(images.shape)
    models.randomize(layer)
    squeeze_kernel, squeeze_bias = references.dense_weights(layer.squeeze)
    squeezed = np.maximum(images.mean(axis=(1, 2)) @ squeeze_kernel + squeeze_bias, 0)
    parts = layer.coefficient_layers()
    values = [
        np.clip(squeezed @ np.asarray(part.kernel) + np.asarray(part.bias), *part.limits)
        for part in parts
    ]
    np.testing.assert_allclose(
        np.concatenate(values, axis=-1), layer.coefficients(images), rtol=1e-9, atol=1e-9
    )
    assert [part.limits for part in parts] == [
        (-1.0, 3.0), (-2.0, 2.0), (-1.5, 2.5), (-1.75, 2.25)
    ][: 2 * fusions]  # fmt: skip
    assert any(np.any(value == part.limits[1]) for value, part in zip(values, parts, strict=True))


@pytest.mark.parametrize(("bias", "offset"), [(1e6, 2.0), (-1e6, -2.0), (0.0, 0.0), (1.5, 1.0)])
def test_coefficients_stay_within_two_of_the_initial_ones(bias, offset):
    layer = with_zero_dense_weights(groups=4, fusions=1, initial_a=(1.0,), initial_b=(0.25,))
    layer.excite.bias.assign(np.full(2 * CHANNELS, bias))
    expected = np.repeat([1.0 + offset, 0.25 + offset], CHANNELS)
    coefficients = layer.coefficients(random_images(batch=1)).numpy()
    np.testing.assert_allclose(coefficients[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "reduction_ratio", "width"),
    [
        (16, 8, 4),  # 2, at least 4
        (48, 8, 8),  # 6 is half way between 4 and 8, and goes up
        (96, 16, 8),  # 6 again
        (104, 8, 12),  # 13: nearest is 12, 8% below
        (72, 8, 12),  # 9: nearest is 8, more than 10% below
        (80, 8, 12),  # 10 is half way between 8 and 12, and goes up
        (384, 16, 24),  # 24, the last row of M0
        (864, 16, 56),  # 54 is half way between 52 and 56, and goes up: the last row of M3
        (12, 100, 4),  # 0, at least 4
    ],
)
def test_squeeze_width(channels, reduction_ratio, width):
    layer = DynamicShiftMax(4, fusions=1, reduction_ratio=reduction_ratio)
    layer.build((None, None, None, channels))
    assert layer.squeeze.kernel.shape == (channels, width)
    assert layer.excite.kernel.shape == (width, 2 * channels)


def test_dense_layers_start_as_in_the_release():
    layer = DynamicShiftMax(4, reduction_ratio=2)
    layer.build((None, None, None, 512))
    for dense in (layer.squeeze, layer.excite):
        assert np.array(dense.kernel).std() == pytest.approx(0.01, rel=0.05)
        assert not np.array(dense.bias).any()


def test_pools_large_maps_in_half_precision():
    # The sum of 300 x 300 ones overflows float16.
    layer = DynamicShiftMax(2, fusions=1, dtype="mixed_float16")
    images = np.ones((1, 300, 300, 4), np.float32)
    layer.build(images.shape)
    models.randomize(layer)
    reference = DynamicShiftMax(2, fusions=1)
    reference.build(images.shape)
    reference.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(images), reference(images), atol=1e-2)


@pytest.mark.parametrize("groups", [0, -1, 1.5, None, "3"])
def test_groups_must_be_a_positive_integer(groups):
    with pytest.raises(ValueError, match="`groups` must be a positive integer. Received: groups="):
        DynamicShiftMax(groups)


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match="`groups` must divide.*Received: groups=5, channels=12"):
        DynamicShiftMax(5).build((None, 4, 4, 12))


@pytest.mark.parametrize("fusions", [0, 3, -1, None, "2", 1.5])
def test_fusions_must_be_one_or_two(fusions):
    with pytest.raises(ValueError, match="`fusions` must be 1 or 2. Received: fusions="):
        DynamicShiftMax(4, fusions=fusions)


@pytest.mark.parametrize("reduction_ratio", [0, -8, 2.5, None])
def test_reduction_ratio_must_be_a_positive_integer(reduction_ratio):
    with pytest.raises(ValueError, match="`reduction_ratio` must be.*Received: reduction_ratio="):
        DynamicShiftMax(4, reduction_ratio=reduction_ratio)


@pytest.mark.parametrize("name", ["initial_a", "initial_b"])
@pytest.mark.parametrize("values", [(), (1.0,), (1, 2, 3), 1.0, (1.0, np.nan), (1, np.inf), "ab"])
def test_initial_coefficients_must_be_one_finite_number_a_fusion(name, values):
    with pytest.raises(ValueError, match=f"`{name}` must be 2 finite numbers.*Received: {name}="):
        DynamicShiftMax(4, fusions=2, **{name: values})


def test_config_keeps_the_initial_coefficients():
    layer = DynamicShiftMax(4, initial_a=(1, 0.5), initial_b=np.array([0, 0.5]))
    config = keras.saving.serialize_keras_object(layer)["config"]
    assert (config["initial_a"], config["initial_b"]) == ([1.0, 0.5], [0.0, 0.5])
