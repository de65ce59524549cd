# SPDX-License-Identifier: Apache-2.0
"""Convolution followed by batch normalization: the unit that MicroNet is made of.

Every convolution of the paper has no bias and is normalized. As one layer the
pair trains like the two and folds into one convolution with a bias wherever
statistics are fixed: at inference, and on a device.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from keras_micronet import expressions
from keras_micronet.layers import arguments
from keras_micronet.layers.image_layer import ImageLayer, ImageShape, strided_size

NORMALIZATION_EPSILON = 1e-5
NORMALIZATION_MOMENTUM = 0.9

# What Keras makes one of; a dictionary is the configuration of one.
InitializerLike: TypeAlias = keras.initializers.Initializer | str | dict[str, Any] | None
RegularizerLike: TypeAlias = keras.regularizers.Regularizer | str | dict[str, Any] | None


def fresh_initializer(initializer: InitializerLike) -> InitializerLike:
    """A copy for one more kernel: an unseeded initializer of Keras repeats its values."""
    if isinstance(initializer, keras.initializers.Initializer):
        return initializer.clone()
    return initializer


class _NormalizedConvolution(ImageLayer):
    """A kernel and its batch normalization; subclasses say how the kernel is applied."""

    padding = "SYMMETRIC"  # half the kernel on each side, whatever the strides

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int],
        kernel_initializer: InitializerLike,
        kernel_regularizer: RegularizerLike,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = tuple(
            arguments.odd_integer("kernel_size", size)
            for size in arguments.integers("kernel_size", _pair(kernel_size), 2)
        )
        self.strides = arguments.integers("strides", _pair(strides), 2)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.batch_normalization = keras.layers.BatchNormalization(
            axis=-1,
            momentum=NORMALIZATION_MOMENTUM,
            epsilon=NORMALIZATION_EPSILON,
            dtype=self.dtype_policy,
            name="batch_normalization",
        )

    def kernel_shape(self, in_channels: int) -> tuple[int, ...]:
        """Shape of the kernel for `in_channels`."""
        raise NotImplementedError

    def out_channels(self, in_channels: int) -> int:
        """Number of output channels for `in_channels`."""
        raise NotImplementedError

    def convolve(
        self, images: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Applies `kernel` to `images` and adds `bias` `(out_channels,)`."""
        raise NotImplementedError

    def scaled_kernel(self, kernel: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        """`kernel` with each output channel multiplied by its element of `scale`."""
        return kernel * scale

    def build_channels_last(self, shape: ImageShape) -> None:
        in_channels = shape[-1]
        kernel_shape = self.kernel_shape(in_channels)
        initializer = self.kernel_initializer
        if initializer is None:
            # Fan-out mode by all output channels, also where the last axis is a multiplier.
            scale = 2.0 * kernel_shape[-1] / self.out_channels(in_channels)
            initializer = keras.initializers.VarianceScaling(
                scale, mode="fan_out", distribution="untruncated_normal"
            )
        self.kernel = self.add_weight(
            shape=kernel_shape,
            initializer=initializer,
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.batch_normalization.build(self.transform_shape(shape))

    def transform(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if training and self.batch_normalization.trainable:
            convolved = self.convolve(images, tf.convert_to_tensor(self.kernel))
            return self.normalize_batch(convolved)
        return self.convolve(images, *self.folded_tensors())

    def transform_shape(self, shape: ImageShape) -> ImageShape:
        batch, height, width, channels = shape
        return (
            batch,
            strided_size(height, self.strides[0]),
            strided_size(width, self.strides[1]),
            self.out_channels(channels),
        )

    def folded_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias of the one convolution that inference amounts to.

        Returns:
            Two float32 arrays: the kernel in the layer's own shape, each output
            channel multiplied by gamma / sqrt(variance + epsilon), and the bias
            `(out_channels,)`.
        """
        kernel, bias = self.folded_tensors(dtype="float32")
        return keras.ops.convert_to_numpy(kernel), keras.ops.convert_to_numpy(bias)

    def normalize_batch(self, images: tf.Tensor) -> tf.Tensor:
        """Convolved `images` normalized by their own statistics, which the moving ones follow."""
        normalization = self.batch_normalization
        outputs, mean, variance = expressions.batch_normalization(
            images,
            normalization.gamma,
            normalization.beta,
            normalization.epsilon,
            normalization.synchronized,
        )
        momentum = normalization.momentum
        for moving, batch in (
            (normalization.moving_mean, mean),
            (normalization.moving_variance, variance),
        ):
            batch = tf.cast(batch, moving.dtype)
            moving.assign(moving * momentum + batch * (1.0 - momentum))
        return outputs

    def folded_tensors(self, dtype: str | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """`folded_weights` as tensors through which gradients reach the weights."""
        scale, bias = folded_normalization(self.batch_normalization)
        kernel = self.scaled_kernel(tf.cast(self.kernel, scale.dtype), scale)
        dtype = dtype or self.compute_dtype
        return tf.cast(kernel, dtype), tf.cast(bias, dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable(package="keras_micronet")
class NormalizedConv2D(_NormalizedConvolution):
    """Convolution without bias, symmetrically padded, then batch normalization.

    Args:
        filters: number of output channels.
        kernel_size: odd integer or pair of odd integers (height, width).
        strides: integer or pair of integers.
        groups: number of channel groups; more than one only with a 1x1 kernel
            and strides of 1.
        kernel_initializer: `None` for the release's: normal values of variance
            2 / (kernel height * kernel width * output channels).
        kernel_regularizer: as in `keras.layers.Conv2D`.
        data_format: `"channels_last"`, `"channels_first"` or `None`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, ceil(height / strides[0]), ceil(width / strides[1]), filters)`.

    Raises:
        ValueError: if a size is not a positive integer, a kernel size is even,
            or `groups` does not divide `filters` and the input channels.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        *,
        strides: int | Sequence[int] = 1,
        groups: int = 1,
        kernel_initializer: InitializerLike = None,
        kernel_regularizer: RegularizerLike = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            kernel_initializer,
            kernel_regularizer,
            data_format=data_format,
            **kwargs,
        )
        self.filters = arguments.positive_integer("filters", filters)
        self.groups = arguments.positive_integer("groups", groups)
        arguments.require_divides("groups", self.groups, "filters", self.filters)
        if self.groups > 1 and self.kernel_size + self.strides != (1, 1, 1, 1):
            raise ValueError(
                "`groups` above 1 must go with kernel_size=1 and strides=1. "
                f"Received: groups={groups}, kernel_size={kernel_size}, strides={strides}"
            )

    def kernel_shape(self, in_channels: int) -> tuple[int, ...]:
        arguments.require_divides("groups", self.groups, "input channels", in_channels)
        return (*self.kernel_size, in_channels // self.groups, self.filters)

    def out_channels(self, in_channels: int) -> int:
        return self.filters

    def convolve(
        self, images: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None = None
    ) -> tf.Tensor:
        if self.kernel_size == (1, 1) and self.strides == (1, 1):
            return expressions.pointwise_convolution(images, kernel, self.groups, bias)
        return expressions.convolution(images, kernel, self.strides, bias)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}


@keras.saving.register_keras_serializable(package="keras_micronet")
class NormalizedDepthwiseConv2D(_NormalizedConvolution):
    """Depthwise convolution without bias, symmetrically padded, then batch normalization.

    Args:
        kernel_size: odd integer or pair of odd integers (height, width).
        strides: integer or pair of integers, which may differ.
        depth_multiplier: outputs of each input channel.
        kernel_initializer: `None` for the release's: normal values of variance
            2 / (kernel height * kernel width * output channels).
        kernel_regularizer: as in `keras.layers.DepthwiseConv2D`.
        data_format: `"channels_last"`, `"channels_first"` or `None`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, ceil(height / strides[0]), ceil(width / strides[1]),
    channels * depth_multiplier)`.

    Raises:
        ValueError: if a size is not a positive integer or a kernel size is even.
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        *,
        strides: int | Sequence[int] = 1,
        depth_multiplier: int = 1,
        kernel_initializer: InitializerLike = None,
        kernel_regularizer: RegularizerLike = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            kernel_initializer,
            kernel_regularizer,
            data_format=data_format,
            **kwargs,
        )
        self.depth_multiplier = arguments.positive_integer("depth_multiplier", depth_multiplier)

    def kernel_shape(self, in_channels: int) -> tuple[int, ...]:
        return (*self.kernel_size, in_channels, self.depth_multiplier)

    def out_channels(self, in_channels: int) -> int:
        return in_channels * self.depth_multiplier

    def convolve(
        self, images: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None = None
    ) -> tf.Tensor:
        return expressions.depthwise_convolution(images, kernel, self.strides, bias)

    def scaled_kernel(self, kernel: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        return kernel * tf.reshape(scale, kernel.shape[2:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}


def folded_normalization(
    normalization: keras.layers.BatchNormalization,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Scale and offset `(channels,)` that a batch normalization amounts to at inference."""
    variance = tf.convert_to_tensor(normalization.moving_variance)
    scale = tf.math.rsqrt(variance + normalization.epsilon)
    if normalization.gamma is not None:
        scale = scale * normalization.gamma
    offset = -normalization.moving_mean * scale
    return scale, offset if normalization.beta is None else offset + normalization.beta


def _pair(value):
    return value if isinstance(value, (list, tuple)) else (value, value)
