# SPDX-License-Identifier: Apache-2.0
"""What can be chosen for an export. Nothing is imported, so that `--help` takes no time."""

BUILTIN, FUSED = KERNELS = ("builtin", "fused")
TFLM, STATIC = RUNTIMES = ("tflm", "static")
MOST_POINTS_LOST = 2.0  # percentage points of accuracy that int8 may lose on the test images
KEEP_RIGHT = 95.0  # percent of the right answers that are not to become "none of these"


def check_keep_right(percent: float) -> None:
    """Raises `ValueError` unless a percentage of right answers can be kept."""
    if not 0 < percent <= 100:
        raise ValueError(
            "keep-right must be a percentage above 0, at most 100, of the right answers. "
            f"Received: keep-right={percent:g}"
        )
