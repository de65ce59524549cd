# SPDX-License-Identifier: Apache-2.0
"""Checks the images that ranges are observed on, before any time is spent on them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

_BATCH_SIZE = 32


def representative_batches(
    data: np.ndarray | Iterable[Any], shape: Sequence[int | None]
) -> list[np.ndarray]:
    """The images of `representative_data` in small batches.

    Args:
        data: an array `(count, height, width, channels)`, or an iterable of
            such arrays or of tuples that begin with one.
        shape: (height, width, channels) that the model takes.

    Returns:
        A list of float32 arrays.

    Raises:
        ValueError: if there is no image, one has another shape, or a value is
            not finite.
    """
    batches = [data] if hasattr(data, "shape") else _batches_of(data)
    checked = [_checked(batch, tuple(shape)) for batch in batches]
    images = [
        batch[start : start + _BATCH_SIZE]
        for batch in checked
        for start in range(0, len(batch), _BATCH_SIZE)
    ]
    if not images:
        raise ValueError("`representative_data` must hold at least one image. Received: no image")
    return images


def _batches_of(data):
    try:
        batches = iter(data)
    except TypeError as error:
        raise ValueError(
            "`representative_data` must be an array of images or an iterable of such arrays. "
            f"Received: {type(data).__name__}"
        ) from error
    for batch in batches:
        yield batch[0] if isinstance(batch, (tuple, list)) else batch


def _checked(batch, shape):
    images = np.asarray(batch)
    if images.ndim != 4 or images.shape[1:] != shape:
        raise ValueError(
            f"`representative_data` must hold batches of images of shape {shape}. "
            f"Received: an array of shape {images.shape}"
        )
    if not np.issubdtype(images.dtype, np.number):
        raise ValueError(f"`representative_data` must be numbers. Received: dtype={images.dtype}")
    images = images.astype(np.float32)
    if not np.all(np.isfinite(images)):
        raise ValueError("`representative_data` must be finite. Received: NaN or infinity in it")
    return images
