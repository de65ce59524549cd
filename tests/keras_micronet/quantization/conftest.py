"""Fixtures that the tests of quantization share."""

import pytest
import tensorflow as tf


@pytest.fixture
def eager():
    """Runs functions of TensorFlow at once: tracing these models takes longer than running them."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
