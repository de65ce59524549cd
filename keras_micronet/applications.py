# SPDX-License-Identifier: Apache-2.0
"""MicroNetM0 to MicroNetM3, with the habits of `keras.applications`.

Paper: Li et al., "MicroNet: Improving Image Recognition with Extremely Low
FLOPs", ICCV 2021 (arXiv 2108.05894; first version arXiv 2011.12289). Weights:
the authors' and PaddleClas's ImageNet checkpoints, see `weights`.
"""

import numbers
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_micronet import backbone, pyramid
from keras_micronet.gray_weights import copy_to_gray
from keras_micronet.image_statistics import channel_statistics
from keras_micronet.layers import arguments
from keras_micronet.layers.image_layer import standardize_data_format
from keras_micronet.layers.image_normalization import ImageNormalization
from keras_micronet.layers.normalized_conv2d import NORMALIZATION_EPSILON, NORMALIZATION_MOMENTUM
from keras_micronet.single_trace import SingleTrace
from keras_micronet.variants import VARIANTS, Variant
from keras_micronet.weights import check_weights_argument, load_weights

IMAGENET_CLASSES = 1000
_DEFAULT_SIZE = 224

_DOCUMENTATION = """Instantiates MicroNet-{name}, {top1}% top-1 on ImageNet by its authors.

    All four names mean the models of the ICCV paper (arXiv 2108.05894), whose
    first version has other names: `VARIANTS`. Parameters and multiply-adds: the
    README's table of models, or `summarize` for a model of any size and head.

    Args:
        input_shape: `(height, width, 3)` (channels first if that is Keras's
            image data format), any positive sizes or `None`, non-square too.
            Defaults to `(224, 224, 3)` with the top and to sizes left open
            without it. With one channel the model takes gray images, and
            `weights="imagenet"` gives it those of RGB, summed. Other channel
            counts need `weights=None` and `include_preprocessing=False`.
        include_top: whether to include pooling and the two dense layers.
        weights: `"imagenet"` (from the cache or downloaded, see docs/weights.md),
            `None` (random), or the path of a `.weights.h5`, `.keras` or `.npz`
            file, of an authors' `.pth` or of PaddleClas's `.pdparams` file.
        input_tensor: optional Keras tensor to use as the image input.
        pooling: output without the top: `None` for the feature map of the last
            block, `"avg"` or `"max"` for it pooled to a vector.
        classes: number of classes; 1000 for `weights="imagenet"` with the top.
        classifier_activation: activation of the output; `None` for the logits
            of the authors' release (which pass through batch normalization and
            h-swish).
        dropout_rate: fraction dropped before the classifier, in [0, 1); `None`
            for the paper's ({dropout_rate}).
        include_preprocessing: `True` for images as raw RGB or gray in
            [0, 255], normalized inside; `False` for images already normalized by the
            ImageNet mean and standard deviation (`preprocess_input`).
        full_rank: `True` for the paper's full-rank partner for mutual learning:
            the same widths and depth, dense pointwise and k x k depthwise
            convolutions. No checkpoints exist for it.
        output_stride: without the top, 8 or 16 for features that are 4 or 2
            times as fine as those of 32: later strides are 1, the weights the
            same. Such blocks add no residual, as they had none.
        name: name of the model.

    Returns:
        A `MicroNet`, which is a functional `keras.Model`, from images
        `(batch, height, width, channels)` to `(batch, classes)`, or without the
        top to features.

    Raises:
        ValueError: if an argument is not as described above, or a checkpoint
            does not fit the model.
        OSError: if `weights="imagenet"` is neither cached nor downloadable.
"""


@keras.saving.register_keras_serializable(package="keras_micronet")
class MicroNet(SingleTrace, keras.Model):
    """A functional Keras model whose training step TensorFlow traces once, not twice.

    The first step of `fit` then takes about half of the time. Models that you
    make of a MicroNet's tensors may be of this class, too:
    `MicroNet(backbone.input, outputs)`.

    Args:
        inputs: as for `keras.Model`: a tensor of `keras.Input`, or several.
        outputs: what was computed from them.
        name: name of the model.

    Input shape: that of `inputs`. Output shape: that of `outputs`.

    Raises:
        ValueError: if the outputs do not depend on the inputs alone.
    """

    @property
    def pyramid_outputs(self) -> dict[str, keras.KerasTensor]:
        """The finest to the coarsest features, as keras-hub's backbones have them.

        Keras tensors by level: `"P2"` is the output of the last block whose features have
        1/4 of the images' height and width (rounded up), `"P3"` 1/8, up to the model's
        output stride. In Keras's image data format at the time of reading.
        """
        return pyramid.outputs(self)


