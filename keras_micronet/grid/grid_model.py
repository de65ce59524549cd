# SPDX-License-Identifier: Apache-2.0
"""A MicroNet that answers for each cell of a grid: what is there, or where a joint is."""

import os
from collections.abc import Collection, Sequence

import keras

from keras_micronet import applications, backbone
from keras_micronet.applications import MicroNet
from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, TASKS
from keras_micronet.layers import GroupedPointwiseConv2D, arguments
from keras_micronet.variants import VARIANTS, Variant
from keras_micronet.weights import check_weights_argument

_HEAD_WIDTH = 32


def MicroNetGrid(
    variant: str = "M0",
    task: str = DETECT,
    *,
    input_shape: Sequence[int | None],
    classes: int,
    weights: str | os.PathLike[str] | None = "imagenet",
    output_stride: int = 8,
    blocks: int | None = None,
    shift_max: bool | Collection[int] = True,
    head_width: int = _HEAD_WIDTH,
    include_preprocessing: bool = True,
    name: str | None = None,
) -> MicroNet:
    """Instantiates a MicroNet with an answer for each cell of a grid.

    The idea of a grid of classes instead of boxes is Edge Impulse's FOMO: small objects are found
    by the cell that their centre is in, and counted.

    Args:
        variant: `"M0"`, `"M1"`, `"M2"` or `"M3"`.
        task: `"detect"` (centres of objects, counting) and `"segment"`: the probabilities of
            background (index 0) and of each class; `"keypoints"`: for each joint how probable it is
            that it lies in the cell, independently of others.
        input_shape: `(height, width, channels)` in Keras's image data format, as for `MicroNetM0`.
        classes: number of classes without the background, or of joints.
        weights: of the backbone, as for `MicroNetM0`; what is not in the grid model, and what it
            has besides them, is left as it is.
        output_stride: side of a cell in pixels, 8, 16 or 32.
        blocks: how many of the variant's blocks are there, from the first on; `None` for all but
            the last, which expands the channels for pooling.
        shift_max: `True` for Dynamic Shift-Max in all blocks, as in the paper; `False` for ReLU6 in
            all; or the numbers of the blocks, from 1 on, that have it.
        head_width: channels of the 1x1 convolution before the one that answers.
        include_preprocessing: as for `MicroNetM0`.
        name: of the model; `None` for one of variant and task.

    Returns:
        A `MicroNet` from images to floats `(batch, rows, columns, answers)`, in this order in every
        image data format, rows and columns `ceil(size / output_stride)`; answers are `classes + 1`
        for detection and segmentation, `classes` for keypoints.

    Raises:
        ValueError: if an argument is not as described above, or a checkpoint does not fit.
        OSError: if `weights="imagenet"` is neither cached nor downloadable.
    """
    table = _checked(variant, task, blocks, shift_max)
    backbone.check_output_stride(output_stride)
    classes = arguments.positive_integer("classes", classes)
    head_width = arguments.positive_integer("head_width", head_width)
    check_weights_argument(weights)
    inputs, images = applications.image_input(input_shape, include_preprocessing, weights)
    features = backbone.features(
        table,
        images,
        output_stride=output_stride,
        blocks=len(table.blocks) - 1 if blocks is None else blocks,
        shift_max_blocks=_numbers(table, shift_max),
    )
    answers = classes if task == KEYPOINTS else classes + 1
    outputs = _head(features, head_width, answers, "sigmoid" if task == KEYPOINTS else "softmax")
    model = MicroNet(inputs, outputs, name=name or f"micronet_{table.name.lower()}_{task}")
    if weights is not None:
        _copy_weights(applications.whole_backbone(table, weights, images.shape[-1]), model)
    return model


def _head(features, width, answers, activation):
    x = GroupedPointwiseConv2D(width, 1, data_format="channels_last", name="head")(features)
    x = keras.layers.ReLU(6.0, name="head_relu6")(x)
    x = keras.layers.Conv2D(answers, 1, data_format="channels_last", name="answers")(x)
    output_dtype = keras.config.dtype_policy().variable_dtype
    return keras.layers.Activation(activation, dtype=output_dtype, name="predictions")(x)


def _checked(variant, task, blocks, shift_max) -> Variant:
    if variant not in VARIANTS:
        raise ValueError(
            f"`variant` must be one of {', '.join(VARIANTS)}. Received: variant={variant!r}"
        )
    if task not in TASKS:
        raise ValueError(f"`task` must be one of {', '.join(TASKS)}. Received: task={task!r}")
    table = VARIANTS[variant]
    most = len(table.blocks)
    if blocks is not None and not 1 <= arguments.positive_integer("blocks", blocks) <= most:
        raise ValueError(f"`blocks` must be at most {most} for {variant}. Received: {blocks=}")
    unknown = [] if isinstance(shift_max, bool) else set(shift_max) - set(range(1, most + 1))
    if unknown:
        raise ValueError(
            f"`shift_max` must be True, False, or numbers of blocks from 1 to {most}. "
            f"Received: shift_max={shift_max!r}"
        )
    return table


def _numbers(table, shift_max):
    if isinstance(shift_max, bool):
        return None if shift_max else ()
    return shift_max


def _copy_weights(source, target):
    """Gives a model the weights of layers that another one has, too."""
    values = {weight.path: weight for weight in source.weights}
    for weight in target.weights:
        if weight.path in values:
            weight.assign(values[weight.path])
