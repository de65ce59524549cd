# SPDX-License-Identifier: Apache-2.0
"""What all layers of the library share: image batches in either data format."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import keras
import tensorflow as tf

# Channels-last, with the batch in front; the channels are known.
ImageShape: TypeAlias = tuple[int | None, int | None, int | None, int]


class ImageLayer(keras.layers.Layer):
    """Base of layers that map `(batch, height, width, channels)` images to such images.

    A subclass computes in channels-last order: `transform` maps tensors and
    `transform_shape` maps shapes. With `data_format="channels_first"` inputs
    and outputs are transposed here, once around the outermost layer, so that
    every device runs either format.

    Args:
        data_format: `"channels_last"`, `"channels_first"`, or `None` for
            `keras.config.image_data_format()`.
        **kwargs: `name`, `dtype`, `trainable` of `keras.layers.Layer`.

    Raises:
        ValueError: if `data_format` is anything else.
    """

    def __init__(self, *, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)

    def transform(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Output images, channels-last, of channels-last `images`."""
        raise NotImplementedError

    def transform_shape(self, shape: ImageShape) -> ImageShape:
        """Output shape, channels-last with the batch in front, for such a `shape`."""
        return shape

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = self._to_channels_last(input_shape)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={self.channel_axis: shape[-1]})
        self.build_channels_last(shape)
        if not self.trainable:
            # Keras hands the setting down only when it changes: not to layers made since.
            for layer in self._flatten_layers(include_self=False):
                layer.trainable = False

    def build_channels_last(self, shape: ImageShape) -> None:
        """Creates the weights for images of channels-last `shape`."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if self.data_format == "channels_last":
            return self.transform(inputs, training=training)
        images = keras.ops.transpose(inputs, (0, 2, 3, 1))
        outputs = self.transform(images, training=training)
        return keras.ops.transpose(outputs, (0, 3, 1, 2))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, height, width, channels = self.transform_shape(self._to_channels_last(input_shape))
        if self.data_format == "channels_last":
            return (batch, height, width, channels)
        return (batch, channels, height, width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}

    @property
    def channel_axis(self) -> int:
        """Index of the channels in the layer's own inputs: 3 or 1."""
        return 3 if self.data_format == "channels_last" else 1

    def _to_channels_last(self, shape):
        if len(shape) != 4:
            raise ValueError(
                f"The inputs of {self.name} must be a batch of images with 4 axes. "
                f"Received: shape={tuple(shape)}"
            )
        if shape[self.channel_axis] is None:
            raise ValueError(
                f"The channels of the inputs of {self.name} must be known. "
                f"Received: shape={tuple(shape)}"
            )
        if self.data_format == "channels_last":
            return tuple(shape)
        batch, channels, height, width = shape
        return (batch, height, width, channels)


class ImageLayerSequence(ImageLayer):
    """An image layer that is a chain of layers, all channels-last.

    A subclass provides `steps`, the layers in order, from `build` on.
    """

    @property
    def steps(self) -> list[keras.layers.Layer]:
        """The layers of the chain, in order."""
        raise NotImplementedError

    def build_channels_last(self, shape: ImageShape) -> None:
        for layer, layer_shape in self.steps_with_shapes(shape):
            layer.build(layer_shape)

    def transform(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        for layer in self.steps:
            images = layer(images)
        return images

    def transform_shape(self, shape: ImageShape) -> ImageShape:
        for layer in self.steps:
            batch, height, width, channels = layer.compute_output_shape(shape)
            shape = (batch, height, width, channels)
        return shape

    def steps_with_shapes(
        self, shape: ImageShape
    ) -> Iterator[tuple[keras.layers.Layer, ImageShape]]:
        """Yields each step with the channels-last shape of its input."""
        for layer in self.steps:
            yield layer, shape
            shape = layer.compute_output_shape(shape)


def standardize_data_format(data_format: str | None) -> str:
    """`data_format`, or Keras's own setting if it is `None`."""
    if data_format is None:
        return keras.config.image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            "`data_format` must be 'channels_last', 'channels_first' or None. "
            f"Received: data_format={data_format!r}"
        )
    return data_format


def strided_size(size: int | None, stride: int) -> int | None:
    """Number of outputs of a symmetrically padded odd kernel along an axis of `size`."""
    return None if size is None else -(-size // stride)
