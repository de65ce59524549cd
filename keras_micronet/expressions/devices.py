# SPDX-License-Identifier: Apache-2.0
"""What the expressions need to know of the machine."""

import tensorflow as tf


def only_cpus() -> bool:
    """Whether there is neither a GPU nor a TPU, which want other expressions than a CPU."""
    devices = tf.config.list_physical_devices()
    return not any(device.device_type in ("GPU", "TPU") for device in devices)


def matrix_products_are_exact() -> bool:
    """Whether products with ones and zeros only move and add numbers: on CPUs.

    GPUs and TPUs round the factors of matrix products (TensorFloat-32, bfloat16), and need no
    such detour.
    """
    return only_cpus()
