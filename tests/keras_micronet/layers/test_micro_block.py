# SPDX-License-Identifier: Apache-2.0
"""MicroBlock against its definition written out in PyTorch and NumPy.

The golden figures check the rows of the four tables; here are rows that no
table has, and the full-rank block, which was never released.
"""

import numpy as np
import pytest

from keras_micronet.layers import MicroBlock
from tests.keras_micronet import models, references

INITIAL_A = (1.0, 0.5)
INITIAL_B = (0.0, 0.5)


def activation(images, layer, fusions, groups, ratio):
    """ReLU6 for no fusions, else Dynamic Shift-Max with the layer's dense weights."""
    if fusions == 0:
        return references.relu6(images)
    channels = images.shape[-1]
    squeeze, excite = (references.dense_weights(dense) for dense in (layer.squeeze, layer.excite))
    quotient = channels // ratio
    width = max(4, int(quotient + 2) // 4 * 4)
    assert squeeze[0].shape[1] == (width + 4 if width < 0.9 * quotient else width)
    a, b = (INITIAL_A, INITIAL_B) if fusions == 2 else ((1.0,), (0.0,))
    return references.shift_max(images, groups, fusions, a, b, squeeze, excite)


def depthwise(images, block, full_rank):
    stride = block.strides
    if full_rank:
        return references.normalized_convolution(images, block.depthwise, depthwise=True)
    first, second = block.depthwise.vertical, block.depthwise.horizontal
    outputs = references.depthwise_convolution(images, np.array(first.kernel), (stride, 1))
    outputs = references.normalize(outputs, *references.normalization_weights(first))
    outputs = references.depthwise_convolution(outputs, np.array(second.kernel), (1, stride))
    return references.normalize(outputs, *references.normalization_weights(second))


def projected(images, block, hidden, is_block_a, ratio, full_rank):
    (g3, g4), (_, _, y3) = block.project_groups, block.fusions
    outputs = references.normalized_convolution(
        images, block.project, groups=1 if full_rank else g3
    )
    if y3:
        whole = not is_block_a and block.filters >= hidden
        outputs = activation(
            outputs, block.project_activation, 1, g4, ratio if whole else ratio // 2
        )
    outputs = references.shuffle(outputs, g4)
    if y3 and (not is_block_a or block.filters % 2 == 0):
        outputs = references.shuffle(outputs, block.filters // 2)
    return outputs


def reference(images, block, full_rank=False):
    """A block as the authors' code has it, step by step."""
    (g1, g2), (y1, y2, y3) = block.expand_groups, block.fusions
    channels = images.shape[-1]
    hidden = channels * block.expansion[0] * block.expansion[1]
    ratio = 8 * block.reduction_multiplier
    if block.project_groups == (0, 0):
        outputs = references.normalized_convolution(
            images, block.expand, groups=1 if full_rank else g1
        )
        return activation(outputs, block.expand_activation, 1, g2, ratio) if y3 else outputs
    if g1 == 0:
        outputs = depthwise(images, block, full_rank)
        outputs = activation(outputs, block.depthwise_activation, y2, g2, ratio)
        outputs = references.shuffle(outputs, g2)
        if y2:
            outputs = references.shuffle(outputs, hidden // 2)
    else:
        outputs = references.normalized_convolution(
            images, block.expand, groups=1 if full_rank else g1
        )
        outputs = activation(outputs, block.expand_activation, y1, g2, ratio)
        outputs = references.shuffle(outputs, g2)
        outputs = depthwise(outputs, block, full_rank)
        groups = hidden // g2 if g2 != 1 else 1
        outputs = activation(outputs, block.depthwise_activation, y2, groups, ratio)
        if y1 and y2:
            outputs = references.shuffle(outputs, hidden // 4)
        elif y1 or y2:
            outputs = references.shuffle(outputs, hidden // 2)
    outputs = projected(outputs, block, hidden, g1 == 0, ratio, full_rank)
    if block.strides == 1 and channels == block.filters:
        outputs = outputs + images
    return outputs


ROWS = {
    "a": (8, dict(filters=8, strides=2, expansion=(2, 2), expand_groups=(0, 4))),
    "a_residual": (8, dict(filters=8, expansion=(2, 1), expand_groups=(0, 4))),
    "a_odd_channels": (3, dict(filters=9, expansion=(2, 3), expand_groups=(0, 3))),
    "a_relu6": (4, dict(filters=6, expansion=(2, 2), expand_groups=(0, 2), fusions=(0, 0, 1))),
    "a_nothing": (4, dict(filters=6, expansion=(2, 2), expand_groups=(0, 2), fusions=(0, 0, 0))),
    "c": (8, dict(filters=16, strides=2, expansion=(1, 4), expand_groups=(4, 4), kernel_size=5)),
    "c_residual": (16, dict(filters=16, expansion=(1, 2), expand_groups=(8, 4))),
    "c_wider_than_hidden": (48, dict(filters=96, expansion=(1, 1), expand_groups=(4, 4))),
    "c_first": (8, dict(filters=16, expansion=(2, 2), expand_groups=(4, 4), fusions=(2, 0, 1))),
    "c_second": (8, dict(filters=16, expansion=(2, 2), expand_groups=(4, 4), fusions=(0, 2, 0))),
    "c_single": (8, dict(filters=16, expansion=(2, 2), expand_groups=(4, 4), fusions=(1, 1, 1))),
    "c_relu6": (8, dict(filters=16, expansion=(1, 4), expand_groups=(2, 4), fusions=(0, 0, 0))),
    "c_ungrouped": (8, dict(filters=16, expansion=(1, 4), expand_groups=(1, 1))),
    "last": (16, dict(filters=96, expand_groups=(4, 8), project_groups=(0, 0))),
    "last_plain": (
        16,
        dict(filters=96, expand_groups=(4, 8), project_groups=(0, 0), fusions=(2, 2, 0)),
    ),
}


def block_of(row, **overrides):
    channels, arguments = ROWS[row]
    defaults = {
        "project_groups": {8: (4, 2), 9: (3, 3), 6: (2, 3)}.get(arguments["filters"], (4, 2)),
        "reduction_multiplier": 1 if channels < 16 else 2,
        "initial_a": INITIAL_A,
        "initial_b": INITIAL_B,
    }
    block = MicroBlock(**{**defaults, **arguments, **overrides})
    generator = np.random.default_rng(4)
    images = generator.standard_normal((2, 5, 6, channels)).astype(np.float32)
    block.build(images.shape)
    models.randomize(block)
    return block, images


@pytest.mark.parametrize("full_rank", [False, True])
@pytest.mark.parametrize("row", ROWS)
def test_equals_its_definition(row, full_rank):
    block, images = block_of(row, full_rank=full_rank)
    expected = reference(images, block, full_rank)
    assert block.compute_output_shape(images.shape) == expected.shape
    error = np.abs(np.array(block(images)) - expected).max()
    assert error <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("row", ROWS)
def test_full_rank_kernels_are_dense(row):
    block, images = block_of(row, full_rank=True)
    channels = images.shape[-1]
    kernel_size = block.kernel_size
    if block.expand is not None:
        assert block.expand.kernel.shape[2] == channels
    if block.depthwise is not None:
        assert block.depthwise.kernel.shape[:2] == (kernel_size, kernel_size)
        hidden = channels * block.expansion[0] * block.expansion[1]
        assert block.project.kernel.shape == (1, 1, hidden, block.filters)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"fusions": (3, 2, 1)}, "`fusions` must be at most"),
        ({"fusions": (2, 2, 2)}, "`fusions` must be at most"),
        ({"fusions": (2, 2)}, "`fusions` must be 3 integers"),
        ({"fusions": (2, -1, 1)}, "`fusions` must be 3 integers"),
        ({"expand_groups": (4, 0)}, r"`expand_groups\[1\]` must be positive"),
        ({"expand_groups": (4,)}, "`expand_groups` must be 2 integers"),
        ({"project_groups": (4, 0)}, "`project_groups` must be two positive integers or"),
        ({"project_groups": (0, 4)}, "`project_groups` must be two positive integers or"),
        ({"project_groups": (0, 0)}, "A block without a projection must have"),
        (
            {"project_groups": (0, 0), "expand_groups": (4, 4), "strides": 2},
            "A block without a projection must have",
        ),
        ({"filters": 0}, "`filters` must be a positive integer"),
        ({"kernel_size": 4}, "`kernel_size` must be odd"),
        ({"strides": 0}, "`strides` must be a positive integer"),
        ({"strides": (1, 2)}, "`strides` must be a positive integer"),
        ({"expansion": (2, 0)}, "`expansion` must be 2 integers"),
        ({"reduction_multiplier": 0}, "`reduction_multiplier` must be a positive integer"),
        ({"initial_a": (1.0,)}, "`initial_a` must be 2 finite numbers"),
        ({"initial_b": None}, "`initial_b` must be 2 finite numbers"),
    ],
)
def test_arguments_are_checked(arguments, rule):
    with pytest.raises(ValueError, match=f"{rule}.*Received: "):
        MicroBlock(**{"filters": 8, **arguments})


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"expand_groups": (0, 5)}, "groups=5, channels=8"),
        ({"expand_groups": (3, 4)}, "groups=3, filters=8"),
        ({"project_groups": (3, 2)}, "groups=3, filters=8"),
        ({"filters": 12, "project_groups": (3, 2)}, "groups=3, input channels=8"),
    ],
)
def test_group_counts_must_divide_their_channels(arguments, received):
    block = MicroBlock(**{"filters": 8, **arguments})
    with pytest.raises(ValueError, match=f"`groups` must divide.*Received: {received}"):
        block.build((None, 4, 4, 8))
