# SPDX-License-Identifier: Apache-2.0
"""The four MicroNets as data: the tables of the authors' ICCV 2021 release.

Names: `MicroNetM0` ... `MicroNetM3` are the models of the ICCV paper (arXiv
2108.05894) and of the authors' checkpoints. `first_arxiv_name` is what the first
arXiv version (2011.12289v1) calls them, by an independent port of it, not by its
text; its M3, a larger network, was never released.
"""

import dataclasses
from typing import Self


@dataclasses.dataclass(frozen=True)
class BlockRow:
    """One row of a table of blocks; the fields are `MicroBlock`'s arguments."""

    strides: int
    filters: int
    kernel_size: int
    expansion: tuple[int, int]
    expand_groups: tuple[int, int]
    project_groups: tuple[int, int]
    fusions: tuple[int, int, int]
    reduction_multiplier: int

    @classmethod
    def from_table(
        cls,
        s: int,
        c: int,
        k: int,
        e1: int,
        e2: int,
        g1: int,
        g2: int,
        g3: int,
        g4: int,
        y1: int,
        y2: int,
        y3: int,
        r: int,
    ) -> Self:
        """A row from the columns of the paper's notation."""
        return cls(s, c, k, (e1, e2), (g1, g2), (g3, g4), (y1, y2, y3), r)


@dataclasses.dataclass(frozen=True)
class Variant:
    """Everything that tells one MicroNet from another.

    Attributes:
        name: "M0" ... "M3".
        stem_channels: channels after the stem's first convolution, and the
            multiplier of its second.
        blocks: the rows of the table, in order.
        head_width: width of the dense layer before the classifier.
        dropout_rate: between the two dense layers.
        initial_a, initial_b: initial coefficients of activations with two
            fusions.
        imagenet_top1: published top-1 accuracy on ImageNet at 224, percent.
        first_arxiv_name: what arXiv 2011.12289v1 calls the model, or `None`.
    """

    name: str
    stem_channels: tuple[int, int]
    blocks: tuple[BlockRow, ...]
    head_width: int
    dropout_rate: float
    initial_a: tuple[float, float]
    initial_b: tuple[float, float]
    imagenet_top1: float
    first_arxiv_name: str | None


def _rows(table: str) -> tuple[BlockRow, ...]:
    return tuple(
        BlockRow.from_table(*(int(value) for value in line.split()))
        for line in table.strip().splitlines()
    )


# s c k | e1 e2 | g1 g2 g3 g4 | y1 y2 y3 | r
_M0_BLOCKS = _rows("""
    2   8 3  2 2   0  4  2  2  2 0 1  1
    2  12 3  2 2   0  8  4  4  2 2 1  1
    2  16 5  2 2   0 12  4  4  2 2 1  1
    1  32 5  1 4   4  4  4  4  2 2 1  1
    2  64 5  1 4   8  8  8  8  2 2 1  1
    1  96 3  1 4   8  8  8  8  2 2 1  2
    1 384 3  1 4  12 12  0  0  2 2 1  2
""")
_M1_BLOCKS = _rows("""
    2   8 3  2 2   0  6  2  2  2 0 1  1
    2  16 3  2 2   0  8  4  4  2 2 1  1
    2  16 5  2 2   0 16  4  4  2 2 1  1
    1  32 5  1 6   4  4  4  4  2 2 1  1
    2  64 5  1 6   8  8  8  8  2 2 1  1
    1  96 3  1 6   8  8  8  8  2 2 1  2
    1 576 3  1 6  12 12  0  0  2 2 1  2
""")
_M2_BLOCKS = _rows("""
    2  12 3  2 2   0  8  4  4  2 0 1  1
    2  16 3  2 2   0 12  4  4  2 2 1  1
    1  24 3  2 2   0 16  4  4  2 2 1  1
    2  32 5  1 6   6  6  4  4  2 2 1  1
    1  32 5  1 6   8  8  4  4  2 2 1  2
    1  64 5  1 6   8  8  8  8  2 2 1  2
    2  96 5  1 6   8  8  8  8  2 2 1  2
    1 128 3  1 6  12 12  8  8  2 2 1  2
    1 768 3  1 6  16 16  0  0  2 2 1  2
""")
_M3_BLOCKS = _rows("""
    2  16 3  2 2   0 12  4  4  0 2 0  1
    2  24 3  2 2   0 16  4  4  0 2 0  1
    1  24 3  2 2   0 24  4  4  0 2 0  1
    2  32 5  1 6   6  6  4  4  0 2 0  1
    1  32 5  1 6   8  8  4  4  0 2 0  2
    1  64 5  1 6   8  8  8  8  0 2 0  2
    1  80 5  1 6   8  8  8  8  0 2 0  2
    1  80 5  1 6  10 10  8  8  0 2 0  2
    2 120 5  1 6  10 10 10 10  0 2 0  2
    1 120 5  1 6  12 12 10 10  0 2 0  2
    1 144 3  1 6  12 12 12 12  0 2 0  2
    1 864 3  1 6  12 12  0  0  0 2 0  2
""")

VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("M0", (2, 2), _M0_BLOCKS, 640, 0.05, (1.0, 1.0), (0.0, 0.0), 46.6, None),
        Variant("M1", (3, 2), _M1_BLOCKS, 960, 0.05, (1.0, 1.0), (0.0, 0.0), 51.4, "M0"),
        Variant("M2", (4, 2), _M2_BLOCKS, 1024, 0.1, (1.0, 1.0), (0.0, 0.0), 59.4, "M1"),
        Variant("M3", (4, 3), _M3_BLOCKS, 1024, 0.1, (1.0, 0.5), (0.0, 0.5), 62.5, "M2"),
    )
}