def MicroNetM0(
    input_shape: Sequence[int | None] | None = None,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = "imagenet",
    input_tensor: keras.KerasTensor | None = None,
    pooling: str | None = None,
    classes: int = IMAGENET_CLASSES,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    dropout_rate: float | None = None,
    include_preprocessing: bool = True,
    full_rank: bool = False,
    output_stride: int = 32,
    name: str = "micronet_m0",
) -> MicroNet:
    return _micronet(VARIANTS["M0"], **locals())


def MicroNetM1(
    input_shape: Sequence[int | None] | None = None,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = "imagenet",
    input_tensor: keras.KerasTensor | None = None,
    pooling: str | None = None,
    classes: int = IMAGENET_CLASSES,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    dropout_rate: float | None = None,
    include_preprocessing: bool = True,
    full_rank: bool = False,
    output_stride: int = 32,
    name: str = "micronet_m1",
) -> MicroNet:
    return _micronet(VARIANTS["M1"], **locals())


def MicroNetM2(
    input_shape: Sequence[int | None] | None = None,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = "imagenet",
    input_tensor: keras.KerasTensor | None = None,
    pooling: str | None = None,
    classes: int = IMAGENET_CLASSES,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    dropout_rate: float | None = None,
    include_preprocessing: bool = True,
    full_rank: bool = False,
    output_stride: int = 32,
    name: str = "micronet_m2",
) -> MicroNet:
    return _micronet(VARIANTS["M2"], **locals())


def MicroNetM3(
    input_shape: Sequence[int | None] | None = None,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = "imagenet",
    input_tensor: keras.KerasTensor | None = None,
    pooling: str | None = None,
    classes: int = IMAGENET_CLASSES,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    dropout_rate: float | None = None,
    include_preprocessing: bool = True,
    full_rank: bool = False,
    output_stride: int = 32,
    name: str = "micronet_m3",
) -> MicroNet:
    return _micronet(VARIANTS["M3"], **locals())


for _function in (MicroNetM0, MicroNetM1, MicroNetM2, MicroNetM3):
    _variant = VARIANTS[_function.__name__.removeprefix("MicroNet")]
    _function.__doc__ = _DOCUMENTATION.format(
        name=_variant.name, top1=_variant.imagenet_top1, dropout_rate=_variant.dropout_rate
    )


def preprocess_input(
    x: np.ndarray | tf.Tensor | keras.KerasTensor, data_format: str | None = None
) -> np.ndarray | tf.Tensor | keras.KerasTensor:
    """Normalizes raw images for a model with `include_preprocessing=False`.

    Args:
        x: array or tensor of RGB or gray images with values in [0, 255], 3-D or 4-D.
        data_format: `"channels_last"`, `"channels_first"` or `None`.

    Returns:
        `(x / 255 - mean) / standard deviation` of ImageNet, as floats; for gray images with the
        means over the channels, weighted by their brightness (ITU-R BT.601).
    """
    channel_axis = -1 if standardize_data_format(data_format) == "channels_last" else -3
    if x.shape[channel_axis] == 1:
        (mean,), (deviation,) = channel_statistics(1)
        return (_as_floats(x) / 255.0 - mean) / deviation
    if isinstance(x, np.ndarray):
        x = x.copy()  # Keras writes the result over an array of floats.
    return keras.applications.imagenet_utils.preprocess_input(
        x, data_format=data_format, mode="torch"
    )


