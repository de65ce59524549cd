# SPDX-License-Identifier: Apache-2.0
"""Keras's own convolutions in the form of the library's: one kernel, one bias.

For models that mix the library's layers with `Conv2D` and `DepthwiseConv2D`.
"""

import keras
import numpy as np
import tensorflow as tf

from keras_micronet import expressions
from keras_micronet.layers.normalized_conv2d import folded_normalization


class KerasConvolution:
    """A `Conv2D` or `DepthwiseConv2D` layer and the batch normalization behind it, if any.

    What quantizes and deploys a chain uses it like the layers of
    `layers.normalized_conv2d`.

    Args:
        layer: the built Keras layer, channels-last.
        batch_normalization: the built `BatchNormalization` behind it, or `None`.

    Attributes:
        strides: rows and columns between outputs.
        padding: "SAME" or "VALID".

    Raises:
        ValueError: if the layer is dilated, or has groups and a kernel larger
            than 1x1, or the normalization is not one of channels.
    """

    def __init__(
        self,
        layer: keras.layers.Conv2D | keras.layers.DepthwiseConv2D,
        batch_normalization: keras.layers.BatchNormalization | None = None,
    ) -> None:
        self.layer = layer
        self.batch_normalization = batch_normalization
        self.strides = tuple(layer.strides)
        self.padding = layer.padding.upper()
        self.is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        has_groups = not self.is_depthwise and layer.groups > 1
        if tuple(layer.dilation_rate) != (1, 1) or has_groups and layer.kernel_size != (1, 1):
            raise ValueError(
                "A convolution must not be dilated, and have groups only if it is 1x1. Received: "
                f"layer {layer.name!r} with dilation_rate={tuple(layer.dilation_rate)}, "
                f"kernel_size={tuple(layer.kernel_size)}"
            )
        if batch_normalization is not None and batch_normalization.axis not in (-1, 3):
            raise ValueError(
                "A batch normalization behind a convolution must normalize channels. Received: "
                f"layer {batch_normalization.name!r} with axis={batch_normalization.axis}"
            )

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def kernel(self) -> keras.Variable:
        """The variable `(height, width, in_channels / groups, filters)` of a `Conv2D`, or
        `(height, width, channels, depth_multiplier)`."""
        return self.layer.kernel

    def convolve(
        self, images: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Applies `kernel` to `images` and adds `bias` `(out_channels,)`."""
        padding = self.layer.padding
        if self.is_depthwise:
            outputs = keras.ops.depthwise_conv(images, kernel, self.strides, padding)
        elif self.layer.groups > 1:
            images = images[:, :: self.strides[0], :: self.strides[1]]
            return expressions.pointwise_convolution(images, kernel, self.layer.groups, bias)
        else:
            outputs = keras.ops.conv(images, kernel, self.strides, padding)
        return outputs if bias is None else outputs + bias

    def normalize_batch(self, images: tf.Tensor) -> tf.Tensor:
        """Convolved `images` normalized by their own statistics, which the moving ones follow."""
        bias = self.layer.bias
        assert self.batch_normalization is not None, "a convolution without normalization"
        return self.batch_normalization(images if bias is None else images + bias, training=True)

    def folded_tensors(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Kernel, in its own shape, and bias of what inference amounts to; both tensors."""
        kernel = tf.convert_to_tensor(self.kernel)
        if self.is_depthwise:
            channels = kernel.shape[2] * kernel.shape[3]
            kernel_channels = kernel.shape[2:]
        else:
            channels = kernel.shape[3]
            kernel_channels = [channels]
        bias = tf.zeros(channels) if self.layer.bias is None else self.layer.bias
        if self.batch_normalization is None:
            return kernel, tf.convert_to_tensor(bias)
        scale, offset = folded_normalization(self.batch_normalization)
        return kernel * tf.reshape(scale, kernel_channels), bias * scale + offset

    def folded_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """`folded_tensors` as arrays."""
        return tuple(keras.ops.convert_to_numpy(tensor) for tensor in self.folded_tensors())

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self.layer.compute_output_shape(input_shape)
