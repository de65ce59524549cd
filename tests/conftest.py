# SPDX-License-Identifier: Apache-2.0
"""What every test relies on: quiet TensorFlow, fixed seeds, Keras's global settings restored."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import keras
import pytest
import tensorflow as tf

from tflm.kernels.kernel_runner import Target
from tflm.toolchains.emulator import Core

# Timings say nothing on a shared machine, and a test must give the same verdict every time.
hypothesis.settings.register_profile("project", deadline=None, derandomize=True)
hypothesis.settings.load_profile("project")


@pytest.hookimpl(tryfirst=True)  # before those that the marks decide about are left out
def pytest_collection_modifyitems(items):
    """Marks what has a processor among its parameters; others mark themselves."""
    for item in items:
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if any(map(_is_processor, parameters)):
            item.add_marker("emulator")


def _is_processor(parameter):
    if isinstance(parameter, str):
        parameter = Target.__members__.get(parameter)
    return isinstance(parameter, (Core, Target)) and parameter is not Target.HOST


@pytest.fixture(autouse=True)
def keras_settings():
    """Seeds every test and undoes its changes to Keras's global settings."""
    policy = keras.config.dtype_policy()
    data_format = keras.config.image_data_format()
    keras.utils.set_random_seed(20)
    yield
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format(data_format)


@pytest.fixture
def eager():
    """Runs functions of TensorFlow at once: tracing these models takes longer than running them."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
