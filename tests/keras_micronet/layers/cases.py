# SPDX-License-Identifier: Apache-2.0
"""Every public layer with arguments, an input shape and what must come of it."""

import dataclasses

from keras_micronet import layers


@dataclasses.dataclass(frozen=True)
class LayerCase:
    """One way to use a layer.

    Attributes:
        name: of the case, in test names.
        layer_class: the public class.
        arguments: its constructor's arguments.
        input_shape: channels-last, without the batch.
        output_shape: worked out by hand from the layer's definition.
        trainable: number of trainable weights: a convolution has a kernel,
            gamma and beta; a Dynamic Shift-Max two kernels and two biases.
        statistics: number of other weights: two for each batch normalization.
    """

    name: str
    layer_class: type
    arguments: dict
    input_shape: tuple
    output_shape: tuple
    trainable: int
    statistics: int

    def layer(self, **overrides):
        """A new layer of the case."""
        return self.layer_class(**{**self.arguments, **overrides})

    def __str__(self):
        return self.name


_IMAGE = (7, 6, 12)

LAYER_CASES = [
    LayerCase("shuffle", layers.ChannelShuffle, {"groups": 3}, _IMAGE, _IMAGE, 0, 0),
    LayerCase("two_shuffles", layers.ChannelShuffle, {"groups": [2, 4]}, _IMAGE, _IMAGE, 0, 0),
    LayerCase(
        "shift_max_two_fusions",
        layers.DynamicShiftMax,
        {"groups": 4, "initial_a": [1.0, 0.5], "initial_b": [0.0, 0.5]},
        _IMAGE,
        _IMAGE,
        4,
        0,
    ),
    LayerCase(
        "shift_max_one_fusion",
        layers.DynamicShiftMax,
        {"groups": 3, "fusions": 1, "reduction_ratio": 2},
        _IMAGE,
        _IMAGE,
        4,
        0,
    ),
    LayerCase(
        "convolution",
        layers.NormalizedConv2D,
        {"filters": 5, "kernel_size": (3, 1), "strides": (2, 1)},
        (7, 6, 3),
        (4, 6, 5),
        3,
        2,
    ),
    LayerCase(
        "convolution_grouped",
        layers.NormalizedConv2D,
        {"filters": 8, "kernel_size": 1, "groups": 4, "kernel_regularizer": "l2"},
        _IMAGE,
        (7, 6, 8),
        3,
        2,
    ),
    LayerCase(
        "depthwise",
        layers.NormalizedDepthwiseConv2D,
        {"kernel_size": 5, "strides": 2, "depth_multiplier": 2},
        (7, 6, 3),
        (4, 3, 6),
        3,
        2,
    ),
    LayerCase(
        "depthwise_unequal_strides",
        layers.NormalizedDepthwiseConv2D,
        {"kernel_size": (3, 5), "strides": (1, 2), "kernel_initializer": "he_normal"},
        (7, 7, 4),
        (7, 4, 4),
        3,
        2,
    ),
    LayerCase(
        "grouped_pointwise",
        layers.GroupedPointwiseConv2D,
        {"filters": 9, "groups": 3},
        _IMAGE,
        (7, 6, 9),
        3,
        2,
    ),
    LayerCase(
        "factorized_depthwise",
        layers.FactorizedDepthwiseConv2D,
        {"kernel_size": 5, "strides": 2, "depth_multipliers": (2, 3)},
        (7, 6, 3),
        (4, 3, 18),
        6,
        4,
    ),
    LayerCase(
        "factorized_pointwise",
        layers.FactorizedPointwiseConv2D,
        {"filters": 18, "hidden_filters": 6, "groups": (2, 3), "kernel_regularizer": "l1"},
        (7, 6, 8),
        (7, 6, 18),
        6,
        4,
    ),
    LayerCase(
        "factorized_pointwise_default_groups",
        layers.FactorizedPointwiseConv2D,
        {"filters": 16, "hidden_filters": 4},
        (7, 6, 8),
        (7, 6, 16),
        6,
        4,
    ),
    LayerCase("stem", layers.FactorizedStem, {"channels": (3, 2)}, (7, 6, 3), (4, 3, 6), 6, 4),
    LayerCase(
        "stem_full_rank",
        layers.FactorizedStem,
        {"channels": (3, 2), "full_rank": True},
        (7, 6, 3),
        (4, 3, 6),
        3,
        2,
    ),
    LayerCase(
        "block_a",
        layers.MicroBlock,
        {
            "filters": 8,
            "strides": 2,
            "expansion": (2, 2),
            "expand_groups": (0, 4),
            "project_groups": (2, 2),
            "fusions": (2, 2, 1),
        },
        (7, 6, 4),
        (4, 3, 8),
        3 * 3 + 2 * 4,
        3 * 2,
    ),
    LayerCase(
        "block_a_relu6",
        layers.MicroBlock,
        {
            "filters": 6,
            "expansion": (2, 1),
            "expand_groups": (0, 2),
            "project_groups": (3, 3),
            "fusions": (0, 0, 0),
        },
        (7, 6, 3),
        (7, 6, 6),
        3 * 3,
        3 * 2,
    ),
    LayerCase(
        "block_c_residual",
        layers.MicroBlock,
        {
            "filters": 8,
            "kernel_size": 5,
            "expansion": (1, 2),
            "expand_groups": (4, 4),
            "project_groups": (2, 2),
            "reduction_multiplier": 2,
        },
        (7, 6, 8),
        (7, 6, 8),
        4 * 3 + 3 * 4,
        4 * 2,
    ),
    LayerCase(
        "block_b_one_activation",
        layers.MicroBlock,
        {
            "filters": 12,
            "strides": 2,
            "expansion": (1, 3),
            "expand_groups": (2, 3),
            "project_groups": (4, 4),
            "fusions": (0, 2, 0),
            "initial_a": (1.0, 0.5),
            "initial_b": (0.0, 0.5),
        },
        (7, 6, 8),
        (4, 3, 12),
        4 * 3 + 4,
        4 * 2,
    ),
    LayerCase(
        "last_row",
        layers.MicroBlock,
        {
            "filters": 24,
            "expansion": (1, 4),
            "expand_groups": (4, 4),
            "project_groups": (0, 0),
        },
        (7, 6, 8),
        (7, 6, 24),
        3 + 4,
        2,
    ),
    LayerCase(
        "block_full_rank",
        layers.MicroBlock,
        {
            "filters": 8,
            "kernel_size": 5,
            "strides": 2,
            "expansion": (1, 2),
            "expand_groups": (4, 4),
            "project_groups": (4, 4),
            "full_rank": True,
        },
        (7, 6, 8),
        (4, 3, 8),
        3 * 3 + 3 * 4,
        3 * 2,
    ),
]
