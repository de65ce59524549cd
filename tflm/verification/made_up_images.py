# SPDX-License-Identifier: Apache-2.0
"""Images that nobody took, on which a device is compared with its own definition.

They go where photographs rarely do: into saturation, to no contrast at all, to contrast between
neighbours only. Since they are always there, no number of a user's images is needed.
"""

import numpy as np

_SEED = 0
_LARGEST = 255
_WAVES = 4
_MOST_PERIODS = 2  # of a wave over the longer side
_FAINT_DEVIATION = 8.0


def made_up_images(shape: tuple[int, int, int]) -> np.ndarray:
    """A dozen raw images, the same every time.

    Args:
        shape: (height, width, channels).

    Returns:
        uint8 array `(12, height, width, channels)`: all black, all white, a checkerboard, noise
        of the extremes, noise, faint noise on two colours, and smooth waves.
    """
    generator = np.random.default_rng(_SEED)
    images = [
        np.zeros(shape),
        np.full(shape, _LARGEST),
        _checkerboard(shape),
        _LARGEST * generator.integers(0, 2, shape),
        *(generator.integers(0, _LARGEST + 1, shape) for _ in range(2)),
        *(_faint_noise(shape, generator) for _ in range(2)),
        *(_waves(shape, generator) for _ in range(_WAVES)),
    ]
    return np.clip(np.round(images), 0, _LARGEST).astype(np.uint8)


def _checkerboard(shape):
    rows, columns = np.indices(shape[:2])
    return np.broadcast_to((_LARGEST * ((rows + columns) % 2))[..., np.newaxis], shape)


def _faint_noise(shape, generator):
    color = generator.integers(0, _LARGEST + 1, shape[-1])
    return color + generator.normal(0, _FAINT_DEVIATION, shape)


def _waves(shape, generator):
    """A wave for each channel, in a direction of its own."""
    rows, columns = np.indices(shape[:2])[..., np.newaxis] / max(shape[:2])
    periods = generator.uniform(0, _MOST_PERIODS, (2, shape[-1]))
    phases = generator.uniform(0, 1, shape[-1])
    turns = rows * periods[0] + columns * periods[1] + phases
    return _LARGEST * (1 + np.sin(2 * np.pi * turns)) / 2
