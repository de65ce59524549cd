# SPDX-License-Identifier: Apache-2.0
"""What is observed of values, against NumPy."""

import keras
import numpy as np
import pytest

from keras_micronet import layers
from keras_micronet.layer_chain import INPUT, unroll
from keras_micronet.quantization.calibration import observe
from keras_micronet.quantization.plan import plan, range_names
from tests.keras_micronet.quantization import chains

SIZES = (5, 3, 1)


def pooled_dense():
    """Images, their means and one dense layer: NumPy knows them all."""
    return chains.chain(
        (3, 2, 4),
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dense(3, name="dense"),
        keras.layers.Dropout(0.9),
        keras.layers.Dense(2, activation="relu", name="top"),
    )


def batches_of(images, sizes):
    return np.split(images, np.cumsum(sizes)[:-1])


def observed(model, images, sizes=SIZES):
    return observe(plan(unroll(model)), batches_of(images, sizes))


def test_against_numpy_over_uneven_batches():
    """Batches of 5, 3 and 1 images count by their images; dropout does not drop."""
    model = pooled_dense()
    images = chains.random_images(model, sum(SIZES))
    means = images.mean(axis=(1, 2))
    dense = means @ np.array(model.get_layer("dense").kernel) + model.get_layer("dense").bias
    top = dense @ np.array(model.get_layer("top").kernel) + model.get_layer("top").bias
    expected = {INPUT: images, "pool": means, "dense": dense, "top": np.maximum(top, 0)}
    observations = observed(model, images)
    assert set(observations) == set(expected)
    for name, values in expected.items():
        values = np.asarray(values, np.float64).reshape(-1, np.shape(values)[-1])
        observation = observations[name]
        assert observation.low == pytest.approx(values.min(), abs=1e-6), name
        assert observation.high == pytest.approx(values.max(), rel=1e-5), name
        np.testing.assert_allclose(observation.means, values.mean(axis=0), atol=1e-6)
        mean_squares = np.mean(values**2, axis=0)
        np.testing.assert_allclose(observation.mean_squares, mean_squares, rtol=1e-5, atol=1e-9)
        assert observation.counts.sum() == values.size
        # Far more intervals than values: each value is near the middle of one.
        middles = np.repeat(observation.centres, observation.counts)
        width = (observation.high - observation.low) / len(observation.counts)
        np.testing.assert_allclose(middles, np.sort(values, axis=None), atol=0.51 * width + 1e-6)


def test_counts_of_each_interval():
    """Integers and halves up to the number of intervals: an interval holds [n, n + 1)."""
    model = chains.chain((4, 4, 2), keras.layers.GlobalAveragePooling2D(name="pool"))
    images = np.random.default_rng(0).integers(0, 4096, (9, 4, 4, 2)) / 2
    images[0, 0, 0] = (0, 2048)
    observation = observed(model, images.astype(np.float32))[INPUT]
    expected = np.bincount(np.minimum(images, 2047).astype(int).ravel(), minlength=2048)
    np.testing.assert_array_equal(observation.counts, expected)
    np.testing.assert_array_equal(observation.centres, np.arange(2048) + 0.5)


@pytest.mark.parametrize("constant", [0.0, -3.5, 200.0])
def test_constant_values(constant):
    model = chains.chain((2, 2, 1), keras.layers.GlobalAveragePooling2D(name="pool"))
    images = np.full((3, 2, 2, 1), constant, np.float32)
    observation = observed(model, images, (3,))["pool"]
    assert (observation.low, observation.high) == (constant, constant)
    np.testing.assert_array_equal(observation.means, [constant])
    assert observation.counts.sum() == observation.counts[0] == 3


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("build", chains.CHAINS)
def test_every_range_is_observed(build):
    model = build()
    images = chains.random_images(model, 2)
    names = range_names(plan(unroll(model)), INPUT)
    assert set(names) <= set(observed(model, images, (2,)))


def test_images_are_observed_as_the_first_convolution_reads_them():
    normalization = keras.layers.Normalization(mean=[100.0], variance=[2500.0])
    model = chains.chain((2, 2, 1), normalization, layers.NormalizedConv2D(1, 1))
    images = np.array([0.0, 50.0, 150.0, 200.0], np.float32).reshape(1, 2, 2, 1)
    observation = observed(model, images, (1,))[INPUT]
    assert (observation.low, observation.high) == (-2, 2)
    assert observation.mean_squares == pytest.approx([2.5])


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("layer", "weight", "value"),
    [("dense", "bias", np.nan), ("dense", "bias", -np.inf), ("dense", "kernel", np.inf)],
)
def test_values_that_are_not_finite_are_named(layer, weight, value):
    """One output of several is enough, also where a minimum passes over NaN."""
    model = pooled_dense()
    variable = getattr(model.get_layer(layer), weight)
    values = np.array(variable)
    values.flat[-1] = value
    variable.assign(values)
    with pytest.raises(ValueError, match=rf"must be finite.*Received: values of {layer} between"):
        observed(model, chains.random_images(model, 2), (2,))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("size", [3e38, 1e25])
def test_overflow_inside_is_named(size):
    """Of the sums, or of their squares alone."""
    model = pooled_dense()
    model.get_layer("dense").kernel.assign(np.full((4, 3), size))
    with pytest.raises(ValueError, match="Received: values of dense between"):
        observed(model, np.ones((1, 3, 2, 4), np.float32), (1,))
