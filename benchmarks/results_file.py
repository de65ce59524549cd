# SPDX-License-Identifier: Apache-2.0
"""Where benchmarks keep their results, and how they write them."""

import pathlib

from keras_micronet.files.atomic import write_file

RESULTS = pathlib.Path(__file__).parent / "results"


def write_text(path, text):
    """Writes a file in one step: it is there in full or not at all."""
    write_file(path, text)
