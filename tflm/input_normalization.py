"""From the camera's uint8 RGB to the model's input, in float and in integers."""

import dataclasses

import numpy as np

from keras_micronet.applications import IMAGENET_MEAN, IMAGENET_STANDARD_DEVIATION


@dataclasses.dataclass(frozen=True)
class InputNormalization:
    """(value - mean) / standard deviation for each channel of raw RGB in [0, 255].

    Attributes:
        mean: three numbers, R, G, B.
        standard_deviation: three positive numbers.
    """

    mean: np.ndarray
    standard_deviation: np.ndarray

    @classmethod
    def of_imagenet(cls):
        """The normalization of `keras_micronet.preprocess_input`."""
        return cls(255.0 * np.array(IMAGENET_MEAN), 255.0 * np.array(IMAGENET_STANDARD_DEVIATION))

    def normalize(self, images):
        """float32 images of the same shape from raw RGB `(..., 3)`."""
        return ((images - self.mean) / self.standard_deviation).astype(np.float32)

    def tables(self, quantization):
        """What the model's int8 input is for each raw value.

        Args:
            quantization: per-tensor `Quantization` of the model's input.

        Returns:
            int8 array `(3, 256)`: a row for R, G and B, a column a raw value.
        """
        values = np.arange(256.0)
        mean, deviation = self.mean[:, np.newaxis], self.standard_deviation[:, np.newaxis]
        return quantization.quantize(((values - mean) / deviation).astype(np.float32))

    def quantized_images(self, images, quantization):
        """Raw uint8 RGB `(..., 3)` as int8, as firmware converts it: by `tables`."""
        tables = self.tables(quantization)
        return np.stack([tables[channel][images[..., channel]] for channel in range(3)], axis=-1)
