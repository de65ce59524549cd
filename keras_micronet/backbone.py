# SPDX-License-Identifier: Apache-2.0
"""A variant's stem and blocks, whole or in part."""

import dataclasses
from collections.abc import Collection
from typing import Any

import keras

from keras_micronet.layers import FactorizedStem, MicroBlock
from keras_micronet.variants import Variant

STEM_STRIDE, WHOLE_STRIDE = 2, 32
OUTPUT_STRIDES = (8, 16, WHOLE_STRIDE)
# Of the three places of a block: ReLU6, ReLU6 and no activation instead of Dynamic Shift-Max.
_NO_FUSIONS = (0, 0, 0)


def check_output_stride(output_stride: int) -> None:
    """Raises `ValueError` unless it is one of `OUTPUT_STRIDES`."""
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(
            f"`output_stride` must be one of {OUTPUT_STRIDES}. "
            f"Received: output_stride={output_stride!r}"
        )


def features(
    variant: Variant,
    images: keras.KerasTensor,
    *,
    full_rank: bool = False,
    output_stride: int = WHOLE_STRIDE,
    blocks: int | None = None,
    shift_max_blocks: Collection[int] | None = None,
) -> keras.KerasTensor:
    """The features of a variant's last block, or of an earlier one.

    Args:
        variant: one of `VARIANTS`.
        images: normalized, `(batch, height, width, channels)`.
        full_rank: as for `MicroNetM0`.
        output_stride: strides that would exceed it are 1. Their blocks add no residual, which they
            had none of when their weights were learned.
        blocks: how many of the blocks are there; `None` for all.
        shift_max_blocks: numbers of the blocks with Dynamic Shift-Max, from 1 on; `None` for all.
            Others have ReLU6.
    """
    common: dict[str, Any] = {"full_rank": full_rank, "data_format": "channels_last"}
    tensor = FactorizedStem(variant.stem_channels, name="stem", **common)(images)
    stride = STEM_STRIDE
    for number, row in enumerate(variant.blocks[:blocks], start=1):
        has_its_stride = stride * row.strides <= output_stride
        if not has_its_stride:
            row = dataclasses.replace(row, strides=1)
        if shift_max_blocks is not None and number not in shift_max_blocks:
            row = dataclasses.replace(row, fusions=_NO_FUSIONS)
        stride *= row.strides
        tensor = MicroBlock(
            **dataclasses.asdict(row),
            residual=has_its_stride,
            initial_a=variant.initial_a,
            initial_b=variant.initial_b,
            name=f"block_{number}",
            **common,
        )(tensor)
    return tensor
