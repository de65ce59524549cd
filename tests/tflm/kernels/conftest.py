# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the kernels' tests."""

import pytest


@pytest.fixture(scope="session")
def kernel_cache(tmp_path_factory):
    """Folder for compiled kernels, shared by the tests of a process."""
    return tmp_path_factory.mktemp("kernels")
