# SPDX-License-Identifier: Apache-2.0
"""ImageNet's statistics, by which images are normalized, of RGB and of gray."""

import numpy as np

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STANDARD_DEVIATION = (0.229, 0.224, 0.225)
_BRIGHTNESS = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601


def channel_statistics(channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, of values in [0, 1].

    The mean of brightness is that of the channels' means; its deviation would be that of their
    deviations if the channels varied alike, and nearly is.

    Args:
        channels: 3 for RGB, 1 for gray.

    Returns:
        Two tuples of a number for each channel.
    """
    if channels == 3:
        return IMAGENET_MEAN, IMAGENET_STANDARD_DEVIATION
    mean, deviation = (
        float(np.dot(_BRIGHTNESS, values))
        for values in (IMAGENET_MEAN, IMAGENET_STANDARD_DEVIATION)
    )
    return (mean,), (deviation,)
