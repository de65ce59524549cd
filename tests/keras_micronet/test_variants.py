# SPDX-License-Identifier: Apache-2.0
"""The variants as data, against the tables of the paper's release written out once more."""

import dataclasses

import pytest

import keras_micronet

# stride, channels, kernel, e1, e2, g1, g2, g3, g4, y1, y2, y3, r
TABLES = {
    "M0": """
        2 8 3 2 2 0 4 2 2 2 0 1 1
        2 12 3 2 2 0 8 4 4 2 2 1 1
        2 16 5 2 2 0 12 4 4 2 2 1 1
        1 32 5 1 4 4 4 4 4 2 2 1 1
        2 64 5 1 4 8 8 8 8 2 2 1 1
        1 96 3 1 4 8 8 8 8 2 2 1 2
        1 384 3 1 4 12 12 0 0 2 2 1 2
    """,
    "M1": """
        2 8 3 2 2 0 6 2 2 2 0 1 1
        2 16 3 2 2 0 8 4 4 2 2 1 1
        2 16 5 2 2 0 16 4 4 2 2 1 1
        1 32 5 1 6 4 4 4 4 2 2 1 1
        2 64 5 1 6 8 8 8 8 2 2 1 1
        1 96 3 1 6 8 8 8 8 2 2 1 2
        1 576 3 1 6 12 12 0 0 2 2 1 2
    """,
    "M2": """
        2 12 3 2 2 0 8 4 4 2 0 1 1
        2 16 3 2 2 0 12 4 4 2 2 1 1
        1 24 3 2 2 0 16 4 4 2 2 1 1
        2 32 5 1 6 6 6 4 4 2 2 1 1
        1 32 5 1 6 8 8 4 4 2 2 1 2
        1 64 5 1 6 8 8 8 8 2 2 1 2
        2 96 5 1 6 8 8 8 8 2 2 1 2
        1 128 3 1 6 12 12 8 8 2 2 1 2
        1 768 3 1 6 16 16 0 0 2 2 1 2
    """,
    "M3": """
        2 16 3 2 2 0 12 4 4 0 2 0 1
        2 24 3 2 2 0 16 4 4 0 2 0 1
        1 24 3 2 2 0 24 4 4 0 2 0 1
        2 32 5 1 6 6 6 4 4 0 2 0 1
        1 32 5 1 6 8 8 4 4 0 2 0 2
        1 64 5 1 6 8 8 8 8 0 2 0 2
        1 80 5 1 6 8 8 8 8 0 2 0 2
        1 80 5 1 6 10 10 8 8 0 2 0 2
        2 120 5 1 6 10 10 10 10 0 2 0 2
        1 120 5 1 6 12 12 10 10 0 2 0 2
        1 144 3 1 6 12 12 12 12 0 2 0 2
        1 864 3 1 6 12 12 0 0 0 2 0 2
    """,
}

# stem groups, head width, dropout, initial a, initial b, ImageNet top-1, name in arXiv v1
REST = {
    "M0": ((2, 2), 640, 0.05, (1.0, 1.0), (0.0, 0.0), 46.6, None),
    "M1": ((3, 2), 960, 0.05, (1.0, 1.0), (0.0, 0.0), 51.4, "M0"),
    "M2": ((4, 2), 1024, 0.1, (1.0, 1.0), (0.0, 0.0), 59.4, "M1"),
    "M3": ((4, 3), 1024, 0.1, (1.0, 0.5), (0.0, 0.5), 62.5, "M2"),
}


def columns(row):
    """A row's numbers in the order of the tables."""
    return [
        row.strides,
        row.filters,
        row.kernel_size,
        *row.expansion,
        *row.expand_groups,
        *row.project_groups,
        *row.fusions,
        row.reduction_multiplier,
    ]


def test_there_are_four_variants_in_order():
    assert list(keras_micronet.VARIANTS) == ["M0", "M1", "M2", "M3"]


@pytest.mark.parametrize("name", TABLES)
def test_blocks(name):
    expected = [[int(cell) for cell in line.split()] for line in TABLES[name].strip().split("\n")]
    assert [columns(row) for row in keras_micronet.VARIANTS[name].blocks] == expected


@pytest.mark.parametrize("name", REST)
def test_everything_else(name):
    variant = keras_micronet.VARIANTS[name]
    values = (
        variant.stem_channels,
        variant.head_width,
        variant.dropout_rate,
        variant.initial_a,
        variant.initial_b,
        variant.imagenet_top1,
        variant.first_arxiv_name,
    )
    assert variant.name == name
    assert values == REST[name]


def test_a_table_cannot_be_changed_by_accident():
    variant = keras_micronet.VARIANTS["M0"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        variant.head_width = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        variant.blocks[0].filters = 1
