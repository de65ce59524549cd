"""What the expressions need to know of the machine."""

import tensorflow as tf


def matrix_products_are_exact():
    """Whether products with ones and zeros only move and add numbers: on CPUs.

    GPUs and TPUs round the factors of matrix products (TensorFloat-32, bfloat16), and need no
    such detour.
    """
    devices = tf.config.list_physical_devices()
    return not any(device.device_type in ("GPU", "TPU") for device in devices)


def onednn_computes():
    """Whether TensorFlow's kernels on this CPU are oneDNN's, as they are on recent processors."""
    if not matrix_products_are_exact():
        return False
    try:
        # What TensorFlow itself asks; there is no public way.
        from tensorflow.python.util import _pywrap_util_port

        return bool(_pywrap_util_port.IsMklEnabled())
    except (ImportError, AttributeError):
        return False
