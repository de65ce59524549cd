# SPDX-License-Identifier: Apache-2.0
"""The program of short sequences whose cycles were counted by hand."""

import pathlib

import pytest

from tflm.cycles.disassembly import Listing
from tflm.toolchains import emulator

FOLDER = pathlib.Path(__file__).parent
SOURCES = [FOLDER / "timing_fragments.c", FOLDER / "timing_fragments.S"]


@pytest.fixture(scope="session")
def fragments(tmp_path_factory):
    """Path of the program."""
    return emulator.build(
        emulator.Core.CORTEX_M4, SOURCES, tmp_path_factory.mktemp("timing_fragments")
    )


@pytest.fixture(scope="session")
def listing(fragments):
    """`Listing` of the program."""
    return Listing(fragments)