def decode_predictions(preds: np.ndarray, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """Names the most likely ImageNet classes.

    Args:
        preds: array `(batch, 1000)` of scores.
        top: how many classes to return for each image.

    Returns:
        For each image a list of `(class id, class name, score)`.

    Raises:
        ValueError: if `preds` is not of shape `(batch, 1000)`.
    """
    return keras.applications.imagenet_utils.decode_predictions(preds, top=top)


def _micronet(
    variant,
    input_shape,
    include_top,
    weights,
    input_tensor,
    pooling,
    classes,
    classifier_activation,
    dropout_rate,
    include_preprocessing,
    full_rank,
    output_stride,
    name,
):
    classes = arguments.positive_integer("classes", classes)
    dropout_rate = _checked_dropout_rate(variant, dropout_rate)
    _check_activation(classifier_activation)
    _check_choices(weights, include_top, classes, pooling, full_rank)
    _check_output_stride(output_stride, include_top)
    check_weights_argument(weights)
    inputs, images = image_input(
        input_shape, include_preprocessing, weights, input_tensor, include_top
    )
    features = backbone.features(variant, images, full_rank=full_rank, output_stride=output_stride)
    if include_top:
        outputs = _top(variant, features, classes, classifier_activation, dropout_rate)
    else:
        outputs = _pooled(features, pooling)

    model = MicroNet(inputs, outputs, name=name)
    if weights == "imagenet" and images.shape[-1] == 1:
        copy_to_gray(_imagenet_model(variant, include_top), model)
    else:
        load_weights(model, variant, weights)
    return model


def image_input(
    input_shape: Sequence[int | None] | None,
    include_preprocessing: bool,
    weights: str | os.PathLike[str] | None,
    input_tensor: keras.KerasTensor | None = None,
    include_top: bool = False,
) -> tuple[Any, keras.KerasTensor]:
    """A model's inputs, and the normalized images with the channels last that they become.

    Args:
        input_shape, include_preprocessing, weights, input_tensor, include_top: as for `MicroNetM0`.

    Raises:
        ValueError: if an argument is not as described there.
    """
    images = inputs = _image_input(input_shape, input_tensor, include_top)
    _check_channels(inputs, weights, include_preprocessing)
    if standardize_data_format(None) == "channels_first":
        images = keras.layers.Permute((2, 3, 1), name="to_channels_last")(images)
    if include_preprocessing:
        images = _normalization(images.shape[-1])(images)
    return _sources(inputs), images


def whole_backbone(
    variant: Variant, weights: str | os.PathLike[str] | None, channels: int
) -> MicroNet:
    """A variant without the top, for images of any size.

    Args:
        variant: one of `VARIANTS`.
        weights: as for `MicroNetM0`.
        channels: of the images.
    """
    shape: tuple[int | None, ...] = (None, None, channels)
    if standardize_data_format(None) == "channels_first":
        shape = (channels, None, None)
    return _built(variant, weights, input_shape=shape, include_top=False)


def _imagenet_model(variant, include_top):
    """A variant with ImageNet's weights, for RGB images."""
    return _built(variant, "imagenet", input_shape=None, include_top=include_top)


def _built(variant, weights, input_shape, include_top):
    return _micronet(
        variant,
        input_shape=input_shape,
        include_top=include_top,
        weights=weights,
        input_tensor=None,
        pooling=None,
        classes=IMAGENET_CLASSES,
        classifier_activation=None,
        dropout_rate=None,
        include_preprocessing=True,
        full_rank=False,
        output_stride=backbone.WHOLE_STRIDE,
        name=variant.name,
    )


def _top(variant, features, classes, classifier_activation, dropout_rate):
    x = keras.layers.ReLU(6.0, name="head_relu6")(features)
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="head_pool")(x)
    x = keras.layers.Activation("hard_swish", name="head_pool_activation")(x)
    x = _normalized_dense(x, variant.head_width, "head")
    x = keras.layers.Dropout(dropout_rate, name="head_dropout")(x)
    x = _normalized_dense(x, classes, "classifier")
    # Half precision is for the inside: probabilities and losses want the variables' dtype.
    output_dtype = keras.config.dtype_policy().variable_dtype
    return keras.layers.Activation(
        classifier_activation or "linear", dtype=output_dtype, name="predictions"
    )(x)


def _normalized_dense(x, units, prefix):
    x = keras.layers.Dense(
        units,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        name=f"{prefix}_dense",
    )(x)
    x = keras.layers.BatchNormalization(
        momentum=NORMALIZATION_MOMENTUM,
        epsilon=NORMALIZATION_EPSILON,
        name=f"{prefix}_normalization",
    )(x)
    return keras.layers.Activation("hard_swish", name=f"{prefix}_activation")(x)


def _pooled(features, pooling):
    if pooling == "avg":
        return keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="avg_pool")(
            features
        )
    if pooling == "max":
        return keras.layers.GlobalMaxPooling2D(data_format="channels_last", name="max_pool")(
            features
        )
    if standardize_data_format(None) == "channels_first":
        return keras.layers.Permute((3, 1, 2), name="to_channels_first")(features)
    return features


