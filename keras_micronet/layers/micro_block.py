# SPDX-License-Identifier: Apache-2.0
"""Micro-Block-A, -B and -C: one row of a variant's table."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_micronet.layers import arguments
from keras_micronet.layers.channel_shuffle import ChannelShuffle
from keras_micronet.layers.dynamic_shift_max import DynamicShiftMax
from keras_micronet.layers.factorized_depthwise_conv2d import FactorizedDepthwiseConv2D
from keras_micronet.layers.grouped_pointwise_conv2d import GroupedPointwiseConv2D
from keras_micronet.layers.image_layer import ImageLayerSequence, ImageShape, strided_size
from keras_micronet.layers.normalized_conv2d import NormalizedDepthwiseConv2D

_BASE_REDUCTION_RATIO = 8


@keras.saving.register_keras_serializable(package="keras_micronet")
class MicroBlock(ImageLayerSequence):
    """A block of MicroNet (the paper's Micro-Blocks; the release's table of blocks).

    Micro-Block-A (no expanding convolution): factorized depthwise convolution
    that multiplies the channels, then a grouped pointwise convolution that
    compresses them. Micro-Block-B and -C: a grouped pointwise convolution that
    expands, a factorized depthwise one, and a grouped pointwise one that
    compresses. The last row of a table is the expanding convolution alone. Each
    convolution may be followed by Dynamic Shift-Max and channel shuffles. The
    input is added to the output where the shapes agree (stride 1), unless
    `residual` says otherwise.

    Args:
        filters: number of output channels, c.
        kernel_size: odd integer k of the depthwise convolution.
        strides: integer stride of the depthwise convolution.
        expansion: pair (e1, e2); the hidden width is channels * e1 * e2.
        expand_groups: pair (g1, g2): groups of the expanding convolution, 0 for
            none (Micro-Block-A), and groups of the shuffle and the shift after
            it.
        project_groups: pair (g3, g4): groups of the compressing convolution and
            of the shuffle and the shift after it; (0, 0) ends the block after
            the expanding convolution, whose output has `filters` channels.
        fusions: triple (y1, y2, y3): fusions of Dynamic Shift-Max after the
            expanding, depthwise and compressing convolution. 0 is ReLU6 for the
            first two and no activation for the third.
        reduction_multiplier: r; the squeeze layers have 1 / (8 r) of the
            channels (1 / (4 r) after a compressing convolution).
        initial_a: initial coefficients a of activations with two fusions.
        initial_b: initial coefficients b of activations with two fusions.
        full_rank: `True` for dense pointwise and k x k depthwise convolutions
            of the same widths: the full-rank partner of mutual learning.
        residual: `False` for a block that never adds its input, such as one
            whose stride was 2 when its weights were learned.
        data_format: `"channels_last"`, `"channels_first"` or `None`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, ceil(height / strides), ceil(width / strides), filters)`.

    Raises:
        ValueError: if a group count does not divide the channels it splits, or
            a value is not of the kind described above.
    """

    def __init__(
        self,
        filters: int,
        *,
        kernel_size: int = 3,
        strides: int = 1,
        expansion: Sequence[int] = (1, 1),
        expand_groups: Sequence[int] = (0, 1),
        project_groups: Sequence[int] = (1, 1),
        fusions: Sequence[int] = (2, 2, 1),
        reduction_multiplier: int = 1,
        initial_a: Sequence[float] = (1.0, 1.0),
        initial_b: Sequence[float] = (0.0, 0.0),
        full_rank: bool = False,
        residual: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.filters = arguments.positive_integer("filters", filters)
        self.kernel_size = arguments.odd_integer("kernel_size", kernel_size)
        self.strides = arguments.positive_integer("strides", strides)
        self.expansion = arguments.integers("expansion", expansion, 2)
        self.expand_groups = arguments.integers("expand_groups", expand_groups, 2, minimum=0)
        self.project_groups = arguments.integers("project_groups", project_groups, 2, minimum=0)
        self.fusions = arguments.integers("fusions", fusions, 3, minimum=0)
        self.reduction_multiplier = arguments.positive_integer(
            "reduction_multiplier", reduction_multiplier
        )
        self.initial_a = arguments.finite_numbers("initial_a", initial_a, 2)
        self.initial_b = arguments.finite_numbers("initial_b", initial_b, 2)
        self.full_rank = bool(full_rank)
        self.residual = bool(residual)
        self._check_structure()
        self.expand: GroupedPointwiseConv2D | None = None
        self.expand_activation: keras.layers.Layer | None = None
        self.expand_shuffle: ChannelShuffle | None = None
        self.depthwise: keras.layers.Layer | None = None
        self.depthwise_activation: keras.layers.Layer | None = None
        self.depthwise_shuffle: ChannelShuffle | None = None
        self.project: GroupedPointwiseConv2D | None = None
        self.project_activation: DynamicShiftMax | None = None
        self.project_shuffle: ChannelShuffle | None = None
        self.has_residual = False

    @property
    def is_expansion_only(self) -> bool:
        """Whether this is the last row of a table: no depthwise convolution."""
        return self.project_groups == (0, 0)

    @property
    def steps(self) -> list[keras.layers.Layer]:
        layers = (
            self.expand,
            self.expand_activation,
            self.expand_shuffle,
            self.depthwise,
            self.depthwise_activation,
            self.depthwise_shuffle,
            self.project,
            self.project_activation,
            self.project_shuffle,
        )
        return [layer for layer in layers if layer is not None]

    def build_channels_last(self, shape: ImageShape) -> None:
        channels = shape[-1]
        agrees = self.strides == 1 and channels == self.filters
        self.has_residual = self.residual and agrees
        hidden = channels * self.expansion[0] * self.expansion[1]
        if self.is_expansion_only:
            self._create_expansion_only()
        elif self.expand_groups[0] == 0:
            self._create_block_a(hidden)
        else:
            self._create_block_bc(hidden)
        super().build_channels_last(shape)

    def transform(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        outputs = super().transform(images)
        return outputs + images if self.has_residual else outputs

    def transform_shape(self, shape: ImageShape) -> ImageShape:
        batch, height, width, _ = shape
        if self.is_expansion_only:
            return (batch, height, width, self.filters)
        return (
            batch,
            strided_size(height, self.strides),
            strided_size(width, self.strides),
            self.filters,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "expansion": list(self.expansion),
            "expand_groups": list(self.expand_groups),
            "project_groups": list(self.project_groups),
            "fusions": list(self.fusions),
            "reduction_multiplier": self.reduction_multiplier,
            "initial_a": list(self.initial_a),
            "initial_b": list(self.initial_b),
            "full_rank": self.full_rank,
            "residual": self.residual,
        }

    def _create_block_a(self, hidden):
        _, y2, y3 = self.fusions
        shift_groups = self.expand_groups[1]
        self.depthwise = self._depthwise(self.expansion)
        self.depthwise_activation = self._activation("depthwise_activation", y2, shift_groups)
        self.depthwise_shuffle = self._shuffle(
            "depthwise_shuffle", [shift_groups] + ([hidden // 2] if y2 else [])
        )
        self._create_projection(
            self._reduction_ratio // 2, mixes_halves=bool(y3) and self.filters % 2 == 0
        )

    def _create_block_bc(self, hidden):
        y1, y2, y3 = self.fusions
        groups, shift_groups = self.expand_groups
        self.expand = self._pointwise("expand", hidden, groups)
        self.expand_activation = self._activation("expand_activation", y1, shift_groups)
        self.expand_shuffle = self._shuffle("expand_shuffle", [shift_groups])
        self.depthwise = self._depthwise((1, 1))
        # The channels were shuffled since: the groups of the shift are now its columns.
        self.depthwise_activation = self._activation(
            "depthwise_activation", y2, hidden // shift_groups if shift_groups > 1 else 1
        )
        if y1 or y2:
            self.depthwise_shuffle = self._shuffle(
                "depthwise_shuffle", [hidden // (4 if y1 and y2 else 2)]
            )
        ratio = self._reduction_ratio
        self._create_projection(
            ratio // 2 if self.filters < hidden else ratio, mixes_halves=bool(y3)
        )

    def _create_projection(self, reduction_ratio, mixes_halves):
        groups, shift_groups = self.project_groups
        self.project = self._pointwise("project", self.filters, groups)
        if self.fusions[2]:
            self.project_activation = self._shift_max(
                "project_activation", 1, shift_groups, reduction_ratio
            )
        self.project_shuffle = self._shuffle(
            "project_shuffle", [shift_groups] + ([self.filters // 2] if mixes_halves else [])
        )

    def _create_expansion_only(self):
        self.expand = self._pointwise("expand", self.filters, self.expand_groups[0])
        if self.fusions[2]:
            self.expand_activation = self._shift_max(
                "expand_activation", 1, self.expand_groups[1], self._reduction_ratio
            )

    @property
    def _reduction_ratio(self):
        return _BASE_REDUCTION_RATIO * self.reduction_multiplier

    def _depthwise(self, multipliers):
        options = {"strides": self.strides, "name": "depthwise", **self._common}
        if self.full_rank:
            multiplier = multipliers[0] * multipliers[1]
            return NormalizedDepthwiseConv2D(
                self.kernel_size, depth_multiplier=multiplier, **options
            )
        return FactorizedDepthwiseConv2D(self.kernel_size, depth_multipliers=multipliers, **options)

    def _pointwise(self, name, filters, groups):
        groups = 1 if self.full_rank else groups
        return GroupedPointwiseConv2D(filters, groups, name=name, **self._common)

    def _activation(self, name, fusions, groups):
        if fusions == 0:
            return keras.layers.ReLU(6.0, dtype=self.dtype_policy, name=name)
        return self._shift_max(name, fusions, groups, self._reduction_ratio)

    def _shift_max(self, name, fusions, groups, reduction_ratio):
        return DynamicShiftMax(
            groups,
            fusions=fusions,
            reduction_ratio=reduction_ratio,
            initial_a=self.initial_a if fusions == 2 else None,
            initial_b=self.initial_b if fusions == 2 else None,
            name=name,
            **self._common,
        )

    def _shuffle(self, name, groups):
        return ChannelShuffle(groups, name=name, **self._common)

    @property
    def _common(self):
        return {"data_format": "channels_last", "dtype": self.dtype_policy}

    def _check_structure(self):
        if max(self.fusions[:2]) > 2 or self.fusions[2] > 1:
            raise ValueError(
                f"`fusions` must be at most (2, 2, 1). Received: fusions={self.fusions}"
            )
        if self.expand_groups[1] == 0:
            raise ValueError(
                "`expand_groups[1]` must be positive: it splits the shuffle and the shift. "
                f"Received: expand_groups={self.expand_groups}"
            )
        if 0 in self.project_groups and not self.is_expansion_only:
            raise ValueError(
                "`project_groups` must be two positive integers or (0, 0). "
                f"Received: project_groups={self.project_groups}"
            )
        if self.is_expansion_only and (self.expand_groups[0] == 0 or self.strides != 1):
            raise ValueError(
                "A block without a projection must have an expanding convolution and stride 1. "
                f"Received: expand_groups={self.expand_groups}, strides={self.strides}"
            )
