# SPDX-License-Identifier: Apache-2.0
"""From the camera's uint8 RGB to the model's input, in float and in integers."""

import collections.abc
import dataclasses
import typing

import keras
import numpy as np

from tflm.graph.graph import Quantization

_VALUES = 256


@dataclasses.dataclass(frozen=True)
class InputNormalization:
    """What a model's first layers make of each raw value of R, G and B in [0, 255].

    Attributes:
        values: float32 array `(channels, 256)`: a row for R, G and B, a column a raw value.
    """

    values: np.ndarray

    @classmethod
    def of(
        cls, *functions: collections.abc.Callable[[np.ndarray], typing.Any], channels: int = 3
    ) -> typing.Self:
        """That of functions which treat each pixel by itself, one after another.

        Args:
            functions: of float32 images `(batch, height, width, channels)`, such as Keras's own
                `Normalization` and `Rescaling`; none for models that take raw values.
            channels: number of channels.
        """
        images = np.arange(_VALUES, dtype=np.float32).reshape(1, _VALUES, 1, 1)
        images = np.repeat(images, channels, axis=-1)
        for function in functions:
            images = keras.ops.convert_to_numpy(function(images))
        return cls(images[0, :, 0].T.astype(np.float32))

    def normalize(self, images: np.ndarray) -> np.ndarray:
        """float32 images of the same shape from raw ones, uint8 `(..., channels)`."""
        return _by_tables(self.values, images)

    def tables(self, quantization: Quantization) -> np.ndarray:
        """What the model's int8 input is for each raw value.

        Args:
            quantization: per-tensor `Quantization` of the model's input.

        Returns:
            int8 array `(channels, 256)`: a row for R, G and B, a column a raw value.
        """
        return quantization.quantize(self.values)

    def quantized_images(self, images: np.ndarray, quantization: Quantization) -> np.ndarray:
        """Raw uint8 images `(..., channels)` as int8, as firmware converts it: by `tables`."""
        return _by_tables(self.tables(quantization), images)


def _by_tables(tables, images):
    channels = range(len(tables))
    return np.stack([tables[channel][images[..., channel]] for channel in channels], axis=-1)