def _sources(inputs):
    """The input that a tensor comes from, or the list of several."""
    sources = keras.utils.get_source_inputs(inputs)
    return sources[0] if len(sources) == 1 else sources


def _normalization(channels):
    means, deviations = channel_statistics(channels)
    return ImageNormalization(
        mean=[255.0 * mean for mean in means],
        variance=[(255.0 * deviation) ** 2 for deviation in deviations],
        name="preprocessing",
    )


def _as_floats(x):
    dtype = keras.config.floatx()
    return x.astype(dtype) if isinstance(x, np.ndarray) else keras.ops.cast(x, dtype)


def _image_input(input_shape, input_tensor, include_top):
    if input_tensor is not None:
        return _checked_input_tensor(input_tensor, input_shape)
    if input_shape is None:
        size = _DEFAULT_SIZE if include_top else None
        input_shape = (size, size, 3)
        if standardize_data_format(None) == "channels_first":
            input_shape = (3, size, size)
    return keras.Input(_checked_shape(input_shape), name="images")


def _checked_input_tensor(input_tensor, input_shape):
    if not keras.utils.is_keras_tensor(input_tensor):
        raise ValueError(
            "`input_tensor` must be a Keras tensor, such as `keras.Input(...)`. "
            f"Received: input_tensor of type {type(input_tensor).__name__}"
        )
    shape = _checked_shape(input_tensor.shape[1:])
    if input_shape is not None and tuple(input_shape) != shape:
        raise ValueError(
            "`input_shape` must agree with `input_tensor`. "
            f"Received: input_shape={tuple(input_shape)}, input_tensor.shape={input_tensor.shape}"
        )
    return input_tensor


def _checked_shape(shape):
    rule = "`input_shape` must be three positive integers, height and width possibly None"
    try:
        sizes = tuple(
            size if size is None else arguments.positive_integer("input_shape", size)
            for size in shape
        )
    except (TypeError, ValueError):
        sizes = ()
    channel_axis = -1 if standardize_data_format(None) == "channels_last" else 0
    if len(sizes) != 3 or sizes[channel_axis] is None:
        raise ValueError(f"{rule}. Received: input_shape={shape!r}")
    return sizes


def _check_channels(inputs, weights, include_preprocessing):
    channel_axis = -1 if standardize_data_format(None) == "channels_last" else 1
    channels = inputs.shape[channel_axis]
    if channels not in (1, 3) and (weights == "imagenet" or include_preprocessing):
        raise ValueError(
            "The input must have 3 channels (RGB) or 1 (gray) with `weights='imagenet'` or "
            f"`include_preprocessing=True`. Received: an input of shape {inputs.shape}"
        )


def _checked_dropout_rate(variant, dropout_rate):
    if dropout_rate is None:
        return variant.dropout_rate
    if not isinstance(dropout_rate, numbers.Real) or not 0 <= dropout_rate < 1:
        raise ValueError(
            "`dropout_rate` must be None or a number in [0, 1). "
            f"Received: dropout_rate={dropout_rate!r}"
        )
    return float(dropout_rate)


def _check_activation(classifier_activation):
    try:
        keras.activations.get(classifier_activation)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`classifier_activation` must be None, a callable or the name of a Keras activation. "
            f"Received: classifier_activation={classifier_activation!r}"
        ) from error


def _check_output_stride(output_stride, include_top):
    backbone.check_output_stride(output_stride)
    if include_top and output_stride != backbone.WHOLE_STRIDE:
        raise ValueError(
            f"`output_stride` must be {backbone.WHOLE_STRIDE} with the top, which pools the "
            "features; for finer ones use `include_top=False`. "
            f"Received: output_stride={output_stride}"
        )


def _check_choices(weights, include_top, classes, pooling, full_rank):
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"`pooling` must be None, 'avg' or 'max'. Received: pooling={pooling!r}")
    if weights != "imagenet":
        return
    if full_rank:
        raise ValueError(
            "`weights='imagenet'` must go with `full_rank=False`: no checkpoint of the "
            f"full-rank partner was released. Received: full_rank={full_rank}"
        )
    if include_top and classes != IMAGENET_CLASSES:
        raise ValueError(
            "`classes` must be 1000 with `weights='imagenet'` and `include_top=True`; for other "
            "classes use `include_top=False`, or build with `weights=None` and call "
            "`load_checkpoint(model, source, skip_classifier=True)`. "
            f"Received: classes={classes}"
        )
