# SPDX-License-Identifier: Apache-2.0
"""The camera's C, compiled for this computer once for all tests."""

import ctypes

import pytest

from tests.tflm.camera.c_checks import INCLUDES, WARNINGS
from tests.tflm.firmware import conftest as firmware_models
from tflm.camera.camera_sources import SOURCE_FOLDER
from tflm.toolchains import host_compiler

small_model = firmware_models.small_model  # the fixture


@pytest.fixture(scope="session")
def camera_library(tmp_path_factory):
    """All functions and formats, as `ctypes.CDLL`."""
    path = tmp_path_factory.mktemp("camera") / "camera.so"
    flags = ("-std=c99", "-O2", "-shared", "-fPIC", *WARNINGS, *INCLUDES)
    host_compiler.build(path, [*flags, *sorted(SOURCE_FOLDER.glob("*.c"))])
    return ctypes.CDLL(str(path))
