# SPDX-License-Identifier: Apache-2.0
"""How colours become gray, everywhere: in training for gray models, and on a device.

The weights are those of ITU-R BT.601, 0.299, 0.587 and 0.114, in integers whose sum is 1: as
Pillow's `convert("L")` has them, to the bit. `tf.image.rgb_to_grayscale` differs by at most 1.
"""

import numpy as np

LUMA_BITS = 16
LUMA_WEIGHTS = (19595, 38470, 7471)  # of red, green and blue, in 2 ** -LUMA_BITS


def luma(images: np.ndarray) -> np.ndarray:
    """Gray values, rounded to the nearest; within 0.502 of the exact ones.

    Args:
        images: uint8 `(..., 3)`: red, green, blue.

    Returns:
        uint8 `(...)`, 0 (black) to 255 (white).
    """
    sums = images.astype(np.int32) @ np.array(LUMA_WEIGHTS, np.int32)
    return (sums + (1 << LUMA_BITS - 1) >> LUMA_BITS).astype(np.uint8)
