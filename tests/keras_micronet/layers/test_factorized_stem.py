# SPDX-License-Identifier: Apache-2.0
"""FactorizedStem against its definition; the golden figures check it once more."""

import numpy as np
import pytest

from keras_micronet.layers import FactorizedStem
from tests.keras_micronet import models, references


def randomized(layer, images):
    layer.build(images.shape)
    models.randomize(layer)
    return layer


def random_images(height, width, channels=3):
    generator = np.random.default_rng(2)
    return 3.0 * generator.standard_normal((2, height, width, channels)).astype(np.float32)


@pytest.mark.parametrize("shape", [(8, 8), (7, 6), (1, 9)])
@pytest.mark.parametrize(("kernel_size", "stride", "channels"), [(3, 2, 3), (5, 2, 1), (3, 1, 4)])
def test_factorized(shape, kernel_size, stride, channels):
    images = random_images(*shape, channels)
    layer = FactorizedStem((4, 3), kernel_size=kernel_size, strides=stride)
    vertical, horizontal = randomized(layer, images).convolutions
    assert vertical.kernel.shape == (kernel_size, 1, channels, 4)
    assert horizontal.kernel.shape == (1, kernel_size, 4, 3)
    rows = references.convolution(images, np.array(vertical.kernel), (stride, 1))
    rows = references.normalize(rows, *references.normalization_weights(vertical))
    columns = references.depthwise_convolution(rows, np.array(horizontal.kernel), (1, stride))
    columns = references.normalize(columns, *references.normalization_weights(horizontal))
    expected = references.relu6(references.shuffle(columns, 4))
    assert 0 < np.count_nonzero(expected) < expected.size
    np.testing.assert_allclose(layer(images), expected, atol=5e-5)


def test_full_rank_is_one_dense_convolution():
    images = random_images(7, 6)
    layer = randomized(FactorizedStem((4, 3), full_rank=True), images)
    (convolution,) = layer.convolutions
    assert convolution.kernel.shape == (3, 3, 3, 12)
    expected = references.relu6(references.normalized_convolution(images, convolution))
    np.testing.assert_allclose(layer(images), expected, atol=5e-5)


@pytest.mark.parametrize("channels", [(4,), (4, 2, 1), (0, 2), (4.0, 2), 4, None])
def test_channels_must_be_two_positive_integers(channels):
    with pytest.raises(ValueError, match="`channels` must be 2 integers.*Received: channels="):
        FactorizedStem(channels)


def test_kernel_size_must_be_odd():
    with pytest.raises(ValueError, match="`kernel_size` must be odd. Received: kernel_size=4"):
        FactorizedStem((2, 2), kernel_size=4)


def test_strides_must_be_positive():
    with pytest.raises(ValueError, match="`strides` must be a positive.*Received: strides=0"):
        FactorizedStem((2, 2), strides=0)
