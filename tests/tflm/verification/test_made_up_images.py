# SPDX-License-Identifier: Apache-2.0
"""What a device is compared on must go where photographs rarely do, every time the same way."""

import numpy as np
import pytest

from tflm.verification.made_up_images import made_up_images


@pytest.mark.parametrize("shape", [(32, 32, 3), (7, 19, 3), (1, 1, 1)])
def test_images(shape):
    images = made_up_images(shape)
    assert images.shape == (12, *shape)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, made_up_images(shape))
    assert images.min() == 0 and images.max() == 255


def test_they_differ_in_light_and_in_contrast():
    images = made_up_images((32, 48, 3)).astype(float)
    assert len({image.tobytes() for image in images}) == len(images)
    deviations = images.std(axis=(1, 2)).mean(axis=-1)
    assert np.sum(deviations == 0) == 2  # black and white
    assert np.sum(deviations > 100) >= 2
    between_neighbours = np.abs(np.diff(images, axis=2)).mean(axis=(1, 2, 3))
    assert np.sum((between_neighbours > 0) & (between_neighbours < 20)) >= 4  # smooth or faint
    assert between_neighbours.max() == 255  # the checkerboard
