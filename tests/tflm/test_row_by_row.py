"""Images whose rows a stem's output replaces: no row is overwritten before its last reader."""

import numpy as np
import pytest

from tests.tflm.hand_made_graphs import chain_of_two_convolutions
from tests.tflm.kernels.test_factorized_conv import random_operation
from tflm import row_by_row
from tflm.kernels.factorized_stem import FactorizedStem

# (input shape), (vertical, horizontal taps), strides, (input channels' multiplier, depth multiplier)
SHAPES = [
    ((224, 224, 3), (3, 3), (2, 2), (2, 2)),
    ((224, 224, 3), (3, 3), (2, 2), (4, 3)),
    ((45, 58, 3), (3, 3), (2, 2), (4, 3)),
    ((9, 14, 1), (7, 3), (1, 1), (4, 4)),
    ((11, 9, 2), (1, 3), (4, 1), (2, 1)),
    ((1, 5, 3), (5, 3), (2, 2), (2, 2)),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_lead_is_the_least_that_keeps_unread_rows(shape):
    """Each output row, as long as windows reach into the image, must end before its last row."""
    stem = random_operation(np.random.default_rng(0), FactorizedStem, *shape)
    height, width, channels = stem.input_shape
    taps, stride = stem.vertical_weights.shape[1], stem.vertical_stride
    output_height, output_width, output_channels = stem.output_shape

    def keeps_rows(lead):
        for row in range(output_height):
            window = range(row * stride - taps // 2, row * stride - taps // 2 + taps)
            newest = max(y for y in window if 0 <= y < height)
            if (row + 1) * output_width * output_channels > lead + newest * width * channels:
                return False
        return True

    lead = row_by_row.lead_bytes(stem)
    assert keeps_rows(lead)
    assert lead == 0 or not keeps_rows(lead - 1)


def test_a_model_without_a_stem_takes_no_rows():
    assert not row_by_row.takes_rows(chain_of_two_convolutions())
