# SPDX-License-Identifier: Apache-2.0
"""What can be chosen for an export. Nothing is imported, so that `--help` takes no time."""

BUILTIN, FUSED = KERNELS = ("builtin", "fused")
TFLM, STATIC = RUNTIMES = ("tflm", "static")
MOST_POINTS_LOST = 2.0  # percentage points of accuracy that int8 may lose on the test images
