# SPDX-License-Identifier: Apache-2.0
"""What made pictures have behind their objects, and how an object is laid over it."""

import numpy as np
from PIL import Image, ImageDraw

# Values of colours, of 255, between which backgrounds lie before noise is added.
_DARKEST, _BRIGHTEST = 30, 225
_LARGEST_NOISE = 10.0
_LONGEST_WAVE, _SHORTEST_WAVE = 1.0, 0.04  # parts of the picture's shorter side
_SMALLEST_CONTRAST = 60.0


def draw_background(
    random: np.random.RandomState,
    image_size: tuple[int, int],
    channels: int,
    most_contrast: float = 120.0,
) -> np.ndarray:
    """A gradient, clouds, waves or patches of random colours, with noise.

    Args:
        random: decides everything.
        image_size: height and width in pixels.
        channels: 1 or 3.
        most_contrast: how far, of 255, a channel of its two colours may be apart.

    Returns:
        float32 `(height, width, channels)`, about [0, 255].
    """
    height, width = image_size
    draw = _KINDS[random.randint(len(_KINDS))]
    # How much of the second colour there is.
    blend = np.broadcast_to(draw(random, height, width), image_size)[..., np.newaxis]
    first = random.uniform(_DARKEST, _BRIGHTEST, channels).astype(np.float32)
    # Not every background has much contrast.
    contrast = random.uniform(10, most_contrast, channels) * random.choice((-1, 1), channels)
    second = np.clip(first + contrast, _DARKEST, _BRIGHTEST).astype(np.float32)
    picture = first + blend * (second - first)
    noise = _noise(random, (height, width, 1))
    noise *= np.float32(random.uniform(0, _LARGEST_NOISE))
    return picture + noise


def _noise(random, shape):
    """Values of variance 1 about; from bytes, since normal ones take most of a picture's time."""
    count = int(np.prod(shape))
    levels = np.frombuffer(random.bytes(count), np.uint8).reshape(shape).astype(np.float32)
    return (levels - 127.5) * np.float32(1 / 73.9)


def _gradient(random, height, width):
    angle = random.uniform(0, 2 * np.pi)
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, np.newaxis]
    columns = np.linspace(-1, 1, width, dtype=np.float32)
    slope = np.float32(np.sin(angle)) * rows + np.float32(np.cos(angle)) * columns
    return np.clip(slope * 0.5 + 0.5, 0, 1)


def _clouds(random, height, width):
    rows, columns = random.randint(2, 9, 2)
    return _enlarged(random.uniform(0, 1, (rows, columns)), height, width, Image.Resampling.BICUBIC)


def _patches(random, height, width):
    rows, columns = random.randint(2, 7, 2)
    levels = random.uniform(0, 1, (rows, columns))
    return _enlarged(levels, height, width, Image.Resampling.NEAREST)


def _waves(random, height, width):
    shorter = min(height, width)
    wave = shorter * np.exp(random.uniform(np.log(_SHORTEST_WAVE), np.log(_LONGEST_WAVE)))
    angle, phase = random.uniform(0, 2 * np.pi, 2)
    rows = np.arange(height, dtype=np.float32)[:, np.newaxis] * np.float32(np.sin(angle))
    columns = np.arange(width, dtype=np.float32) * np.float32(np.cos(angle))
    turns = (rows + columns) * np.float32(2 * np.pi / max(wave, 3.0)) + np.float32(phase)
    return np.sin(turns) * np.float32(0.5) + np.float32(0.5)


_KINDS = (_gradient, _clouds, _clouds, _patches, _waves)


def _enlarged(levels, height, width, interpolation):
    picture = Image.fromarray(levels.astype(np.float32))
    return np.asarray(picture.resize((width, height), interpolation))


def lay_over(
    picture: np.ndarray, mask: np.ndarray, top: int, left: int, random: np.random.RandomState
) -> None:
    """Colours a part of a picture where a mask says so, lighter or darker than what is there.

    Args:
        picture: float32 `(height, width, channels)`; is changed.
        mask: float32 `(mask height, mask width)`, 0 where nothing is laid over, 1 where all is.
        top, left: place of the mask in the picture, in pixels; all of it is inside.
        random: decides the colour, which differs from the mean there by at least 60 of 255.
    """
    height, width = mask.shape
    part = picture[top : top + height, left : left + width]
    mean = part.mean(axis=(0, 1))
    opacity = mask[..., np.newaxis]
    part += opacity * (_contrasting(mean, random) - part)


def _contrasting(mean, random):
    """A colour that is as far from another one, in each channel by another amount."""
    room_above, room_below = 255 - mean.max(), mean.min()
    is_lighter = room_above >= room_below
    if min(room_above, room_below) >= _SMALLEST_CONTRAST:
        is_lighter = random.randint(2) == 1
    room = max(room_above if is_lighter else room_below, _SMALLEST_CONTRAST)
    amounts = random.uniform(_SMALLEST_CONTRAST, room, mean.shape)
    return np.clip(mean + (amounts if is_lighter else -amounts), 0, 255).astype(np.float32)


def draw_stroke(picture: np.ndarray, random: np.random.RandomState) -> None:
    """Draws a thin line of three points from anywhere to anywhere.

    Args:
        picture: float32 `(height, width, channels)`; is changed.
        random: decides everything.
    """
    height, width = picture.shape[:2]
    canvas = Image.new("L", (width, height))
    points = random.uniform(0, 1, (3, 2)) * (width, height)
    thickness = random.randint(1, max(2, min(height, width) // 32) + 1)
    ImageDraw.Draw(canvas).line([tuple(point) for point in points], 255, thickness, joint="curve")
    lay_over(picture, np.asarray(canvas, np.float32) / 255, 0, 0, random)
